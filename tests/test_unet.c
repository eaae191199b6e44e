/* test_unet.c — the U-Net of the diffusion chapters: gradients of every dialect, what each option
 * does, and what a step needs to remember. */
#include "nn/unet.h"
#include "testing.h"

#include <math.h>
#include <signal.h>

SUITE(unet);

/* small networks that together have every option, at sizes of their own */
typedef struct {
    const char *what;
    int height, width, classes;
    bool sines_first;
    UNetConfig c;
} Case;

static const Case cases[] = {
    {"ddpm", 6, 6, 0, true,
     {.in = 2, .out = 2, .width = 4, .levels = 2, .multiplier = {1, 2}, .attends = {false, true},
      .blocks = 1, .heads = 1,
      .style = {.groups = 2, .eps = 1e-6, .pad_far_sides = true, .glorot = true}}},
    {"iddpm", 4, 6, 3, false,
     {.in = 1, .out = 2, .width = 8, .levels = 2, .multiplier = {1, 1}, .attends = {true, false},
      .blocks = 2, .heads = 4,
      .style = {.groups = 4, .eps = 1e-5, .scale_shift = true, .dropout = 0.3}}},
    {"three levels, pooled", 4, 8, 0, false,
     {.in = 1, .out = 3, .width = 6, .levels = 3, .multiplier = {1, 3, 2}, .blocks = 1, .heads = 2,
      .resampling = RESAMPLE_PLAIN, .style = {.groups = 3, .eps = 1e-5, .dropout = 0.2}}},
    {"one level", 3, 5, 0, true,
     {.in = 3, .out = 1, .width = 4, .levels = 1, .multiplier = {2}, .blocks = 1, .heads = 2,
      .style = {.groups = 2, .eps = 1e-5}}},
    {"guided-diffusion", 6, 10, 3, false,
     {.in = 1, .out = 2, .width = 6, .levels = 2, .multiplier = {1, 2}, .attends = {false, true},
      .blocks = 1, .head_channels = 3, .resampling = RESAMPLE_RESBLOCK,
      .style = {.groups = 3, .eps = 1e-5, .scale_shift = true, .dropout = 0.2}}},
    {"glide", 4, 6, 0, false,
     {.in = 2, .out = 2, .width = 4, .levels = 2, .multiplier = {1, 2}, .attends = {true, true},
      .blocks = 1, .head_channels = 2, .context = 5, .resampling = RESAMPLE_RESBLOCK,
      .style = {.groups = 2, .eps = 1e-5, .scale_shift = true}}},
    {"latent diffusion", 6, 4, 2, false,
     {.in = 2, .out = 1, .width = 4, .levels = 2, .multiplier = {1, 2}, .attends = {true, false},
      .blocks = 1, .heads = 2, .context = 3, .transformer_depth = 2,
      .style = {.groups = 2, .eps = 1e-5}}},
    {"no attention, another first width", 5, 7, 0, false,
     {.in = 2, .out = 1, .width = 4, .levels = 1, .multiplier = {3}, .blocks = 2, .first = 8,
      .plain_middle = true, .style = {.groups = 4, .eps = 1e-5, .emb = 6}}}};
enum { CASES = sizeof cases / sizeof *cases, BATCH = 2, TOKENS = 3 };

/* a chapter's model: what the U-Net is given is made of a time, a class and a context of tokens */
typedef struct {
    TimeEmbedding time;
    Embedding class;
    Tensor *tokens;              /* (BATCH,TOKENS,D) */
    UNet unet;
} Model;

static Model model_of(Params *p, const Case *c) {
    int emb = unet_emb(&c->c);
    Model m = {.time = time_embedding_new(scope(p, "time"), c->c.width, emb, c->sines_first)};
    if (c->classes) m.class = embedding_new(scope(p, "class"), c->classes, emb);
    if (c->c.context)
        m.tokens = param(scope(p, "context"), "tokens", INIT_NORMAL, 1,
                         SHAPE(BATCH, TOKENS, c->c.context));
    m.unet = unet_new(p, c->c);
    return m;
}

typedef struct {
    const double *time;
    const int *label;
    const uint8_t *mask;
} Given;

static Tensor *model_output(const Model *m, Tensor *x, Given given) {
    Tensor *emb = time_embedding(&m->time, x->tape, given.time, BATCH);
    if (m->class.table) emb = t_add(emb, embedding(&m->class, x->tape, given.label, BATCH));
    if (!m->tokens) return unet(&m->unet, x, emb, NULL);
    return unet_masked(&m->unet, x, emb, (Context){t_use(x->tape, m->tokens), given.mask});
}

