/* columns.c — see columns.h. Columns are summed row after row, as they lie in memory: strips of them
 * would be read in jumps, which takes three times as long. The sums of CHUNK columns stay in the
 * first-level cache. */
#include "columns.h"
#include "sizes.h"

enum { CHUNK = 1024 };

/* run[j] = sum of the rows of x, rows <= RUN */
static void sum_run(int rows, int cols, const real *x, size_t ld, real *run) {
    memset(run, 0, cols * sizeof(real));
    for (int i = 0; i < rows; i++, x += ld) {
        int j = 0;
        for (; j + 4 * VEC <= cols; j += 4 * VEC)
#pragma GCC unroll 4
            for (int l = 0; l < 4 * VEC; l += VEC)
                vstore(run + j + l, vload(run + j + l) + vload(x + j + l));
        for (; j < cols; j += VEC)
            vstore_some(run + j, vload_some(run + j, cols - j) + vload_some(x + j, cols - j),
                        cols - j);
    }
}

void add_column_sums(int rows, int cols, const real *x, size_t ld, double *sum) {
    for (int j = 0; j < cols; j += CHUNK)
        for (int start = 0; start < rows; start += RUN) {
            int width = least(CHUNK, cols - j);
            real run[CHUNK];
            sum_run(least(RUN, rows - start), width, x + start * ld + j, ld, run);
            for (int l = 0; l < width; l++) sum[j + l] += run[l];
        }
}

void add_row_sum(size_t n, const real *x, double *sum) {
    size_t i = 0;
    while (i + VEC <= n) {
        vec run = {0};
        for (int l = 0; l < RUN && i + VEC <= n; l++, i += VEC) run += vload(x + i);
        *sum += vsum(run);
    }
    for (; i < n; i++) *sum += x[i];
}

/* Up to VEC numbers of two rows at once, so that the sums are stored half as often: run += d,
 * squares += d^2, d the distance from `first`. Below = x: there is no second row. */
INLINE void add_distances(const real *x, const real *below, const real *first, int n, real *run,
                          real *squares)
{
    vec start = vload_some(first, n), a = vload_some(x, n) - start;
    vec b = below == x ? (vec){0} : vload_some(below, n) - start;
    vec sum = vload_some(run, n), sum_squares = vload_some(squares, n);    /* see norm_columns.c */
    vstore_some(run, sum + (a + b), n);
    vstore_some(squares, sum_squares + (a * a + b * b), n);
}

/* run[j] = sum of d, squares[j] = sum of d^2 over the rows */
static void sum_distances(int rows, int cols, const real *x, size_t ld, const real *first,
                          real *run, real *squares)
{
    memset(run, 0, cols * sizeof(real));
    memset(squares, 0, cols * sizeof(real));
    for (int i = 0; i < rows; i += 2, x += 2 * ld) {
        const real *below = i + 1 < rows ? x + ld : x;
        int j = 0;
        for (; j + VEC <= cols; j += VEC)
            add_distances(x + j, below + j, first + j, VEC, run + j, squares + j);
        if (j < cols) add_distances(x + j, below + j, first + j, cols - j, run + j, squares + j);
    }
}

/* With d the distance from the first row: mean = x_0 + E d, m2 = sum d^2 - (sum d)^2 / rows. */
void column_moments(int rows, int cols, const real *x, size_t ld, Moments *m) {
    for (int j = 0; j < cols; j += CHUNK) {
        int width = least(CHUNK, cols - j);
        double sum[CHUNK] = {0}, squares[CHUNK] = {0};
        for (int start = 0; start < rows; start += RUN) {
            real run[CHUNK], run_squares[CHUNK];
            sum_distances(least(RUN, rows - start), width, x + start * ld + j, ld, x + j, run,
                          run_squares);
            for (int l = 0; l < width; l++) sum[l] += run[l];
            for (int l = 0; l < width; l++) squares[l] += run_squares[l];
        }
        for (int l = 0; l < width; l++)
            m[j + l] = (Moments){rows, x[j + l] + sum[l] / rows,
                                 fmax(0, squares[l] - sum[l] * sum[l] / rows)};
    }
}
