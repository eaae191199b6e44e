#include "modes.h"

#include "io/csv.h"
#include "toy.h"

#include <math.h>
#include <stdio.h>

enum { BATCH = 64, POINTS = 4000, SHOWN = 500 };
static const double rate = 2e-3, near_mode = 0.3;

static const struct {
    const char *name;
    Loss loss;
    bool spectral;
} games[] = {{"minimax", MINIMAX, false},
             {"non-saturating", NON_SATURATING, false},
             {"hinge", HINGE, false},
             {"hinge with spectral norm", HINGE, true}};
enum { GAMES = sizeof games / sizeof *games };

ModeCount count_modes(int n, const real *points) {
    int near[RING_MODES] = {0}, on = 0, modes = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < RING_MODES; k++) {
            double x, y;
            ring_centre(k, &x, &y);
            double distance = hypot((double)points[2 * i] - x, (double)points[2 * i + 1] - y);
            near[k] += distance < near_mode;
            on += distance < 3 * narrow_sigma;
        }
    for (int k = 0; k < RING_MODES; k++) modes += 4 * RING_MODES * near[k] >= n;
    return (ModeCount){modes, (double)on / n};
}

/* POINTS points of a G that was trained in the game */
static void play(int game, uint64_t seed, int steps, real *points) {
    Player g, d;
    player_start(&g, "g", TOY_CODE, 2, seed), player_start(&d, "d", 2, 1, seed);
    d.net.leak = 0.2;            /* as the chapter's discriminator: SiLU flattens D more */
    if (games[game].spectral) player_spectral(&d, "d");
    for (int step = 0; step < steps; step++)
        toy_gan_step(&g, &d, &narrow_ring, games[game].loss, BATCH, rate);
    toy_samples(&g, POINTS, points);
    player_free(&g), player_free(&d);
}

static void save_points(FILE *f, const char *game, const real *points) {
    for (int i = 0; i < SHOWN; i++)
        fprintf(f, "%s,%.4g,%.4g\n", game, (double)points[2 * i], (double)points[2 * i + 1]);
}

/* means over the seeds, and standard deviations */
static void save_summary(FILE *f, const char *game, int n, const ModeCount *c) {
    double sum[2] = {0}, squares[2] = {0};
    for (int i = 0; i < n; i++) {
        double x[2] = {c[i].modes, c[i].on_modes};
        for (int j = 0; j < 2; j++) sum[j] += x[j] / n, squares[j] += x[j] * x[j] / n;
    }
    fprintf(f, "%s,%d", game, n);
    for (int j = 0; j < 2; j++)
        fprintf(f, ",%.4f,%.4f", sum[j],
                n > 1 ? sqrt(fmax(squares[j] - sum[j] * sum[j], 0) * n / (n - 1)) : 0);
    fprintf(f, "\n");
}

/* one training for each seed; c (d.seeds) */
static void play_all(int game, Dropping d, ModeCount *c, FILE *counts, FILE *shown) {
    static real points[2 * POINTS];
    for (int i = 0; i < d.seeds; i++) {
        play(game, d.seed + (uint64_t)i, d.steps, points);
        c[i] = count_modes(POINTS, points);
        fprintf(counts, "%s,%d,%d,%.4f\n", games[game].name, (int)d.seed + i, c[i].modes,
                c[i].on_modes);
        if (i == 0) save_points(shown, games[game].name, points);
    }
}

int modes(const char *folder, Dropping d, bool quiet) {
    Arena arena = {0};
    ModeCount *c = arena_get(&arena, (size_t)d.seeds * sizeof *c);
    threads_set(1);              /* layers of 64 units are too small to be shared out */
    AtomicFile counts = csv_create(folder, "modes.csv", "game,seed,modes,on_modes");
    AtomicFile shown = csv_create(folder, "modes_points.csv", "game,x,y");
    AtomicFile summary = csv_create(folder, "modes_summary.csv",
                                    "game,seeds,modes,modes_sd,on_modes,on_modes_sd");
    for (int k = 0; k < GAMES; k++) {
        play_all(k, d, c, counts.stream, shown.stream);
        save_summary(summary.stream, games[k].name, d.seeds, c);
        for (int i = 0; i < d.seeds && !quiet; i++)
            printf("%s, seed %d: %d of %d modes, %.1f %% of the points on them\n", games[k].name,
                   (int)d.seed + i, c[i].modes, RING_MODES, 100 * c[i].on_modes);
    }
    file_commit(&counts), file_commit(&shown), file_commit(&summary);
    arena_free(&arena);
    return 0;
}
