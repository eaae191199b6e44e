/* ops_matrix.c — products of matrices. */
#include "base/error.h"
#include "tensor/tensor.h"

/* ---- linear -------------------------------------------------------------------------------------
 *   y = x w + b          x (rows,in), w (in,out), b (out)
 *   dx += dy w^T    dw += x^T dy    db += sum over rows of dy */

static void linear_back(Tensor *y) {
    Tensor *x = y->in[0], *w = y->in[1], *b = y->in[2];
    int in = w->shape[0], out = w->shape[1], rows = (int)(x->len / (size_t)in);
    bool add;
    real *dw = t_grad(y, 1, &add);
    if (dw) gemm(&(GemmShape){.ta = true, .m = in, .n = out, .k = rows}, x->x, y->g, NULL, dw, add);
    t_has_read(y, 0);
    real *dx = t_grad(y, 0, &add);
    if (dx) gemm(&(GemmShape){.tb = true, .m = rows, .n = in, .k = out}, y->g, w->x, NULL, dx, add);
    real *db = b ? t_grad(y, 2, &add) : NULL;
    if (db) k_sum_axis(1, rows, out, y->g, db, add);
}

static void linear_forward(Tensor *y) {
    const Tensor *x = y->in[0], *w = y->in[1], *b = y->in[2];
    int in = w->shape[0], out = w->shape[1], rows = (int)(x->len / (size_t)in);
    gemm(&(GemmShape){.m = rows, .n = out, .k = in}, x->x, w->x, b ? b->x : NULL, y->x, false);
}

Tensor *t_linear(Tensor *x, Tensor *w, Tensor *b) {
    int in = x->shape[x->rank - 1];
    if (w->rank != 2 || w->shape[0] != in)
        die("linear: %s has %d features but %s takes %d", t_describe(x), in, t_describe(w),
            w->shape[0]);
    int out = w->shape[1];
    if (b && (b->rank != 1 || b->shape[0] != out))
        die("linear: %s makes %d features but the bias is %s", t_describe(w), out, t_describe(b));
    int shape[4] = {x->shape[0], x->shape[1], x->shape[2], x->shape[3]};
    shape[x->rank - 1] = out;
    Tensor *y = t_new("linear", linear_back, READS_IF(w, 0) | READS_IF(x, 1), 3,
                      (Tensor *[]){x, w, b}, x->rank, shape);
    return t_compute(y, linear_forward);
}

/* ---- matmul -------------------------------------------------------------------------------------
 * for each of B items:
 *   y = a b      a (M,K), b (K,N)      da += dy b^T   db += a^T dy
 *   y = a b^T    a (M,K), b (N,K)      da += dy b     db += dy^T a */

/* one product for each of B items, whose matrices lie one after the other */
static GemmBatch each_of(int B, GemmShape s) {
    size_t m = (size_t)s.m, n = (size_t)s.n, k = (size_t)s.k;
    return (GemmBatch){s, B, .stride_a = m * k, .stride_b = k * n, .stride_c = m * n};
}

static void matmul_back(Tensor *y) {
    Tensor *a = y->in[0], *b = y->in[1];
    int B = y->shape[0], m = y->shape[1], n = y->shape[2], k = a->shape[2];
    bool transposed = y->iarg[0], add;
    real *da = t_grad(y, 0, &add);
    GemmBatch to_a = each_of(B, (GemmShape){.tb = !transposed, .m = m, .n = k, .k = n});
    if (da) gemm_batched(&to_a, y->g, b->x, da, add);
    real *db = t_grad(y, 1, &add);
    if (!db) return;
    int rows = transposed ? n : k, cols = transposed ? k : n;
    GemmBatch to_b = each_of(B, (GemmShape){.ta = true, .m = rows, .n = cols, .k = m});
    if (transposed) gemm_batched(&to_b, y->g, a->x, db, add);
    else gemm_batched(&to_b, a->x, y->g, db, add);
}

static void matmul_forward(Tensor *y) {
    const Tensor *a = y->in[0], *b = y->in[1];
    int B = y->shape[0], m = y->shape[1], n = y->shape[2], k = a->shape[2];
    GemmBatch g = each_of(B, (GemmShape){.tb = y->iarg[0], .m = m, .n = n, .k = k});
    gemm_batched(&g, a->x, b->x, y->x, false);
}

Tensor *t_matmul(Tensor *a, Tensor *b, bool transpose_b) {
    if (a->rank != 3 || b->rank != 3 || a->shape[0] != b->shape[0])
        die("matmul: %s and %s; both have three axes and the same number of items", t_describe(a),
            t_describe(b));
    int k = a->shape[2], inner = b->shape[transpose_b ? 2 : 1], n = b->shape[transpose_b ? 1 : 2];
    if (k != inner)
        die("matmul: rows of %s have %d entries but %s%s sums over %d", t_describe(a), k,
            t_describe(b), transpose_b ? " transposed" : "", inner);
    Tensor *y = t_new("matmul", matmul_back, READS_IF(b, 0) | READS_IF(a, 1), 2,
                      (Tensor *[]){a, b}, SHAPE(a->shape[0], a->shape[1], n));
    y->iarg[0] = transpose_b;
    return t_compute(y, matmul_forward);
}
