/* test_nn.c — layers, starting values, optimisers, schedules and averages against what their
 * headers promise. What PyTorch computes is in test_golden.c. */
#include "nn/interpolate.h"
#include "nn/layers.h"
#include "nn/optim.h"
#include "testing.h"

#include <math.h>
#include <signal.h>
#include <string.h>

SUITE(nn);

/* of values near 1, after a handful of operations */
#define CLOSE(a, b) (fabs((double)(a) - (double)(b)) <= 20 * (double)REAL_EPS)

static Scope top(Params *p) {
    return (Scope){.params = p};
}

static bool same_values(const Tensor *a, const Tensor *b) {
    return a->len == b->len && !memcmp(a->x, b->x, a->len * sizeof(real));
}

/* a test's values on a tape, the same for the same name */
static Tensor *values(Tape *t, const char *name, int rank, const int *shape) {
    Tensor *x = t_input(t, NULL, rank, shape);
    test_values(name, -1, 1, x->len, x->x);
    return x;
}

/* ---- parameters and their starting values -------------------------------------------------- */

/* Does each layer make the parameters a checkpoint expects, and no others? */
Test(nn, parameters_are_named_by_what_they_are) {
    Params p = {.seed = 1};
    linear_new(scope(&p, "a"), 2, 3, true);
    linear_new(scope(&p, "b"), 2, 3, false);
    conv2d_new(scope(&p, "c"), 2, 3, 5, 1, 2, true);
    conv_transpose2d_new(scope(&p, "d"), 2, 3, 4, 2, 1, false);
    group_norm_new(scope(&p, "e"), 4, 2, 1e-5);
    batch_norm_new(scope(&p, "f"), 4, 0.1, 1e-5);
    embedding_new(scope(&p, "g"), 7, 2);
    self_attention_new(scope(&p, "h"), 4, 2, false);
    cross_attention_new(scope(&p, "i"), 4, 6, 2, false);
    static const char *names[] = {
        "a.w (2,3)", "a.b (3)", "b.w (2,3)", "c.w (5,5,2,3)", "c.b (3)", "d.wt (4,4,3,2)",
        "e.gain (4)", "e.shift (4)", "f.gain (4)", "f.shift (4)", "f.mean (4)", "f.var (4)",
        "g.table (7,2)", "h.qkv.w (4,12)", "h.out.w (4,4)", "h.out.b (4)", "i.q.w (4,4)",
        "i.k.w (6,4)", "i.v.w (6,4)", "i.out.w (4,4)", "i.out.b (4)"};
    cr_assert_eq(p.count, (int)(sizeof names / sizeof *names));
    for (int i = 0; i < p.count; i++) cr_expect_str_eq(t_describe(p.list[i]), names[i]);
    params_free(&p);
}

static double largest(const Tensor *w) {
    double max = 0;
    for (size_t i = 0; i < w->len; i++) max = fmax(max, fabs((double)w->x[i]));
    return max;
}

static double deviation(const Tensor *w) {
    return sqrt(k_sum_squares(w->len, w->x) / (double)w->len);
}

/* the whole range up to the bound, and nothing beyond it */
static void check_bound(const Tensor *w, double bound) {
    double max = largest(w);
    cr_expect(max <= bound * (1 + 1e-6) && max > 0.95 * bound, "%s reaches %g, bound %g",
              t_describe(w), max, bound);
}

/* Is fan_in counted as PyTorch counts it, kernel positions included? */
Test(nn, weights_start_within_one_over_the_root_of_fan_in) {
    Params p = {.seed = 1};
    check_bound(linear_new(scope(&p, "a"), 50, 40, true).w, 1 / sqrt(50));
    check_bound(linear_new(scope(&p, "b"), 4, 400, true).b, 1 / sqrt(4));
    check_bound(conv2d_new(scope(&p, "c"), 8, 16, 3, 1, 1, true).w, 1 / sqrt(8 * 9));
    check_bound(conv_transpose2d_new(scope(&p, "d"), 8, 16, 4, 2, 1, true).w, 1 / sqrt(16 * 16));
    double std = deviation(embedding_new(scope(&p, "e"), 50, 40).table);
    cr_expect(fabs(std - 1) < 0.1, "the embedding's standard deviation is %g", std);
    params_free(&p);
}

