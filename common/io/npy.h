/* npy.h — one array as a NumPy .npy file.
 *
 * Interface:
 *   - npy_save    float32 (float64 in the double build), version 1.0: read by NumPy, and by gnuplot
 *                 as it is (skip=128)
 *   - npy_parse   checks bytes in memory, prints nothing
 *   - npy_open    the same for a file; fails with one line
 *   - npy_number  one number of it */
#ifndef NPY_H
#define NPY_H

#include "kernels/real.h"

#include <stdbool.h>
#include <stdint.h>

enum { NPY_MAX_RANK = 8, NPY_MESSAGE = 256 };

typedef enum { NPY_U8, NPY_I32, NPY_I64, NPY_F32, NPY_F64 } NpyType;

typedef struct {
    NpyType type;
    int rank;                    /* 0: a single number */
    size_t shape[NPY_MAX_RANK], len;
    const uint8_t *data;         /* row major, little-endian, at any address */
    const uint8_t *bytes;        /* set by npy_open: the mapped file */
    size_t length;
} Npy;

void npy_save(const char *path, const real *x, int rank, const int *shape);

/* Fills `a`, whose data point into `bytes`, or returns false with one line in `message`. */
bool npy_parse(Npy *a, const uint8_t *bytes, size_t length, char message[static NPY_MESSAGE]);
Npy  npy_open(const char *path);
void npy_close(Npy *a);
double npy_number(const Npy *a, size_t i);

#endif
