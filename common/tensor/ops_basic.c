/* ops_basic.c — elementwise operations.
 *
 * In every formula dy is the gradient of the loss with respect to y, and "dx +=" says where it
 * goes. */
#include "base/error.h"
#include "tensor/tensor.h"

#include <string.h>

/* ---- broadcasting: add, sub, mul, div -----------------------------------------------------------
 * Shapes are aligned at their last axes; an axis of size 1 is repeated (numpy's rule).
 *   y = a + b    da += dy       db += dy
 *   y = a - b    da += dy       db -= dy
 *   y = a * b    da += dy b     db += dy a
 *   y = a / b    da += dy / b   db -= dy a / b^2
 * each summed over the axes along which its operand was repeated. */

static void align_right(const Tensor *x, int shape[4]) {
    for (int i = 0; i < 4; i++) shape[i] = i < 4 - x->rank ? 1 : x->shape[i - (4 - x->rank)];
}

/* sums and differences read neither operand, and either may have been computed over */
static const real *binary_operand(const Tensor *y, int i) {
    return y->reads & READS(i) ? y->in[i]->x : y->g;
}

static void binary_back(Tensor *y) {
    BinaryOp op = (BinaryOp)y->iarg[0];
    int sy[4], sa[4], sb[4];
    align_right(y, sy), align_right(y->in[0], sa), align_right(y->in[1], sb);
    const real *a = binary_operand(y, 0), *b = binary_operand(y, 1), *dy = y->g;
    bool add;
    /* b first: a's gradient may take over dy's buffer */
    real *db = y->in[0]->wants_grad ? t_grad(y, 1, &add) : t_grad_in_place(y, 1, &add);
    if (db) k_binary_back_b(op, sy, a, sa, b, sb, dy, db, add);
    real *da = t_grad_in_place(y, 0, &add);
    if (da) k_binary_back_a(op, sy, a, sa, b, sb, dy, da, add);
}

static void binary_forward(Tensor *y) {
    int sy[4], sa[4], sb[4];
    align_right(y, sy), align_right(y->in[0], sa), align_right(y->in[1], sb);
    k_binary((BinaryOp)y->iarg[0], sy, y->in[0]->x, sa, y->in[1]->x, sb, y->x);
}

static int binary_reads(BinaryOp op, const Tensor *a, const Tensor *b) {
    if (op == BINARY_MUL) return READS_IF(b, 0) | READS_IF(a, 1);
    if (op == BINARY_DIV) return READS_IF(b, 0) | READS(1);
    return READS_NOTHING;
}

static Tensor *binary(const char *name, BinaryOp op, Tensor *a, Tensor *b) {
    int rank = a->rank > b->rank ? a->rank : b->rank, sa[4], sb[4], sy[4];
    align_right(a, sa), align_right(b, sb);
    for (int i = 0; i < 4; i++) {
        sy[i] = sa[i] > sb[i] ? sa[i] : sb[i];
        if ((sa[i] != sy[i] && sa[i] != 1) || (sb[i] != sy[i] && sb[i] != 1))
            die("%s: %s and %s do not broadcast: axis %d from the end is %d and %d", name,
                t_describe(a), t_describe(b), 4 - i, sa[i], sb[i]);
    }
    Tensor *y = t_new(name, binary_back, binary_reads(op, a, b) | OVER(0) | OVER(1), 2,
                      (Tensor *[]){a, b}, rank, sy + 4 - rank);
    y->iarg[0] = op;
    return t_compute(y, binary_forward);
}

Tensor *t_add(Tensor *a, Tensor *b) { return binary("add", BINARY_ADD, a, b); }
Tensor *t_sub(Tensor *a, Tensor *b) { return binary("sub", BINARY_SUB, a, b); }
Tensor *t_mul(Tensor *a, Tensor *b) { return binary("mul", BINARY_MUL, a, b); }
Tensor *t_div(Tensor *a, Tensor *b) { return binary("div", BINARY_DIV, a, b); }

/* (B,C) as (B,1,..,1,C), so that it broadcasts over the positions of x (B,..,C) */
static Tensor *per_channel(const char *op, Tensor *x, Tensor *v) {
    int B = x->shape[0], C = x->shape[x->rank - 1];
    if (v->rank != 2 || v->shape[0] != B || v->shape[1] != C)
        die("%s: %s wants one number per item and channel (%d,%d), got %s", op, t_describe(x), B, C,
            t_describe(v));
    int shape[4] = {B, 1, 1, 1};
    shape[x->rank - 1] = C;
    return x->rank == 2 ? v : t_reshape(v, x->rank, shape);
}

