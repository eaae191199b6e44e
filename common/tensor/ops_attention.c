/* ops_attention.c — scaled dot-product attention (Vaswani et al. 2017, eq. 1), per item and head.
 *
 *   S = scale q k^T, -inf where the mask is 0     P = softmax of S's rows     y = P v
 *   dv += P^T dy      dP = dy v^T      dS = P (dP - rowsum(dP P)) = P (dP - rowsum(dy y))
 *   dq += scale dS k      dk += scale dS^T q
 * Saved: the log-sum-exp of each row of S, from which the backward pass recomputes P. */
#include "base/error.h"
#include "tensor/tensor.h"

#include <math.h>

static AttentionShape attention_shape(const Tensor *y) {
    const int *a = y->iarg;
    return (AttentionShape){.b = y->shape[0],
                            .heads = a[0],
                            .nq = y->shape[1],
                            .nk = a[1],
                            .dk = a[2],
                            .dv = a[3],
                            .ldq = a[4],
                            .ldk = a[5],
                            .ldv = a[6],
                            .causal = a[7] & 1,
                            .mask_stride = a[7] & 2 ? (size_t)y->shape[1] * (size_t)a[1] : 0,
                            .mask = (const uint8_t *)y->isaved,
                            .scale = y->arg[0]};
}

static void set_attention(Tensor *y, Attention a, int nk, int dk, int dv, int ldq, int ldk,
                          int ldv) {
    int args[8] = {a.heads, nk, dk, dv, ldq, ldk, ldv, a.causal | a.mask_per_item << 1};
    for (int i = 0; i < 8; i++) y->iarg[i] = args[i];
    y->arg[0] = (real)(1 / sqrt(dk));
    y->isaved = (int *)(uintptr_t)a.mask;   /* the caller's, read only */
    t_saved(y, (size_t)y->shape[0] * (size_t)a.heads * (size_t)y->shape[1]);
}

static void check_heads(const char *op, const Tensor *x, int channels, int heads) {
    if (heads < 1 || channels % heads)
        die("%s: %d channels of %s do not split into %d heads", op, channels, t_describe(x), heads);
}

/* ---- attention ------------------------------------------------------------------------------- */

/* The kernel computes all three gradients; one that nobody wants goes to memory that nobody reads. */
static Gradient wanted_or_spare(Tensor *y, int i) {
    Gradient d = {0};
    d.to = t_grad(y, i, &d.add);
    if (!d.to) d.to = arena_get(&y->tape->values, y->in[i]->len * sizeof *d.to);
    return d;
}

static void give_back_spare(Tensor *y, int i, Gradient d) {
    if (d.to == y->in[i]->g) return;
    arena_give_back(&y->tape->values, d.to, y->in[i]->len * sizeof *d.to);
}

static void attention_back(Tensor *y) {
    AttentionShape s = attention_shape(y);
    AttentionArrays a = {y->in[0]->x, y->in[1]->x, y->in[2]->x, y->x, y->saved, y->g};
    AttentionGradients d = {wanted_or_spare(y, 0), wanted_or_spare(y, 1), wanted_or_spare(y, 2)};
    attention_backward(&s, &a, &d);
    give_back_spare(y, 0, d.q);
    give_back_spare(y, 1, d.k);
    give_back_spare(y, 2, d.v);
}

static void attention_forward_of(Tensor *y) {
    AttentionShape s = attention_shape(y);
    attention_forward(&s, y->in[0]->x, y->in[1]->x, y->in[2]->x, y->x, y->saved);
}

/* The kernel writes three gradients at once, so they must not be one and the same buffer. */
static Tensor *distinct(Tensor *x, const Tensor *a, const Tensor *b) {
    return x == a || x == b ? t_reshape(x, x->rank, x->shape) : x;
}

Tensor *t_attention(Tensor *q, Tensor *k, Tensor *v, Attention a) {
    if (q->rank != 3 || k->rank != 3 || v->rank != 3)
        die("attention: %s, %s, %s; sequences are (B,N,C)", t_describe(q), t_describe(k),
            t_describe(v));
    if (q->shape[2] != k->shape[2] || k->shape[1] != v->shape[1] || q->shape[0] != k->shape[0] ||
        k->shape[0] != v->shape[0])
        die("attention: queries %s, keys %s, values %s do not belong together", t_describe(q),
            t_describe(k), t_describe(v));
    check_heads("attention", q, q->shape[2], a.heads);
    check_heads("attention", v, v->shape[2], a.heads);
    k = distinct(k, q, NULL);
    v = distinct(v, q, k);
    int B = q->shape[0], nq = q->shape[1], C = q->shape[2], D = v->shape[2];
    Tensor *y = t_new("attention", attention_back, READS(0) | READS(1) | READS(2) | READS_Y, 3,
                      (Tensor *[]){q, k, v}, SHAPE(B, nq, D));
    set_attention(y, a, k->shape[1], C / a.heads, D / a.heads, C, C, D);
    return t_compute(y, attention_forward_of);
}

/* ---- self_attention: q | k | v side by side in one array ------------------------------------- */

static void self_attention_back(Tensor *y) {
    AttentionShape s = attention_shape(y);
    int C = y->shape[2];
    const real *x = y->in[0]->x;
    bool add = false;
    real *dx = t_grad(y, 0, &add);
    AttentionArrays a = {x, x + C, x + 2 * C, y->x, y->saved, y->g};
    AttentionGradients d = {{dx, add}, {dx + C, add}, {dx + 2 * C, add}};
    attention_backward(&s, &a, &d);
}

static void self_attention_forward(Tensor *y) {
    AttentionShape s = attention_shape(y);
    int C = y->shape[2];
    const real *x = y->in[0]->x;
    attention_forward(&s, x, x + C, x + 2 * C, y->x, y->saved);
}

Tensor *t_self_attention(Tensor *qkv, Attention a) {
    if (qkv->rank != 3 || qkv->shape[2] % 3)
        die("self_attention: %s is no packed q, k, v (B,N,3C)", t_describe(qkv));
    int B = qkv->shape[0], N = qkv->shape[1], C = qkv->shape[2] / 3;
    check_heads("self_attention", qkv, C, a.heads);
    Tensor *y = t_new("self_attention", self_attention_back, READS(0) | READS_Y, 1, &qkv,
                      SHAPE(B, N, C));
    set_attention(y, a, N, C / a.heads, C / a.heads, 3 * C, 3 * C, 3 * C);
    return t_compute(y, self_attention_forward);
}
