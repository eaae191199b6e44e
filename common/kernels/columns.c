/* columns.c — see columns.h. A strip of STRIP vectors of columns is summed at a time: enough
 * independent sums to hide the latency of additions, few enough for the registers. */
#include "columns.h"

enum { STRIP_VECS = 2, STRIP = STRIP_VECS * VEC };

static int least(int a, int b) { return a < b ? a : b; }

INLINE void load_strip(const real *x, int width, vec v[STRIP_VECS]) {
    if (width == STRIP) {
        for (int j = 0; j < STRIP_VECS; j++) v[j] = vload(x + j * VEC);
    } else {
        real padded[STRIP] = {0};
        for (int j = 0; j < width; j++) padded[j] = x[j];
        for (int j = 0; j < STRIP_VECS; j++) v[j] = vload(padded + j * VEC);
    }
}

static void add_strip(const vec v[STRIP_VECS], int width, double *sum) {
    for (int j = 0; j < width; j++) sum[j] += v[j / VEC][j % VEC];
}

void add_column_sums(int rows, int cols, const real *x, size_t ld, double *sum) {
    for (int j = 0; j < cols; j += STRIP)
        for (int start = 0; start < rows; start += RUN) {
            int width = least(STRIP, cols - j), end = least(rows, start + RUN);
            vec run[STRIP_VECS] = {0}, v[STRIP_VECS];
            for (int i = start; i < end; i++) {
                load_strip(x + i * ld + j, width, v);
                for (int l = 0; l < STRIP_VECS; l++) run[l] += v[l];
            }
            add_strip(run, width, sum + j);
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

/* With d the distance from the first row: mean = x_0 + E d, m2 = sum d^2 - (sum d)^2 / rows. */
void column_moments(int rows, int cols, const real *x, size_t ld, Moments *m) {
    for (int j = 0; j < cols; j += STRIP) {
        int width = least(STRIP, cols - j);
        double sum[STRIP] = {0}, squares[STRIP] = {0};
        vec first[STRIP_VECS], v[STRIP_VECS];
        load_strip(x + j, width, first);
        for (int start = 0; start < rows; start += RUN) {
            vec run[STRIP_VECS] = {0}, run_squares[STRIP_VECS] = {0};
            for (int i = start; i < least(rows, start + RUN); i++) {
                load_strip(x + i * ld + j, width, v);
                for (int l = 0; l < STRIP_VECS; l++) {
                    vec d = v[l] - first[l];
                    run[l] += d;
                    run_squares[l] += d * d;
                }
            }
            add_strip(run, width, sum);
            add_strip(run_squares, width, squares);
        }
        for (int l = 0; l < width; l++)
            m[j + l] = (Moments){rows, x[j + l] + sum[l] / rows,
                                 fmax(0, squares[l] - sum[l] * sum[l] / rows)};
    }
}
