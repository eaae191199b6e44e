#include "train/draw_samples.h"

#include "base/error.h"
#include "base/processes.h"
#include "diffusion/drawing.h"

#include <stdio.h>
#include <stdlib.h>

NoiseSchedule respaced(const NoiseSchedule *all, const char *option, const char *sections,
                       Beginning from) {
    char every[16];
    snprintf(every, sizeof every, "%d", all->T);
    NoiseSchedule s = schedule_respaced(all, sections ? sections : every);
    if (!s.T)
        usage_error("--%s %s: not steps of %d; \"50\", \"10,15,20\" or \"ddim50\" are", option,
                    sections, all->T);
    if (from == FROM_NOISE && s.alpha_bar[s.T - 1] > 0.5)
        usage_error("--%s %s: begins at step %d of %d, where most of the picture should be left, "
                    "but drawing begins with noise", option, sections, s.step[s.T - 1] + 1, all->T);
    return s;
}

NoiseSchedule respace(NoiseSchedule all, const char *option, const char *sections, Beginning from) {
    NoiseSchedule few = respaced(&all, option, sections, from);
    schedule_free(&all);
    return few;
}

enum { AT_ONCE = 16, FILMED = 8 };

typedef struct {
    const Cli *cli;
    Grid grid;
} Target;

static void save_samples(void *context, int n, const real *x) {
    Target *t = context;
    t->grid.count = n;
    samples_save(t->cli, x, t->grid);
}

void draw_samples(const Cli *cli, Sampler *m, int n, Grid g) {
    Arena arena = {0};
    Target target = {cli, g};
    real *x = arena_get(&arena, (size_t)n * sampler_size(m) * sizeof *x);
    int at_once = drawn_at_once(m, AT_ONCE), filmed = n < FILMED ? n : FILMED;
    if (filmed > at_once) filmed = at_once;      /* of the pictures that are drawn first */
    Recording r = recording_new(&arena, m->schedule->T, filmed, sampler_size(m));
    samples_open(cli);
    draw_images(m, n, x, (Drawing){.at_once = at_once, .quiet = cli->common->quiet,
                                   .save = save_samples, .context = &target, .recording = &r});
    char *strip = output_path(cli, "progress.png"), *film = output_path(cli, "film.png");
    if (processes_own(0)) {                     /* which has drawn the first pictures */
        recording_strip(&r, g, strip, cli->line);
        recording_film(&r, g, film, cli->line);
    }
    free(strip), free(film);
    arena_free(&arena);
}

void draw_preview(const Cli *cli, Sampler *m, char *path, Grid g) {
    Arena arena = {0};
    real *x = arena_get(&arena, (size_t)g.count * sampler_size(m) * sizeof *x);
    draw_images(m, g.count, x, (Drawing){.at_once = g.count, .quiet = true});
    save_grid(cli, path, x, g);
    arena_free(&arena);
}
