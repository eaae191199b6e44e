/* ops_norm.c — normalisations.
 *
 * With n numbers sharing a mean m and a standard deviation s = sqrt(variance + eps):
 *   xh = (x - m) / s        y = xh * gain + shift
 *   dshift += sum dy        dgain += sum dy xh
 *   dx     += (dxh - mean(dxh) - xh mean(dxh xh)) / s,   dxh = dy gain
 * where the means run over the same n numbers. Saved: m and 1/s, which are few; xh is recomputed. */
#include "base/error.h"
#include "tensor/tensor.h"

static void check_affine(const char *op, Tensor *x, Tensor *gain, Tensor *shift) {
    int C = x->shape[x->rank - 1];
    if (x->rank < 2) die("%s: %s has no batch axis", op, t_describe(x));
    if (!gain != !shift) die("%s: gain and shift are given together or not at all", op);
    if (gain && (gain->rank != 1 || gain->shape[0] != C))
        die("%s: %s has %d channels but %s scales %d", op, t_describe(x), C, t_describe(gain),
            gain->shape[0]);
    if (shift && (shift->rank != 1 || shift->shape[0] != C))
        die("%s: %s has %d channels but %s shifts %d", op, t_describe(x), C, t_describe(shift),
            shift->shape[0]);
}

static const real *values(const Tensor *x) {
    return x ? x->x : NULL;
}

enum { READS_ALL = READS(0) | READS(1) | READS(2) };

/* ---- group_norm: (Wu & He 2018) statistics of one image and one group of channels ------------ */

static void group_norm_back(Tensor *y) {
    Tensor *x = y->in[0];
    int B = x->shape[0], C = x->shape[x->rank - 1], groups = y->iarg[0];
    int hw = (int)(x->len / (size_t)B / (size_t)C);
    bool add_x = false, add_gain = false, add_shift = false;
    real *dx = t_grad(y, 0, &add_x);
    real *dgain = t_grad(y, 1, &add_gain), *dshift = t_grad(y, 2, &add_shift);
    group_norm_backward(B, hw, C, groups, x->x, values(y->in[1]), values(y->in[2]), y->iarg[1],
                        y->saved, y->saved + B * groups, y->g, dx, add_x, dgain, add_gain, dshift,
                        add_shift);
}

static void group_norm_forward_of(Tensor *y) {
    int B = y->shape[0], C = y->shape[y->rank - 1], hw = (int)(y->len / (size_t)B / (size_t)C);
    real *mean = y->saved, *rstd = mean + B * y->iarg[0];
    group_norm_forward(B, hw, C, y->iarg[0], y->arg[0], y->in[0]->x, values(y->in[1]),
                       values(y->in[2]), y->iarg[1], y->x, mean, rstd);
}

static Tensor *group_norm_op(const char *op, Tensor *x, Tensor *gain, Tensor *shift, int groups,
                             double eps, bool silu) {
    check_affine(op, x, gain, shift);
    int B = x->shape[0], C = x->shape[x->rank - 1];
    if (groups < 1 || C % groups)
        die("%s: %d channels of %s do not form %d groups", op, C, t_describe(x), groups);
    Tensor *y = t_new(op, group_norm_back, READS_ALL | CHEAP, 3, (Tensor *[]){x, gain, shift},
                      x->rank, x->shape);
    y->iarg[0] = groups;
    y->iarg[1] = silu;
    y->arg[0] = (real)eps;
    t_saved(y, 2 * (size_t)(B * groups));
    return t_compute(y, group_norm_forward_of);
}

Tensor *t_group_norm(Tensor *x, Tensor *gain, Tensor *shift, int groups, double eps) {
    return group_norm_op("group_norm", x, gain, shift, groups, eps, false);
}

/* y = silu(u), u = group_norm(x); u is recomputed in the backward pass: one array less to keep */
Tensor *t_group_norm_silu(Tensor *x, Tensor *gain, Tensor *shift, int groups, double eps) {
    return group_norm_op("group_norm_silu", x, gain, shift, groups, eps, true);
}

/* ---- layer_norm: (Ba et al. 2016) statistics of one row -------------------------------------- */

