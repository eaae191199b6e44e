/* test_golden.c — layers, losses and optimisers against values computed by PyTorch.
 *
 * tests/golden/make_golden.py wrote the files, in float64; they hold inputs and weights in
 * PyTorch's layout, outputs y, a random cotangent dy, and the gradient of sum(y dy) for each
 * input and weight. Here they are turned to channels last, and the same is computed by the
 * library. Both precisions run; in double nearly all digits must agree. Run from the top of
 * the repository. */
#include "io/safetensors.h"
#include "nn/layers.h"
#include "nn/optim.h"
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

SUITE(golden);

/* of the largest value of the tensor; 10 to 30 times what the sums of these sizes lose by
 * rounding */
#ifdef REAL_DOUBLE
#define TOLERANCE 1e-13
#else
#define TOLERANCE 2e-6
#endif

/* ---- values from the files ----------------------------------------------------------------- */

/* How PyTorch's axes become ours: axis i here is axis AXES[layout][i] there */
typedef enum { AS_IS, IMAGE, KERNEL, MATRIX } Layout;
static const int AXES[][4] = {
    [AS_IS] = {0, 1, 2, 3},
    [IMAGE] = {0, 2, 3, 1},     /* (B,C,H,W) -> (B,H,W,C) */
    [KERNEL] = {2, 3, 1, 0},    /* (out,in,kh,kw) -> (kh,kw,in,out), and of a transposed convolution
                                   (in,out,kh,kw) -> (kh,kw,out,in) */
    [MATRIX] = {1, 0, 2, 3},    /* (out,in) -> (in,out) */
};

typedef struct {
    int rank, shape[4];
    size_t len;
    real *x;
} Golden;

/* One case of a file, and the inputs and weights whose gradients it tells */
typedef struct {
    const char *name;
    Safetensors file;
    Tape tape;
    Params params;
    struct { Tensor *t; const char *key; Layout layout; } leaves[12];
    int leaf_count;
} Case;

static Case case_open(const char *family, const char *name) {
    char path[200];
    snprintf(path, sizeof path, "tests/golden/%s.safetensors", family);
    return (Case){.name = name, .file = safetensors_open(path), .params = {.seed = 1}};
}

static void case_close(Case *c) {
    safetensors_close(&c->file);
    tape_free(&c->tape);
    params_free(&c->params);
}

/* to[i,j,k,l] = from[the same, axes put back]; shape is that of `to` */
static void permute(const real *from, const size_t shape_from[4], const int axes[4], real *to) {
    size_t step[4] = {shape_from[1] * shape_from[2] * shape_from[3], shape_from[2] * shape_from[3],
                      shape_from[3], 1};
    size_t n[4], s[4];
    for (int a = 0; a < 4; a++) n[a] = shape_from[axes[a]], s[a] = step[axes[a]];
    for (size_t i = 0; i < n[0]; i++)
        for (size_t j = 0; j < n[1]; j++)
            for (size_t k = 0; k < n[2]; k++)
                for (size_t l = 0; l < n[3]; l++)
                    *to++ = from[i * s[0] + j * s[1] + k * s[2] + l * s[3]];
}

/* The tensor "<case>.<key>" in our layout, in memory that lasts as long as the tape */
static Golden golden(Case *c, const char *key, Layout layout) {
    char name[100];
    snprintf(name, sizeof name, "%s.%s", c->name, key);
    const StTensor *t = safetensors_find(&c->file, name);
    cr_assert(t, "the golden file has no %s", name);
    size_t bytes = t->len * sizeof(real), shape[4] = {1, 1, 1, 1};
    Golden g = {.rank = t->rank, .len = t->len, .x = arena_get(&c->tape.arena, bytes)};
    real *stored = arena_get(&c->tape.arena, bytes);
    safetensors_get(t, stored);
    memcpy(shape, t->shape, (size_t)t->rank * sizeof *shape);
    for (int i = 0; i < 4; i++) g.shape[i] = (int)shape[AXES[layout][i]];
    permute(stored, shape, AXES[layout], g.x);
    return g;
}

/* ---- comparing ----------------------------------------------------------------------------- */

static double largest(const Golden *g) {
    double max = 0;
    for (size_t i = 0; i < g->len; i++) max = fmax(max, fabs((double)g->x[i]));
    return max;
}