Tensor *t_add_channel(Tensor *x, Tensor *v) { return t_add(x, per_channel("add_channel", x, v)); }
Tensor *t_mul_channel(Tensor *x, Tensor *v) { return t_mul(x, per_channel("mul_channel", x, v)); }

/* ---- functions of one number --------------------------------------------------------------------
 *   y = f(x)     dx += dy f'(x)
 *
 * Where f' can be had from y, y may be computed over x.
 *
 *   name         f                                  f'
 *   scale        a x                                a
 *   add_scalar   x + a                              1
 *   exp          e^x                                y
 *   log          ln x                               1/x
 *   sqrt         x^(1/2)                            1/(2y)
 *   square       x^2                                2x
 *   abs          |x|                                sign x, 0 at 0
 *   tanh         tanh x                             1 - y^2
 *   sigmoid      s(x) = 1/(1+e^-x)                  y (1-y)
 *   softplus     ln(1+e^x)                          s(x)
 *   relu         max(x,0)                           [y > 0]
 *   leaky_relu   x > 0 ? x : a x                    y > 0 ? 1 : a          (a >= 0)
 *   elu          x > 0 ? x : e^x - 1                y > 0 ? 1 : y + 1
 *   silu         x s(x)                             s(x) (1 + x (1-s(x)))
 *   gelu         x Phi(x)                           Phi(x) + x phi(x), Phi and phi of N(0,1)
 *   gelu_tanh    x/2 (1+tanh u)                     (1+tanh u)/2 + x/2 (1-tanh^2 u) u',
 *                                                   u = sqrt(2/pi)(x + 0.044715 x^3)
 *   quick_gelu   x s(u), u = 1.702 x                 s(u) (1 + u (1-s(u)))
 *   clamp        min(max(x,low),high)               [low <= x <= high]                        */

static Tensor *unary(const char *op, void (*forward)(Tensor *), void (*back)(Tensor *), int reads,
                     Tensor *x, double p, double q) {
    int flags = reads & READS(0) ? reads | CHEAP : reads | OVER(0);
    Tensor *y = t_new(op, back, flags, 1, &x, x->rank, x->shape);
    y->arg[0] = (real)p;
    y->arg[1] = (real)q;
    return t_compute(y, forward);
}

/* what is not read may be gone; the kernel then gets another array of that length */
#define FORWARD_AND_BACK(f)                                                                 \
    static void f##_forward(Tensor *y) {                                                    \
        k_##f(y->len, y->in[0]->x, y->arg[0], y->arg[1], y->x);                             \
    }                                                                                       \
    static void f##_back(Tensor *y) {                                                       \
        const real *dy = y->g;                                                              \
        const real *x = y->reads & READS(0) ? y->in[0]->x : dy;                             \
        bool add;                                                                           \
        real *dx = t_grad_in_place(y, 0, &add);                                             \
        if (dx) k_##f##_back(y->len, x, y->reads & READS_Y ? y->x : dy, y->arg[0], y->arg[1], \
                             dy, dx, add);                                                  \
    }
UNARY_FUNCTIONS(FORWARD_AND_BACK)
#undef FORWARD_AND_BACK

#define UNARY(f, reads, x, p, q) unary(#f, f##_forward, f##_back, reads, x, p, q)

Tensor *t_scale(Tensor *x, double a) {
    return unary("scale", affine_forward, affine_back, READS_NOTHING, x, a, 0);
}
Tensor *t_add_scalar(Tensor *x, double a) {
    return unary("add_scalar", affine_forward, affine_back, READS_NOTHING, x, 1, a);
}
Tensor *t_exp(Tensor *x) { return UNARY(exp, READS_Y, x, 0, 0); }
Tensor *t_log(Tensor *x) { return UNARY(log, READS(0), x, 0, 0); }
Tensor *t_sqrt(Tensor *x) { return UNARY(sqrt, READS_Y, x, 0, 0); }
Tensor *t_square(Tensor *x) { return UNARY(square, READS(0), x, 0, 0); }
Tensor *t_abs(Tensor *x) { return UNARY(abs, READS(0), x, 0, 0); }
Tensor *t_tanh(Tensor *x) { return UNARY(tanh, READS_Y, x, 0, 0); }
Tensor *t_sigmoid(Tensor *x) { return UNARY(sigmoid, READS_Y, x, 0, 0); }
Tensor *t_softplus(Tensor *x) { return UNARY(softplus, READS(0), x, 0, 0); }
Tensor *t_relu(Tensor *x) { return UNARY(relu, READS_Y, x, 0, 0); }
Tensor *t_elu(Tensor *x) { return UNARY(elu, READS_Y, x, 0, 0); }
Tensor *t_silu(Tensor *x) { return UNARY(silu, READS(0), x, 0, 0); }
Tensor *t_gelu(Tensor *x) { return UNARY(gelu, READS(0), x, 0, 0); }
Tensor *t_gelu_tanh(Tensor *x) { return UNARY(gelu_tanh, READS(0), x, 0, 0); }
Tensor *t_quick_gelu(Tensor *x) { return UNARY(quick_gelu, READS(0), x, 0, 0); }

