#include "eval/pca.h"

#include <math.h>
#include <string.h>

#include "eval/eigen.h"
#include "base/error.h"

/* n cleared numbers of `size` bytes */
static void *numbers(Arena *a, size_t n, size_t size) {
    return memset(arena_get(a, n * size), 0, n * size);
}

/* ---- covariance ------------------------------------------------------------------------------ */

static void column_means(int n, int d, const real *x, real *mean) {
    for (int j = 0; j < d; j++) {
        double sum = 0;
        for (int i = 0; i < n; i++) sum += (double)x[(size_t)i * (size_t)d + (size_t)j];
        mean[j] = (real)(sum / n);
    }
}

static void centre(int n, int d, const real *x, const real *mean, real *y) {
    for (int i = 0; i < n; i++)
        for (int j = 0; j < d; j++)
            y[(size_t)i * (size_t)d + (size_t)j] = x[(size_t)i * (size_t)d + (size_t)j] - mean[j];
}

/* cov (d,d) = sum over rows of (x-m)(x-m)^T / n, a thousand rows at a time */
static void covariance(int n, int d, const real *x, const real *mean, real *cov) {
    enum { ROWS = 1000 };
    Arena scratch = {0};
    real *rows = arena_get(&scratch, (size_t)ROWS * (size_t)d * sizeof *rows);
    for (int i = 0; i < n; i += ROWS) {
        int m = n - i < ROWS ? n - i : ROWS;
        centre(m, d, x + (size_t)i * (size_t)d, mean, rows);
        gemm(&(GemmShape){.ta = true, .m = d, .n = d, .k = m}, rows, rows, NULL, cov, i > 0);
    }
    k_axpy((size_t)d * (size_t)d, 1 / (real)n, cov, cov, false);
    arena_free(&scratch);
}

/* ---- leading eigenvectors: subspace iteration ------------------------------------------------ */

static double dot(int d, const real *a, const real *b) {
    double s = 0;
    for (int j = 0; j < d; j++) s += (double)a[j] * (double)b[j];
    return s;
}

/* Gram-Schmidt on the rows of q (k,d), twice, which is enough for rows orthogonal to rounding
 * (Kahan) */
static void orthonormalise(int k, int d, real *q) {
    for (int i = 0; i < k; i++) {
        real *row = q + (size_t)i * (size_t)d;
        for (int pass = 0; pass < 2; pass++)
            for (int j = 0; j < i; j++) {
                const real *other = q + (size_t)j * (size_t)d;
                double along = dot(d, row, other);
                for (int e = 0; e < d; e++) row[e] -= (real)(along * (double)other[e]);
            }
        double length = sqrt(dot(d, row, row));
        for (int e = 0; e < d; e++) row[e] = (real)((double)row[e] / length);
    }
}

/* Within the span of q's rows, the eigenvectors of cov: those of the small matrix q cov q^T
 * (Rayleigh-Ritz). */
static void rayleigh_ritz(int k, int d, const real *cov, real *q, real *next, double *values) {
    Arena scratch = {0};
    double *small = numbers(&scratch, (size_t)k * (size_t)k, sizeof *small);
    double *v = numbers(&scratch, (size_t)k * (size_t)k, sizeof *v);
    gemm(&(GemmShape){.m = k, .n = d, .k = d}, q, cov, NULL, next, false);
    for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++)
            small[i * k + j] = dot(d, q + (size_t)i * (size_t)d, next + (size_t)j * (size_t)d);
    symmetric_eigen(k, small, values, v);
    memcpy(next, q, (size_t)k * (size_t)d * sizeof *q);
    for (int i = 0; i < k; i++)
        for (int e = 0; e < d; e++) {
            double s = 0;
            for (int j = 0; j < k; j++)
                s += v[i * k + j] * (double)next[(size_t)j * (size_t)d + (size_t)e];
            q[(size_t)i * (size_t)d + (size_t)e] = (real)s;
        }
    arena_free(&scratch);
}

Pca pca_fit(int n, int d, const real *x, int components) {
    /* 16 rows more than asked for: the error falls by (lambda_{k+17} / lambda_k)^2 an iteration */
    int k = components + 16 < d ? components + 16 : d;
    if (components < 1 || components > d)
        die("pca_fit: %d components of %d dimensions", components, d);
    Pca p = {.dimension = d, .components = components};
    p.mean = numbers(&p.arena, (size_t)d, sizeof(real));
    p.basis = numbers(&p.arena, (size_t)k * (size_t)d, sizeof(real));
    p.variance = numbers(&p.arena, (size_t)k, sizeof(double));
    Arena scratch = {0};
    real *cov = numbers(&scratch, (size_t)d * (size_t)d, sizeof *cov);
    real *next = numbers(&scratch, (size_t)k * (size_t)d, sizeof *next);
    column_means(n, d, x, p.mean);
    covariance(n, d, x, p.mean, cov);
    for (int j = 0; j < d; j++) p.total_variance += (double)cov[(size_t)j * (size_t)d + (size_t)j];

    Rng rng = rng_new(1, "pca");
    rng_normal(&rng, (size_t)k * (size_t)d, p.basis);
    orthonormalise(k, d, p.basis);
    for (int i = 0; i < 60 && k < d; i++) {
        gemm(&(GemmShape){.m = k, .n = d, .k = d}, p.basis, cov, NULL, next, false);
        memcpy(p.basis, next, (size_t)k * (size_t)d * sizeof *next);
        orthonormalise(k, d, p.basis);
    }
    rayleigh_ritz(k, d, cov, p.basis, next, p.variance);
    arena_free(&scratch);
    return p;
}

void pca_free(Pca *p) {
    arena_free(&p->arena);
    *p = (Pca){0};
}

void pca_encode(const Pca *p, int n, const real *x, real *codes) {
    int d = p->dimension, k = p->components;
    Arena scratch = {0};
    real *centred = arena_get(&scratch, (size_t)n * (size_t)d * sizeof *centred);
    centre(n, d, x, p->mean, centred);
    gemm(&(GemmShape){.tb = true, .m = n, .n = k, .k = d}, centred, p->basis, NULL, codes, false);
    arena_free(&scratch);
}

void pca_decode(const Pca *p, int n, const real *codes, real *x) {
    int d = p->dimension, k = p->components;
    gemm(&(GemmShape){.m = n, .n = d, .k = k}, codes, p->basis, p->mean, x, false);
}

void pca_reconstruct(const Pca *p, int n, const real *x, real *y) {
    Arena arena = {0};
    real *codes = arena_get(&arena, (size_t)n * (size_t)p->components * sizeof *codes);
    pca_encode(p, n, x, codes);
    pca_decode(p, n, codes, y);
    arena_free(&arena);
}
