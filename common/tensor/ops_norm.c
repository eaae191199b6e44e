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

/* mean and rstd, `count` numbers each, are what y has saved */
static NormArrays arrays(const Tensor *y, int count) {
    return (NormArrays){.x = y->in[0]->x, .gain = values(y->in[1]), .shift = values(y->in[2]),
                        .mean = y->saved, .rstd = y->saved + count};
}

static NormGradients gradients(Tensor *y) {
    NormGradients d = {0};
    d.x.to = t_grad(y, 0, &d.x.add);
    d.gain.to = t_grad(y, 1, &d.gain.add);
    d.shift.to = t_grad(y, 2, &d.shift.add);
    return d;
}

/* ---- group_norm: (Wu & He 2018) statistics of one image and one group of channels ------------ */

static GroupNormShape group_norm_shape(const Tensor *y) {
    int B = y->shape[0], C = y->shape[y->rank - 1];
    return (GroupNormShape){.b = B, .hw = (int)(y->len / (size_t)B / (size_t)C), .c = C,
                            .groups = y->iarg[0], .eps = y->arg[0], .silu = y->iarg[1]};
}

static void group_norm_back(Tensor *y) {
    GroupNormShape s = group_norm_shape(y);
    NormArrays n = arrays(y, s.b * s.groups);
    NormGradients d = gradients(y);
    group_norm_backward(&s, &n, y->g, &d);
}

static void group_norm_forward_of(Tensor *y) {
    GroupNormShape s = group_norm_shape(y);
    NormArrays n = arrays(y, s.b * s.groups);
    group_norm_forward(&s, &n, y->x);
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

static LayerNormShape layer_norm_shape(const Tensor *y) {
    int C = y->shape[y->rank - 1];
    return (LayerNormShape){.rows = (int)(y->len / (size_t)C), .c = C, .eps = y->arg[0]};
}

static void layer_norm_back(Tensor *y) {
    LayerNormShape s = layer_norm_shape(y);
    NormArrays n = arrays(y, s.rows);
    NormGradients d = gradients(y);
    layer_norm_backward(&s, &n, y->g, &d);
}

static void layer_norm_forward_of(Tensor *y) {
    LayerNormShape s = layer_norm_shape(y);
    NormArrays n = arrays(y, s.rows);
    layer_norm_forward(&s, &n, y->x);
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

static BatchNormShape batch_norm_shape(const Tensor *y) {
    int C = y->shape[y->rank - 1];
    return (BatchNormShape){.rows = (int)(y->len / (size_t)C), .c = C, .eps = y->arg[0],
                            .batch_statistics = y->iarg[0]};
}

static BatchNormArrays batch_norm_arrays(const Tensor *y) {
    return (BatchNormArrays){.x = y->in[0]->x, .gain = values(y->in[1]), .shift = values(y->in[2]),
                             .mean = y->saved, .var = y->saved + y->shape[y->rank - 1]};
}

static void batch_norm_back(Tensor *y) {
    BatchNormShape s = batch_norm_shape(y);
    BatchNormArrays n = batch_norm_arrays(y);
    NormGradients d = gradients(y);
    batch_norm_backward(&s, &n, y->g, &d);
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
    BatchNormShape s = batch_norm_shape(y);
    BatchNormArrays n = batch_norm_arrays(y);
    batch_norm_apply(&s, &n, y->x);
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
