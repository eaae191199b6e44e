/* median.h — of n times, which it sorts. */
#ifndef MEDIAN_H
#define MEDIAN_H

#include <stdlib.h>

static inline int median_order(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double median(int n, double *x) {
    qsort(x, (size_t)n, sizeof *x, median_order);
    return (x[n / 2] + x[(n - 1) / 2]) / 2;
}

#endif