static double difference(const real *got, const Golden *g, size_t *at) {
    double max = -1;
    for (size_t i = 0; i < g->len; i++) {
        double d = fabs((double)got[i] - (double)g->x[i]);
        if (isnan(d)) d = INFINITY;
        if (d > max) max = d, *at = i;
    }
    return max;
}

/* A gradient that is 0 but for rounding (of a key's bias: softmax does not see it) has no
 * scale of its own; then the tolerance is that of values of 1. */
static double scale_of(const Golden *g) {
    double max = largest(g);
    return max < 1e-9 ? 1 : max;
}

static void compare(const Case *c, const char *key, const real *got, const Golden *want) {
    size_t at = 0;
    double max = difference(got, want, &at);
    char text[400];
    int n = snprintf(text, sizeof text, "%s.%s: value %zu of %zu is off by %.3g, largest is %.3g;"
                     " ours and PyTorch's:", c->name, key, at, want->len, max, largest(want));
    for (size_t i = 0; i < 5 && i < want->len; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, " [%.9g %.9g]", (double)got[i],
                      (double)want->x[i]);
    cr_expect(is_near("tests/test_golden.c", 0, max / scale_of(want), TOLERANCE), "%s", text);
}

static void compare_tensor(const Case *c, const char *key, const Tensor *t, const real *got,
                           const Golden *want) {
    bool same = t->len == want->len;
    for (int i = 0; i < 4; i++) same = same && t->shape[i] == want->shape[i];
    cr_assert(same, "%s.%s is (%d,%d,%d,%d) but ours, %s, is not", c->name, key, want->shape[0],
              want->shape[1], want->shape[2], want->shape[3], t_describe(t));
    cr_assert(got, "%s.%s: %s has no gradient", c->name, key, t_describe(t));
    compare(c, key, got, want);
}

/* ---- running a case ------------------------------------------------------------------------ */

static Tensor *remember(Case *c, Tensor *t, const char *key, Layout layout) {
    c->leaves[c->leaf_count].t = t;
    c->leaves[c->leaf_count].key = key;
    c->leaves[c->leaf_count++].layout = layout;
    return t;
}

/* an input whose gradient is compared */
static Tensor *variable(Case *c, const char *key, Layout layout) {
    Golden g = golden(c, key, layout);
    return remember(c, t_variable(&c->tape, g.x, g.rank, g.shape), key, layout);
}

static void set_values(Case *c, Tensor *w, const char *key, Layout layout) {
    Golden g = golden(c, key, layout);
    cr_assert(w->len == g.len, "%s.%s has %zu values, %s", c->name, key, g.len, t_describe(w));
    memcpy(w->x, g.x, g.len * sizeof(real));
}

/* a weight whose gradient is compared */
static void set(Case *c, Tensor *w, const char *key, Layout layout) {
    set_values(c, w, key, layout);
    remember(c, w, key, layout);
}

static int *integers(Case *c, const char *key) {
    Golden g = golden(c, key, AS_IS);
    int *n = arena_get(&c->tape.arena, g.len * sizeof *n);
    for (size_t i = 0; i < g.len; i++) n[i] = (int)lround((double)g.x[i]);
    return n;
}

/* Compares y, then the gradients of sum(y dy), and ends the case. */
static void finish(Case *c, Tensor *y, Layout layout) {
    Golden want = golden(c, "y", layout), dy = golden(c, "dy", layout);
    compare_tensor(c, "y", y, y->x, &want);
    backward(t_sum(t_mul(y, t_input(&c->tape, dy.x, y->rank, y->shape))));
    for (int i = 0; i < c->leaf_count; i++) {
        char key[100];
        snprintf(key, sizeof key, "d%s", c->leaves[i].key);
        Golden g = golden(c, key, c->leaves[i].layout);
        compare_tensor(c, key, c->leaves[i].t, c->leaves[i].t->g, &g);
    }
    case_close(c);
}

static Scope top(Case *c) {
    return scope(&c->params, "layer");
}

/* ---- layers -------------------------------------------------------------------------------- */

/* Are a matrix product's two gradients turned the right way, with and without a bias? */
Test(golden, linear_agrees_with_pytorch) {
    Case c = case_open("linear", "bias");
    Linear l = linear_new(top(&c), 5, 7, true);
    set(&c, l.w, "w", MATRIX);
    set(&c, l.b, "b", AS_IS);
    finish(&c, linear(&l, variable(&c, "x", AS_IS)), AS_IS);
    c = case_open("linear", "no_bias");
    l = linear_new(top(&c), 9, 2, false);
    set(&c, l.w, "w", MATRIX);
    finish(&c, linear(&l, variable(&c, "x", AS_IS)), AS_IS);
}

