/* layers.c — parameters under a name, and the op that uses them. */
#include "nn/layers.h"

#include "tensor/half.h"

#include <math.h>

/* ---- starting values --------------------------------------------------------------------------- */

/* torch.nn.Linear.reset_parameters and its convolutional sisters: kaiming_uniform with a = sqrt(5)
 * comes to this bound, for weights and biases alike. */
static double pytorch_bound(int fan_in) {
    return 1 / sqrt(fan_in);
}

/* fan_in and fan_out: values that enter and leave one unit; for a convolution kernel positions x
 * channels */
static Tensor *weight(Scope s, const char *name, int fan_in, int fan_out, int rank,
                      const int *shape) {
    Init how = INIT_UNIFORM;
    double scale = s.init.scale;
    switch (s.init.weights) {
    case WEIGHTS_PYTORCH: scale = pytorch_bound(fan_in); break;
    case WEIGHTS_XAVIER: scale = sqrt(6.0 / (fan_in + fan_out)); break;
    case WEIGHTS_KAIMING: how = INIT_NORMAL, scale = sqrt(2.0 / fan_in); break;
    case WEIGHTS_NORMAL: how = INIT_NORMAL; break;
    case WEIGHTS_UNIFORM: break;
    case WEIGHTS_ZERO: how = INIT_CONSTANT, scale = 0; break;
    }
    return param(s, name, how, scale, rank, shape);
}

static Tensor *bias(Scope s, int fan_in, int out) {
    if (s.init.zero_bias) return param(s, "b", INIT_CONSTANT, 0, SHAPE(out));
    return param(s, "b", INIT_UNIFORM, pytorch_bound(fan_in), SHAPE(out));
}

static Tensor *gain(Scope s, int channels) {
    if (s.init.gain_std == 0) return param(s, "gain", INIT_CONSTANT, 1, SHAPE(channels));
    Tensor *w = param(s, "gain", INIT_NORMAL, s.init.gain_std, SHAPE(channels));
    if (w->x) k_affine(w->len, w->x, 1, 1, w->x);
    return w;
}

/* ---- linear ------------------------------------------------------------------------------------ */

Linear linear_new(Scope s, int in, int out, bool with_bias) {
    Linear l = {.w = weight(s, "w", in, out, SHAPE(in, out))};
    if (with_bias) l.b = bias(s, in, out);
    return l;
}

Tensor *linear(const Linear *l, Tensor *x) {
    if (!halves_of(l->w)) return t_linear(x, l->w, l->b);
    Mark start = t_mark(x->tape);
    return t_release(start, t_linear(x, t_widen(x->tape, l->w), l->b));
}

/* ---- convolutions -------------------------------------------------------------------------- */

static ConvPad same_on_all_sides(int stride, int pad) {
    return (ConvPad){.stride = stride, .top = pad, .left = pad, .bottom = pad, .right = pad};
}

Conv2d conv2d_new(Scope s, int in, int out, int kernel, int stride, int pad, bool with_bias) {
    int places = kernel * kernel;
    Conv2d l = {.w = weight(s, "w", places * in, places * out, SHAPE(kernel, kernel, in, out)),
                .pad = same_on_all_sides(stride, pad)};
    if (with_bias) l.b = bias(s, places * in, out);
    return l;
}

Tensor *conv2d(const Conv2d *l, Tensor *x) {
    if (!halves_of(l->w)) return t_conv2d(x, l->w, l->b, l->pad);
    Mark start = t_mark(x->tape);
    return t_release(start, t_conv2d(x, t_widen(x->tape, l->w), l->b, l->pad));
}

/* PyTorch takes fan_in from the second axis of its (in,out,kh,kw) weights, which here is
 * `out`. A weight's true fan-in is in * (kernel/stride)^2, but the networks of the papers were
 * trained from PyTorch's. */
ConvTranspose2d conv_transpose2d_new(Scope s, int in, int out, int kernel, int stride, int pad,
                                     bool with_bias) {
    int places = kernel * kernel;
    ConvTranspose2d l = {.w = weight(s, "wt", places * out, places * in,
                                     SHAPE(kernel, kernel, out, in)),
                         .pad = same_on_all_sides(stride, pad)};
    if (with_bias) l.b = bias(s, places * out, out);
    return l;
}

Tensor *conv_transpose2d(const ConvTranspose2d *l, Tensor *x) {
    return t_conv_transpose2d(x, l->w, l->b, l->pad);
}

/* ---- normalisations ------------------------------------------------------------------------ */

GroupNorm group_norm_new(Scope s, int channels, int groups, double eps) {
    GroupNorm l = {.groups = groups, .eps = eps};
    l.gain = gain(s, channels);
    l.shift = param(s, "shift", INIT_CONSTANT, 0, SHAPE(channels));
    return l;
}

Tensor *group_norm(const GroupNorm *l, Tensor *x) {
    return t_group_norm(x, l->gain, l->shift, l->groups, l->eps);
}

Tensor *group_norm_silu(const GroupNorm *l, Tensor *x) {
    return t_group_norm_silu(x, l->gain, l->shift, l->groups, l->eps);
}

LayerNorm layer_norm_new(Scope s, int channels, double eps) {
    LayerNorm l = {.eps = eps};
    l.gain = gain(s, channels);
    l.shift = param(s, "shift", INIT_CONSTANT, 0, SHAPE(channels));
    return l;
}

Tensor *layer_norm(const LayerNorm *l, Tensor *x) {
    return t_layer_norm(x, l->gain, l->shift, l->eps);
}

static void add_statistics(BatchNorm *l, Scope s, int channels) {
    l->mean = buffer(s, "mean", 0, SHAPE(channels));
    l->var = buffer(s, "var", 1, SHAPE(channels));
}

BatchNorm batch_norm_plain_new(Scope s, int channels, double momentum, double eps) {
    BatchNorm l = {.momentum = momentum, .eps = eps};
    add_statistics(&l, s, channels);
    return l;
}

BatchNorm batch_norm_new(Scope s, int channels, double momentum, double eps) {
    BatchNorm l = {.momentum = momentum, .eps = eps};
    l.gain = gain(s, channels);
    l.shift = param(s, "shift", INIT_CONSTANT, 0, SHAPE(channels));
    add_statistics(&l, s, channels);
    return l;
}

Tensor *batch_norm(const BatchNorm *l, Tensor *x, bool training) {
    return t_batch_norm(x, l->gain, l->shift, l->mean, l->var, training, l->momentum, l->eps);
}

/* ---- embedding ----------------------------------------------------------------------------- */

Embedding embedding_new(Scope s, int count, int dim) {
    double std = s.init.weights == WEIGHTS_NORMAL ? s.init.scale : 1;
    return (Embedding){.table = param(s, "table", INIT_NORMAL, std, SHAPE(count, dim))};
}

Tensor *embedding(const Embedding *l, Tape *t, const int *index, int n) {
    return t_gather_rows(t_use(t, l->table), index, n);
}

Tensor *token_of_each(Tape *t, Tensor *token, int B) {
    Tensor *zeros = t_input(t, NULL, SHAPE(B, 1, token->shape[token->rank - 1]));
    k_fill(zeros->len, 0, zeros->x);
    return t_add(zeros, token);
}

Tensor *one_hot(Tape *t, int n, const int *labels, int count) {
    Tensor *y = t_input(t, NULL, SHAPE(n, count));
    k_fill(y->len, 0, y->x);
    for (int i = 0; i < n; i++) y->x[(size_t)i * (size_t)count + (size_t)labels[i]] = 1;
    return y;
}