/* Do layers start with the distributions that their scope names, under any name below it? */
Test(nn, starting_values_have_the_papers_spread) {
    Params p = {.seed = 1};
    LayerInit uniform = {WEIGHTS_UNIFORM, .scale = 0.3}, gains = {.gain_std = 0.1},
              xavier = {WEIGHTS_XAVIER, .zero_bias = true}, kaiming = {.weights = WEIGHTS_KAIMING},
              normal = {WEIGHTS_NORMAL, .scale = 0.02, .zero_bias = true};
    Linear l = linear_new(sub(with_init(top(&p), uniform), "uniform"), 60, 40, true);
    check_bound(l.w, 0.3);
    cr_expect(largest(l.b) > 0.1 && largest(l.b) <= 1 / sqrt(60));
    l = linear_new(sub(with_init(top(&p), xavier), "xavier"), 60, 40, true);
    check_bound(l.w, sqrt(6.0 / 100));
    cr_expect_eq(deviation(l.b), 0);
    Conv2d c = conv2d_new(sub(with_init(top(&p), xavier), "conv"), 8, 16, 3, 1, 1, true);
    check_bound(c.w, sqrt(6.0 / (9 * 24)));
    Tensor *w = linear_new(sub(with_init(top(&p), normal), "normal"), 60, 40, false).w;
    cr_expect(fabs(deviation(w) / 0.02 - 1) < 0.06, "normal: %g", deviation(w));
    w = embedding_new(sub(with_init(top(&p), normal), "table"), 60, 40).table;
    cr_expect(fabs(deviation(w) / 0.02 - 1) < 0.06, "table: %g", deviation(w));
    w = conv2d_new(sub(with_init(top(&p), kaiming), "kaiming"), 8, 40, 3, 1, 1, true).w;
    cr_expect(fabs(deviation(w) / sqrt(2.0 / 72) - 1) < 0.06, "kaiming: %g", deviation(w));
    l = linear_new(zero_init(sub(with_init(top(&p), normal), "zero")), 60, 40, true);
    cr_expect(deviation(l.w) == 0 && deviation(l.b) == 0);
    w = group_norm_new(sub(with_init(top(&p), gains), "norm"), 2400, 1, 1e-5).gain;
    double mean = k_sum(w->len, w->x) / 2400;
    cr_expect(fabs(mean - 1) < 0.01, "gains: %g", mean);
    cr_expect(fabs(k_sum_squares(w->len, w->x) / 2400 - mean * mean - 0.01) < 0.001);
    params_free(&p);
}

/* and the functions for parameters outside of layers? */
Test(nn, starting_values_can_be_written_over) {
    Params p = {.seed = 1};
    Tensor *w = param(top(&p), "w", INIT_CONSTANT, 0, SHAPE(60, 40));
    init_constant(w, 0.25);
    cr_expect(w->x[0] == (real)0.25 && w->x[2399] == (real)0.25);
    init_uniform(w, 0.3, 1);
    check_bound(w, 0.3);
    init_normal(w, 0.02, 1);
    cr_expect(fabs(deviation(w) / 0.02 - 1) < 0.06, "normal: %g", deviation(w));
    params_free(&p);
}

