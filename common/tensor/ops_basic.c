/* ops_basic.c — elementwise operations.
 *
 * In every formula dy is the gradient of the loss with respect to y, and "dx +=" says where it
 * goes. */
#include "tensor/error.h"
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

static void binary_back(Tensor *y) {
    Tensor *a = y->in[0], *b = y->in[1];
    BinaryOp op = (BinaryOp)y->iarg[0];
    int sy[4], sa[4], sb[4];
    align_right(y, sy), align_right(a, sa), align_right(b, sb);
    const real *dy = y->g;
    bool add;
    /* b first: a's gradient may take over dy's buffer */
    real *db = a->wants_grad ? t_grad(y, 1, &add) : t_grad_in_place(y, 1, &add);
    if (db) k_binary_back_b(op, sy, a->x, sa, b->x, sb, dy, db, add);
    real *da = t_grad_in_place(y, 0, &add);
    if (da) k_binary_back_a(op, sy, a->x, sa, b->x, sb, dy, da, add);
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
    Tensor *y = t_new(name, binary_back, 2, (Tensor *[]){a, b}, rank, sy + 4 - rank);
    y->iarg[0] = op;
    k_binary(op, sy, a->x, sa, b->x, sb, y->x);
    return t_done(y);
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
 *   relu         max(x,0)                           [x > 0]
 *   leaky_relu   x > 0 ? x : a x                    x > 0 ? 1 : a
 *   elu          x > 0 ? x : e^x - 1                x > 0 ? 1 : e^x
 *   silu         x s(x)                             s(x) (1 + x (1-s(x)))
 *   gelu         x Phi(x)                           Phi(x) + x phi(x), Phi and phi of N(0,1)
 *   gelu_tanh    x/2 (1+tanh u)                     (1+tanh u)/2 + x/2 (1-tanh^2 u) u',
 *                                                   u = sqrt(2/pi)(x + 0.044715 x^3)
 *   clamp        min(max(x,low),high)               [low < x < high]                          */

static Tensor *unary(const char *op, UnaryForward *f, void (*back)(Tensor *), Tensor *x, double p,
                     double q) {
    Tensor *y = t_new(op, back, 1, &x, x->rank, x->shape);
    y->arg[0] = (real)p;
    y->arg[1] = (real)q;
    f(y->len, x->x, y->arg[0], y->arg[1], y->x);
    return t_done(y);
}

#define BACK(f)                                                                          \
    static void f##_back(Tensor *y) {                                                    \
        const real *dy = y->g;                                                           \
        bool add;                                                                        \
        real *dx = t_grad_in_place(y, 0, &add);                                          \
        if (dx) k_##f##_back(y->len, y->in[0]->x, y->x, y->arg[0], y->arg[1], dy, dx, add); \
    }
UNARY_FUNCTIONS(BACK)
#undef BACK

Tensor *t_scale(Tensor *x, double a) { return unary("scale", k_affine, affine_back, x, a, 0); }
Tensor *t_add_scalar(Tensor *x, double a) {
    return unary("add_scalar", k_affine, affine_back, x, 1, a);
}
Tensor *t_exp(Tensor *x) { return unary("exp", k_exp, exp_back, x, 0, 0); }
Tensor *t_log(Tensor *x) { return unary("log", k_log, log_back, x, 0, 0); }
Tensor *t_sqrt(Tensor *x) { return unary("sqrt", k_sqrt, sqrt_back, x, 0, 0); }
Tensor *t_square(Tensor *x) { return unary("square", k_square, square_back, x, 0, 0); }
Tensor *t_abs(Tensor *x) { return unary("abs", k_abs, abs_back, x, 0, 0); }
Tensor *t_tanh(Tensor *x) { return unary("tanh", k_tanh, tanh_back, x, 0, 0); }
Tensor *t_sigmoid(Tensor *x) { return unary("sigmoid", k_sigmoid, sigmoid_back, x, 0, 0); }
Tensor *t_softplus(Tensor *x) { return unary("softplus", k_softplus, softplus_back, x, 0, 0); }
Tensor *t_relu(Tensor *x) { return unary("relu", k_relu, relu_back, x, 0, 0); }
Tensor *t_elu(Tensor *x) { return unary("elu", k_elu, elu_back, x, 0, 0); }
Tensor *t_silu(Tensor *x) { return unary("silu", k_silu, silu_back, x, 0, 0); }
Tensor *t_gelu(Tensor *x) { return unary("gelu", k_gelu, gelu_back, x, 0, 0); }
Tensor *t_gelu_tanh(Tensor *x) { return unary("gelu_tanh", k_gelu_tanh, gelu_tanh_back, x, 0, 0); }

Tensor *t_leaky_relu(Tensor *x, double slope) {
    return unary("leaky_relu", k_leaky_relu, leaky_relu_back, x, slope, 0);
}

Tensor *t_clamp(Tensor *x, double low, double high) {
    if (!(low <= high)) die("clamp: the bounds %g and %g are in the wrong order", low, high);
    return unary("clamp", k_clamp, clamp_back, x, low, high);
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

Tensor *t_dropout(Tensor *x, double p, Rng *rng) {
    if (!(p >= 0 && p < 1)) die("dropout: the probability of zero is %g; 0 <= p < 1", p);
    Tensor *y = t_new("dropout", dropout_back, 1, &x, x->rank, x->shape);
    y->arg[0] = (real)p;
    y->rng = *rng;
    rng->next += y->len;
    k_dropout(y->len, y->arg[0], y->rng.seed, y->rng.stream, y->rng.next, x->x, y->x, false);
    return t_done(y);
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
