/* test_eval.c — the scores: against closed forms, plain loops and LAPACKE, and on spoilt pictures. */
#include "eval/eigen.h"
#include "testing.h"

SUITE(eval);

/* ---- eigenvalues ----------------------------------------------------------------------------- */

/* A v = lambda v, orthonormal v, falling lambda? */
Test(eval, jacobi_rotations_find_the_eigenvectors) {
    enum { N = 17 };
    double a[N * N], kept[N * N], values[N], v[N * N];
    real x[N * N];
    test_values("matrix", -1, 1, N * N, x);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            a[i * N + j] = kept[i * N + j] = (double)x[i * N + j] + (double)x[j * N + i];
    symmetric_eigen(N, a, values, v);
    for (int i = 0; i < N; i++) {
        cr_assert(i == 0 || values[i] <= values[i - 1]);
        for (int k = 0; k < N; k++) {
            double av = 0, dot = 0;
            for (int j = 0; j < N; j++) {
                av += kept[k * N + j] * v[i * N + j];
                dot += v[i * N + j] * v[k * N + j];
            }
            cr_assert_float_eq(av, values[i] * v[i * N + k], 1e-11);
            cr_assert_float_eq(dot, i == k, 1e-12);
        }
    }
}