/* Does adding a layer, or making them in another order, leave the starting values of the rest? */
Test(nn, starting_values_depend_on_seed_and_name_alone) {
    Params p = {.seed = 1}, q = {.seed = 1}, r = {.seed = 2};
    Linear a = linear_new(scope(&p, "a"), 5, 6, true), b = linear_new(scope(&p, "b"), 5, 6, true);
    linear_new(scope(&q, "new"), 9, 9, true);
    Linear b2 = linear_new(scope(&q, "b"), 5, 6, true), a2 = linear_new(scope(&q, "a"), 5, 6, true);
    Linear a3 = linear_new(scope(&r, "a"), 5, 6, true);
    cr_expect(same_values(a.w, a2.w) && same_values(a.b, a2.b) && same_values(b.w, b2.w));
    cr_expect(!same_values(a.w, b.w), "two names start alike");
    cr_expect(!same_values(a.w, a3.w), "two seeds start alike");
    init_normal(a.w, 1, 3), init_normal(a3.w, 1, 3), init_normal(b.w, 1, 3);
    cr_expect(same_values(a.w, a3.w) && !same_values(a.w, b.w), "init_normal");
    params_free(&p), params_free(&q), params_free(&r);
}

/* ---- gradients through layers -------------------------------------------------------------- */

enum { MAX_IMAGES = 12 };

/* Every layer once, on so many images of side x side pixels; the network of the tests below */
typedef struct {
    int images, side;
    Params params;
    Conv2d conv;
    ConvTranspose2d up;
    GroupNorm group;
    BatchNorm batch;
    LayerNorm norm;
    Embedding words;
    SelfAttention self;
    CrossAttention cross;
    Linear head;
} Network;

static void network_new(Network *n, int images, int side) {
    *n = (Network){.images = images, .side = side, .params = {.seed = 1}};
    Params *p = &n->params;
    n->conv = conv2d_new(scope(p, "conv"), 2, 6, 3, 2, 1, true);
    n->up = conv_transpose2d_new(scope(p, "up"), 6, 4, 4, 2, 1, true);
    n->group = group_norm_new(scope(p, "group"), 6, 3, 1e-5);
    n->batch = batch_norm_new(scope(p, "batch"), 4, 0.1, 1e-5);
    n->norm = layer_norm_new(scope(p, "norm"), 4, 1e-5);
    n->words = embedding_new(scope(p, "words"), 5, 6);
    n->self = self_attention_new(scope(p, "self"), 4, 2, true);
    n->cross = cross_attention_new(scope(p, "cross"), 4, 6, 2, true);
    n->head = linear_new(scope(p, "head"), 4, 3, true);
}

static Tensor *network_loss(Tape *t, void *network) {
    const Network *n = network;
    int b = n->images;
    Tensor *x = values(t, "images", SHAPE(b, n->side, n->side, 2));
    Tensor *h = group_norm_silu(&n->group, conv2d(&n->conv, x));
    h = batch_norm(&n->batch, conv_transpose2d(&n->up, h), true);
    h = t_reshape(h, SHAPE(b, -1, 4));
    h = t_add(h, self_attention(&n->self, layer_norm(&n->norm, h), (Attention){.causal = true}));
    int words[3 * MAX_IMAGES], target[MAX_IMAGES];
    for (int i = 0; i < 3 * b; i++) words[i] = i * i % 5;
    for (int i = 0; i < b; i++) target[i] = i % 3;
    Tensor *text = t_reshape(embedding(&n->words, t, words, 3 * b), SHAPE(b, 3, 6));
    h = t_add(h, cross_attention(&n->cross, h, text, (Attention){0}));
    Tensor *pooled = t_reshape(t_mean_axis(h, 1), SHAPE(b, 4));
    return t_cross_entropy(linear(&n->head, pooled), target);
}

/* Does each layer hand the op its own parameters, so that gradients arrive at all of them? */
Test(nn, gradients_through_every_layer_agree_with_central_differences) {
    Network n;
    network_new(&n, 2, 4);
#ifdef REAL_DOUBLE
    /* normalisation takes a bias before it away, softmax what is common to all keys */
    GradientCheck check = {.samples = 6, .h = 1e-4, .zero = "up.b cross.k.b"};
    double error = gradient_error_of(&n.params, network_loss, &n, check);
    cr_expect(error < 1e-6, "relative error %g", error);
#endif
    Tape t = {0};
    params_zero_grad(&n.params);
    backward(network_loss(&t, &n));
    for (int i = 0; i < n.params.count; i++) {
        Tensor *w = n.params.list[i];
        bool is_buffer = w == n.batch.mean || w == n.batch.var;
        cr_expect(w->has_grad != is_buffer, "%s", t_describe(w));
    }
    tape_free(&t);
    params_free(&n.params);
}

