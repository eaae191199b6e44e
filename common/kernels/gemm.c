/* gemm.c — matrix products. */
#include "kernels.h"

void gemm_ref(bool ta, bool tb, int m, int n, int k, const real *a, int lda, const real *b, int ldb,
              const real *bias, real *c, int ldc, bool add)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = bias ? bias[j] : 0;
            for (int l = 0; l < k; l++) {
                double a_il = ta ? a[(size_t)l * lda + i] : a[(size_t)i * lda + l];
                double b_lj = tb ? b[(size_t)j * ldb + l] : b[(size_t)l * ldb + j];
                sum += a_il * b_lj;
            }
            real *c_ij = c + (size_t)i * ldc + j;
            *c_ij = (real)(add ? *c_ij + sum : sum);
        }
}

void gemm(bool ta, bool tb, int m, int n, int k, const real *a, int lda, const real *b, int ldb,
          const real *bias, real *c, int ldc, bool add)
{
    gemm_ref(ta, tb, m, n, k, a, lda, b, ldb, bias, c, ldc, add);
}

void gemm_batched(int batch, bool ta, bool tb, int m, int n, int k, const real *a, int lda,
                  size_t stride_a, const real *b, int ldb, size_t stride_b, real *c, int ldc,
                  size_t stride_c, bool add)
{
    for (int i = 0; i < batch; i++)
        gemm(ta, tb, m, n, k, a + i * stride_a, lda, b + i * stride_b, ldb, NULL, c + i * stride_c,
             ldc, add);
}
