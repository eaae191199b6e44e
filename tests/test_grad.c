/* test_grad.c — every op's gradient against central differences, in double, to a relative error of
 * 1e-6.
 *
 * A new op needs a row here: the suite fails when an op is seen on any tape of any test and has
 * none.
 * Each row runs in several settings:
 *   plain      operands are variables on the tape
 *   twice      the op is applied twice to the same operands, so that gradients are written, then added to
 *   params     operands are parameters
 *   over       operands and result are of the kind that the next op is computed over
 *   again      operands and result are of the kind that is dropped, and computed again by backward
 *   frozen i   operand i wants no gradient, and gets none */
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

SUITE(grad);

#define BUILD(name, expression)                    \
    static Tensor *name(Tape *t, Tensor **in) {    \
        (void)t;                                   \
        return expression;                         \
    }

/* ---- the table ------------------------------------------------------------------------------- */

BUILD(add, t_add(in[0], in[1]))
BUILD(minus, t_sub(in[0], in[1]))
BUILD(mul, t_mul(in[0], in[1]))
BUILD(quotient, t_div(in[0], in[1]))
BUILD(add_self, t_add(in[0], in[0]))
BUILD(sub_self, t_sub(in[0], t_scale(in[0], 0.5)))
BUILD(mul_self, t_mul(in[0], in[0]))
BUILD(div_self, t_div(in[0], t_add_scalar(in[0], 3)))
BUILD(add_channel, t_add_channel(in[0], t_use(t, in[1])))
BUILD(mul_channel, t_mul_channel(in[0], t_use(t, in[1])))
BUILD(scale, t_scale(in[0], -1.7))
BUILD(add_scalar, t_add_scalar(in[0], 0.3))
BUILD(exponential, t_exp(in[0]))
BUILD(logarithm, t_log(in[0]))
BUILD(root, t_sqrt(in[0]))
BUILD(square, t_square(in[0]))
BUILD(absolute, t_abs(in[0]))
BUILD(tangent, t_tanh(in[0]))
BUILD(sigmoid, t_sigmoid(in[0]))
BUILD(softplus, t_softplus(in[0]))
BUILD(relu, t_relu(in[0]))
BUILD(leaky_relu, t_leaky_relu(in[0], 0.2))
BUILD(elu, t_elu(in[0]))
BUILD(silu, t_silu(in[0]))
BUILD(gelu, t_gelu(in[0]))
BUILD(gelu_tanh, t_gelu_tanh(in[0]))
BUILD(quick_gelu, t_quick_gelu(in[0]))
BUILD(geglu, t_geglu(in[0]))
BUILD(clamp, t_clamp(in[0], -0.4, 0.6))
BUILD(use, t_use(t, in[0]))
BUILD(reshape, t_reshape(in[0], SHAPE(3, -1)))

static Tensor *dropout(Tape *t, Tensor **in) {
    Rng r = rng_new(3, "dropout");
    t->dropout = &r;
    Tensor *y = t_dropout(in[0], 0.4);
    t->dropout = NULL;
    return y;
}

/* What is detached has the value of a constant, so that differences see nothing of it, and would
 * pass a gradient on. */
static Tensor *detach(Tape *t, Tensor **in) {
    Tensor *constant = t_input(t, NULL, in[0]->rank, in[0]->shape);
    test_values("constant", -1, 1, constant->len, constant->x);
    return t_add(in[0], t_detach(t_straight_through(constant, in[0])));
}

/* The value must equal in[0]'s for a difference quotient to see the gradient that was passed on. */
static Tensor *straight_through(Tape *t, Tensor **in) {
    (void)t;
    return t_straight_through(t_detach(t_add_scalar(in[0], 0)), in[0]);
}

BUILD(linear, t_linear(in[0], in[1], in[2]))
BUILD(linear_no_bias, t_linear(in[0], in[1], NULL))
BUILD(matmul, t_matmul(in[0], in[1], false))
BUILD(matmul_transposed, t_matmul(in[0], in[1], true))
BUILD(matmul_self, t_matmul(in[0], in[0], true))

