#include "eval/precision_recall.h"

#include "base/error.h"

#include <math.h>

enum { ROWS = 64 };              /* distances are made for so many rows of y at a time */

static int rows_from(int i, int m) {
    return m - i < ROWS ? m - i : ROWS;
}

static real *squares(Arena *arena, int n, int d, const real *x) {
    real *s = arena_get(arena, (size_t)n * sizeof *s);
    for (int i = 0; i < n; i++) s[i] = (real)k_sum_squares((size_t)d, x + (size_t)i * (size_t)d);
    return s;
}

/* out (m,n) = |y_j - x_i|^2 = |y_j|^2 + |x_i|^2 - 2 y_j x_i */
static void distances(int d, int m, const real *y, const real *y2, int n, const real *x,
                      const real *x2, real *out) {
    gemm(&(GemmShape){.tb = true, .m = m, .n = n, .k = d}, y, x, NULL, out, false);
    for (int j = 0; j < m; j++) {
        real *row = out + (size_t)j * (size_t)n;
        for (int i = 0; i < n; i++) row[i] = y2[j] + x2[i] - 2 * row[i];
    }
}

/* ---- nearest neighbours ---------------------------------------------------------------------- */

/* takes `value`, which has the number i, into the k smallest, which stay in rising order */
static void insert(int k, real value, int i, real *smallest, int *index) {
    if (!(value < smallest[k - 1])) return;
    int at = k - 1;
    for (; at > 0 && value < smallest[at - 1]; at--) {
        smallest[at] = smallest[at - 1];
        index[at] = index[at - 1];
    }
    smallest[at] = value;
    index[at] = i;
}

void nearest_neighbours(int d, int m, const real *y, int n, const real *x, int first, int k,
                        int *index, real *distance) {
    Arena arena = {0};
    real *x2 = squares(&arena, n, d, x), *y2 = squares(&arena, m, d, y);
    real *block = arena_get(&arena, ROWS * (size_t)n * sizeof *block);
    if (first == 0) k_fill((size_t)m * (size_t)k, (real)INFINITY, distance);
    for (int j = 0; j < m; j += ROWS) {
        int rows = rows_from(j, m);
        distances(d, rows, y + (size_t)j * (size_t)d, y2 + j, n, x, x2, block);
        for (int r = 0; r < rows; r++) {
            size_t at = (size_t)(j + r) * (size_t)k;
            const real *row = block + (size_t)r * (size_t)n;
            for (int i = 0; i < n; i++) insert(k, row[i], first + i, distance + at, index + at);
        }
    }
    arena_free(&arena);
}

/* ---- the three shares ------------------------------------------------------------------------ */

/* squared distance from each vector to its k-th nearest other one */
static real *radii(Arena *arena, int d, int n, const real *x, const real *x2, int k) {
    real *radius = arena_get(arena, (size_t)n * sizeof *radius);
    real *block = arena_get(arena, ROWS * (size_t)n * sizeof *block);
    real *smallest = arena_get(arena, (size_t)k * sizeof *smallest);
    int *index = arena_get(arena, (size_t)k * sizeof *index);
    for (int j = 0; j < n; j += ROWS) {
        int rows = rows_from(j, n);
        distances(d, rows, x + (size_t)j * (size_t)d, x2 + j, n, x, x2, block);
        for (int r = 0; r < rows; r++) {
            real *row = block + (size_t)r * (size_t)n;
            row[j + r] = (real)INFINITY;                 /* itself */
            k_fill((size_t)k, (real)INFINITY, smallest);
            for (int i = 0; i < n; i++) insert(k, row[i], i, smallest, index);
            radius[j + r] = smallest[k - 1];
        }
    }
    return radius;
}

static uint8_t *no_flags(Arena *arena, int n) {
    uint8_t *flags = arena_get(arena, (size_t)n);
    for (int i = 0; i < n; i++) flags[i] = 0;
    return flags;
}

static double share(int n, const uint8_t *yes) {
    int count = 0;
    for (int i = 0; i < n; i++) count += yes[i];
    return (double)count / n;
}

PrecisionRecall precision_recall(int d, int n, const real *x, int m, const real *y, int k) {
    if (k < 1 || k >= n || k >= m) die("precision_recall: k %d of %d and %d vectors", k, n, m);
    Arena arena = {0};
    real *x2 = squares(&arena, n, d, x), *y2 = squares(&arena, m, d, y);
    real *x_radius = radii(&arena, d, n, x, x2, k), *y_radius = radii(&arena, d, m, y, y2, k);
    real *block = arena_get(&arena, ROWS * (size_t)n * sizeof *block);
    uint8_t *precise = no_flags(&arena, m);
    uint8_t *recalled = no_flags(&arena, n), *covered = no_flags(&arena, n);
    for (int j = 0; j < m; j += ROWS) {
        int rows = rows_from(j, m);
        distances(d, rows, y + (size_t)j * (size_t)d, y2 + j, n, x, x2, block);
        for (int r = 0; r < rows; r++) {
            const real *row = block + (size_t)r * (size_t)n;
            uint8_t inside = 0;
            for (int i = 0; i < n; i++) {
                uint8_t in_x = row[i] <= x_radius[i], in_y = row[i] <= y_radius[j + r];
                inside |= in_x;
                covered[i] |= in_x;
                recalled[i] |= in_y;
            }
            precise[j + r] = inside;
        }
    }
    PrecisionRecall p = {share(m, precise), share(n, recalled), share(n, covered)};
    arena_free(&arena);
    return p;
}
