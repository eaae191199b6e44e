/* toy.h — guidance where everything is known: classes that are Gaussians in the plane. What scores
 * are mixed is exact, so what comes out is guidance itself.
 *
 * Ho & Salimans 2022, figure 2: three classes, and what they become as the scale grows. */
#ifndef TOY_H
#define TOY_H

#include "diffusion/guidance.h"

enum { TOY_CLASSES = 3, TOY_DIM = 2 };

/* class k is N(mean[k], deviation[k]^2 I); all are equally likely */
typedef struct {
    double mean[TOY_CLASSES][TOY_DIM], deviation[TOY_CLASSES];
} Toy;

extern const Toy toy_figure;

/* Score of x_t's density, gradient of the log, where abar of the variance is left: of one class, or
 * (class -1) of all three together */
void toy_score(const Toy *m, int class, double abar, const double x[static TOY_DIM],
               double score[static TOY_DIM]);

/* The exact denoiser of a class, or of all (-1): points are pictures of 1x1 pixels, 2 channels. */
typedef struct {
    Denoiser denoiser;
    const Toy *toy;
    int class;
} ToyDenoiser;

ToyDenoiser toy_denoiser(const Toy *m, int class);

/* n points of a class, guided with a scale, by DDIM without noise in T steps: x (n,2). The same
 * noise for the same seed. */
void toy_draw(const Toy *m, int class, double scale, int T, int n, uint64_t seed, real *x);

/* What the first order in w = scale - 1 says: how fast each point of toy_draw moves with w at
 * w = 0, (n,2), given the points x at scale 1. Along a class's own way a point keeps its place in
 * the Gaussian, x = mean + z sqrt(c^2 + sigma^2) in units where the signal is 1, so that dx/dw = c
 * times the integral over sigma of sigma / sqrt(c^2 + sigma^2) (the class's score minus that of
 * all). */
void toy_first_order(const Toy *m, int class, int n, const real *x, double *move);

/* a CSV file: points of all classes at scales 1, 2, 3, 5; frees `path` */
void toy_save(char *path, uint64_t seed);

#endif
