/* npy.h — one array as a NumPy .npy file, version 1.0: read by NumPy, and by gnuplot as it is
 * (skip=128). */
#ifndef NPY_H
#define NPY_H

#include "kernels/real.h"

/* float32; float64 in the double build */
void npy_save(const char *path, const real *x, int rank, const int *shape);

#endif