static void layer_norm_back(Tensor *y) {
    Tensor *x = y->in[0];
    int C = x->shape[x->rank - 1], rows = (int)(x->len / (size_t)C);
    bool add_x = false, add_gain = false, add_shift = false;
    real *dx = t_grad(y, 0, &add_x);
    real *dgain = t_grad(y, 1, &add_gain), *dshift = t_grad(y, 2, &add_shift);
    layer_norm_backward(rows, C, x->x, values(y->in[1]), y->saved, y->saved + rows, y->g, dx, add_x,
                        dgain, add_gain, dshift, add_shift);
}

static void layer_norm_forward_of(Tensor *y) {
    int C = y->shape[y->rank - 1], rows = (int)(y->len / (size_t)C);
    layer_norm_forward(rows, C, y->arg[0], y->in[0]->x, values(y->in[1]), values(y->in[2]), y->x,
                       y->saved, y->saved + rows);
}

Tensor *t_layer_norm(Tensor *x, Tensor *gain, Tensor *shift, double eps) {
    check_affine("layer_norm", x, gain, shift);
    int C = x->shape[x->rank - 1], rows = (int)(x->len / (size_t)C);
    Tensor *y = t_new("layer_norm", layer_norm_back, READS_ALL | CHEAP, 3,
                      (Tensor *[]){x, gain, shift}, x->rank, x->shape);
    y->arg[0] = (real)eps;
    t_saved(y, 2 * (size_t)rows);
    return t_compute(y, layer_norm_forward_of);
}

/* ---- batch_norm: (Ioffe & Szegedy 2015) statistics of one channel over the batch ----------------
 * With running statistics m and s are constants: dx += dy gain / s. */

static void batch_norm_back(Tensor *y) {
    Tensor *x = y->in[0];
    int C = x->shape[x->rank - 1], rows = (int)(x->len / (size_t)C);
    bool add_x = false, add_gain = false, add_shift = false;
    real *dx = t_grad(y, 0, &add_x);
    real *dgain = t_grad(y, 1, &add_gain), *dshift = t_grad(y, 2, &add_shift);
    batch_norm_backward(rows, C, y->arg[0], x->x, y->saved, y->saved + C, values(y->in[1]),
                        y->iarg[0], y->g, dx, add_x, dgain, add_gain, dshift, add_shift);
}

/* running += momentum (batch - running); the running variance is the unbiased one, n/(n-1) times
 * ours */
static void move_running(Tensor *mean, Tensor *var, const real *m, const real *v, int rows,
                         double momentum) {
    k_lerp(mean->len, (real)momentum, m, mean->x);
    real unbiased = rows > 1 ? (real)rows / (real)(rows - 1) : 1;
    k_axpy(var->len, (real)(1 - momentum), var->x, var->x, false);
    k_axpy(var->len, (real)momentum * unbiased, v, var->x, true);
}

static void batch_norm_forward_of(Tensor *y) {
    int C = y->shape[y->rank - 1], rows = (int)(y->len / (size_t)C);
    batch_norm_apply(rows, C, y->arg[0], y->in[0]->x, y->saved, y->saved + C, values(y->in[1]),
                     values(y->in[2]), y->x);
}

Tensor *t_batch_norm(Tensor *x, Tensor *gain, Tensor *shift, Tensor *mean, Tensor *var,
                     bool training, double momentum, double eps) {
    check_affine("batch_norm", x, gain, shift);
    int C = x->shape[x->rank - 1], rows = (int)(x->len / (size_t)C);
    if (mean->len != (size_t)C || var->len != (size_t)C)
        die("batch_norm: %s has %d channels but the running statistics are %s and %s",
            t_describe(x), C, t_describe(mean), t_describe(var));
    Tensor *y = t_new("batch_norm", batch_norm_back, READS_ALL | CHEAP, 3,
                      (Tensor *[]){x, gain, shift}, x->rank, x->shape);
    y->iarg[0] = training;
    y->arg[0] = (real)eps;
    real *m = t_saved(y, 2 * (size_t)C), *v = m + C;
    if (training) {
        batch_norm_statistics(rows, C, x->x, m, v);
        move_running(mean, var, m, v, rows, momentum);
    } else {
        k_axpy((size_t)C, 1, mean->x, m, false);
        k_axpy((size_t)C, 1, var->x, v, false);
    }
    return t_compute(y, batch_norm_forward_of);
}
