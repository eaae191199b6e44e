#include "toy.h"

#include "base/file.h"
#include "diffusion/drawing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const Toy toy_figure = {.mean = {{-0.6, -0.4}, {0.6, -0.4}, {0, 0.6}},
                        .deviation = {0.35, 0.35, 0.35}};

/* ---- densities ------------------------------------------------------------------------------- */

static double square_distance(const Toy *m, int k, double abar, const double *x) {
    double sum = 0;
    for (int d = 0; d < TOY_DIM; d++) {
        double off = x[d] - sqrt(abar) * m->mean[k][d];
        sum += off * off;
    }
    return sum;
}

static double variance_at(const Toy *m, int k, double abar) {
    return abar * m->deviation[k] * m->deviation[k] + 1 - abar;
}

/* p(class | x_t) of all classes, up to a factor */
static void weights(const Toy *m, double abar, const double *x, double w[static TOY_CLASSES]) {
    double log_w[TOY_CLASSES], largest = -INFINITY;
    for (int k = 0; k < TOY_CLASSES; k++) {
        double v = variance_at(m, k, abar);
        log_w[k] = -square_distance(m, k, abar, x) / (2 * v) - TOY_DIM / 2.0 * log(v);
        largest = fmax(largest, log_w[k]);
    }
    for (int k = 0; k < TOY_CLASSES; k++) w[k] = exp(log_w[k] - largest);
}

void toy_score(const Toy *m, int class, double abar, const double x[static TOY_DIM],
               double score[static TOY_DIM]) {
    double w[TOY_CLASSES], all = 0;
    weights(m, abar, x, w);
    for (int k = 0; k < TOY_CLASSES; k++) {
        if (class >= 0) w[k] = k == class;
        all += w[k];
    }
    for (int d = 0; d < TOY_DIM; d++) {
        score[d] = 0;
        for (int k = 0; k < TOY_CLASSES; k++)
            score[d] -= w[k] / all * (x[d] - sqrt(abar) * m->mean[k][d]) / variance_at(m, k, abar);
    }
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* x0 = (x_t + (1 - abar) score) / sqrt(abar) */
static Prediction predict_toy(const Denoiser *self, const Step *at, real *xt) {
    const ToyDenoiser *t = (const ToyDenoiser *)self;
    double abar = at->schedule->alpha_bar[at->t];
    Prediction p = {.n = (size_t)at->n * TOY_DIM,
                    .fixed_log_variance = fixed_log_variance(at->schedule, FIXED_SMALL, at->t)};
    p.x0 = arena_get(&at->tape->arena, p.n * sizeof *p.x0);
    for (int i = 0; i < at->n; i++) {
        double x[TOY_DIM], score[TOY_DIM];
        for (int d = 0; d < TOY_DIM; d++) x[d] = (double)xt[i * TOY_DIM + d];
        toy_score(t->toy, t->class, abar, x, score);
        for (int d = 0; d < TOY_DIM; d++)
            p.x0[i * TOY_DIM + d] = (real)((x[d] + (1 - abar) * score[d]) / sqrt(abar));
    }
    return p;
}

ToyDenoiser toy_denoiser(const Toy *m, int class) {
    return (ToyDenoiser){{predict_toy}, m, class};
}

void toy_draw(const Toy *m, int class, double scale, int T, int n, uint64_t seed, real *x) {
    NoiseSchedule s = schedule_cosine(T);
    ToyDenoiser with = toy_denoiser(m, class), without = toy_denoiser(m, -1);
    ClassifierFree guided = classifier_free(&with.denoiser, &without.denoiser, scale);
    Sampler sampler = {.denoiser = &guided.denoiser, .schedule = &s, .method = DDIM, .height = 1,
                       .width = 1, .channels = TOY_DIM, .seed = seed};
    draw_images(&sampler, n, x, (Drawing){.at_once = n, .quiet = true});
    sampler_free(&sampler);
    schedule_free(&s);
}

/* ---- what it should be ----------------------------------------------------------------------- */

void toy_first_order(const Toy *m, int class, int n, const real *x, double *move) {
    enum { STEPS = 4000 };
    const double least = 1e-4, most = 1e3;            /* of sigma, in even steps of its logarithm */
    double c = m->deviation[class], step = log(most / least) / STEPS;
    for (int i = 0; i < n * TOY_DIM; i++) move[i] = 0;
    for (int k = 0; k < STEPS; k++) {
        double sigma = least * exp((k + 0.5) * step), wide = sqrt(c * c + sigma * sigma);
        double abar = 1 / (1 + sigma * sigma);
        for (int i = 0; i < n; i++) {
            double at[TOY_DIM], with[TOY_DIM], without[TOY_DIM];
            for (int d = 0; d < TOY_DIM; d++) {
                double z = ((double)x[i * TOY_DIM + d] - m->mean[class][d]) / c;
                at[d] = sqrt(abar) * (m->mean[class][d] + z * wide);
            }
            toy_score(m, class, abar, at, with);
            toy_score(m, -1, abar, at, without);
            for (int d = 0; d < TOY_DIM; d++)         /* scores of x / sqrt(abar) */
                move[i * TOY_DIM + d] += c * sigma * sigma * step / wide * sqrt(abar) *
                                         (with[d] - without[d]);
        }
    }
}

/* ---- the figure ------------------------------------------------------------------------------ */

void toy_save(char *path, uint64_t seed) {
    enum { POINTS = 400, STEPS = 200 };
    static const double scale[] = {1, 2, 3, 5};
    real x[POINTS * TOY_DIM];
    AtomicFile f = file_create(path);
    fprintf(f.stream, "scale,class,x,y\n");
    for (int s = 0; s < 4; s++)
        for (int k = 0; k < TOY_CLASSES; k++) {
            toy_draw(&toy_figure, k, scale[s], STEPS, POINTS, seed + (uint64_t)k, x);
            for (int i = 0; i < POINTS; i++)
                fprintf(f.stream, "%g,%d,%.5g,%.5g\n", scale[s], k, (double)x[2 * i],
                        (double)x[2 * i + 1]);
        }
    file_commit(&f);
    free(path);
}