/* ---- masks --------------------------------------------------------------------------------- */

enum { TOKENS = 6, CHANNELS = 8 };

/* which[i]: output i is another when token `changed` of the input is */
static void outputs_that_notice(int changed, Attention a, bool which[TOKENS]) {
    Params p = {.seed = 1};
    Tape t = {.no_grad = true};
    SelfAttention l = self_attention_new(top(&p), CHANNELS, 2, true);
    Tensor *x = values(&t, "tokens", SHAPE(1, TOKENS, CHANNELS));
    Tensor *before = self_attention(&l, x, a);
    for (int c = 0; c < CHANNELS; c++) x->x[changed * CHANNELS + c] += 1;
    Tensor *after = self_attention(&l, x, a);
    size_t row = CHANNELS * sizeof(real);
    for (int i = 0; i < TOKENS; i++)
        which[i] = memcmp(before->x + i * CHANNELS, after->x + i * CHANNELS, row);
    tape_free(&t);
    params_free(&p);
}

/* Can a token see the future? Does it see itself and its whole past? */
Test(nn, output_i_of_causal_attention_depends_on_tokens_up_to_i_alone) {
    for (int j = 0; j < TOKENS; j++) {
        bool changed[TOKENS];
        outputs_that_notice(j, (Attention){.causal = true}, changed);
        for (int i = 0; i < TOKENS; i++)
            cr_expect(changed[i] == (j <= i), "output %d, token %d", i, j);
    }
}

/* Does a masked token influence anyone but itself as a query? */
Test(nn, a_masked_token_is_seen_by_nobody) {
    uint8_t mask[TOKENS * TOKENS];
    for (int i = 0; i < TOKENS * TOKENS; i++) mask[i] = i % TOKENS != 2;
    bool changed[TOKENS];
    outputs_that_notice(2, (Attention){.mask = mask}, changed);
    for (int i = 0; i < TOKENS; i++) cr_expect(changed[i] == (i == 2), "output %d", i);
    outputs_that_notice(3, (Attention){.mask = mask}, changed);
    for (int i = 0; i < TOKENS; i++) cr_expect(changed[i], "output %d", i);
}

/* ---- batch normalisation ------------------------------------------------------------------- */

/* mean 3 and biased variance 5 in the first channel, all 4 in the second */
static const real eight[] = {0, 4, 2, 4, 4, 4, 6, 4};

/* Do running statistics move by the momentum, towards the unbiased variance? */
Test(nn, running_statistics_move_in_training_and_rest_in_evaluation) {
    Params p = {.seed = 1};
    Tape t = {0};
    BatchNorm l = batch_norm_new(top(&p), 2, 0.1, 1e-5);
    Tensor *x = t_input(&t, eight, SHAPE(2, 2, 1, 2));
    Tensor *y = batch_norm(&l, x, true);
    cr_expect(CLOSE(l.mean->x[0], 0.1 * 3) && CLOSE(l.mean->x[1], 0.1 * 4));
    cr_expect(CLOSE(l.var->x[0], 0.9 + 0.1 * 5 * 4 / 3) && CLOSE(l.var->x[1], 0.9));
    cr_expect(CLOSE(y->x[0], -3 / sqrt(5 + 1e-5)), "training normalises by the biased variance");
    y = batch_norm(&l, x, false);
    cr_expect(CLOSE(l.mean->x[0], 0.1 * 3), "evaluation moved the mean");
    cr_expect(CLOSE(y->x[0], -0.3 / sqrt(0.9 + 0.1 * 5 * 4 / 3 + 1e-5)));
    tape_free(&t);
    params_free(&p);
}

