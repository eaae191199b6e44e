#include "eval/measures.h"

#include "base/arena.h"
#include "base/error.h"

#include <math.h>

static Estimate estimate(int n, const double *values) {
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) sum += values[i];
    double mean = sum / n;
    for (int i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
    return (Estimate){mean, n > 1 ? sqrt(squares / (n - 1)) : 0};
}

/* ---- kernel distance ------------------------------------------------------------------------- */

/* sum of k over all pairs, without pairs (i,i) if `others` */
static double kernel_sum(int d, int n, const real *x, int m, const real *y, bool others) {
    enum { ROWS = 500 };           /* at a time */
    Arena arena = {0};
    real *block = arena_get(&arena, ROWS * (size_t)m * sizeof *block);
    double sum = 0;
    for (int i = 0; i < n; i += ROWS) {
        int rows = n - i < ROWS ? n - i : ROWS;
        gemm(&(GemmShape){.tb = true, .m = rows, .n = m, .k = d}, x + (size_t)i * (size_t)d, y,
             NULL, block, false);
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < m; j++) {
                double k = (double)block[(size_t)r * (size_t)m + (size_t)j] / d + 1;
                if (!others || j != i + r) sum += k * k * k;
            }
        }
    }
    arena_free(&arena);
    return sum;
}

double squared_discrepancy(int d, int n, const real *x, int m, const real *y) {
    if (n < 2 || m < 2) die("squared_discrepancy: %d and %d vectors", n, m);
    return kernel_sum(d, n, x, n, x, true) / ((double)n * (n - 1)) +
           kernel_sum(d, m, y, m, y, true) / ((double)m * (m - 1)) -
           2 * kernel_sum(d, n, x, m, y, false) / ((double)n * m);
}

Estimate kernel_distance(int d, int n, const real *x, int m, const real *y, int subsets, int size,
                         uint64_t seed) {
    if (subsets < 1 || size > n || size > m) {
        die("kernel_distance: %d subsets of %d from %d and %d", subsets, size, n, m);
    }
    Arena arena = {0};
    Rng rng = rng_new(seed, "kernel distance");
    int *order = arena_get(&arena, (size_t)(n > m ? n : m) * sizeof *order);
    real *some_x = arena_get(&arena, (size_t)size * (size_t)d * sizeof *some_x);
    real *some_y = arena_get(&arena, (size_t)size * (size_t)d * sizeof *some_y);
    double *values = arena_get(&arena, (size_t)subsets * sizeof *values);
    for (int s = 0; s < subsets; s++) {
        rng_permutation(&rng, n, order);
        k_gather_rows(size, d, x, order, some_x);
        rng_permutation(&rng, m, order);
        k_gather_rows(size, d, y, order, some_y);
        values[s] = squared_discrepancy(d, size, some_x, size, some_y);
    }
    Estimate e = estimate(subsets, values);
    arena_free(&arena);
    return e;
}

/* ---- inception score ------------------------------------------------------------------------- */

/* of the pictures order[0..n-1]; 0 ln 0 = 0 */
static double one_inception_score(int n, int classes, const real *probabilities, const int *order) {
    double divergence = 0;
    for (int k = 0; k < classes; k++) {
        double marginal = 0, sum = 0;
        for (int i = 0; i < n; i++) {
            double p = (double)probabilities[(size_t)order[i] * (size_t)classes + (size_t)k];
            marginal += p / n;
            if (p > 0) sum += p * log(p);
        }
        if (marginal > 0) divergence += sum / n - marginal * log(marginal);
    }
    return exp(divergence);
}

Estimate inception_score(int n, int classes, const real *probabilities, int splits, uint64_t seed) {
    if (splits < 1 || splits > n) die("inception_score: %d splits of %d", splits, n);
    Arena arena = {0};
    Rng rng = rng_new(seed, "inception score");
    int *order = arena_get(&arena, (size_t)n * sizeof *order);
    double *values = arena_get(&arena, (size_t)splits * sizeof *values);
    rng_permutation(&rng, n, order);
    for (int s = 0; s < splits; s++) {
        int first = (int)((int64_t)n * s / splits), last = (int)((int64_t)n * (s + 1) / splits);
        values[s] = one_inception_score(last - first, classes, probabilities, order + first);
    }
    Estimate e = estimate(splits, values);
    arena_free(&arena);
    return e;
}

/* ---- sharpness ------------------------------------------------------------------------------- */

double sharpness(int n, int h, int w, const real *x) {
    double total = 0;
    for (int p = 0; p < n; p++) {
        const real *picture = x + (size_t)p * (size_t)h * (size_t)w;
        double squares = 0;
        for (int i = 1; i < h - 1; i++) {
            for (int j = 1; j < w - 1; j++) {
                const real *at = picture + i * w + j;
                double l = 4 * (double)at[0] - (double)at[-1] - (double)at[1] - (double)at[-w] -
                           (double)at[w];
                squares += l * l;
            }
        }
        total += sqrt(squares / ((h - 2) * (w - 2)));
    }
    return total / n;
}
