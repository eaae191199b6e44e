/* norm_columns.h — the inner loops of group and batch normalisation: a matrix whose columns
 * (channels) are shifted and scaled. x, y, dy, dx have `ld` numbers from one row to the next. Not
 * public. */
#ifndef NORM_COLUMNS_H
#define NORM_COLUMNS_H

#include "columns.h"

/* Numbers per column. All arrays have one entry per column. */
typedef struct {
    real *center, *scale, *offset;    /* v = (x - center) scale + offset */
    real *p, *q, *r;                  /* dx = d p - (x - center) q - r */
} ColumnMap;

/* y = v, or silu(v) */
void map_columns(int rows, int cols, size_t ld, const real *x, const ColumnMap *m, bool silu,
                 real *y);

/* d = dy, or dy silu'(v); sum += sum of d, sum_x += sum of d (x - center), per column. With silu,
 * d (rows, cols) is stored; without, d may be NULL. */
void back_column_sums(int rows, int cols, size_t ld, const real *x, const real *dy,
                      const ColumnMap *m, bool silu, real *d, double *sum, double *sum_x);

/* dx (+)= d p - (x - center) q - r; d has ld_d numbers per row */
void back_columns(int rows, int cols, size_t ld, const real *x, const real *d, size_t ld_d,
                  const ColumnMap *m, real *dx, bool add);

#endif
