/* widen.h — numbers in half precision (IEEE 754 binary16) as real ones, exactly. */
#ifndef WIDEN_H
#define WIDEN_H

#include "kernels/real.h"

void k_widen(size_t n, const uint16_t *h, real *y);
void k_widen_ref(size_t n, const uint16_t *h, real *y);

#endif
