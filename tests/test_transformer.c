/* test_transformer.c — the transformer block in its kinds, and token by token with a cache. What
 * official networks compute with it: build/golden (gpt, mae, clip). */
#include "nn/transformer.h"
#include "testing.h"

#include <math.h>
#include <signal.h>
#include <string.h>

SUITE(transformer);

enum { B = 2, N = 5, C = 6, M = 3, CONTEXT = 4, DEPTH = 2 };

static Tensor *values(Tape *t, const char *name, int rank, const int *shape) {
    Tensor *x = t_input(t, NULL, rank, shape);
    test_values(name, -1, 1, x->len, x->x);
    return x;
}

/* ---- parameters ------------------------------------------------------------------------------ */

static void expect_names(const TransformerConfig *d, int count, const char *const *names) {
    Params p = {.seed = 1};
    transformer_new(scope(&p, "h"), d);
    cr_expect_eq(p.count, count, "%d parameters", p.count);
    for (int i = 0; i < p.count && i < count; i++)
        cr_expect_str_eq(t_describe(p.list[i]), names[i]);
    params_free(&p);
}

/* Are names and shapes those the header promises, for the plainest block and the fullest? */
Test(transformer, parameters_are_named_by_what_they_are) {
    const char *plain[] = {"h.0.norm1.gain (6)", "h.0.norm1.shift (6)", "h.0.attn.qkv.w (6,18)",
                           "h.0.attn.qkv.b (18)", "h.0.attn.out.w (6,6)", "h.0.attn.out.b (6)",
                           "h.0.norm2.gain (6)", "h.0.norm2.shift (6)", "h.0.mlp.fc1.w (6,24)",
                           "h.0.mlp.fc1.b (24)", "h.0.mlp.fc2.w (24,6)", "h.0.mlp.fc2.b (6)"};
    expect_names(&(TransformerConfig){.width = C, .depth = 1, .heads = 2, .eps = 1e-5}, 12, plain);
    const char *full[] = {"h.0.norm1.gain (6)", "h.0.norm1.shift (6)", "h.0.attn.qkv.w (6,18)",
                          "h.0.attn.out.w (6,6)", "h.0.attn.out.b (6)", "h.0.norm_cross.gain (6)",
                          "h.0.norm_cross.shift (6)", "h.0.cross.q.w (6,6)", "h.0.cross.k.w (4,6)",
                          "h.0.cross.v.w (4,6)", "h.0.cross.out.w (6,6)", "h.0.cross.out.b (6)",
                          "h.0.norm2.gain (6)", "h.0.norm2.shift (6)", "h.0.mlp.fc1.w (6,14)",
                          "h.0.mlp.fc1.b (14)", "h.0.mlp.fc2.w (7,6)", "h.0.mlp.fc2.b (6)"};
    expect_names(&(TransformerConfig){.width = C, .depth = 1, .heads = 2, .eps = 1e-5, .hidden = 7,
                                      .activation = GEGLU, .no_qkv_bias = true,
                                      .context = CONTEXT}, 18, full);
}

/* mean square of the numbers: of N(0,s) s^2, of uniform within +-b b^2/3 */
static double mean_square(const Tensor *w) {
    return k_sum_squares(w->len, w->x) / (double)w->len;
}

static void expect_spread(const Linear *l, double std) {
    double ratio = mean_square(l->w) / (std * std);
    cr_expect(fabs(ratio - 1) < 0.15, "%s: %g of the variance", t_describe(l->w), ratio);
    cr_expect(!l->b || mean_square(l->b) == 0, "%s is not 0", t_describe(l->b));
}

