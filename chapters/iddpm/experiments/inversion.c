#include "inversion.h"

#include "io/csv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int steps;
    bool shown;
} chains[] = {{10, true}, {25, false}, {50, true}, {100, false}, {250, true}};
enum { CHAINS = sizeof chains / sizeof *chains, ROWS = 7 };

typedef struct {
    double error, mean, deviation;
} Inversion;

/* x (n, pixels): images, which become what DDIM makes of their x_T; noise: that x_T */
static Inversion there_and_back(Sampler *m, int n, size_t pixels, real *x, real *noise) {
    Arena arena = {0};
    size_t len = (size_t)n * pixels;
    real *images = arena_get(&arena, len * sizeof *images);
    memcpy(images, x, len * sizeof *x);
    ddim_invert(m, 0, n, x);
    memcpy(noise, x, len * sizeof *x);
    sample_from(m, m->schedule->T - 1, 0, n, x);
    double sum = k_sum(len, noise), squares = k_sum_squares(len, noise), error = 0;
    for (size_t i = 0; i < len; i++) {
        double off = ((double)x[i] - (double)images[i]) / 2;      /* on the scale [0,1] */
        error += off * off;
    }
    arena_free(&arena);
    double mean = sum / (double)len;
    return (Inversion){error / n, mean, sqrt(squares / (double)len - mean * mean)};
}

void invert_images(const Cli *cli, const Sampler *from, int n, const real *images, Grid g) {
    Arena arena = {0};
    size_t pixels = sampler_size(from), len = (size_t)n * pixels;
    real *grid = arena_get(&arena, ROWS * len * sizeof *grid), *row = grid + len;    /* next row */
    real *noise = arena_get(&arena, len * sizeof *noise);
    real *x = arena_get(&arena, len * sizeof *x);
    AtomicFile f = csv_create(cli->common->out, "inversion.csv",
                              "steps,squared_error,noise_mean,noise_deviation");
    memcpy(grid, images, len * sizeof *grid);
    for (int k = 0; k < CHAINS && chains[k].steps <= from->schedule->T; k++) {
        NoiseSchedule chain = schedule_respaced_to(from->schedule, "", chains[k].steps);
        Sampler m = *from;
        m.schedule = &chain;
        memcpy(x, images, len * sizeof *x);
        Inversion i = there_and_back(&m, n, pixels, x, noise);
        fprintf(f.stream, "%d,%.4f,%.4f,%.4f\n", chain.T, i.error, i.mean, i.deviation);
        if (!cli->common->quiet)
            printf("DDIM to x_T and back in %d steps: squared error %.2f per image, x_T's standard "
                   "deviation %.3f\n", chain.T, i.error, i.deviation);
        if (chains[k].shown) {
            memcpy(row, noise, len * sizeof *row), memcpy(row + len, x, len * sizeof *row);
            row += 2 * len;
        }
        sampler_free(&m), schedule_free(&chain);
    }
    file_commit(&f);
    g.count = (int)((size_t)(row - grid) / pixels), g.columns = n;
    g.row_labels = "test images|x_T in 10 steps|and back|x_T in 50 steps|and back|"
                   "x_T in 250 steps|and back";
    save_grid(cli, path_join(cli->common->out, "inversion.png"), grid, g);
    arena_free(&arena);
}
