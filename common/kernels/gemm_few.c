/* gemm_few.c — products with very few rows: one token, or a handful, through a layer.
 *
 * Each number of b is used once for each row, so packing it into panels, as gemm.c does, would cost
 * more than the product. Here b passes by row after row, in the order in which it lies in memory,
 * DEPTH rows at a time, and a strip of sums for all rows stays in the first-level cache. Every sum
 * is made of the same terms in the same order as in gemm.c, to the same bits. */
#include "gemm_few.h"
#include "parallel.h"
#include "simd.h"
#include "sizes.h"

enum { STRIP = 512, DEPTH = 4 };

/* sum[j] += a_0 b[j] + a_1 b[ldb + j] + ..., one after the other, for n columns, at most a vector;
 * `depth` is a constant where this is inlined. What is left of a row is a vector, too: taking numbers
 * one by one, the compiler may round the products first, as gemm.c does not. */
INLINE void add_vector(int depth, const real *a, size_t a_step, const real *b, size_t ldb, int n,
                       real *sum) {
    vec s = vload(sum), b_l[DEPTH];
#pragma GCC unroll 4
    for (int l = 0; l < depth; l++)
        b_l[l] = n == VEC ? vload(b + l * ldb) : vload_part(b + l * ldb, n);
#pragma GCC unroll 4
    for (int l = 0; l < depth; l++) s += vset(a[l * a_step]) * b_l[l];
    vstore(sum, s);
}

INLINE void add_rows(int depth, const real *a, size_t a_step, const real *b, size_t ldb, int cols,
                     real *sum) {
    int j = 0;
    for (; j + VEC <= cols; j += VEC) add_vector(depth, a, a_step, b + j, ldb, VEC, sum + j);
    if (j < cols) add_vector(depth, a, a_step, b + j, ldb, cols - j, sum + j);
}

/* columns j0 .. j0+cols-1 of all rows; sum (FEW_ROWS,STRIP) */
static void strip(const Product *p, int depth, int j0, int cols, real *sum) {
    size_t a_row = p->ta ? 1 : p->lda, a_step = p->ta ? p->lda : 1;
    for (int l0 = 0; l0 < p->k; l0 += depth) {
        int end = least(l0 + depth, p->k), l = l0;
        for (int i = 0; i < p->m * STRIP; i++) sum[i] = 0;
        for (; l + DEPTH <= end; l += DEPTH)
            for (int i = 0; i < p->m; i++)
                add_rows(DEPTH, p->a + i * a_row + l * a_step, a_step, p->b + l * p->ldb + j0,
                         p->ldb, cols, sum + i * STRIP);
        for (; l < end; l++)
            for (int i = 0; i < p->m; i++)
                add_rows(1, p->a + i * a_row + l * a_step, a_step, p->b + l * p->ldb + j0,
                         p->ldb, cols, sum + i * STRIP);
        for (int i = 0; i < p->m; i++)
            for (int j = 0; j < cols; j++) {
                real *c = p->c + i * p->ldc + j0 + j;
                real v = sum[i * STRIP + j] + (p->bias && l0 == 0 ? p->bias[j0 + j] : 0);
                *c = p->add || l0 > 0 ? v + *c : v;
            }
    }
}

void gemm_few(const Product *p, int depth) {
    int pieces = most(ceil_div(p->n, STRIP), least(threads_get(), p->n / VEC));
    int width = round_up(ceil_div(p->n, most(pieces, 1)), VEC);
    real *sums = scratch(SCRATCH_A, (size_t)threads_get() * FEW_ROWS * STRIP);
    PARALLEL_FOR((double)p->k * p->n * COST_COPY)
    for (int j = 0; j < p->n; j += width)
        strip(p, depth, j, least(width, p->n - j),
              sums + (size_t)thread_index() * FEW_ROWS * STRIP);
}
