#include "train/draw_samples.h"

#include "diffusion/drawing.h"

#include <stdlib.h>

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
    Recording r = recording_new(&arena, m->schedule->T, n < FILMED ? n : FILMED, sampler_size(m));
    free(output_path(cli, "samples.png")), free(output_path(cli, "samples.npy"));
    draw_images(m, n, x, (Drawing){.at_once = drawn_at_once(m, AT_ONCE),
                                   .quiet = cli->common->quiet, .save = save_samples,
                                   .context = &target, .recording = &r});
    char *strip = output_path(cli, "progress.png"), *film = output_path(cli, "film.png");
    recording_strip(&r, g, strip, cli->line);
    recording_film(&r, g, film, cli->line);
    free(strip), free(film);
    arena_free(&arena);
}
