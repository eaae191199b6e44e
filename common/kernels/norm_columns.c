/* norm_columns.c — see norm_columns.h. Loops over whole vectors of a row; what is left of a row is
 * copied into a vector and treated the same. */
#include "norm_columns.h"

static int least(int a, int b) { return a < b ? a : b; }

INLINE vec load_some(const real *x, int n) { return n >= VEC ? vload(x) : vload_part(x, n); }
INLINE void store_some(real *y, vec v, int n) {
    if (n >= VEC) vstore(y, v);
    else vstore_part(y, v, n);
}

INLINE vec map(vec x, const ColumnMap *m, int j, int n) {
    return (x - load_some(m->center + j, n)) * load_some(m->scale + j, n)
           + load_some(m->offset + j, n);
}

INLINE void map_rows(int rows, int cols, size_t ld, const real *x, const ColumnMap *m, bool silu,
                     real *y)
{
    for (int i = 0; i < rows; i++, x += ld, y += ld)
        for (int j = 0; j < cols; j += VEC) {
            vec v = map(load_some(x + j, cols - j), m, j, cols - j);
            store_some(y + j, silu ? v * vsigmoid(v) : v, cols - j);
        }
}

void map_columns(int rows, int cols, size_t ld, const real *x, const ColumnMap *m, bool silu,
                 real *y) {
    if (silu) map_rows(rows, cols, ld, x, m, true, y);
    else map_rows(rows, cols, ld, x, m, false, y);
}

/* One vector of columns, all rows, in runs; see columns.h. */
INLINE void back_sums_strip(int rows, int j, int n, size_t ld, const real *x, const real *dy,
                            const ColumnMap *m, bool silu, real *d_out, size_t ld_d, double *sum,
                            double *sum_x)
{
    vec center = load_some(m->center + j, n);
    for (int start = 0; start < rows; start += RUN) {
        vec run = {0}, run_x = {0};
        for (int i = start; i < least(rows, start + RUN); i++) {
            vec x_i = load_some(x + i * ld + j, n), d = load_some(dy + i * ld + j, n);
            if (silu) {
                vec v = map(x_i, m, j, n), s = vsigmoid(v);
                d *= s * (vset(1) + v * (vset(1) - s));
                store_some(d_out + i * ld_d + j, d, n);
            }
            run += d;
            run_x += d * (x_i - center);
        }
        for (int l = 0; l < least(n, VEC); l++) {
            sum[j + l] += run[l];
            sum_x[j + l] += run_x[l];
        }
    }
}

void back_column_sums(int rows, int cols, size_t ld, const real *x, const real *dy,
                      const ColumnMap *m, bool silu, real *d, double *sum, double *sum_x)
{
    for (int j = 0; j < cols; j += VEC)
        if (silu) back_sums_strip(rows, j, cols - j, ld, x, dy, m, true, d, cols, sum, sum_x);
        else if (cols - j >= VEC)
            back_sums_strip(rows, j, VEC, ld, x, dy, m, false, NULL, 0, sum, sum_x);
        else back_sums_strip(rows, j, cols - j, ld, x, dy, m, false, NULL, 0, sum, sum_x);
}

void back_columns(int rows, int cols, size_t ld, const real *x, const real *d, size_t ld_d,
                  const ColumnMap *m, real *dx, bool add)
{
    for (int i = 0; i < rows; i++, x += ld, dx += ld, d += ld_d)
        for (int j = 0; j < cols; j += VEC) {
            int n = cols - j;
            vec x_j = load_some(x + j, n) - load_some(m->center + j, n);
            vec g = load_some(d + j, n) * load_some(m->p + j, n) - x_j * load_some(m->q + j, n)
                    - load_some(m->r + j, n);
            store_some(dx + j, add ? load_some(dx + j, n) + g : g, n);
        }
}