static const double times[BATCH] = {3, 0.25};
static const int labels[BATCH] = {1, 0};
static const uint8_t mask[BATCH * TOKENS] = {1, 0, 1, 1, 1, 0};

/* ---- gradients ------------------------------------------------------------------------------- */

#ifdef REAL_DOUBLE
typedef struct {
    Model net;
    Tensor *x;                   /* a parameter, so that the picture's gradient is checked, too */
} Subject;

static Tensor *weighted_output(Tape *t, void *context) {
    const Subject *s = context;
    Rng dropout = rng_new(5, "dropout");
    t->dropout = &dropout;
    Tensor *y = model_output(&s->net, t_use(t, s->x), (Given){times, labels, mask});
    t->dropout = NULL;
    Tensor *c = t_input(t, NULL, y->rank, y->shape);
    test_values("cotangent", -1, 1, c->len, c->x);
    return t_sum(t_mul(y, c));
}

Test(unet, gradients_of_every_dialect) {
    for (int i = 0; i < CASES; i++) {
        const Case *c = &cases[i];
        Params p = {.seed = 2};
        Subject s = {.net = model_of(&p, c)};
        s.x = param(scope(&p, "picture"), "x", INIT_NORMAL, 1,
                    SHAPE(BATCH, c->height, c->width, c->c.in));
        move_params(&p, 0.3);
        double error = gradient_error(&p, weighted_output, &s, 5);
        cr_expect(error <= 1e-6, "%s: relative error %g", c->what, error);
        params_free(&p);
    }
}
#endif

/* ---- what it is given ------------------------------------------------------------------------ */

static Tensor *output_of(Tape *t, const Model *net, const Case *c, Given given) {
    Tensor *x = t_input(t, NULL, SHAPE(BATCH, c->height, c->width, c->c.in));
    test_values("x", -1, 1, x->len, x->x);
    return model_output(net, x, given);
}

/* Does the output begin at 0, for all x, with pictures of the right shape? */
Test(unet, an_untrained_network_gives_zero) {
    for (int i = 0; i < CASES; i++) {
        Params p = {.seed = 1};
        Tape t = {.no_grad = true};
        Model net = model_of(&p, &cases[i]);
        Tensor *y = output_of(&t, &net, &cases[i], (Given){times, labels, mask});
        cr_expect(y->shape[1] == cases[i].height && y->shape[2] == cases[i].width &&
                      y->shape[3] == cases[i].c.out, "%s: %s", cases[i].what, t_describe(y));
        cr_expect_eq(k_sum_squares(y->len, y->x), 0, "%s", cases[i].what);
        tape_free(&t);
        params_free(&p);
    }
}

/* Do time, class and dropout reach the output, and only that of their own picture? */
Test(unet, time_class_and_dropout_matter_to_their_own_picture) {
    for (int i = 0; i < CASES; i++) {
        const Case *c = &cases[i];
        Params p = {.seed = 1};
        Tape t = {.no_grad = true};
        Model net = model_of(&p, c);
        move_params(&p, 0.3);
        Rng rng = rng_new(1, "dropout");
        static const double later[BATCH] = {3, 1};
        static const int other[BATCH] = {1, 1};
        Tensor *y = output_of(&t, &net, c, (Given){times, labels, mask});
        Tensor *changed[3] = {output_of(&t, &net, c, (Given){later, labels, mask}),
                           output_of(&t, &net, c, (Given){times, other, mask})};
        t.dropout = &rng;
        changed[2] = output_of(&t, &net, c, (Given){times, labels, mask});
        bool matters[3] = {true, c->classes > 0, c->c.style.dropout > 0};
        size_t half = y->len / 2;
        for (int k = 0; k < 3; k++) {
            double change = k_sum_squared_difference(half, y->x + half, changed[k]->x + half);
            cr_expect_eq(change > 1e-9, matters[k], "%s, %d: %g", c->what, k, change);
            if (k < 2) cr_expect_arr_eq(y->x, changed[k]->x, half * sizeof(real), "%s", c->what);
        }
        tape_free(&t);
        params_free(&p);
    }
}

/* Does each token of a context that is there reach its own picture, and one that is not there none?
 * Without a mask all are there. */
