/* columns.h — sums down the columns of a matrix and along its rows, for the reductions and the
 * normalisations. Not public. */
#ifndef COLUMNS_H
#define COLUMNS_H

#include "simd.h"

/* Sums of real are taken in runs of RUN terms in vectors of real, and the runs are added in double:
 * the error stays that of RUN additions however long the array is. */
enum { RUN = 32 };

/* sum[j] += sum over i < rows of x[i*ld + j], j < cols */
void add_column_sums(int rows, int cols, const real *x, size_t ld, double *sum);

/* *sum += sum of x[i], i < n */
void add_row_sum(size_t n, const real *x, double *sum);

/* Mean and sum of squared distances from it, of `count` numbers seen so far. */
typedef struct {
    double count, mean, m2;
} Moments;

/* The moments of two sets together (Chan, Golub & LeVeque 1979). */
static inline Moments moments_join(Moments a, Moments b) {
    double count = a.count + b.count, d = b.mean - a.mean;
    if (b.count == 0) return a;
    return (Moments){count, a.mean + d * b.count / count,
                     a.m2 + b.m2 + d * d * a.count * b.count / count};
}

/* The moments of each column, cols of them. One pass: what is summed is the distance from the first
 * row, so a mean far from zero costs no digits. */
void column_moments(int rows, int cols, const real *x, size_t ld, Moments *m);

#endif