Tensor *t_leaky_relu(Tensor *x, double slope) {
    if (!(slope >= 0)) die("leaky_relu: the slope is %g; 0 or more", slope);
    return UNARY(leaky_relu, READS_Y, x, slope, 0);
}

Tensor *t_clamp(Tensor *x, double low, double high) {
    if (!(low <= high)) die("clamp: the bounds %g and %g are in the wrong order", low, high);
    return UNARY(clamp, READS(0), x, low, high);
}

/* ---- geglu --------------------------------------------------------------------------------------
 * The last axis holds a | g side by side: y = a gelu(g) (Shazeer 2020; Stable Diffusion's order).
 *   da += dy gelu(g)     dg += dy a gelu'(g) */

static void geglu_back(Tensor *y) {
    int c = y->shape[y->rank - 1], rows = (int)(y->len / (size_t)c);
    bool add;
    real *dx = t_grad(y, 0, &add);
    if (dx) k_geglu_back(rows, c, y->in[0]->x, y->g, dx, add);
}

static void geglu_forward(Tensor *y) {
    int c = y->shape[y->rank - 1];
    k_geglu((int)(y->len / (size_t)c), c, y->in[0]->x, y->x);
}

Tensor *t_geglu(Tensor *x) {
    int shape[4];
    memcpy(shape, x->shape, sizeof shape);
    if (shape[x->rank - 1] % 2) die("geglu: the last axis of %s has no two halves", t_describe(x));
    shape[x->rank - 1] /= 2;
    Tensor *y = t_new("geglu", geglu_back, READS(0) | CHEAP, 1, &x, x->rank, shape);
    return t_compute(y, geglu_forward);
}

/* ---- dropout ------------------------------------------------------------------------------------
 * y = x / (1-p) with probability 1-p, else 0;  dx += dy times the same factor. The factors are
 * drawn again in the backward pass rather than stored: random numbers are a function of their
 * index. */

static void dropout_back(Tensor *y) {
    const real *dy = y->g;
    bool add;
    real *dx = t_grad_in_place(y, 0, &add);
    if (dx) k_dropout(y->len, y->arg[0], y->rng.seed, y->rng.stream, y->rng.next, dy, dx, add);
}

static void dropout_forward(Tensor *y) {
    k_dropout(y->len, y->arg[0], y->rng.seed, y->rng.stream, y->rng.next, y->in[0]->x, y->x, false);
}

Tensor *t_dropout(Tensor *x, double p) {
    if (!(p >= 0 && p < 1)) die("dropout: the probability of zero is %g; 0 <= p < 1", p);
    Rng *rng = x->tape ? x->tape->dropout : NULL;
    if (!rng || p == 0) return x;
    Tensor *y = t_new("dropout", dropout_back, CHEAP, 1, &x, x->rank, x->shape);
    y->arg[0] = (real)p;
    y->rng = *rng;
    rng->next += y->len;
    return t_compute(y, dropout_forward);
}

/* ---- gradients that stop or jump ------------------------------------------------------------- */

Tensor *t_detach(Tensor *x) {
    Tensor *y = t_view("detach", NULL, 1, &x, x->rank, x->shape);
    y->wants_grad = false;
    return y;
}

/* y = value; d grad_to += dy. The quantiser of a VQ-VAE copies the decoder's gradient past the
 * codebook so (van den Oord et al. 2017, section 3.2; Bengio et al. 2013). */
static void straight_through_back(Tensor *y) {
    t_pass_grad(y, 1);
}

Tensor *t_straight_through(Tensor *value, Tensor *grad_to) {
    if (value->rank != grad_to->rank || memcmp(value->shape, grad_to->shape, sizeof value->shape))
        die("straight_through: %s and %s differ in shape", t_describe(value), t_describe(grad_to));
    Tensor *y = t_view("straight_through", straight_through_back, 2, (Tensor *[]){value, grad_to},
                       value->rank, value->shape);
    return t_done(y);
}