#define PAD(s, t, l, b, r) ((ConvPad){s, t, l, b, r})
BUILD(conv_same, t_conv2d(in[0], in[1], in[2], PAD(1, 1, 1, 1, 1)))
BUILD(conv_valid, t_conv2d(in[0], in[1], NULL, PAD(1, 0, 0, 0, 0)))
BUILD(conv_stride2, t_conv2d(in[0], in[1], in[2], PAD(2, 1, 1, 1, 1)))
BUILD(conv_stride3, t_conv2d(in[0], in[1], in[2], PAD(3, 2, 1, 2, 1)))
BUILD(conv_asymmetric, t_conv2d(in[0], in[1], in[2], PAD(2, 0, 0, 1, 1)))
BUILD(conv_causal, t_conv2d(in[0], in[1], in[2], PAD(1, 2, 1, 0, 1)))
BUILD(deconv, t_conv_transpose2d(in[0], in[1], in[2], PAD(2, 1, 1, 1, 1)))
BUILD(deconv_plain, t_conv_transpose2d(in[0], in[1], NULL, PAD(1, 0, 0, 0, 0)))
BUILD(deconv_asymmetric, t_conv_transpose2d(in[0], in[1], in[2], PAD(2, 2, 2, 1, 1)))
BUILD(upsample2, t_upsample2(in[0]))
BUILD(avg_pool2, t_avg_pool2(in[0]))
BUILD(max_pool2, t_max_pool2(in[0]))

BUILD(group_norm, t_group_norm(in[0], in[1], in[2], 3, 1e-5))
BUILD(group_norm_bare, t_group_norm(in[0], NULL, NULL, 2, 1e-6))
BUILD(group_norm_silu, t_group_norm_silu(in[0], in[1], in[2], 3, 1e-5))
BUILD(layer_norm, t_layer_norm(in[0], in[1], in[2], 1e-6))
BUILD(layer_norm_bare, t_layer_norm(in[0], NULL, NULL, 1e-5))

static Tensor *batch_norm_with(Tensor **in, bool training, bool affine) {
    static real m[5] = {0.1, -0.2, 0, 0.3, 0.4}, v[5] = {0.5, 1.5, 1, 0.7, 2};
    Tape *t = in[0]->tape;
    int C = in[0]->shape[in[0]->rank - 1];
    Tensor *mean = t_input(t, m, SHAPE(C)), *var = t_input(t, v, SHAPE(C));
    return t_batch_norm(in[0], affine ? in[1] : NULL, affine ? in[2] : NULL, mean, var, training,
                        0.1, 1e-5);
}
BUILD(batch_norm, batch_norm_with(in, true, true))
BUILD(batch_norm_bare, batch_norm_with(in, true, false))
BUILD(batch_norm_running, batch_norm_with(in, false, true))

