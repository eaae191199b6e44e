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

INLINE void add_to(real *sum, vec v, int n) { store_some(sum, load_some(sum, n) + v, n); }

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
            vec x_j = load_some(x + i * ld + j, n), d = load_some(dy + i * ld + j, n);
            if (silu) {
                vec v = map(x_j, m, j0 + j, n), s = vsigmoid(v);
                d *= s * (vset(1) + v * (vset(1) - s));
                store_some(d_out + i * ld_d + j, d, n);
            }
            add_to(run + j, d, n);
            add_to(run_x + j, d * (x_j - load_some(m->center + j0 + j, n)), n);
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
            vec x_j = load_some(x + j, n) - load_some(m->center + j, n);
            vec g = load_some(d + j, n) * load_some(m->p + j, n) - x_j * load_some(m->q + j, n)
                    - load_some(m->r + j, n);
            store_some(dx + j, add ? load_some(dx + j, n) + g : g, n);
        }
}
