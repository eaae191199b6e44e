#include "toy.h"

#include "io/csv.h"
#include "toy_score.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 10000, BATCH = 512, SCORED = 20000, CHAINS = 2000, CHAIN_STEPS = 1000 };
enum { LEVELS = 7, FINEST = 1, LANGEVIN_STEPS = 200 };    /* finest level of Langevin; at each */
static const double sigmas[LEVELS] = {0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1};
static const double shown_sigma = 0.3, chain_sigma = 0.1, rate = 5e-3, langevin_share = 0.1;

/* r(x) - x of the network, and the exact sigma^2 grad log p_sigma, at the points of a grid */
static void save_arrows(const char *folder, const Denoiser *d) {
    enum { ACROSS = 21, DOWN = 17, POINTS = ACROSS * DOWN };
    real at[2 * POINTS], r[2 * POINTS];
    for (int i = 0; i < POINTS; i++) {
        at[2 * i] = (real)(-2 + 0.2 * (i % ACROSS));
        at[2 * i + 1] = (real)(-1.6 + 0.2 * (i / ACROSS));
    }
    denoiser_reconstruct(d, POINTS, at, r);
    AtomicFile f = csv_create(folder, "toy_arrows.csv", "x,y,u,v,exact_u,exact_v");
    for (int i = 0; i < POINTS; i++) {
        double x = (double)at[2 * i], y = (double)at[2 * i + 1], score[2];
        double s2 = d->sigma * d->sigma;
        moons_score(d->sigma, x, y, score);
        fprintf(f.stream, "%.4g,%.4g,%.5g,%.5g,%.5g,%.5g\n", x, y, (double)r[2 * i] - x,
                (double)r[2 * i + 1] - y, s2 * score[0], s2 * score[1]);
    }
    file_commit(&f);
}

/* ---- samples --------------------------------------------------------------------------------- */

static void save_points(AtomicFile *f, const char *what, const real *points) {
    for (int i = 0; i < CHAINS; i++)
        fprintf(f->stream, "%.5g,%.5g,%s\n", (double)points[2 * i], (double)points[2 * i + 1],
                what);
}

static void save_moments(AtomicFile *f, const char *what, const real *points, bool quiet) {
    double sum[2] = {0}, squares[2] = {0}, log_density = 0, second = 0;
    for (int i = 0; i < CHAINS; i++) {
        double x = (double)points[2 * i], y = (double)points[2 * i + 1];
        sum[0] += x, sum[1] += y, squares[0] += x * x, squares[1] += y * y;
        log_density += moons_log_density(0, x, y);
        second += moon_of(x, y);
    }
    double mx = sum[0] / CHAINS, my = sum[1] / CHAINS;
    double sx = sqrt(squares[0] / CHAINS - mx * mx), sy = sqrt(squares[1] / CHAINS - my * my);
    fprintf(f->stream, "%s,%.4f,%.4f,%.4f,%.4f,%.4f,%.4f\n", what, mx, my, sx, sy, second / CHAINS,
            log_density / CHAINS);
    if (!quiet)
        printf("%-22s mean (%6.3f,%6.3f)  deviation (%.3f,%.3f)  lower moon %.3f  log p %7.3f\n",
               what, mx, my, sx, sy, second / CHAINS, log_density / CHAINS);
}

/* NAME.csv and NAME_moments.csv of `sets` sets of CHAINS points */
static void save_samples(const char *folder, const char *name, int sets, const char *const *what,
                         real points[][2 * CHAINS], bool quiet) {
    char *file = text_format("%s.csv", name), *of_moments = text_format("%s_moments.csv", name);
    AtomicFile f = csv_create(folder, file, "x,y,what");
    AtomicFile moments = csv_create(folder, of_moments,
                                    "what,mean_x,mean_y,sd_x,sd_y,lower_moon,log_density");
    for (int k = 0; k < sets; k++) {
        save_points(&f, what[k], points[k]);
        save_moments(&moments, what[k], points[k], quiet);
    }
    file_commit(&f), file_commit(&moments);
    free(file), free(of_moments);
}

/* all chains begin at one point, in the middle of the picture */
static void save_chain(const char *folder, const Denoiser *d, Rng *rng, bool quiet) {
    static real points[3][2 * CHAINS];
    static const char *const names[] = {"data", "chain", "without_resampling"};
    moons_draw(CHAINS, rng, points[0]);
    toy_chain(d, CHAIN_STEPS, true, CHAINS, points[1], rng);
    toy_chain(d, CHAIN_STEPS, false, CHAINS, points[2], rng);
    save_samples(folder, "toy_chain", 3, names, points, quiet);
}

/* ---- Langevin dynamics ----------------------------------------------------------------------- */

/* as many steps as the falling sequence has, at one level */
static void at_one_level(const Denoiser *d, real *points, Rng *rng) {
    toy_langevin(d, langevin_share, (LEVELS - FINEST) * LANGEVIN_STEPS, CHAINS, points, rng);
}

/* All points start at one end of the upper moon. One set takes steps at each level, from the
 * largest sigma down to that of FINEST; two more take as many steps at the smallest or the largest
 * of these alone. */
static void save_langevin(const char *folder, const Denoiser *d, Rng *rng, bool quiet) {
    static real points[3][2 * CHAINS];
    static const char *const names[] = {"falling_sigma", "smallest_sigma", "largest_sigma"};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < CHAINS; i++)
            points[k][2 * i] = (real)-1.5, points[k][2 * i + 1] = (real)-0.25;
    for (int level = LEVELS - 1; level >= FINEST; level--)
        toy_langevin(&d[level], langevin_share, LANGEVIN_STEPS, CHAINS, points[0], rng);
    at_one_level(&d[FINEST], points[1], rng);
    at_one_level(&d[LEVELS - 1], points[2], rng);
    save_samples(folder, "toy_langevin", 3, names, points, quiet);
}

/* ---------------------------------------------------------------------------------------------- */

static void save_row(AtomicFile *f, double sigma, ScoreError e, bool quiet) {
    fprintf(f->stream, "%g,%.5f,%.5f,%.5f\n", sigma, e.smoothed, e.data, e.blur);
    if (!quiet)
        printf("sigma %-5g error against grad log p_sigma %.4f, grad log p %.4f "
               "(blur alone %.4f)\n", sigma, e.smoothed, e.data, e.blur);
}

int toy(const char *folder, uint64_t seed, bool quiet) {
    threads_set(1);              /* layers of 64 units are too small to be shared out */
    Rng rng = rng_new(seed, "toy scores");
    AtomicFile f = csv_create(folder, "toy_score.csv", "sigma,smoothed,data,blur");
    Denoiser d[LEVELS];
    for (int i = 0; i < LEVELS; i++) {
        denoiser_start(&d[i], sigmas[i], seed);
        denoiser_train(&d[i], STEPS, BATCH, rate);
        save_row(&f, sigmas[i], score_error(&d[i], SCORED, &rng), quiet);
        if (sigmas[i] == shown_sigma) save_arrows(folder, &d[i]);
        if (sigmas[i] == chain_sigma) save_chain(folder, &d[i], &rng, quiet);
    }
    file_commit(&f);
    save_langevin(folder, d, &rng, quiet);
    for (int i = 0; i < LEVELS; i++) denoiser_free(&d[i]);
    if (!quiet) printf("%s/toy_*.csv\n", folder);
    return 0;
}
