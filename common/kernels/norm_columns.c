/* norm_columns.c — see norm_columns.h. Loops over whole vectors of a row; what is left of a row is
 * copied into a vector and treated the same. Whether a column is in a whole vector depends on how
 * images are divided among threads, and its result must not. So what is loaded is loaded before the
 * arithmetic: between a product and its sum a load's branch could keep the compiler from joining
 * them (one rounding less) in one of the two cases alone. */
#include "norm_columns.h"
#include "sizes.h"

INLINE vec map(vec x, const ColumnMap *m, int j, int n) {
    vec center = vload_some(m->center + j, n), scale = vload_some(m->scale + j, n);
    vec offset = vload_some(m->offset + j, n);
    return (x - center) * scale + offset;
}

INLINE void map_rows(int rows, int cols, size_t ld, const real *x, const ColumnMap *m, bool silu,
                     real *y)
{
    for (int i = 0; i < rows; i++, x += ld, y += ld)
        for (int j = 0; j < cols; j += VEC) {
            vec v = map(vload_some(x + j, cols - j), m, j, cols - j);
            vstore_some(y + j, silu ? v * vsigmoid(v) : v, cols - j);
        }
}

void map_columns(int rows, int cols, size_t ld, const real *x, const ColumnMap *m, bool silu,
                 real *y) {
    if (silu) map_rows(rows, cols, ld, x, m, true, y);
    else map_rows(rows, cols, ld, x, m, false, y);
}

/* run[j] = sum of d, run_x[j] = sum of d (x - center) over a run of rows, row after row as they lie
 * in memory; see columns.h. */
INLINE void back_sums_run(int rows, int cols, size_t ld, const real *x, const real *dy,
                          const ColumnMap *m, int j0, bool silu, real *d_out, size_t ld_d,
                          real *run, real *run_x)
{
    for (int j = 0; j < cols; j++) run[j] = run_x[j] = 0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j += VEC) {
            int n = cols - j;
            vec x_j = vload_some(x + i * ld + j, n), d = vload_some(dy + i * ld + j, n);
            vec center = vload_some(m->center + j0 + j, n), sum_x = vload_some(run_x + j, n);
            if (silu) {
                vec v = map(x_j, m, j0 + j, n), s = vsigmoid(v);
                d *= s * (vset(1) + v * (vset(1) - s));
                vstore_some(d_out + i * ld_d + j, d, n);
            }
            vstore_some(run + j, vload_some(run + j, n) + d, n);
            vstore_some(run_x + j, sum_x + d * (x_j - center), n);
        }
}

INLINE void back_sums(int rows, int cols, size_t ld, const real *x, const real *dy,
                      const ColumnMap *m, bool silu, real *d, double *sum, double *sum_x)
{
    enum { CHUNK = 512 };
    for (int start = 0; start < rows; start += RUN)
        for (int j = 0; j < cols; j += CHUNK) {
            real run[CHUNK], run_x[CHUNK];
            int width = least(CHUNK, cols - j);
            size_t at = start * ld + j;
            back_sums_run(least(RUN, rows - start), width, ld, x + at, dy + at, m, j, silu,
                          silu ? d + (size_t)start * cols + j : NULL, cols, run, run_x);
            for (int l = 0; l < width; l++) sum[j + l] += run[l];
            for (int l = 0; l < width; l++) sum_x[j + l] += run_x[l];
        }
}

void back_column_sums(int rows, int cols, size_t ld, const real *x, const real *dy,
                      const ColumnMap *m, bool silu, real *d, double *sum, double *sum_x)
{
    if (silu) back_sums(rows, cols, ld, x, dy, m, true, d, sum, sum_x);
    else back_sums(rows, cols, ld, x, dy, m, false, NULL, sum, sum_x);
}

void back_columns(int rows, int cols, size_t ld, const real *x, const real *d, size_t ld_d,
                  const ColumnMap *m, real *dx, bool add)
{
    for (int i = 0; i < rows; i++, x += ld, dx += ld, d += ld_d)
        for (int j = 0; j < cols; j += VEC) {
            int n = cols - j;
            vec x_j = vload_some(x + j, n), center = vload_some(m->center + j, n);
            vec d_j = vload_some(d + j, n), p = vload_some(m->p + j, n), q = vload_some(m->q + j, n);
            vec r = vload_some(m->r + j, n), g = d_j * p - (x_j - center) * q - r;
            vstore_some(dx + j, add ? vload_some(dx + j, n) + g : g, n);
        }
}
