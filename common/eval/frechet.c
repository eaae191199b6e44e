#include "eval/frechet.h"

#include "eval/eigen.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

/* ---- mean and covariance --------------------------------------------------------------------- */

static double *zeros(Arena *arena, size_t n) {
    return memset(arena_get(arena, n * sizeof(double)), 0, n * sizeof(double));
}

Gaussian gaussian_fit(Arena *arena, int n, int d, const real *x) {
    if (n < 2) die("gaussian_fit: %d vectors have no covariance", n);
    size_t D = (size_t)d;
    Gaussian g = {n, d, zeros(arena, D), zeros(arena, D * D)};
    double *difference = arena_get(arena, D * sizeof(double));
    for (int i = 0; i < n; i++) {
        for (size_t j = 0; j < D; j++) g.mean[j] += (double)x[(size_t)i * D + j];
    }
    for (size_t j = 0; j < D; j++) g.mean[j] /= n;
    for (int i = 0; i < n; i++) {
        for (size_t j = 0; j < D; j++) difference[j] = (double)x[(size_t)i * D + j] - g.mean[j];
        for (size_t j = 0; j < D; j++) {
            double *row = g.covariance + j * D;
            for (size_t k = 0; k < D; k++) row[k] += difference[j] * difference[k];
        }
    }
    for (size_t j = 0; j < D * D; j++) g.covariance[j] /= n - 1;
    return g;
}

double gaussian_trace(const Gaussian *g) {
    double sum = 0;
    for (int j = 0; j < g->d; j++) sum += g->covariance[(size_t)j * (size_t)g->d + (size_t)j];
    return sum;
}

/* ---- the distance ---------------------------------------------------------------------------- */

/* Rounding can leave eigenvalues of a covariance a little below zero. */
static double root(double x) {
    return x < 0 ? 0 : sqrt(x);
}

/* c = a b, all (d,d) */
static void product(size_t d, const double *a, const double *b, double *c) {
    memset(c, 0, d * d * sizeof *c);
    for (size_t i = 0; i < d; i++) {
        for (size_t k = 0; k < d; k++) {
            for (size_t j = 0; j < d; j++) c[i * d + j] += a[i * d + k] * b[k * d + j];
        }
    }
}

/* root of a symmetric s: sum over its eigenpairs of sqrt(lambda) v v^T. Destroys s. */
static double *symmetric_root(Arena *arena, size_t d, double *s) {
    double *values = zeros(arena, d), *v = zeros(arena, d * d), *r = zeros(arena, d * d);
    symmetric_eigen((int)d, s, values, v);
    for (size_t k = 0; k < d; k++) {
        for (size_t i = 0; i < d; i++) {
            double scaled = root(values[k]) * v[k * d + i];
            for (size_t j = 0; j < d; j++) r[i * d + j] += scaled * v[k * d + j];
        }
    }
    return r;
}

/* tr (S1 S2)^1/2 */
static double trace_of_root(const Gaussian *a, const Gaussian *b) {
    Arena arena = {0};
    size_t d = (size_t)a->d;
    double *s1 = zeros(&arena, d * d), *half = zeros(&arena, d * d), *m = zeros(&arena, d * d);
    memcpy(s1, a->covariance, d * d * sizeof *s1);
    double *r = symmetric_root(&arena, d, s1);
    product(d, r, b->covariance, half);
    product(d, half, r, m);
    for (size_t i = 0; i < d; i++) {
        for (size_t j = 0; j < i; j++) {
            m[i * d + j] = m[j * d + i] = (m[i * d + j] + m[j * d + i]) / 2;
        }
    }
    double *values = zeros(&arena, d), sum = 0;
    symmetric_eigen((int)d, m, values, half);
    for (size_t k = 0; k < d; k++) sum += root(values[k]);
    arena_free(&arena);
    return sum;
}

double frechet_distance(const Gaussian *a, const Gaussian *b) {
    if (a->d != b->d) die("frechet_distance: %d and %d features", a->d, b->d);
    double distance = gaussian_trace(a) + gaussian_trace(b) - 2 * trace_of_root(a, b);
    for (int j = 0; j < a->d; j++) {
        double difference = a->mean[j] - b->mean[j];
        distance += difference * difference;
    }
    return distance < 0 ? 0 : distance;    /* NaN stays NaN */
}