/* ---- optimisers ---------------------------------------------------------------------------- */

/* A matrix (1,2) and a vector (2) at 1 and -2, and a pass that gives them gradients */
typedef struct {
    Params params;
    Tape tape;
    Tensor *w, *b;
} Pair;

static Pair pair_new(void) {
    return (Pair){.params = {.seed = 1}};
}

static void pair_start(Pair *q) {
    q->w = param(top(&q->params), "w", INIT_CONSTANT, 1, SHAPE(1, 2));
    q->b = param(top(&q->params), "b", INIT_CONSTANT, 1, SHAPE(2));
    q->w->x[1] = q->b->x[1] = -2;
}

/* gradients g0, g1 for w and, if `both`, for b */
static void pair_gradients(Pair *q, double g0, double g1, bool both) {
    tape_reset(&q->tape);
    params_zero_grad(&q->params);
    Tensor *g = t_input(&q->tape, (real[]){(real)g0, (real)g1}, SHAPE(1, 2));
    Tensor *loss = t_sum(t_mul(g, q->w));
    if (both) loss = t_add(loss, t_sum(t_mul(g, q->b)));
    backward(loss);
}

static void pair_free(Pair *q) {
    tape_free(&q->tape);
    params_free(&q->params);
}

/* Does one step go where the formula says, the next one with the velocity of the first? */
Test(nn, sgd_follows_its_formula) {
    Pair q = pair_new();
    pair_start(&q);
    Sgd sgd = {.momentum = 0.5, .weight_decay = 0.1};
    pair_gradients(&q, 2, 3, true);
    sgd_step(&sgd, &q.params, 0.1, 1);
    cr_expect(CLOSE(q.w->x[0], 1 - 0.1 * 2.1) && CLOSE(q.w->x[1], -2 - 0.1 * 2.8));
    sgd_step(&sgd, &q.params, 0.1, 0.5);    /* the same gradients, clipped to their half */
    cr_expect(CLOSE(q.w->x[0], 0.79 - 0.1 * (0.5 * 2.1 + 1 + 0.079)));
    sgd_free(&sgd);
    pair_free(&q);
}

/* Algorithm 1 of Kingma & Ba for one weight, in double */
static void adam_by_hand(double *w, double g, double m_v[2], int step, double lr, double shrink) {
    m_v[0] = 0.9 * m_v[0] + 0.1 * g;
    m_v[1] = 0.999 * m_v[1] + 0.001 * g * g;
    double m_hat = m_v[0] / (1 - pow(0.9, step)), v_hat = m_v[1] / (1 - pow(0.999, step));
    *w = (1 - shrink) * *w - lr * m_hat / (sqrt(v_hat) + 1e-8);
}

/* Are both moments corrected by the right powers, and does decay spare vectors when it should? */
Test(nn, adam_and_adamw_follow_their_formula) {
    Pair q = pair_new();
    pair_start(&q);
    Adam adam = {ADAM_DEFAULTS, .weight_decay = 0.2, .decay_matrices_only = true};
    double w = 1, b = 1, w_state[2] = {0}, b_state[2] = {0};
    static const double g[] = {2, -0.5, 0.25};
    for (int step = 1; step <= 3; step++) {
        pair_gradients(&q, g[step - 1], 3, true);
        adam_step(&adam, &q.params, 0.1, 0.5);
        adam_by_hand(&w, 0.5 * g[step - 1], w_state, step, 0.1, 0.1 * 0.2);
        adam_by_hand(&b, 0.5 * g[step - 1], b_state, step, 0.1, 0);
        cr_expect(CLOSE(q.w->x[0], w), "step %d: w is %g, not %g", step, (double)q.w->x[0], w);
        cr_expect(CLOSE(q.b->x[0], b), "step %d: b is %g, not %g", step, (double)q.b->x[0], b);
    }
    cr_expect_eq(adam.step, 3);
    adam_free(&adam);
    pair_free(&q);
}

