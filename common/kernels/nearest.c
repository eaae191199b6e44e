/* nearest.c — for each of many vectors the nearest of a few: a codebook's lookup. */
#include "kernels.h"
#include "parallel.h"
#include "simd.h"
#include "sizes.h"

/* first place of the largest of n numbers */
static int first_largest(int n, const real *x) {
    vec best = vset(x[0]);
    int k = 0;
    for (; k + VEC <= n; k += VEC) best = vmax(best, vload(x + k));
    real most = vmax_element(best);
    for (; k < n; k++)
        if (x[k] > most) most = x[k];
    for (k = 0; k < n && x[k] != most; k++) {}
    return k < n ? k : 0;    /* a vector that is not finite is nearest to nothing */
}

void k_nearest_rows_ref(int n, int d, int rows, const real *x, const real *table, int *index) {
    for (int i = 0; i < n; i++) {
        double least_distance = INFINITY;
        index[i] = 0;
        for (int k = 0; k < rows; k++) {
            double distance = 0;
            for (int j = 0; j < d; j++) {
                double difference = (double)x[(size_t)i * d + j] - table[(size_t)k * d + j];
                distance += difference * difference;
            }
            if (distance < least_distance) {
                least_distance = distance;
                index[i] = k;
            }
        }
    }
}

/* |x - e|^2 = |x|^2 - 2 (x e - |e|^2/2): the nearest row has the largest x e - |e|^2/2, a product
 * of matrices with a bias. ROWS of x at a time, so that their scores stay in the cache. */
void k_nearest_rows(int n, int d, int rows, const real *x, const real *table, int *index) {
    enum { ROWS = 1024 };
    real *bias = scratch(SCRATCH_PARTIAL, (size_t)rows * (ROWS + 1)), *scores = bias + rows;
    for (int k = 0; k < rows; k++) {
        double square = 0;
        for (int j = 0; j < d; j++)
            square += (double)table[(size_t)k * d + j] * table[(size_t)k * d + j];
        bias[k] = (real)(-square / 2);
    }
    for (int start = 0; start < n; start += ROWS) {
        int m = least(ROWS, n - start);
        gemm(&(GemmShape){.tb = true, .m = m, .n = rows, .k = d}, x + (size_t)start * d, table, bias,
             scores, false);
        PARALLEL_ROWS(m, (double)m * rows * COST_COPY)
        for (int i = 0; i < m; i++)
            index[start + i] = first_largest(rows, scores + (size_t)i * rows);
    }
}
