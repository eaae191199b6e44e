/* gemm_few.h — products with very few rows. Not public. */
#ifndef GEMM_FEW_H
#define GEMM_FEW_H

#include "kernels.h"

enum { FEW_ROWS = 4 };

/* c (m,n) = op(a) b [+ bias] [+ c], m <= FEW_ROWS, k > 0, as in gemm; `depth` steps of k are summed
 * before they are added to c */
typedef struct {
    bool ta;
    int m, n, k, depth;
    const real *a;
    size_t lda;
    const real *b;
    size_t ldb;
    const real *bias;
    real *c;
    size_t ldc;
    bool add;
} FewRows;

void gemm_few(const FewRows *p);

#endif