/* Does weight decay, or a velocity of earlier steps, move what this step did not use? */
Test(nn, a_parameter_without_a_gradient_is_left_alone) {
    Pair q = pair_new();
    pair_start(&q);
    Adam adam = {ADAM_DEFAULTS, .weight_decay = 0.5};
    Sgd sgd = {.momentum = 0.9, .weight_decay = 0.5};
    pair_gradients(&q, 1, 1, true);
    adam_step(&adam, &q.params, 0.1, 1), sgd_step(&sgd, &q.params, 0.1, 1);
    real before = q.b->x[0], m = params_find(&adam.m, "b")->x[0], used = q.w->x[0];
    pair_gradients(&q, 1, 1, false);
    adam_step(&adam, &q.params, 0.1, 1), sgd_step(&sgd, &q.params, 0.1, 1);
    cr_expect(q.b->x[0] == before && params_find(&adam.m, "b")->x[0] == m);
    cr_expect(q.w->x[0] != used);
    cr_expect(CLOSE(grad_norm(&q.params), sqrt(2)), "a gradient of the last step is counted");
    adam_free(&adam), sgd_free(&sgd);
    pair_free(&q);
}

/* Is a network safe from its optimiser after it is frozen, with gradients still in place? */
Test(nn, a_frozen_parameter_is_left_alone) {
    Pair q = pair_new();
    pair_start(&q);
    Adam adam = {ADAM_DEFAULTS, .weight_decay = 0.5};
    pair_gradients(&q, 1, 1, true);
    params_freeze(&q.params, true);
    adam_step(&adam, &q.params, 0.1, 1);
    cr_expect(q.w->x[0] == 1 && q.b->x[1] == -2 && grad_norm(&q.params) == 0);
    params_freeze(&q.params, false);
    adam_step(&adam, &q.params, 0.1, 1);
    cr_expect(q.w->x[0] != 1);
    adam_free(&adam);
    pair_free(&q);
}

/* Is a short gradient left as it is, a long one brought to the limit, and 0 no limit? */
Test(nn, clipping_limits_the_norm_of_all_gradients_together) {
    Pair q = pair_new();
    pair_start(&q);
    pair_gradients(&q, 3, 4, true);
    double norm = grad_norm(&q.params);
    cr_expect(CLOSE(norm / sqrt(50), 1));
    cr_expect(fabs(norm * clip_scale(norm, 1) - 1) < 1e-6);
    cr_expect(clip_scale(norm, 8) == 1 && clip_scale(0, 1) == 1 && clip_scale(norm, 0) == 1);
    pair_free(&q);
}

/* Are moments that were made in another order, as a file may have them, still the right ones? */
Test(nn, moments_are_found_by_name) {
    Pair q = pair_new();
    pair_start(&q);
    Adam adam = {ADAM_DEFAULTS};
    param(top(&adam.m), "b", INIT_CONSTANT, 0, SHAPE(2));
    param(top(&adam.m), "w", INIT_CONSTANT, 0, SHAPE(1, 2));
    pair_gradients(&q, 1, 2, false);
    adam_step(&adam, &q.params, 0.1, 1);
    cr_expect(CLOSE(adam.m.list[1]->x[1], 0.2) && adam.m.list[0]->x[1] == 0);
    adam_free(&adam);
    pair_free(&q);
}

/* Does an optimiser notice that it is handed another network? */
Test(nn, moments_of_another_network_stop_the_program, .signal = SIGABRT) {
    Pair q = pair_new();
    pair_start(&q);
    Adam adam = {ADAM_DEFAULTS};
    param(top(&adam.m), "other", INIT_CONSTANT, 0, SHAPE(2));
    param(top(&adam.m), "w", INIT_CONSTANT, 0, SHAPE(1, 2));
    pair_gradients(&q, 1, 2, true);
    adam_step(&adam, &q.params, 0.1, 1);
}

