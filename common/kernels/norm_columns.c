/* norm_columns.c — see norm_columns.h. Loops over whole vectors of a row; what is left of a row is
 * copied into a vector and treated the same. Whether a column is in a whole vector depends on how
 * images are divided among threads, and its result must not. So what is loaded is loaded before the
 * arithmetic: between a product and its sum a load's branch could keep the compiler from joining
 * them (one rounding less) in one of the two cases alone. */
#include "norm_columns.h"
#include "sizes.h"

/* With silu the arithmetic takes as long as the memory, and what is wanted AHEAD numbers later is
 * asked for; without, that costs more than it brings. */
enum { AHEAD = 512 };

/* by value: stored numbers could otherwise be the map's own, which would be read again each time */
INLINE vec map(vec x, ColumnMap m, int j, int n) {
    vec center = vload_some(m.center + j, n), scale = vload_some(m.scale + j, n);
    vec offset = vload_some(m.offset + j, n);
    return (x - center) * scale + offset;
}

INLINE void map_vector(const real *x, ColumnMap m, int j, int n, bool silu, real *y) {
    vec v = map(vload_some(x + j, n), m, j, n);
    if (silu) __builtin_prefetch(y + j + AHEAD, 1);
    vstore_some(y + j, silu ? v * vsigmoid(v) : v, n);
}

INLINE void map_rows(int rows, int cols, size_t ld, const real *x, ColumnMap m, bool silu, real *y) {
    for (int i = 0; i < rows; i++, x += ld, y += ld) {
        int j = 0;
        for (; j + VEC <= cols; j += VEC) map_vector(x, m, j, VEC, silu, y);
        if (j < cols) map_vector(x, m, j, cols - j, silu, y);
    }
}

void map_columns(int rows, int cols, size_t ld, const real *x, const ColumnMap *m, bool silu,
                 real *y) {
    if (silu) map_rows(rows, cols, ld, x, *m, true, y);
    else map_rows(rows, cols, ld, x, *m, false, y);
}

/* Up to VEC numbers of one row: d is stored, added to sum, and times x - center to sum_x. */
INLINE void add_back(const real *x, const real *dy, ColumnMap m, int j, int n, bool silu, real *d_out,
                     vec *sum, vec *sum_x)
{
    vec x_j = vload_some(x + j, n), d = vload_some(dy + j, n), center = vload_some(m.center + j, n);
    if (silu) {
        __builtin_prefetch(x + j + AHEAD);
        __builtin_prefetch(dy + j + AHEAD);
        vec v = map(x_j, m, j, n), s = vsigmoid(v);
        d *= s * (vset(1) + v * (vset(1) - s));
        vstore_some(d_out + j, d, n);
    }
    *sum += d;
    *sum_x += d * (x_j - center);
}

/* run[j] += sum of d, run_x[j] += sum of d (x - center) over one or two rows, so that the sums are
 * stored half as often; see columns.h. */
INLINE void add_back_rows(int rows, const real *x, const real *dy, size_t ld, ColumnMap m, int j,
                          int n, bool silu, real *d, size_t ld_d, real *run, real *run_x)
{
    vec sum = vload_some(run + j, n), sum_x = vload_some(run_x + j, n);
    add_back(x, dy, m, j, n, silu, d, &sum, &sum_x);
    if (rows > 1) add_back(x + ld, dy + ld, m, j, n, silu, silu ? d + ld_d : NULL, &sum, &sum_x);
    vstore_some(run + j, sum, n);
    vstore_some(run_x + j, sum_x, n);
}

INLINE void back_sums_run(int rows, int cols, size_t ld, const real *x, const real *dy, ColumnMap m,
                          bool silu, real *d, size_t ld_d, real *run, real *run_x)
{
    memset(run, 0, cols * sizeof(real));
    memset(run_x, 0, cols * sizeof(real));
    for (int i = 0; i < rows; i += 2, x += 2 * ld, dy += 2 * ld, d += silu ? 2 * ld_d : 0) {
        int j = 0, left = rows - i;
        for (; j + VEC <= cols; j += VEC)
            add_back_rows(left, x, dy, ld, m, j, VEC, silu, d, ld_d, run, run_x);
        if (j < cols) add_back_rows(left, x, dy, ld, m, j, cols - j, silu, d, ld_d, run, run_x);
    }
}

INLINE void back_sums(int rows, int cols, size_t ld, const real *x, const real *dy,
                      const ColumnMap *m, bool silu, real *d, double *sum, double *sum_x)
{
    enum { CHUNK = 1024 };
    for (int start = 0; start < rows; start += RUN)
        for (int j = 0; j < cols; j += CHUNK) {
            real run[CHUNK], run_x[CHUNK];
            int width = least(CHUNK, cols - j);
            size_t at = start * ld + j;
            ColumnMap part = {.center = m->center + j, .scale = m->scale + j, .offset = m->offset + j};
            back_sums_run(least(RUN, rows - start), width, ld, x + at, dy + at, part, silu,
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

INLINE void back_vector(const real *x, const real *d, ColumnMap m, int j, int n, real *dx, bool add) {
    vec x_j = vload_some(x + j, n), center = vload_some(m.center + j, n);
    vec d_j = vload_some(d + j, n), p = vload_some(m.p + j, n), q = vload_some(m.q + j, n);
    vec r = vload_some(m.r + j, n), g = d_j * p - (x_j - center) * q - r;
    vstore_some(dx + j, add ? vload_some(dx + j, n) + g : g, n);
}

INLINE void back_rows(int rows, int cols, size_t ld, const real *x, const real *d, size_t ld_d,
                      ColumnMap m, real *dx, bool add)
{
    for (int i = 0; i < rows; i++, x += ld, dx += ld, d += ld_d) {
        int j = 0;
        for (; j + VEC <= cols; j += VEC) back_vector(x, d, m, j, VEC, dx, add);
        if (j < cols) back_vector(x, d, m, j, cols - j, dx, add);
    }
}

void back_columns(int rows, int cols, size_t ld, const real *x, const real *d, size_t ld_d,
                  const ColumnMap *m, real *dx, bool add)
{
    if (add) back_rows(rows, cols, ld, x, d, ld_d, *m, dx, true);
    else back_rows(rows, cols, ld, x, d, ld_d, *m, dx, false);
}