Test(unet, tokens_matter_to_their_own_picture_where_they_are_there) {
    static const uint8_t all[BATCH * TOKENS] = {1, 1, 1, 1, 1, 1};
    for (int i = 0; i < CASES; i++) {
        const Case *c = &cases[i];
        if (!c->c.context) continue;
        Params p = {.seed = 1};
        Tape t = {.no_grad = true};
        Model net = model_of(&p, c);
        move_params(&p, 0.3);
        Tensor *y = output_of(&t, &net, c, (Given){times, labels, mask});
        Tensor *with_all = output_of(&t, &net, c, (Given){times, labels, all});
        Tensor *unmasked = output_of(&t, &net, c, (Given){times, labels, NULL});
        cr_expect_arr_eq(with_all->x, unmasked->x, y->len * sizeof(real), "%s", c->what);
        cr_expect_gt(k_sum_squared_difference(y->len, y->x, with_all->x), 1e-9, "%s", c->what);
        size_t picture = y->len / BATCH;
        for (int k = 0; k < BATCH * TOKENS; k++) {
            real *token = &net.tokens->x[k * c->c.context], before = *token;
            *token += 1;
            Tensor *z = output_of(&t, &net, c, (Given){times, labels, mask});
            *token = before;
            for (int b = 0; b < BATCH; b++) {
                const real *from = y->x + (size_t)b * picture, *to = z->x + (size_t)b * picture;
                bool matters = mask[k] && k / TOKENS == b;
                cr_expect_eq(k_sum_squared_difference(picture, from, to) > 1e-12, matters,
                             "%s: token %d, picture %d", c->what, k, b);
            }
        }
        tape_free(&t);
        params_free(&p);
    }
}

/* Doubling an image undoes halving it where neither has weights, inside a residual block, too: with
 * its branch at 0, what is left is the image of half or twice the size. */
Test(unet, residual_blocks_resample_what_goes_past_them) {
    BlockStyle style = {.groups = 1, .eps = 1e-5};
    Params p = {.seed = 1};
    Tape t = {.no_grad = true};
    ResBlock half = resblock_new(&style, scope(&p, "half"), 2, 2, HALF_SIZE);
    ResBlock two = resblock_new(&style, scope(&p, "double"), 2, 2, DOUBLE_SIZE);
    Tensor *x = t_input(&t, NULL, SHAPE(1, 3, 5, 2));
    test_values("x", -1, 1, x->len, x->x);
    Tensor *large = resblock(&two, x, NULL), *again = resblock(&half, large, NULL);
    cr_assert(large->shape[1] == 6 && large->shape[2] == 10, "%s", t_describe(large));
    cr_expect_arr_eq(again->x, x->x, x->len * sizeof(real));
    for (int i = 0; i < 6 * 10 * 2; i++)
        cr_expect_eq(large->x[i], x->x[(i / 2 / 10 / 2 * 5 + i / 2 % 10 / 2) * 2 + i % 2], "%d", i);
    tape_free(&t);
    params_free(&p);
}

/* frequencies 1 to 10000^-1, or to just before it; sines before cosines, or after */
Test(unet, time_embedding_is_that_of_either_paper) {
    enum { WIDTH = 8 };
    Tape t = {.no_grad = true};
    double time = 20.5;
    const real *a = sinusoidal_embedding(&t, &time, 1, WIDTH, true)->x;
    const real *b = sinusoidal_embedding(&t, &time, 1, WIDTH, false)->x;
    static const double to_the_end[] = {1, 0.0464158883, 0.0021544347, 1e-4};
    static const double before_it[] = {1, 0.1, 0.01, 0.001};
    for (int i = 0; i < WIDTH / 2; i++) {
        cr_expect_float_eq(a[i], sin(time * to_the_end[i]), 1e-6, "%d", i);
        cr_expect_float_eq(a[i + 4], cos(time * to_the_end[i]), 1e-6, "%d", i);
        cr_expect_float_eq(b[i], cos(time * before_it[i]), 1e-6, "%d", i);
        cr_expect_float_eq(b[i + 4], sin(time * before_it[i]), 1e-6, "%d", i);
    }
    tape_free(&t);
}

/* With zeros at the far sides a picture's halving begins at its first pixel, with zeros all around
 * one pixel before it: half a pixel of the small picture. */