/* Does an Adam whose constants were forgotten say so, instead of training badly? */
Test(nn, an_adam_without_its_constants_stops_the_program, .signal = SIGABRT) {
    Pair q = pair_new();
    pair_start(&q);
    Adam adam = {.weight_decay = 0.5};
    pair_gradients(&q, 1, 2, true);
    adam_step(&adam, &q.params, 0.1, 1);
}

/* ---- schedules ----------------------------------------------------------------------------- */

/* Is the first step above 0, the end of the warm-up 1, the end 0, and nothing below it later? */
Test(nn, schedules_pass_through_their_corner_points) {
    cr_expect(lr_warmup(0, 4) == 0.25 && lr_warmup(2, 4) == 0.75 && lr_warmup(3, 4) == 1);
    cr_expect(lr_warmup(4, 4) == 1 && lr_warmup(1000, 4) == 1 && lr_warmup(0, 0) == 1);
    double (*schedules[])(int64_t, int64_t, int64_t) = {lr_cosine, lr_linear, lr_cooldown};
    for (int i = 0; i < 3; i++) {
        double (*lr)(int64_t, int64_t, int64_t) = schedules[i];
        cr_expect(lr(0, 10, 110) == 0.1 && lr(9, 10, 110) == 1 && lr(10, 10, 110) == 1);
        cr_expect(lr(110, 10, 110) == 0 && lr(500, 10, 110) == 0);
        cr_expect(lr(0, 0, 100) == 1 && lr(99, 0, 100) > 0);
        cr_expect(lr(4, 10, 10) == 0.5 && lr(10, 10, 10) == 0, "a warm-up to the very end");
    }
    cr_expect(fabs(lr_linear(60, 10, 110) - 0.5) < 1e-15);
    cr_expect(fabs(lr_cosine(60, 10, 110) - 0.5) < 1e-15);
    cr_expect(lr_cooldown(88, 10, 110) == 1 && fabs(lr_cooldown(99, 10, 110) - 0.5) < 1e-15);
    cr_expect(fabs(lr_linear(35, 10, 110) - 0.75) < 1e-15);
    cr_expect(fabs(lr_cosine(35, 10, 110) - (2 + sqrt(2)) / 4) < 1e-15);
}

/* ---- averaged weights ---------------------------------------------------------------------- */

/* Does the average begin at the weights, forget them fast at first, and reach the full decay? */
Test(nn, the_average_warms_up) {
    Params p = {.seed = 1};
    Tensor *w = param(top(&p), "w", INIT_CONSTANT, 2, SHAPE(3));
    Ema ema = {.decay = 0.25};
    ema_update(&ema, &p);
    Tensor *average = params_find(&ema.average, "w");
    cr_expect(average->x[0] == 2, "the first update copies");
    double expected = 2;
    for (int step = 1; step < 6; step++) {
        w->x[0] = (real)(step * step);
        double d = fmin(0.25, (1.0 + step) / (10 + step));    /* 2/11, 3/12, then 0.25 */
        expected = d * expected + (1 - d) * step * step;
        ema_update(&ema, &p);
        cr_expect(CLOSE(average->x[0] / expected, 1), "step %d", step);
    }
    cr_expect_eq(ema.step, 6);
    ema_free(&ema);
    params_free(&p);
}

/* Are running statistics averaged a second time? */
Test(nn, the_average_copies_buffers) {
    Params p = {.seed = 1};
    BatchNorm l = batch_norm_new(top(&p), 2, 0.1, 1e-5);
    Ema ema = {.decay = 0.999};
    for (int step = 0; step < 3; step++) {
        l.mean->x[0] = l.gain->x[0] = (real)(3 + step);
        ema_update(&ema, &p);
    }
    cr_expect(params_find(&ema.average, "mean")->x[0] == 5);
    cr_expect(params_find(&ema.average, "gain")->x[0] < 5);
    cr_expect_eq(params_count(&ema.average), params_count(&p), "a buffer became a weight");
    ema_free(&ema);
    params_free(&p);
}

