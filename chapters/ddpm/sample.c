/* sample.c — pictures from noise, and what happens on the way there and back. */
#include "base/file.h"
#include "train/results.h"
#include "settings.h"

#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 16, COLUMNS = 8, MOMENTS = 10, PAIRS = 4, MIXTURES = 11 };

static void save_pictures(int n, const real *x) {
    samples_save(&o.common, x, garments(n, COLUMNS), cli.line);
}

/* ---- the way there --------------------------------------------------------------------------- */

/* One test image at eleven moments of the forward process; below, what the network makes of each at
 * once. */
static void save_forward(Sampler *m, const Images *set) {
    enum { N = MOMENTS + 1 };
    static real x0[PIXELS], eps[PIXELS], grid[2 * N * PIXELS];
    char *captions[2 * N];
    images_get(set, 1, NULL, -1, 1, x0, NULL);
    sampling_noise(m->seed, 0, TIMESTEPS, PIXELS, eps);
    for (int k = 0; k < N; k++) {
        int t = k * (m->schedule->T - 1) / MOMENTS;
        q_sample(m->schedule, t, PIXELS, x0, eps, grid + k * PIXELS);
        predict(m, t, 1, grid + k * PIXELS, grid + (N + k) * PIXELS);
        captions[k] = text_format("t = %d", t + 1);
        captions[N + k] = text_format("x0");
    }
    Grid g = garments(2 * N, N);
    g.captions = (const char *const *)captions;
    char *path = announced(&o.common, "forward.png");
    picture_save(path, grid, g, cli.line);
    free(path);
    for (int k = 0; k < 2 * N; k++) free(captions[k]);
}

/* ---- between two pictures -------------------------------------------------------------------- */

/* A row for each pair of test images: the first; what becomes of mixtures of both, half the way to
 * noise, from the first alone to the second alone; the second (figure 8 of the paper). */
static void save_interpolation(Sampler *m, const Images *set) {
    enum { ROW = MIXTURES + 2 };
    static real pictures[2 * PAIRS * PIXELS], y[PAIRS * PIXELS], x0[PAIRS * PIXELS];
    static real grid[PAIRS * ROW * PIXELS];
    const real *a = pictures, *b = pictures + PAIRS * PIXELS;
    Progress progress;
    images_get(set, 2 * PAIRS, NULL, -1, 1, pictures, NULL);
    progress_start(&progress, "mix", 0, MIXTURES, o.common.quiet);
    for (int k = 0; k < ROW; k++) {
        if (k > 0 && k < ROW - 1) {
            double lambda = (k - 1) / (MIXTURES - 1.0);
            interpolate(m, m->schedule->T / 2, PAIRS, a, b, lambda, y, x0);
            progress_update(&progress, k, "");
        }
        const real *from = k == 0 ? a : k == ROW - 1 ? b : y;
        for (int i = 0; i < PAIRS; i++)
            memcpy(grid + (i * ROW + k) * PIXELS, from + i * PIXELS, PIXELS * sizeof *grid);
    }
    progress_end(&progress, MIXTURES, "");
    save_garments(announced(&o.common, "interpolation.png"), grid, PAIRS * ROW, ROW);
}

int sample(void) {
    Params params = {0};
    Model net = load_network(&params);
    Arena arena = {0};
    Schedule all = paper_schedule(), s = schedule_strided(&all, o.sampling_steps);
    Sampler m = sampler_of(&net, &s), full = sampler_of(&net, &all);
    int columns = o.pictures < COLUMNS ? o.pictures : COLUMNS;
    Recording recording = recording_new(&arena, s.T, columns, PIXELS);
    folder_create(o.common.out);
    free(announced(&o.common, "samples.png")), free(announced(&o.common, "samples.npy"));
    draw_many(&m, o.pictures, new_images(&arena, o.pictures), AT_ONCE, save_pictures, &recording);
    char *strip = announced(&o.common, "progress.png"), *film = announced(&o.common, "film.png");
    recording_strip(&recording, garments(0, 0), strip, cli.line);
    recording_film(&recording, garments(0, 0), film, cli.line);
    free(strip), free(film);
    Fashion data = load_data();      /* not before: noise is enough for what comes first */
    save_forward(&full, &data.test);
    save_interpolation(&m, &data.test);
    tape_free(&m.tape), tape_free(&full.tape);
    schedule_free(&all), schedule_free(&s);
    fashion_free(&data);
    arena_free(&arena);
    params_free(&params);
    return 0;
}
