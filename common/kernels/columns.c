/* columns.c — see columns.h. Columns are summed row after row, as they lie in memory; the sums of
 * CHUNK columns stay in the first-level cache. */
#include "columns.h"
#include "sizes.h"

enum { CHUNK = 512 };

/* run[j] = sum of the rows of x, rows <= RUN. Four rows at a time, so that run is seldom read. */
static void sum_run(int rows, int cols, const real *x, size_t ld, real *run) {
    int i = 0;
    for (int j = 0; j < cols; j++) run[j] = 0;
    for (; i + 4 <= rows; i += 4, x += 4 * ld)
        for (int j = 0; j < cols; j++)
            run[j] += (x[j] + x[ld + j]) + (x[2 * ld + j] + x[3 * ld + j]);
    for (; i < rows; i++, x += ld)
        for (int j = 0; j < cols; j++) run[j] += x[j];
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

/* run[j] = sum of d, squares[j] = sum of d^2 over the rows, d the distance from `first` */
static void sum_distances(int rows, int cols, const real *x, size_t ld, const real *first,
                          real *run, real *squares)
{
    int i = 0;
    for (int j = 0; j < cols; j++) run[j] = squares[j] = 0;
    for (; i + 2 <= rows; i += 2, x += 2 * ld)
        for (int j = 0; j < cols; j++) {
            real a = x[j] - first[j], b = x[ld + j] - first[j];
            run[j] += a + b;
            squares[j] += a * a + b * b;
        }
    for (int j = 0; i < rows && j < cols; j++) {
        real d = x[j] - first[j];
        run[j] += d;
        squares[j] += d * d;
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