/* Do sampling with the averages and going on with the weights leave both as they were? */
Test(nn, swapping_twice_gives_the_weights_back) {
    Params p = {.seed = 1};
    Tensor *w = param(top(&p), "w", INIT_CONSTANT, 1, SHAPE(2));
    Ema ema = {.decay = 0.9};
    ema_swap(&ema, &p), ema_swap(&ema, &p);    /* before any update: averages are the weights */
    ema_update(&ema, &p);
    w->x[0] = 7;
    ema_swap(&ema, &p);
    cr_expect(w->x[0] == 1 && ema.average.list[0]->x[0] == 7);
    ema_swap(&ema, &p);
    cr_expect(w->x[0] == 7 && ema.average.list[0]->x[0] == 1);
    ema_free(&ema);
    params_free(&p);
}

/* ---- whole training steps ------------------------------------------------------------------ */

typedef struct {
    Network net;
    Adam adam;
    Ema ema;
    Tape tape;
} Run;

static void run_start(Run *r, int images, int side) {
    *r = (Run){.adam = {ADAM_DEFAULTS, .weight_decay = 0.01}, .ema = {.decay = 0.99}};
    network_new(&r->net, images, side);
}

static double run_step(Run *r) {
    Params *p = &r->net.params;
    tape_reset(&r->tape);
    Tensor *loss = network_loss(&r->tape, &r->net);
    params_zero_grad(p);
    backward(loss);
    adam_step(&r->adam, p, 0.01, clip_scale(grad_norm(p), 0.5));
    ema_update(&r->ema, p);
    return (double)loss->x[0];
}

static void run_free(Run *r) {
    tape_free(&r->tape);
    adam_free(&r->adam);
    ema_free(&r->ema);
    params_free(&r->net.params);
}

/* Does the number of threads change a single bit of what was learned? (Big enough an image for the
 * kernels to find a second thread worth its while.) */
Test(nn, training_on_one_and_on_two_threads_gives_the_same_bits) {
    Run one, two;
    run_start(&one, 12, 16), run_start(&two, 12, 16);
    double first = 0, last = 0;
    for (int step = 0; step < 8; step++) {
        threads_set(1);
        last = run_step(&one);
        threads_set(2);
        cr_expect(run_step(&two) == last, "step %d", step);
        if (step == 0) first = last;
    }
    for (int i = 0; i < one.net.params.count; i++) {
        cr_expect(same_values(one.net.params.list[i], two.net.params.list[i]));
        cr_expect(same_values(one.ema.average.list[i], two.ema.average.list[i]));
    }
    cr_expect(last < 0.9 * first, "it does not learn: %g, then %g", first, last);
    run_free(&one), run_free(&two);
}

/* Does memory grow with the number of steps? */
Test(nn, a_step_after_the_first_allocates_nothing) {
    Run r;
    run_start(&r, 2, 4);
    run_step(&r);
    const Arena *arenas[] = {&r.net.params.arena, &r.adam.m.arena, &r.adam.v.arena,
                             &r.ema.average.arena, &r.tape.arena};
    size_t peak[5];
    for (int i = 0; i < 5; i++) peak[i] = arenas[i]->peak;
    for (int step = 0; step < 3; step++) run_step(&r);
    for (int i = 0; i < 5; i++)
        cr_expect_eq(arenas[i]->peak, peak[i], "arena %d grew from %zu to %zu bytes", i, peak[i],
                     arenas[i]->peak);
    run_free(&r);
}

/* ---- codes ----------------------------------------------------------------------------------- */

Test(nn, interpolation_starts_and_ends_at_the_given_codes) {
    real a[3] = {1, 2, 3}, b[3] = {5, -2, 3}, path[5 * 3];
    interpolate_codes(3, a, b, 5, path);
    cr_assert_arr_eq(path, a, sizeof a);
    cr_assert_arr_eq(path + 12, b, sizeof b);
    cr_assert_float_eq(path[6], 3, 1e-6);
}