/* Does a batch of products keep its items apart? */
Test(golden, matmul_agrees_with_pytorch) {
    Case c = case_open("linear", "matmul");
    Tensor *x = variable(&c, "x", AS_IS);
    finish(&c, t_matmul(x, variable(&c, "v", AS_IS), false), AS_IS);
    c = case_open("linear", "matmul_transposed");
    x = variable(&c, "x", AS_IS);
    finish(&c, t_matmul(x, variable(&c, "v", AS_IS), true), AS_IS);
}

/* Do the gradients of a row that is looked up several times add up? */
Test(golden, embedding_agrees_with_pytorch) {
    Case c = case_open("linear", "embedding");
    Embedding l = embedding_new(top(&c), 6, 5);
    set(&c, l.table, "w", AS_IS);
    finish(&c, embedding(&l, &c.tape, integers(&c, "index"), 6), AS_IS);
}

/* Is the kernel not mirrored, the padding on the right sides, the last row of a stride there? */
Test(golden, conv2d_agrees_with_pytorch) {
    static const struct { const char *name; ConvPad pad; } rows[] = {
        {"k3", {1, 1, 1, 1, 1}},
        {"k3_valid", {1, 0, 0, 0, 0}},
        {"k3_stride2", {2, 1, 1, 1, 1}},
        {"k3_stride2_right_bottom", {2, 0, 0, 1, 1}},
        {"k1", {1, 0, 0, 0, 0}},
        {"k5_one_channel", {1, 2, 2, 2, 2}},
        {"k4_stride2_three_channels", {2, 1, 1, 1, 1}},
        {"k3_to_one_channel", {1, 1, 1, 1, 1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Case c = case_open("conv", rows[i].name);
        Golden w = golden(&c, "w", KERNEL);
        Conv2d l = conv2d_new(top(&c), w.shape[2], w.shape[3], w.shape[0], 1, 0, true);
        l.pad = rows[i].pad;
        set(&c, l.w, "w", KERNEL);
        set(&c, l.b, "b", AS_IS);
        finish(&c, conv2d(&l, variable(&c, "x", IMAGE)), IMAGE);
    }
}

/* Is it the transpose of the convolution with the same numbers, strides and crops included? */
Test(golden, conv_transpose2d_agrees_with_pytorch) {
    static const struct { const char *name; int stride, pad; } rows[] = {
        {"up_k4_stride2", 2, 1}, {"up_k5", 1, 2}, {"up_k3", 1, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Case c = case_open("conv", rows[i].name);
        Golden w = golden(&c, "w", KERNEL);
        ConvTranspose2d l = conv_transpose2d_new(top(&c), w.shape[3], w.shape[2], w.shape[0],
                                                 rows[i].stride, rows[i].pad, true);
        set(&c, l.w, "w", KERNEL);
        set(&c, l.b, "b", AS_IS);
        finish(&c, conv_transpose2d(&l, variable(&c, "x", IMAGE)), IMAGE);
    }
}

/* Does each pixel go to, or come from, its own 2x2 block? */
Test(golden, pooling_and_upsampling_agree_with_pytorch) {
    static const struct { const char *name; Tensor *(*op)(Tensor *); } rows[] = {
        {"upsample", t_upsample2}, {"avg_pool", t_avg_pool2}, {"max_pool", t_max_pool2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Case c = case_open("conv", rows[i].name);
        finish(&c, rows[i].op(variable(&c, "x", IMAGE)), IMAGE);
    }
}

/* Which channels form a group, is the variance biased, and does silu come after gain and shift? */
Test(golden, group_norm_agrees_with_pytorch) {
    static const struct { const char *name; int channels, groups; bool silu; } rows[] = {
        {"group", 12, 4, false}, {"group_silu", 12, 4, true},
        {"group_one", 6, 1, false}, {"group_one_silu", 6, 1, true},
        {"group_each", 5, 5, false}, {"group_each_silu", 5, 5, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Case c = case_open("norm", rows[i].name);
        GroupNorm l = group_norm_new(top(&c), rows[i].channels, rows[i].groups, 1e-5);
        set(&c, l.gain, "w", AS_IS);
        set(&c, l.shift, "b", AS_IS);
        Tensor *x = variable(&c, "x", IMAGE);
        finish(&c, rows[i].silu ? group_norm_silu(&l, x) : group_norm(&l, x), IMAGE);
    }
}

/* Is eps inside the root? */
Test(golden, layer_norm_agrees_with_pytorch) {
    Case c = case_open("norm", "layer");
    LayerNorm l = layer_norm_new(top(&c), 10, 1e-6);
    set(&c, l.gain, "w", AS_IS);
    set(&c, l.shift, "b", AS_IS);
    finish(&c, layer_norm(&l, variable(&c, "x", AS_IS)), AS_IS);
}

/* Biased variance to normalise with, unbiased variance to remember: both as PyTorch? */
Test(golden, batch_norm_and_its_running_statistics_agree_with_pytorch) {
    for (int training = 0; training < 2; training++) {
        Case c = case_open("norm", training ? "batch_train" : "batch_eval");
        BatchNorm l = batch_norm_new(top(&c), 6, 0.1, 1e-5);
        set(&c, l.gain, "w", AS_IS);
        set(&c, l.shift, "b", AS_IS);
        set_values(&c, l.mean, "mean", AS_IS);
        set_values(&c, l.var, "var", AS_IS);
        Tensor *y = batch_norm(&l, variable(&c, "x", IMAGE), training);
        Golden mean = golden(&c, "mean_after", AS_IS), var = golden(&c, "var_after", AS_IS);
        compare_tensor(&c, "mean_after", l.mean, l.mean->x, &mean);
        compare_tensor(&c, "var_after", l.var, l.var->x, &var);
        finish(&c, y, IMAGE);
    }
}

/* ---- attention ----------------------------------------------------------------------------- */

static void check_self_attention(const char *name, bool causal, bool masked, bool per_item) {
    Case c = case_open("attention", name);
    SelfAttention l = self_attention_new(top(&c), 12, 3, true);
    set(&c, l.qkv.w, "qkv_w", MATRIX);
    set(&c, l.qkv.b, "qkv_b", AS_IS);
    set(&c, l.out.w, "out_w", MATRIX);
    set(&c, l.out.b, "out_b", AS_IS);
    uint8_t mask[2 * 5 * 5];
    if (masked) {
        Golden g = golden(&c, "mask", AS_IS);
        for (size_t i = 0; i < g.len; i++) mask[i] = g.x[i] != 0;
    }
    Attention a = {.causal = causal, .mask = masked ? mask : NULL, .mask_per_item = per_item};
    finish(&c, self_attention(&l, variable(&c, "x", AS_IS), a), AS_IS);
}

/* Are heads split as PyTorch splits them, scaled by the channels of a head, and nothing masked? */
Test(golden, self_attention_agrees_with_pytorch) {
    check_self_attention("full", false, false, false);
}

/* Does a token see itself and what is before it, no more and no less? */
Test(golden, causal_attention_agrees_with_pytorch) {
    check_self_attention("causal", true, false, false);
    check_self_attention("causal", false, true, false);    /* the same, written as a mask */
}

/* Does a mask say who may attend to whom in the same order of axes, for all items or for each? */
Test(golden, masked_attention_agrees_with_pytorch) {
    check_self_attention("masked", false, true, false);
    check_self_attention("masked_per_item", false, true, true);
}

/* Do queries come from x, and keys and values from the context? */
Test(golden, cross_attention_agrees_with_pytorch) {
    Case c = case_open("attention", "cross");
    CrossAttention l = cross_attention_new(top(&c), 8, 6, 2, true);
    const struct { const char *w, *b; Linear *l; } rows[] = {
        {"q_w", "q_b", &l.q}, {"k_w", "k_b", &l.k}, {"v_w", "v_b", &l.v},
        {"out_w", "out_b", &l.out}};
    for (int i = 0; i < 4; i++) {
        set(&c, rows[i].l->w, rows[i].w, MATRIX);
        set(&c, rows[i].l->b, rows[i].b, AS_IS);
    }
    Tensor *x = variable(&c, "x", AS_IS);
    Tensor *context = variable(&c, "context", AS_IS);
    finish(&c, cross_attention(&l, x, context, (Attention){0}), AS_IS);
}

/* ---- functions and losses ------------------------------------------------------------------ */

static Tensor *leaky_relu(Tensor *x) {
    return t_leaky_relu(x, 0.2);
}

/* Are values and derivatives of every activation right from -10 to 10? */
Test(golden, activations_agree_with_pytorch) {
    static const struct { const char *name; Tensor *(*op)(Tensor *); } rows[] = {
        {"gelu", t_gelu}, {"gelu_tanh", t_gelu_tanh}, {"silu", t_silu}, {"elu", t_elu},
        {"softplus", t_softplus}, {"sigmoid", t_sigmoid}, {"tanh", t_tanh}, {"relu", t_relu},
        {"leaky_relu", leaky_relu}, {"exp", t_exp}, {"softmax", t_softmax},
        {"log_softmax", t_log_softmax}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Case c = case_open("functions", rows[i].name);
        finish(&c, rows[i].op(variable(&c, "x", AS_IS)), AS_IS);
    }
}

/* Are rows without a target left out of the mean's count as well as of its sum? */
Test(golden, cross_entropy_agrees_with_pytorch) {
    Case c = case_open("losses", "cross_entropy");
    finish(&c, t_cross_entropy(variable(&c, "x", AS_IS), integers(&c, "target")), AS_IS);
}

/* Are soft targets allowed? */
Test(golden, bce_logits_agrees_with_pytorch) {
    Case c = case_open("losses", "bce_logits");
    Golden target = golden(&c, "target", AS_IS);
    Tensor *t = t_input(&c.tape, target.x, target.rank, target.shape);
    finish(&c, t_bce_logits(variable(&c, "x", AS_IS), t), AS_IS);
}

/* Means over all entries, with gradients to both sides? */
Test(golden, mse_and_l1_agree_with_pytorch) {
    static const struct { const char *name; Tensor *(*op)(Tensor *, Tensor *); } rows[] = {
        {"mse", t_mse}, {"l1", t_l1}};
    for (int i = 0; i < 2; i++) {
        Case c = case_open("losses", rows[i].name);
        Tensor *x = variable(&c, "x", AS_IS);
        finish(&c, rows[i].op(x, variable(&c, "z", AS_IS)), AS_IS);
    }
}

/* ---- training ------------------------------------------------------------------------------ */

/* gives w and b the gradients of row `i` */
static void set_gradients(Case *c, Tensor *w, Tensor *b, int i) {
    Golden dw = golden(c, "dw", AS_IS), db = golden(c, "db", AS_IS);
    Tensor *gw = t_input(&c->tape, dw.x + (size_t)i * w->len, w->rank, w->shape);
    Tensor *gb = t_input(&c->tape, db.x + (size_t)i * b->len, b->rank, b->shape);
    params_zero_grad(&c->params);
    backward(t_add(t_sum(t_mul(gw, w)), t_sum(t_mul(gb, b))));
}

static void compare_row(Case *c, const char *key, int i, const Tensor *w) {
    Golden g = golden(c, key, AS_IS);
    g.len = w->len;
    g.x += (size_t)i * w->len;
    compare(c, key, w->x, &g);
}

/* Ten steps of one optimiser (the other is NULL) with given gradients; frees it */
static void check_optimiser(const char *name, Sgd *sgd, Adam *adam, double lr) {
    Case c = case_open("optim", name);
    Tensor *w = param(top(&c), "w", INIT_CONSTANT, 0, SHAPE(4, 5));
    Tensor *b = param(top(&c), "b", INIT_CONSTANT, 0, SHAPE(5));
    set_values(&c, w, "w", AS_IS);
    set_values(&c, b, "b", AS_IS);
    for (int i = 0; i < 10; i++) {
        tape_reset(&c.tape);
        set_gradients(&c, w, b, i);
        if (sgd) sgd_step(sgd, &c.params, lr, 1);
        else adam_step(adam, &c.params, lr, 1);
        compare_row(&c, "w_after", i, w);
        compare_row(&c, "b_after", i, b);
    }
    if (sgd) sgd_free(sgd);
    else adam_free(adam);
    case_close(&c);
}

/* Is weight decay part of the velocity, and is the velocity free of the learning rate? */
Test(golden, ten_steps_of_sgd_agree_with_pytorch) {
    check_optimiser("sgd", &(Sgd){0}, NULL, 0.1);
    check_optimiser("sgd_momentum", &(Sgd){.momentum = 0.9, .weight_decay = 0.1}, NULL, 0.05);
}

/* Are both moments corrected, and eps added outside the root? */
Test(golden, ten_steps_of_adam_agree_with_pytorch) {
    check_optimiser("adam", NULL, &(Adam){ADAM_DEFAULTS}, 0.03);
    check_optimiser("adam_gan", NULL, &(Adam){.beta1 = 0.5, .beta2 = 0.999, .eps = 1e-6}, 0.03);
}

/* Is the decay apart from the moments, and are biases spared where that is asked for? */
Test(golden, ten_steps_of_adamw_agree_with_pytorch) {
    Adam all = {.beta1 = 0.9, .beta2 = 0.96, .eps = 1e-8, .weight_decay = 0.5};
    check_optimiser("adamw", NULL, &all, 0.03);
    Adam matrices = {ADAM_DEFAULTS, .weight_decay = 0.5, .decay_matrices_only = true};
    check_optimiser("adamw_matrices", NULL, &matrices, 0.03);
}

/* Is the norm that of all gradients together, and is a small one left alone? */
Test(golden, clipping_agrees_with_pytorch) {
    const char *names[] = {"clip_large", "clip_small"};
    for (int k = 0; k < 2; k++) {
        Case c = case_open("optim", names[k]);
        Tensor *w = param(top(&c), "w", INIT_CONSTANT, 0, SHAPE(4, 5));
        Tensor *b = param(top(&c), "b", INIT_CONSTANT, 0, SHAPE(5));
        set_gradients(&c, w, b, 0);
        real norm = (real)grad_norm(&c.params), scale = (real)clip_scale(grad_norm(&c.params), 1);
        for (size_t i = 0; i < w->len; i++) w->g[i] *= scale;
        for (size_t i = 0; i < b->len; i++) b->g[i] *= scale;
        Golden want = golden(&c, "norm", AS_IS), dw = golden(&c, "dw_after", AS_IS),
               db = golden(&c, "db_after", AS_IS);
        compare(&c, "norm", &norm, &want);
        compare(&c, "dw_after", w->g, &dw);
        compare(&c, "db_after", b->g, &db);
        case_close(&c);
    }
}

typedef struct {
    Conv2d conv;
    GroupNorm norm;
    SelfAttention attention;
    Linear head;
} Network;

static Network network_new(Case *c) {
    Network n;
    n.conv = conv2d_new(sub(top(c), "conv"), 3, 8, 3, 2, 1, true);
    n.norm = group_norm_new(sub(top(c), "norm"), 8, 4, 1e-5);
    n.attention = self_attention_new(sub(top(c), "attention"), 8, 2, false);
    n.head = linear_new(sub(top(c), "head"), 8, 5, true);
    set(c, n.conv.w, "conv_w", KERNEL), set(c, n.conv.b, "conv_b", AS_IS);
    set(c, n.norm.gain, "norm_w", AS_IS), set(c, n.norm.shift, "norm_b", AS_IS);
    set(c, n.attention.qkv.w, "qkv_w", MATRIX), set(c, n.attention.out.w, "out_w", MATRIX);
    set(c, n.attention.out.b, "out_b", AS_IS);
    set(c, n.head.w, "head_w", MATRIX), set(c, n.head.b, "head_b", AS_IS);
    return n;
}

static Tensor *network_loss(const Network *n, Tensor *x, const int *target) {
    Tensor *h = group_norm_silu(&n->norm, conv2d(&n->conv, x));
    h = t_reshape(h, SHAPE(4, 9, 8));
    h = t_add(h, self_attention(&n->attention, h, (Attention){0}));
    Tensor *mean = t_reshape(t_mean_axis(h, 1), SHAPE(4, 8));
    return t_cross_entropy(linear(&n->head, mean), target);
}

/* Does everything together train as in PyTorch: the same loss and gradient norm in ten steps? */
Test(golden, ten_training_losses_agree_with_pytorch) {
    Case c = case_open("network", "train");
    Network n = network_new(&c);
    Adam adam = {ADAM_DEFAULTS, .weight_decay = 0.1};
    real losses[10], norms[10];
    for (int i = 0; i < 10; i++) {
        tape_reset(&c.tape);
        Golden x = golden(&c, "x", IMAGE);
        Tensor *input = t_input(&c.tape, x.x, x.rank, x.shape);
        Tensor *loss = network_loss(&n, input, integers(&c, "target"));
        params_zero_grad(&c.params);
        backward(loss);
        losses[i] = loss->x[0];
        norms[i] = (real)grad_norm(&c.params);
        adam_step(&adam, &c.params, 0.02, clip_scale(grad_norm(&c.params), 0.5));
    }
    Golden want = golden(&c, "losses", AS_IS), want_norms = golden(&c, "norms", AS_IS);
    compare(&c, "losses", losses, &want);
    compare(&c, "norms", norms, &want_norms);
    adam_free(&adam);
    case_close(&c);
}
