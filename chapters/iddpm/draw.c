#include "draw.h"

#include "train/checkpoint.h"
#include "base/progress.h"
#include "train/results.h"
#include "settings.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 8 };

Model load_network(Params *params) {
    char *path = weights_path(&o.common);
    checkpoint_options(path, &cli, false);
    if (o.class >= o.classes && cli_given(&cli, "class"))
        usage_error("--class %d: %s is told one of %d classes", o.class, path, o.classes);
    Model net = model_new(params, chosen_config());
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", params}}});
    free(path);
    return net;
}

Sampler new_sampler(const Model *net, const Diffusion *chain) {
    bool ddim = !strcmp(o.sampler, "ddim");
    if (cli_given(&cli, "eta") && !ddim) usage_error("--eta is for --sampler ddim");
    const char *variance = ddim || !strcmp(o.sampler, "ddpm") ? o.variance : o.sampler;
    return (Sampler){.net = net, .chain = chain, .variance = variance_named(variance),
                     .ddim = ddim, .eta = o.eta, .side = SIDE, .seed = o.common.seed,
                     .tape = {.no_grad = true}};
}

const int *wanted_classes(Arena *arena, int n) {
    if (!o.classes) return NULL;
    int *label = arena_get(arena, (size_t)n * sizeof *label);
    for (int i = 0; i < n; i++) label[i] = o.class >= 0 ? o.class : i % o.classes;
    return label;
}

void save_pictures(int n, const real *x) {
    int columns = o.classes && o.class < 0 ? o.classes : COLUMNS;      /* a class a column */
    samples_save(&o.common, x, garments(n, columns), cli.line);
}

/* `count` pictures from number `first` on */
static void draw_group(Sampler *m, int first, int count, const int *label, real *x,
                       Progress *progress, Recording *recording) {
    int T = m->chain->T;
    for (int i = 0; i < count; i++)
        sampling_noise(m->seed, first + i, X_T, PIXELS, x + (size_t)i * PIXELS);
    for (int t = T - 1; t >= 0; t--) {
        Reverse p = sample_step(m, t, first, count, label ? label + first : NULL, x);
        if (recording) recording_take(recording, T - t, x, p.start);
        progress_update(progress, progress->done + 1, "");
    }
}

void draw_pictures(Sampler *m, int n, const int *label, real *x, Drawing how) {
    Progress progress;
    double next_save = 0;
    int64_t groups = (n + how.at_once - 1) / how.at_once;
    progress_start(&progress, "sample", 0, groups * m->chain->T, how.quiet);
    for (int first = 0; first < n; first += how.at_once) {
        int count = n - first < how.at_once ? n - first : how.at_once;
        draw_group(m, first, count, label, x + (size_t)first * PIXELS, &progress,
                   first ? NULL : how.recording);
        double now = seconds_now();
        if (!how.save || (now < next_save && first + count < n)) continue;
        how.save(first + count, x);
        next_save = seconds_now() + 9 * (seconds_now() - now);
    }
    progress_end(&progress, progress.done, "");
}
