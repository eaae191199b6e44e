#include "toy.h"

#include "io/csv.h"
#include "toy_score.h"

#include <math.h>
#include <stdio.h>

enum { STEPS = 10000, BATCH = 512, SCORED = 20000, CHAINS = 2000, CHAIN_STEPS = 1000 };
static const double sigmas[] = {0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1};
static const double shown_sigma = 0.3, chain_sigma = 0.1, rate = 5e-3;

/* what the network would move, and what the theory says, at the points of a grid */
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

/* ---- the chain ------------------------------------------------------------------------------- */

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

/* all chains begin at one point, in the middle of the picture */
static void save_chain(const char *folder, const Denoiser *d, Rng *rng, bool quiet) {
    static real points[3][2 * CHAINS];
    static const char *const names[] = {"data", "chain", "without_resampling"};
    moons_draw(CHAINS, rng, points[0]);
    toy_chain(d, CHAIN_STEPS, true, CHAINS, points[1], rng);
    toy_chain(d, CHAIN_STEPS, false, CHAINS, points[2], rng);
    AtomicFile f = csv_create(folder, "toy_chain.csv", "x,y,what");
    AtomicFile moments = csv_create(folder, "toy_chain_moments.csv",
                                 "what,mean_x,mean_y,sd_x,sd_y,lower_moon,log_density");
    for (int k = 0; k < 3; k++) {
        save_points(&f, names[k], points[k]);
        save_moments(&moments, names[k], points[k], quiet);
    }
    file_commit(&f), file_commit(&moments);
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
    for (size_t i = 0; i < sizeof sigmas / sizeof *sigmas; i++) {
        Denoiser d;
        denoiser_start(&d, sigmas[i], seed);
        denoiser_train(&d, STEPS, BATCH, rate);
        save_row(&f, sigmas[i], score_error(&d, SCORED, &rng), quiet);
        if (sigmas[i] == shown_sigma) save_arrows(folder, &d);
        if (sigmas[i] == chain_sigma) save_chain(folder, &d, &rng, quiet);
        denoiser_free(&d);
    }
    file_commit(&f);
    if (!quiet) printf("%s/toy_*.csv\n", folder);
    return 0;
}