Test(unet, padding_at_the_far_sides_shifts_by_half_a_pixel) {
    for (int far = 0; far < 2; far++) {
        Params p = {.seed = 1};
        Tape t = {.no_grad = true};
        enum { CHANNELS = 4 };
        BlockStyle style = cases[0].c.style;
        style.pad_far_sides = far;
        Conv2d c = downsample_new(&style, scope(&p, "resample"), CHANNELS);
        init_constant(c.w, 0), init_constant(c.b, 0);
        c.w->x[0] = 1;                           /* the corner of channel 0 */
        Tensor *x = t_input(&t, NULL, SHAPE(1, 6, 6, CHANNELS));
        for (size_t i = 0; i < x->len; i++) x->x[i] = (real)(i / CHANNELS);
        Tensor *y = downsample(&c, x);
        cr_assert(y->shape[1] == 3 && y->shape[2] == 3);
        cr_expect_float_eq(y->x[4 * CHANNELS], far ? 14 : 7, 1e-6);
        cr_expect_float_eq(y->x[0], 0, 1e-6);
        tape_free(&t);
        params_free(&p);
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* the memory of a training step's values */
static size_t peak_of(const Case *c, double dropout) {
    Params p = {.seed = 1};
    Rng rng = rng_new(1, "dropout");
    Tape t = {.dropout = &rng};
    Case with = *c;
    with.c.style.dropout = dropout;
    Model net = model_of(&p, &with);
    backward(t_sum(output_of(&t, &net, c, (Given){times, labels, mask})));
    size_t peak = t.values.peak;
    tape_free(&t);
    params_free(&p);
    return peak;
}

/* What dropout makes is drawn again, not stored: does it need hardly any memory? */
Test(unet, dropout_costs_no_memory) {
    for (int i = 0; i < CASES; i++) {
        double with = (double)peak_of(&cases[i], 0.3), without = (double)peak_of(&cases[i], 0);
        cr_expect(with <= 1.15 * without, "%s: %g bytes, %g without dropout", cases[i].what, with,
                  without);
    }
}

/* Sampling gives values back that training keeps for gradients: the same bits, in less memory? */
Test(unet, without_gradients_the_output_is_the_same_and_needs_less_memory) {
    for (int i = 0; i < CASES; i++) {
        Params p = {.seed = 1};
        Model net = model_of(&p, &cases[i]);
        move_params(&p, 0.3);
        Tape recording = {0}, sampling = {.no_grad = true};
        Tensor *a = output_of(&recording, &net, &cases[i], (Given){times, labels, mask});
        Tensor *b = output_of(&sampling, &net, &cases[i], (Given){times, labels, mask});
        cr_expect_gt(k_sum_squares(a->len, a->x), 0);
        cr_expect_eq(memcmp(a->x, b->x, a->len * sizeof *a->x), 0, "%s", cases[i].what);
        cr_expect_lt(sampling.values.peak, 0.75 * (double)recording.values.peak,
                     "%s: %zu bytes, %zu", cases[i].what, sampling.values.peak,
                     recording.values.peak);
        tape_free(&recording), tape_free(&sampling);
        params_free(&p);
    }
}

Test(unet, a_configuration_that_cannot_be_is_refused, .signal = SIGABRT) {
    Params p = {0};
    UNetConfig c = cases[0].c;
    c.levels = UNET_LEVELS + 1;
    unet_new(&p, c);
}

Test(unet, heads_that_do_not_come_out_even_are_refused, .signal = SIGABRT) {
    Params p = {0};
    UNetConfig c = cases[4].c;
    c.head_channels = 5;
    unet_new(&p, c);
}

Test(unet, a_context_that_is_missing_is_refused, .signal = SIGABRT) {
    Params p = {0};
    Tape t = {0};
    UNet net = unet_new(&p, cases[5].c);
    unet(&net, t_input(&t, NULL, SHAPE(1, 4, 6, 2)), t_input(&t, NULL, SHAPE(1, 16)), NULL);
}

/* Are the features of each level what its block has made, before it is halved? */
Test(unet, levels_are_what_their_last_blocks_make) {
    Params params = {.seed = 3};
    Tape tape = {.no_grad = true};
    UNetConfig c = cases[2].c;                   /* one block a level, no attention going down */
    c.style.dropout = 0;
    UNet u = unet_encoder_new(&params, c);
    Tensor *x = t_input(&tape, NULL, SHAPE(BATCH, 4, 8, 1)), *level[UNET_LEVELS];
    Tensor *emb = t_input(&tape, NULL, SHAPE(BATCH, unet_emb(&c)));
    test_values("x", -1, 1, x->len, x->x), test_values("emb", -1, 1, emb->len, emb->x);
    Tensor *end = unet_encoder_levels(&u, x, emb, level), *h = conv2d(&u.in, x);
    for (int i = 0, l = 0; i < u.down.count; i++) {
        const UNetBlock *b = &u.down.block[i];
        h = b->kind == RES_BLOCK ? resblock(&b->res, h, t_silu(emb)) : downsample(&b->resample, h);
        if (b->kind != RES_BLOCK) continue;
        cr_assert(level[l]->len == h->len && level[l]->shape[3] == c.width * c.multiplier[l]);
        cr_expect_arr_eq(level[l++]->x, h->x, h->len * sizeof *h->x);
    }
    Tensor *again = unet_encoder(&u, x, emb, NULL);
    cr_expect_arr_eq(end->x, again->x, end->len * sizeof *end->x);
    tape_free(&tape);
    params_free(&params);
}
