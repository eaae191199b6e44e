/* gemm_few.h — products with very few rows. Not public. */
#ifndef GEMM_FEW_H
#define GEMM_FEW_H

#include "kernels.h"

enum { FEW_ROWS = 4 };

/* c (m,n) = op(a) op(b) [+ bias] [+ c]; as gemm has it, every row length filled in */
typedef struct {
    bool ta, tb;
    int m, n, k;
    const real *a;
    size_t lda;
    const real *b;
    size_t ldb;
    const real *bias;
    real *c;
    size_t ldc;
    bool add;
} Product;

/* m <= FEW_ROWS, k > 0, b not transposed; `depth` steps of k are summed before they are added to c */
void gemm_few(const Product *p, int depth);

#endif