static const uint8_t window[5 * 7] = {1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0,
                                      0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const uint8_t per_item[2 * 5 * 7] = {[0] = 1, [1] = 1, [8] = 1, [15] = 1, [20] = 1, [22] = 1,
    [30] = 1, [31] = 1, [36] = 1, [43] = 1, [44] = 1, [50] = 1, [60] = 1, [69] = 1};
BUILD(attention, t_attention(in[0], in[1], in[2], (Attention){.heads = 2}))
BUILD(attention_masked, t_attention(in[0], in[1], in[2], (Attention){.heads = 2, .mask = window}))
BUILD(attention_item_masks, t_attention(in[0], in[1], in[2],
      (Attention){.heads = 1, .mask = per_item, .mask_per_item = true}))
BUILD(attention_self, t_attention(in[0], in[0], in[0], (Attention){.heads = 2, .causal = true}))
BUILD(self_attention, t_self_attention(in[0], (Attention){.heads = 2}))
BUILD(self_attention_causal, t_self_attention(in[0], (Attention){.heads = 3, .causal = true}))

BUILD(permute4, t_permute(in[0], 4, (int[]){0, 3, 1, 2}))
BUILD(permute3, t_permute(in[0], 3, (int[]){2, 0, 1}))
BUILD(permute2, t_permute(in[0], 2, (int[]){1, 0}))
BUILD(concat_last, t_concat(in[0], in[1], -1))
BUILD(concat_middle, t_concat(in[0], in[1], 1))
BUILD(concat_self, t_concat(in[0], in[0], 0))
BUILD(slice_last, t_slice(in[0], -1, 1, 2))
BUILD(slice_first, t_slice(in[0], 0, 1, 2))
BUILD(pad_middle, t_pad(in[0], 1, 2, 1))
BUILD(gather, t_gather_rows(in[0], (int[]){4, 0, 4, 2, 4, 1}, 6))

BUILD(sum, t_sum(in[0]))
BUILD(mean, t_mean(in[0]))
BUILD(sum_first, t_sum_axis(in[0], 0))
BUILD(sum_middle, t_sum_axis(in[0], 1))
BUILD(sum_last, t_sum_axis(in[0], -1))
BUILD(mean_middle, t_mean_axis(in[0], 1))
BUILD(max_last, t_max_axis(in[0], -1))
BUILD(max_middle, t_max_axis(in[0], 1))
BUILD(softmax, t_softmax(in[0]))
BUILD(log_softmax, t_log_softmax(in[0]))

BUILD(mse, t_mse(in[0], in[1]))
BUILD(mse_self, t_mse(in[0], t_square(in[0])))
BUILD(l1, t_l1(in[0], in[1]))
BUILD(cross_entropy, t_cross_entropy(in[0], (int[]){2, -1, 0, 6, 3}))

static Tensor *bce_logits(Tape *t, Tensor **in) {
    real target[15];
    test_values("bce target", 0, 1, 15, target);
    return t_bce_logits(in[0], t_input(t, target, SHAPE(3, 5)));
}

typedef struct {
    const char *op, *what;
    Tensor *(*build)(Tape *t, Tensor **in);
    int shapes[3][4];         /* of the operands; 0 ends */
    double low, high;         /* values of the operands; 0, 0: -1 to 1 */
} Row;

static const Row rows[] = {
    {"add", "same shape", add, {{3, 5}, {3, 5}}, 0, 0},
    {"add", "bias", add, {{2, 3, 5}, {5}}, 0, 0},
    {"add", "both broadcast", add, {{3, 1, 5}, {2, 1, 7, 1}}, 0, 0},
    {"add", "scalar", add, {{1}, {2, 3, 5}}, 0, 0},
    {"add", "operand twice", add_self, {{3, 5}}, 0, 0},
    {"add", "add_channel", add_channel, {{2, 3, 3, 5}, {2, 5}}, 0, 0},
    {"sub", "same shape", minus, {{1, 17}, {1, 17}}, 0, 0},
    {"sub", "column", minus, {{3, 5}, {3, 1}}, 0, 0},
    {"sub", "operand twice", sub_self, {{1, 9}}, 0, 0},
    {"mul", "same shape", mul, {{3, 7}, {3, 7}}, 0, 0},
    {"mul", "row and column", mul, {{4, 1}, {1, 9}}, 0, 0},
    {"mul", "middle axis", mul, {{2, 3, 5}, {2, 1, 5}}, 0, 0},
    {"mul", "mul_channel", mul_channel, {{2, 3, 5}, {2, 5}}, 0, 0},
    {"mul", "operand twice", mul_self, {{3, 5}}, 0, 0},
    {"div", "same shape", quotient, {{3, 5}, {3, 5}}, 0.5, 2},
    {"div", "column", quotient, {{2, 3, 5}, {2, 3, 1}}, 0.5, 2},
    {"div", "broadcast numerator", quotient, {{5}, {3, 5}}, 0.5, 2},
    {"div", "operand twice", div_self, {{3, 5}}, 0, 0},
    {"scale", "", scale, {{3, 5}}, 0, 0},
    {"add_scalar", "", add_scalar, {{1, 17}}, 0, 0},
    {"exp", "", exponential, {{1, 17}}, -2, 2},
    {"log", "", logarithm, {{1, 17}}, 0.2, 3},
    {"sqrt", "", root, {{1, 17}}, 0.2, 3},
    {"square", "", square, {{1, 17}}, 0, 0},
    {"abs", "", absolute, {{1, 17}}, 0, 0},
    {"tanh", "", tangent, {{1, 17}}, -3, 3},
    {"sigmoid", "", sigmoid, {{1, 17}}, -5, 5},
    {"softplus", "", softplus, {{1, 17}}, -5, 5},
    {"relu", "", relu, {{1, 33}}, 0, 0},
    {"leaky_relu", "", leaky_relu, {{1, 33}}, 0, 0},
    {"elu", "", elu, {{1, 33}}, -3, 3},
    {"silu", "", silu, {{1, 17}}, -5, 5},
    {"gelu", "", gelu, {{1, 17}}, -4, 4},
    {"gelu_tanh", "", gelu_tanh, {{1, 17}}, -4, 4},
    {"quick_gelu", "", quick_gelu, {{1, 17}}, -4, 4},
    {"geglu", "", geglu, {{2, 3, 18}}, -4, 4},
    {"geglu", "one number", geglu, {{5, 2}}, -4, 4},
    {"clamp", "", clamp, {{1, 33}}, 0, 0},
    {"dropout", "", dropout, {{5, 13}}, 0, 0},
    {"detach", "", detach, {{1, 7}}, 0, 0},
    {"straight_through", "", straight_through, {{3, 5}}, 0, 0},
    {"use", "", use, {{3, 5}}, 0, 0},
    {"linear", "", linear, {{5, 7}, {7, 3}, {3}}, 0, 0},
    {"linear", "sequence", linear, {{2, 3, 9}, {9, 17}, {17}}, 0, 0},
    {"linear", "no bias, one feature", linear_no_bias, {{5, 1}, {1, 1}}, 0, 0},
    {"matmul", "", matmul, {{2, 3, 5}, {2, 5, 7}}, 0, 0},
    {"matmul", "transposed", matmul_transposed, {{2, 3, 5}, {2, 7, 5}}, 0, 0},
    {"matmul", "operand twice", matmul_self, {{2, 3, 5}}, 0, 0},
    {"conv2d", "3x3 same, 1 channel in", conv_same, {{2, 5, 7, 1}, {3, 3, 1, 3}, {3}}, 0, 0},
    {"conv2d", "3x3 same, 3 to 1", conv_same, {{1, 4, 5, 3}, {3, 3, 3, 1}, {1}}, 0, 0},
    {"conv2d", "3x3 same, 9 to 17", conv_same, {{1, 5, 3, 9}, {3, 3, 9, 17}, {17}}, 0, 0},
    {"conv2d", "5x3 valid", conv_valid, {{2, 7, 5, 2}, {5, 3, 2, 3}}, 0, 0},
    {"conv2d", "1x1", conv_valid, {{2, 3, 3, 5}, {1, 1, 5, 4}}, 0, 0},
    {"conv2d", "4x4 stride 2", conv_stride2, {{2, 6, 8, 3}, {4, 4, 3, 5}, {5}}, 0, 0},
    {"conv2d", "3x3 stride 2, odd", conv_stride2, {{1, 7, 5, 2}, {3, 3, 2, 3}, {3}}, 0, 0},
    {"conv2d", "5x5 stride 3", conv_stride3, {{1, 9, 10, 2}, {5, 5, 2, 2}, {2}}, 0, 0},
    {"conv2d",
     "pad right and bottom only",
     conv_asymmetric,
     {{2, 6, 6, 3}, {3, 3, 3, 2}, {2}},
     0,
     0},
    {"conv2d", "pad top only", conv_causal, {{1, 5, 5, 2}, {3, 3, 2, 3}, {3}}, 0, 0},
    {"conv_transpose2d", "4x4 stride 2", deconv, {{2, 3, 4, 5}, {4, 4, 3, 5}, {3}}, 0, 0},
    {"conv_transpose2d",
     "3x3 stride 2, 1 channel",
     deconv,
     {{1, 4, 3, 2}, {3, 3, 1, 2}, {1}},
     0,
     0},
    {"conv_transpose2d", "3x3 no pad", deconv_plain, {{1, 2, 3, 2}, {3, 3, 4, 2}}, 0, 0},
    {"conv_transpose2d",
     "5x5, uneven pad",
     deconv_asymmetric,
     {{1, 3, 3, 2}, {5, 5, 3, 2}, {3}},
     0,
     0},
    {"upsample2", "", upsample2, {{2, 3, 5, 3}}, 0, 0},
    {"avg_pool2", "", avg_pool2, {{2, 4, 6, 3}}, 0, 0},
    {"max_pool2", "", max_pool2, {{2, 4, 6, 3}}, 0, 0},
    {"group_norm", "", group_norm, {{2, 3, 5, 6}, {6}, {6}}, 0, 0},
    {"group_norm", "one position", group_norm, {{3, 9}, {9}, {9}}, 0, 0},
    {"group_norm", "no gain", group_norm_bare, {{2, 7, 4}}, 0, 0},
    {"group_norm_silu", "", group_norm_silu, {{2, 3, 3, 9}, {9}, {9}}, 0, 0},
    {"layer_norm", "", layer_norm, {{2, 3, 7}, {7}, {7}}, 0, 0},
    {"layer_norm", "no gain", layer_norm_bare, {{5, 17}}, 0, 0},
    {"batch_norm", "training", batch_norm, {{7, 5}, {5}, {5}}, 0, 0},
    {"batch_norm", "training, images, no gain", batch_norm_bare, {{2, 3, 3, 4}}, 0, 0},
    {"batch_norm", "running statistics", batch_norm_running, {{7, 5}, {5}, {5}}, 0, 0},
    {"attention", "cross", attention, {{2, 5, 6}, {2, 7, 6}, {2, 7, 4}}, 0, 0},
    {"attention",
     "a query that sees nothing",
     attention_masked,
     {{2, 5, 6}, {2, 7, 6}, {2, 7, 6}},
     0,
     0},
    {"attention", "a mask per item", attention_item_masks, {{2, 5, 3}, {2, 7, 3}, {2, 7, 5}}, 0, 0},
    {"attention", "q, k and v are one tensor, causal", attention_self, {{2, 5, 6}}, 0, 0},
    {"self_attention", "", self_attention, {{2, 5, 12}}, 0, 0},
    {"self_attention", "causal, 17 tokens", self_attention_causal, {{1, 17, 9}}, 0, 0},
    {"reshape", "", reshape, {{2, 3, 5}}, 0, 0},
    {"permute", "4 axes", permute4, {{2, 3, 5, 4}}, 0, 0},
    {"permute", "3 axes", permute3, {{2, 3, 5}}, 0, 0},
    {"permute", "transpose", permute2, {{3, 17}}, 0, 0},
    {"concat", "channels", concat_last, {{2, 3, 3}, {2, 3, 5}}, 0, 0},
    {"concat", "middle", concat_middle, {{2, 1, 5}, {2, 3, 5}}, 0, 0},
    {"concat", "operand twice", concat_self, {{3, 5}}, 0, 0},
    {"slice", "channels", slice_last, {{2, 3, 5}}, 0, 0},
    {"slice", "rows", slice_first, {{4, 5}}, 0, 0},
    {"pad", "", pad_middle, {{2, 3, 5}}, 0, 0},
    {"gather_rows", "a row three times, one never", gather, {{5, 7}}, 0, 0},
    {"sum", "", sum, {{3, 5}}, 0, 0},
    {"mean", "", mean, {{3, 5}}, 0, 0},
    {"sum_axis", "first", sum_first, {{3, 5}}, 0, 0},
    {"sum_axis", "middle", sum_middle, {{2, 3, 5}}, 0, 0},
    {"sum_axis", "last", sum_last, {{2, 3, 17}}, 0, 0},
    {"mean_axis", "", mean_middle, {{2, 3, 5}}, 0, 0},
    {"max_axis", "last", max_last, {{4, 5}}, 0, 0},
    {"max_axis", "middle", max_middle, {{2, 4, 5}}, 0, 0},
    {"softmax", "", softmax, {{3, 17}}, -3, 3},
    {"log_softmax", "", log_softmax, {{2, 3, 7}}, -3, 3},
    {"mse", "", mse, {{3, 5}, {3, 5}}, 0, 0},
    {"mse", "operand twice", mse_self, {{1, 9}}, 0, 0},
    {"l1", "", l1, {{3, 5}, {3, 5}}, 0, 0},
    {"bce_logits", "", bce_logits, {{3, 5}}, -3, 3},
    {"cross_entropy", "a row left out", cross_entropy, {{5, 7}}, -3, 3},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* ---- the settings ---------------------------------------------------------------------------- */

typedef enum { PLAIN, TWICE, PARAMS, OVER_IT, AGAIN, SETTINGS } Setting;

typedef struct {
    const Row *row;
    Setting setting;
    Params *values;      /* the operands' values, as parameters for gradient_error */
} Case;

static int operand_count(const Row *r) {
    int n = 0;
    while (n < 3 && r->shapes[n][0]) n++;
    return n;
}

static Tensor *operand(Tape *t, const Case *c, int i) {
    Tensor *w = c->values->list[i];
    /* at least the first operand must be on the tape: t_use passes its gradient to the parameter,
     * which is what the row of `use` is about */
    if ((c->setting == PARAMS && i > 0) || c->row->build == use) return w;
    Tensor *x = t_use(t, w);
    if (c->setting == OVER_IT) return t_add_scalar(x, 0);
    if (c->setting == AGAIN) return t_clamp(x, -1e9, 1e9);
    return x;
}

static void make_operands(const Row *r, Params *p) {
    for (int i = 0; i < operand_count(r); i++) {
        int rank = 0;
        while (rank < 4 && r->shapes[i][rank]) rank++;
        char name[24];
        snprintf(name, sizeof name, "operand%d", i);
        Tensor *w = param(scope(p, "%s", ""), name, INIT_CONSTANT, 0, rank, r->shapes[i]);
        bool given = r->low != 0 || r->high != 0;
        test_values(name, given ? r->low : -1, given ? r->high : 1, w->len, w->x);
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

#ifdef REAL_DOUBLE
/* sum of y times fixed random numbers: a scalar whose gradient reaches every entry of y differently */
static Tensor *weighted_sum(Tape *t, Tensor *y, const char *name) {
    Tensor *c = t_input(t, NULL, y->rank, y->shape);
    test_values(name, -1, 1, c->len, c->x);
    return t_sum(t_mul(y, c));
}

static Tensor *case_loss(Tape *t, void *context) {
    const Case *c = context;
    Tensor *in[3] = {0};
    for (int i = 0; i < c->values->count; i++) in[i] = operand(t, c, i);
    Tensor *y = c->row->build(t, in);
    cr_assert_str_eq(y->tape == t ? "on the tape" : "elsewhere", "on the tape");
    if (c->setting == OVER_IT) y = t_exp(y);
    if (c->setting == AGAIN) y = t_square(t_clamp(y, -1e9, 1e9));
    Tensor *loss = weighted_sum(t, y, "first cotangent");
    if (c->setting == TWICE)
        loss = t_add(loss, weighted_sum(t, c->row->build(t, in), "second cotangent"));
    return loss;
}

static const char *const setting_names[] = {"plain", "twice", "params", "over", "again"};

static void check_row(const Row *r, Setting setting, int frozen) {
    Params p = {0};
    make_operands(r, &p);
    if (frozen >= 0) p.list[frozen]->wants_grad = false;
    Case c = {.row = r, .setting = setting, .values = &p};
    double error = gradient_error(&p, case_loss, &c, 0);
    cr_expect(error <= 1e-6, "%s (%s), %s, frozen %d: relative error %g", r->op, r->what,
              setting_names[setting], frozen, error);
    if (frozen >= 0)
        cr_expect(!p.list[frozen]->has_grad, "%s (%s): frozen operand %d got a gradient", r->op,
                  r->what, frozen);
    params_free(&p);
}

/* Do forward and backward of every op belong together? */
Test(grad, every_op_agrees_with_central_differences) {
    for (int i = 0; i < ROWS; i++)
        for (Setting s = PLAIN; s < SETTINGS; s++) check_row(&rows[i], s, -1);
}

/* Does a frozen operand stay without a gradient, and the others' stay right? */
Test(grad, a_frozen_operand_gets_none_and_the_others_are_right) {
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < operand_count(&rows[i]) && operand_count(&rows[i]) > 1; k++)
            check_row(&rows[i], PLAIN, k);
}

/* ---- the check itself ------------------------------------------------------------------------ */

static const int sampled_shapes[][4] = {{3, 3, 8, 8}, {3, 3, 4, 8}, {3, 3, 4, 4}, {4, 4, 12, 12},
                                        {2, 3, 16, 6}, {5, 5, 1, 3}, {1, 40, 9, 50}};
enum { SHAPES = sizeof sampled_shapes / sizeof *sampled_shapes, SAMPLES = 5 };

/* Are as many places of each axis compared as there can be, whatever the sizes have in common? */
Test(grad, the_sampled_check_touches_every_place_of_every_axis) {
    for (int i = 0; i < SHAPES; i++) {
        Params p = {.seed = 1};
        const int *shape = sampled_shapes[i];
        Tensor *w = param(scope(&p, "layer"), "w", INIT_NORMAL, 1, 4, shape);
        size_t n, *entry = sampled_entries(w, SAMPLES, &n), inner = w->len;
        for (int axis = 0; axis < 4; axis++) {
            bool seen[64] = {0};
            int places = 0;
            inner /= (size_t)shape[axis];
            for (size_t k = 0; k < n; k++) seen[entry[k] / inner % (size_t)shape[axis]] = true;
            for (int k = 0; k < shape[axis]; k++) places += seen[k];
            bool channels = axis >= 2 && shape[axis] <= 16;
            cr_expect(places == shape[axis] || (!channels && places == (int)n),
                      "shape %d, axis %d: %d places of %d are seen", i, axis, places, shape[axis]);
        }
        free(entry);
        params_free(&p);
    }
}

/* A loss whose gradient is missing in one entry */
typedef struct {
    Tensor *w;
    size_t entry;
} MissingEntry;

static Tensor *missing_entry_loss(Tape *t, void *context) {
    const MissingEntry *c = context;
    Tensor *w = t_use(t, c->w), *there = t_input(t, NULL, w->rank, w->shape);
    for (size_t i = 0; i < there->len; i++) there->x[i] = i == c->entry ? -1 : 0;
    Tensor *less = t_mul(w, there);
    return weighted_sum(t, t_square(t_add(w, t_sub(less, t_detach(less)))), "cotangent");
}

/* Is one missing entry noticed that is not among those that are compared one by one? */
Test(grad, the_sampled_check_sees_every_entry) {
    for (int i = 0; i < SHAPES; i++) {
        Params p = {.seed = 1};
        MissingEntry c = {.w = param(scope(&p, "layer"), "w", INIT_NORMAL, 1, 4, sampled_shapes[i])};
        size_t n, *entry = sampled_entries(c.w, SAMPLES, &n), k = 0;
        c.entry = SIZE_MAX;
        double right = gradient_error(&p, missing_entry_loss, &c, SAMPLES);
        cr_expect(right < 1e-9, "shape %d: %g where nothing is wrong", i, right);
        for (c.entry = 0; k < n; c.entry++)
            for (k = 0; k < n && entry[k] != c.entry; k++) continue;
        c.entry--;
        cr_expect(gradient_error(&p, missing_entry_loss, &c, SAMPLES) > 1e-6, "shape %d", i);
        free(entry);
        params_free(&p);
    }
}

static Tensor *tiny_loss(Tape *t, void *context) {
    Tensor **w = context;
    Tensor *sum = t_sum(t_square(t_use(t, w[0])));
    return t_add(sum, t_scale(t_sum(t_square(t_use(t, w[1]))), 1e-12));
}

/* Where gradients are too small for their differences nothing is compared: is that an error? And is a
 * gradient noticed that is said to be zero, but is not? */
Test(grad, a_gradient_too_small_to_be_compared_is_an_error) {
    Params p = {.seed = 1};
    Tensor *w[2] = {param(scope(&p, "large"), "w", INIT_NORMAL, 1, SHAPE(5)),
                    param(scope(&p, "small"), "w", INIT_NORMAL, 1, SHAPE(5))};
    GradientCheck check = {.h = 1e-4};
    cr_expect(isinf(gradient_error_of(&p, tiny_loss, w, check)));
    check.zero = "small";
    cr_expect(gradient_error_of(&p, tiny_loss, w, check) < 1e-6);
    check.zero = "small large";
    cr_expect(gradient_error_of(&p, tiny_loss, w, check) > 1e-2);
    params_free(&p);
}
#endif

/* Does each row test the op it claims to? */
Test(grad, each_row_records_the_op_it_names) {
    for (int i = 0; i < ROWS; i++) {
        Params p = {0};
        Tape t = {0};
        make_operands(&rows[i], &p);
        Case c = {.row = &rows[i], .setting = PLAIN, .values = &p};
        Tensor *in[3] = {0};
        for (int k = 0; k < p.count; k++) in[k] = operand(&t, &c, k);
        Tensor *before = t.last;                 /* what the harness records is none of the row's */
        rows[i].build(&t, in);
        bool found = false;
        for (Tensor *y = t.last; y != before; y = y->prev) found |= !strcmp(y->op, rows[i].op);
        cr_expect(found, "row %d says %s, which is not on its tape", i, rows[i].op);
        tape_free(&t);
        params_free(&p);
    }
}

/* The runner compares this list with the ops that all tests saw. */
Test(grad, the_rows_are_listed_for_the_runner) {
    const char *path = getenv("OPS_WITH_ROWS");
    FILE *f = path ? fopen(path, "w") : NULL;
    for (int i = 0; f && i < ROWS; i++) fprintf(f, "%s\n", rows[i].op);
    if (f) fclose(f);
}
