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
    if (dw) gemm(true, false, in, out, rows, x->x, in, y->g, out, NULL, dw, out, add);
    t_has_read(y, 0);
    real *dx = t_grad(y, 0, &add);
    if (dx) gemm(false, true, rows, in, out, y->g, out, w->x, out, NULL, dx, in, add);
    real *db = b ? t_grad(y, 2, &add) : NULL;
    if (db) k_sum_axis(1, rows, out, y->g, db, add);
}

static void linear_forward(Tensor *y) {
    const Tensor *x = y->in[0], *w = y->in[1], *b = y->in[2];
    int in = w->shape[0], out = w->shape[1], rows = (int)(x->len / (size_t)in);
    gemm(false, false, rows, out, in, x->x, in, w->x, out, b ? b->x : NULL, y->x, out, false);
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

static void matmul_back(Tensor *y) {
    Tensor *a = y->in[0], *b = y->in[1];
    int batch = y->shape[0], m = y->shape[1], n = y->shape[2], k = a->shape[2];
    bool transposed = y->iarg[0], add;
    size_t mk = (size_t)m * k, kn = (size_t)k * n, mn = (size_t)m * n;
    int ldb = transposed ? k : n;
    real *da = t_grad(y, 0, &add);
    if (da)
        gemm_batched(batch, false, !transposed, m, k, n, y->g, n, mn, b->x, ldb, kn, da, k, mk,
                     add);
    real *db = t_grad(y, 1, &add);
    if (!db) return;
    if (transposed)
        gemm_batched(batch, true, false, n, k, m, y->g, n, mn, a->x, k, mk, db, k, kn, add);
    else
        gemm_batched(batch, true, false, k, n, m, a->x, k, mk, y->g, n, mn, db, n, kn, add);
}

static void matmul_forward(Tensor *y) {
    const Tensor *a = y->in[0], *b = y->in[1];
    int batch = y->shape[0], m = y->shape[1], n = y->shape[2], k = a->shape[2];
    bool transpose_b = y->iarg[0];
    gemm_batched(batch, false, transpose_b, m, n, k, a->x, k, (size_t)m * k, b->x,
                 transpose_b ? k : n, (size_t)k * n, y->x, n, (size_t)m * n, false);
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