Test(transformer, starting_values_have_the_papers_spread) {
    Params p = {.seed = 1};
    TransformerConfig d = {.width = 40, .depth = 2, .heads = 4, .eps = 1e-5, .context = 30};
    for (int kind = 0; kind < 2; kind++) {
        Scope s = scope(&p, "%d", kind);
        if (kind) s = with_init(s, (LayerInit){WEIGHTS_XAVIER, .zero_bias = true});
        d.std = kind ? (TransformerStd){0} : (TransformerStd){1, 2, 3, 4};
        Transformer t = transformer_new(s, &d);
        for (int i = 0; i < 2; i++) {
            const TransformerBlock *b = &t.blocks[i];
            const Linear *l[] = {&b->attn.qkv, &b->attn.out, &b->fc1, &b->fc2,
                                 &b->cross.q, &b->cross.k, &b->cross.v, &b->cross.out};
            const double std[] = {1, 2, 3, 4, 1, 1, 1, 2};
            for (int k = 0; k < 8; k++) {
                double fans = l[k]->w->shape[0] + l[k]->w->shape[1];
                expect_spread(l[k], kind ? sqrt(2 / fans) : std[k]);
            }
        }
    }
    params_free(&p);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* y (rows,out) = x (rows,in) w + b, all plain loops in double */
static void plain_linear(int rows, const double *x, const Linear *l, double *y) {
    int in = l->w->shape[0], out = l->w->shape[1];
    for (int i = 0; i < rows * out; i++) {
        y[i] = l->b ? (double)l->b->x[i % out] : 0;
        for (int k = 0; k < in; k++)
            y[i] += x[i / out * in + k] * (double)l->w->x[k * out + i % out];
    }
}

static void plain_norm(int rows, const double *x, const LayerNorm *l, double *y) {
    for (int i = 0; i < rows; i++, x += C, y += C) {
        double mean = 0, variance = 0;
        for (int c = 0; c < C; c++) mean += x[c] / C;
        for (int c = 0; c < C; c++) variance += (x[c] - mean) * (x[c] - mean) / C;
        for (int c = 0; c < C; c++)
            y[c] = (x[c] - mean) / sqrt(variance + l->eps) * (double)l->gain->x[c] +
                   (double)l->shift->x[c];
    }
}

/* one item: q (N,.), k and v (n,.), rows `step` apart; query i sees keys up to i if causal */
static void plain_attention(int heads, int n, bool causal, const double *q, int q_step,
                            const double *k, const double *v, int step, double *y) {
    int d = C / heads;
    for (int i = 0; i < N; i++)
        for (int h = 0; h < heads; h++) {
            double p[N], total = 0;
            for (int j = 0; j < n; j++) {
                double score = 0;
                for (int e = h * d; e < (h + 1) * d; e++)
                    score += q[i * q_step + e] * k[j * step + e];
                total += p[j] = causal && j > i ? 0 : exp(score / sqrt(d));
            }
            for (int e = h * d; e < (h + 1) * d; e++) {
                y[i * C + e] = 0;
                for (int j = 0; j < n; j++) y[i * C + e] += p[j] / total * v[j * step + e];
            }
        }
}

static double plain_activation(Activation f, double x) {
    if (f == GELU_TANH) return x / 2 * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    if (f == QUICK_GELU) return x / (1 + exp(-1.702 * x));
    return x / 2 * erfc(-x / sqrt(2));
}

enum { WIDEST = 64 };

/* x (N,C) becomes what the block makes of it; context (M,CONTEXT) or NULL */
static void plain_block(const TransformerBlock *b, bool causal, const double *context, double *x) {
    double a[N * WIDEST], h[N * WIDEST], k[M * C], v[M * C], y[N * WIDEST];
    plain_norm(N, x, &b->norm1, a);
    plain_linear(N, a, &b->attn.qkv, h);
    plain_attention(b->attn.heads, N, causal, h, 3 * C, h + C, h + 2 * C, 3 * C, y);
    plain_linear(N, y, &b->attn.out, a);
    for (int i = 0; i < N * C; i++) x[i] += a[i];
    if (context) {
        plain_norm(N, x, &b->norm_cross, a);
        plain_linear(N, a, &b->cross.q, h);
        plain_linear(M, context, &b->cross.k, k), plain_linear(M, context, &b->cross.v, v);
        plain_attention(b->cross.heads, M, false, h, C, k, v, C, y);
        plain_linear(N, y, &b->cross.out, a);
        for (int i = 0; i < N * C; i++) x[i] += a[i];
    }
    plain_norm(N, x, &b->norm2, a);
    plain_linear(N, a, &b->fc1, h);
    int units = b->fc2.w->shape[0], width = b->fc1.w->shape[1];
    for (int i = 0; i < N * units; i++) {
        const double *row = h + i / units * width;
        double gated = plain_activation(b->activation, row[i % units + width - units]);
        y[i] = b->activation == GEGLU ? row[i % units] * gated : gated;
    }
    plain_linear(N, y, &b->fc2, a);
    for (int i = 0; i < N * C; i++) x[i] += a[i];
}

static void check_values(TransformerConfig c, bool causal) {
    Params p = {.seed = 1};
    Tape t = {.no_grad = true};
    c.width = C, c.eps = 1e-5;
    TransformerBlock b = transformer_block_new(scope(&p, "b"), &c);
    for (int i = 0; i < p.count; i++)                        /* gains and shifts, too */
        test_values(p.list[i]->name, -1, 1, p.list[i]->len, p.list[i]->x);
    Tensor *x = values(&t, "tokens", SHAPE(1, N, C)), *text = values(&t, "context",
                                                                     SHAPE(1, M, CONTEXT));
    double want[N * C], words[M * CONTEXT];
    for (int i = 0; i < N * C; i++) want[i] = (double)x->x[i];
    for (int i = 0; i < M * CONTEXT; i++) words[i] = (double)text->x[i];
    plain_block(&b, causal, c.context ? words : NULL, want);
    Attention a = {.causal = causal};
    Tensor *y = c.context ? transformer_block_cross(&b, x, a, text, (Attention){0})
                          : transformer_block(&b, x, a);
    for (int i = 0; i < N * C; i++)
        cr_expect(fabs((double)y->x[i] - want[i]) < 100 * (double)REAL_EPS * (1 + fabs(want[i])),
                  "activation %d: number %d is %.9g, not %.9g", (int)c.activation, i,
                  (double)y->x[i], want[i]);
    tape_free(&t);
    params_free(&p);
}

/* Against plain loops: every activation, causal or not, with a context or without */
Test(transformer, blocks_compute_their_formula) {
    check_values((TransformerConfig){.heads = 3, .activation = GELU}, false);
    check_values((TransformerConfig){.heads = 2, .activation = GELU_TANH, .hidden = 7}, true);
    check_values((TransformerConfig){.heads = 1, .activation = QUICK_GELU}, true);
    check_values((TransformerConfig){.heads = 2, .activation = GEGLU, .hidden = 9,
                                     .no_qkv_bias = true, .context = CONTEXT}, false);
    check_values((TransformerConfig){.heads = 3, .activation = GEGLU, .context = CONTEXT}, true);
}

/* ---- gradients ------------------------------------------------------------------------------- */

#ifdef REAL_DOUBLE
typedef struct {
    Params params;
    Transformer net;
    Attention attention, cross;
} Case;

static Tensor *case_loss(Tape *t, void *context) {
    const Case *c = context;
    Tensor *x = values(t, "tokens", SHAPE(B, N, C));
    if (c->net.config.context) {
        Tensor *text = values(t, "context", SHAPE(B, M, CONTEXT));
        for (int i = 0; i < DEPTH; i++)
            x = transformer_block_cross(&c->net.blocks[i], x, c->attention, text, c->cross);
    } else x = transformer(&c->net, x, c->attention);
    return t_sum(t_mul(x, values(t, "cotangent", SHAPE(B, N, C))));
}

static void check_gradients(TransformerConfig d, Attention a, Attention cross) {
    Case c = {.params = {.seed = 1}, .attention = a, .cross = cross};
    d.width = C, d.depth = DEPTH, d.eps = 1e-5;
    c.net = transformer_new(scope(&c.params, "h"), &d);
    /* a bias of the keys moves all scores of a query alike, which the softmax does not see */
    double error = gradient_error_of(&c.params, case_loss, &c,
                                     (GradientCheck){.samples = 12, .h = 1e-4, .zero = "cross.k.b"});
    cr_expect(error < 1e-6, "activation %d: relative error %g", (int)d.activation, error);
    params_free(&c.params);
}

/* Every kind of block, with every mask, at sizes that fill no vector */
Test(transformer, gradients_agree_with_central_differences) {
    static const uint8_t window[N * N] = {1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 1,
                                          1, 0, 1, 0, 0, 1, 1};
    static const uint8_t words[B * N * M] = {[0] = 1, [4] = 1, [8] = 1, [9] = 1, [10] = 1, [14] = 1,
                                             [17] = 1, [20] = 1, [22] = 1, [25] = 1, [27] = 1};
    Attention all = {0};
    check_gradients((TransformerConfig){.heads = 3, .activation = GELU}, all, all);
    check_gradients((TransformerConfig){.heads = 2, .activation = GELU_TANH, .hidden = 7},
                    (Attention){.causal = true}, all);
    check_gradients((TransformerConfig){.heads = 1, .activation = QUICK_GELU},
                    (Attention){.causal = true, .mask = window}, all);
    check_gradients((TransformerConfig){.heads = 2, .activation = GEGLU, .hidden = 5,
                                        .no_qkv_bias = true, .context = CONTEXT}, all, all);
    check_gradients((TransformerConfig){.heads = 3, .activation = GEGLU, .context = CONTEXT},
                    (Attention){.mask = window},
                    (Attention){.mask = words, .mask_per_item = true});
}
#endif

/* ---- cross-attention ------------------------------------------------------------------------- */

/* Do all tokens read the context, and none what is masked in it? */
Test(transformer, tokens_read_the_part_of_the_context_that_they_may_see) {
    Params p = {.seed = 1};
    Tape t = {.no_grad = true};
    TransformerConfig d = {.width = C, .depth = 1, .heads = 2, .eps = 1e-5, .context = CONTEXT};
    TransformerBlock b = transformer_block_new(scope(&p, "b"), &d);
    static const uint8_t first_two[N * M] = {1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0};
    Tensor *x = values(&t, "tokens", SHAPE(B, N, C)), *text = values(&t, "context",
                                                                     SHAPE(B, M, CONTEXT));
    Attention cross = {.mask = first_two};
    Tensor *y = transformer_block_cross(&b, x, (Attention){0}, text, cross);
    for (int word = 0; word < M; word++) {
        text->x[word * CONTEXT] += 1;
        Tensor *z = transformer_block_cross(&b, x, (Attention){0}, text, cross);
        for (int i = 0; i < B * N; i++)
            cr_expect_eq(memcmp(y->x + i * C, z->x + i * C, C * sizeof(real)) != 0,
                         i < N && word < 2, "token %d, word %d of the first item", i, word);
        text->x[word * CONTEXT] -= 1;
    }
    tape_free(&t);
    params_free(&p);
}

/* ---- cache ----------------------------------------------------------------------------------- */

enum { LONG = 23 };

/* the largest difference between passing all tokens at once, and `step` at a time after `first` */
static double cached_difference(Attention a, int first, int step, int capacity) {
    Params p = {.seed = 1};
    Tape whole = {.no_grad = true}, t = {.no_grad = true};
    TransformerConfig d = {.width = 12, .depth = 3, .heads = 3, .eps = 1e-5,
                           .activation = GELU_TANH};
    Transformer net = transformer_new(scope(&p, "h"), &d);
    Tensor *x = values(&whole, "tokens", SHAPE(B, LONG, 12)), *y = transformer(&net, x, a);
    KeyValueCache cache = cache_new(&p.arena, &net, B, capacity);
    double worst = 0;
    for (int begun = 0; begun < 2; begun++) {                /* the second time it is used again */
        cache.count = 0;
        for (int i = 0, n = first; i < LONG; i += n, n = step) {
            if (n > LONG - i) n = LONG - i;
            tape_reset(&t);
            Tensor *next = t_input(&t, NULL, SHAPE(B, n, 12));
            for (int b = 0; b < B; b++)
                memcpy(next->x + b * n * 12, x->x + (b * LONG + i) * 12,
                       (size_t)n * 12 * sizeof(real));
            next = transformer_next(&net, next, a, &cache);
            for (int k = 0; k < B * n * 12; k++) {
                int b = k / (n * 12), at = k % (n * 12);
                worst = fmax(worst, fabs((double)(next->x[k] - y->x[(b * LONG + i) * 12 + at])));
            }
        }
        cr_expect_eq(cache.count, LONG);
    }
    tape_free(&whole), tape_free(&t);
    params_free(&p);
    return worst;
}

/* Does a token get what it gets when all before it are passed again? */
Test(transformer, cached_equals_the_full_pass) {
    static uint8_t mask[B * LONG * LONG];
    Rng r = rng_new(1, "mask");
    for (int i = 0; i < B * LONG * LONG; i++)
        mask[i] = i / LONG % LONG == i % LONG || rng_below(&r, 2);
    const Attention kinds[] = {{.causal = true},
                               {.causal = true, .mask = mask},
                               {.causal = true, .mask = mask, .mask_per_item = true}};
    const int firsts[] = {1, 5, LONG}, steps[] = {1, 4};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 2; j++) {
                double worst = cached_difference(kinds[k], firsts[i], steps[j], LONG);
                cr_expect(worst < 1e-5, "kind %d, first %d, then %d: %g", k, firsts[i], steps[j],
                          worst);
            }
    double worst = cached_difference(kinds[0], 3, 1, LONG + 10);
    cr_expect(worst < 1e-5, "in a cache with room left: %g", worst);
}

static void pass(bool causal, int tokens, bool no_grad) {
    Params p = {.seed = 1};
    Tape t = {.no_grad = no_grad};
    TransformerConfig d = {.width = C, .depth = 1, .heads = 2, .eps = 1e-5};
    Transformer net = transformer_new(scope(&p, "h"), &d);
    KeyValueCache cache = cache_new(&p.arena, &net, B, N);
    Tensor *x = values(&t, "tokens", SHAPE(B, tokens, C));
    transformer_next(&net, x, (Attention){.causal = causal}, &cache);
    cr_expect_eq(cache.count, tokens);
    tape_free(&t);
    params_free(&p);
}

Test(transformer, more_tokens_than_the_cache_holds_are_a_mistake, .signal = SIGABRT) {
    pass(true, N + 1, true);
}

Test(transformer, gradients_through_a_cache_are_a_mistake, .signal = SIGABRT) {
    pass(true, N, false);
}

Test(transformer, a_cache_for_tokens_that_see_the_future_is_a_mistake, .signal = SIGABRT) {
    pass(false, N, true);
}

Test(transformer, a_cache_takes_what_fits) {
    pass(true, N, true);
}
