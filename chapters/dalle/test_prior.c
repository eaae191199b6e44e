/* test_prior.c — the transformer over text and codes: published sizes, what a place sees, what may
 * be predicted where, losses, the prior as a distribution, steps against full passes, a few pairs
 * by heart. */
#include "nn/optimizer.h"
#include "prior.h"
#include "testing.h"

#include <math.h>

SUITE(prior);

enum { T = 5, V = 9, H = 3, W = 4, N = H * W, K = 6, BATCH = 2, MOST = 12800, SNAIL = 16 };

static const PriorConfig tiny = {.text = T, .vocabulary = V, .rows = H, .columns = W, .codes = K,
                                 .width = 16, .depth = 3, .heads = 2, .kernel = 3};

static const int text[BATCH * T] = {1, 4, 7, 2, NO_TOKEN, 1, 5, 2, NO_TOKEN, NO_TOKEN};

static void some_codes(int n, int limit, int *z) {
    real u[400];
    test_values("codes", 0, 1, (size_t)n, u);
    for (int i = 0; i < n; i++) z[i] = (int)(u[i] * (real)limit);
}

/* far from the small first values, at which all attention is uniform */
static Prior moved(Params *p, PriorConfig c) {
    p->seed = 2;
    Prior prior = prior_new(p, c);
    for (int i = 0; i < p->count; i++) {
        Tensor *w = p->list[i];
        static real noise[MOST];
        cr_assert(w->len <= MOST, "%s", w->name);
        test_values(w->name, -0.4, 0.4, w->len, noise);
        k_axpy(w->len, 1, noise, w->x, true);
    }
    return prior;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static size_t count(const char *name, size_t *blocks) {
    Params p = {.shapes_only = true};
    PriorConfig c = prior_config(name);
    prior_new(&p, c);
    size_t n = params_count(&p);
    *blocks = 0;
    for (int i = 0; i < p.count; i++)
        if (!strncmp(p.list[i]->name, "h.", 2)) *blocks += p.list[i]->len;
    cr_expect(p.arena.used < 1 << 20, "counting took %zu bytes", p.arena.used);
    params_free(&p);
    return n;
}

/* 12 billion: 64 blocks of 12 d^2 + 13 d; and minDALL-E's, added up from its layers */
Test(prior, the_published_transformers_have_their_sizes) {
    size_t blocks, all = count("dalle-12b", &blocks), d = 3968;
    cr_expect_eq(blocks, 64 * (12 * d * d + 13 * d), "%zu", blocks);
    cr_expect_eq(all - blocks, d * (2 * (16384 + 8192) + 2 * 256 + 1 + 32 + 32 + 2), "%zu", all);
    all = count("mindalle", &blocks), d = 1536;
    cr_expect_eq(blocks, 42 * (12 * d * d + 13 * d), "%zu", blocks);
    cr_expect_eq(all, 1291081728, "%zu", all);
}

/* ---- masks ----------------------------------------------------------------------------------- */

/* Figure 11 of the paper for 4x4 codes, drawn: what code i sees, marked place by place from its row
 * and column, with a square kernel of 3 in the convolution */
static void draw_mask(AttentionKind kind, int i, bool sees[16]) {
    int row = i / 4, column = i % 4;
    for (int j = 0; j < 16; j++) sees[j] = kind == ATTEND_ALL && j <= i;
    if (kind == ATTEND_ROW) {
        for (int c = 0; c <= column; c++) sees[row * 4 + c] = true;
        for (int c = column; row > 0 && c < 4; c++) sees[(row - 1) * 4 + c] = true;
    }
    if (kind == ATTEND_COLUMN)
        for (int r = 0; r <= row; r++) sees[r * 4 + column] = true;
    if (kind == ATTEND_CONVOLUTION) {
        sees[i] = true;
        int places[4] = {i - 1, i - 4 - 1, i - 4, i - 4 + 1};  /* in the stream: rows wrap around */
        for (int k = 0; k < 4; k++)
            if (places[k] >= 0) sees[places[k]] = true;
    }
}

Test(prior, masks_are_those_of_the_papers_figure) {
    enum { BEFORE = 3, LENGTH = BEFORE + 16 };
    static const int most[ATTENDS] = {16, 5, 4, 5};
    for (AttentionKind kind = 0; kind < ATTENDS; kind++) {
        uint8_t mask[LENGTH * LENGTH];
        int largest = 0;
        attention_mask(kind, (StreamShape){BEFORE, 4, 3}, LENGTH, mask);
        for (int i = 0; i < LENGTH; i++)
            for (int j = 0; j < LENGTH; j++) {
                bool expected = j <= i;                    /* text is causal, and always seen */
                if (i >= BEFORE && j >= BEFORE) {
                    bool sees[16];
                    draw_mask(kind, i - BEFORE, sees);
                    expected = sees[j - BEFORE];
                }
                cr_expect_eq(mask[i * LENGTH + j], expected, "kind %d: %d, %d", (int)kind, i, j);
            }
        for (int i = BEFORE; i < LENGTH; i++) {
            int n = 0;
            for (int j = BEFORE; j < LENGTH; j++) n += mask[i * LENGTH + j];
            if (n > largest) largest = n;
        }
        cr_expect_eq(largest, most[kind], "kind %d sees %d codes", (int)kind, largest);
    }
}

/* Blocks 1 to 64: the last convolution, columns at 2, 6, 10, ... */
Test(prior, blocks_have_the_papers_kinds_of_attention) {
    int times[ATTENDS] = {0};
    for (int i = 1; i <= 64; i++) {
        AttentionKind kind = attention_kind(PATTERN_PAPER, i - 1, 64);
        times[kind]++;
        if (i == 64) cr_expect_eq(kind, ATTEND_CONVOLUTION);
        else cr_expect_eq(kind, (i - 2) % 4 ? ATTEND_ROW : ATTEND_COLUMN, "block %d", i);
    }
    cr_expect(times[ATTEND_ROW] == 47 && times[ATTEND_COLUMN] == 16 && times[ATTEND_ALL] == 0);
    cr_expect_eq(attention_kind(PATTERN_FULL, 63, 64), ATTEND_ALL);
}

/* ---- what a place sees ----------------------------------------------------------------------- */

/* the gradient of what is predicted for code i with respect to the embedding of code j: of three
 * layers, so what is seen is what `attends` reaches in three steps */
static void reached(const PriorConfig *c, bool reach[N][N]) {
    StreamShape shape = {c->text + 1, c->columns, c->kernel};
    bool next[N][N];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) reach[i][j] = i == j;
    for (int b = c->depth - 1; b >= 0; b--) {
        AttentionKind kind = attention_kind(c->attention, b, c->depth);
        memset(next, 0, sizeof next);
        for (int i = 0; i < N; i++)
            for (int m = 0; m < N; m++)
                for (int j = 0; reach[i][m] && j < N; j++)
                    next[i][j] |= attends(kind, shape, T + 1 + m, T + 1 + j);
        memcpy(reach, next, sizeof next);
    }
}

/* Each code another token, so that a token's gradient is a place's: which places are seen by the
 * logits of code i? None from i on, under any pattern. */
static void expect_what_is_seen(AttentionPattern pattern) {
    PriorConfig c = tiny;
    c.codes = N, c.attention = pattern;
    Params p = {0};
    Prior prior = moved(&p, c);
    bool reach[N][N];
    int z[N], seen = 0;
    reached(&c, reach);
    for (int i = 0; i < N; i++) z[i] = i;
    for (int i = 0; i < N; i++) {
        Tape t = {0};
        Tensor *logits = prior_logits(&prior, &t, 1, text, z).image;
        params_zero_grad(&p);
        backward(t_sum(t_square(t_slice(logits, 1, i, 1))));
        for (int j = 0; j < N; j++) {
            const real *g = prior.image_tokens->g + j * c.width;
            bool sees = prior.image_tokens->has_grad && k_sum_squares((size_t)c.width, g) > 0;
            cr_expect_eq(sees, i > 0 && reach[i - 1][j], "pattern %d: code %d, %d", (int)pattern, i,
                         j);
            seen += sees;
        }
        const real *pad = prior.text_tokens->g + (V + T - 1) * c.width;
        cr_expect(k_sum_squares((size_t)c.width, pad) > 0, "code %d does not see the padding", i);
        tape_free(&t);
    }
    cr_expect(seen > N);
    params_free(&p);
}

Test(prior, codes_see_what_the_masks_let_through_and_never_the_future) {
    for (AttentionPattern a = PATTERN_FULL; a <= PATTERN_PAPER; a++) expect_what_is_seen(a);
}

/* PixelSNAIL's logits of code i: of all captions' tokens, and of codes before i alone */
Test(prior, pixelsnail_sees_the_caption_and_no_code_that_comes_later) {
    PriorConfig c = tiny;
    c.snail = SNAIL;
    Params p = {0};
    Prior prior = moved(&p, c);
    Tape t = {.no_grad = true};
    int z[N], other[T];
    some_codes(N, K, z);
    const Tensor *was = prior_logits(&prior, &t, 1, text, z).image;
    for (int i = 0; i < N; i++) {
        z[i] = (z[i] + 1) % K;
        const Tensor *is = prior_logits(&prior, &t, 1, text, z).image;
        size_t before = (size_t)(i + 1) * K;
        double change = k_sum_squared_difference(before, was->x, is->x);
        cr_expect(change < 1e-12, "code %d changes those up to it by %g", i, change);
        z[i] = (z[i] + K - 1) % K;
        if (i == N - 1) break;
        change = k_sum_squared_difference(K, was->x + before, is->x + before);
        cr_expect(change > 1e-6, "code %d is not seen by the next", i);
    }
    for (int i = 0; i < T; i++) {
        memcpy(other, text, sizeof other);
        other[i] = text[i] == NO_TOKEN ? 3 : (text[i] + 1) % V;
        const Tensor *is = prior_logits(&prior, &t, 1, other, z).image;
        cr_expect(k_sum_squared_difference(is->len, was->x, is->x) > 1e-6, "token %d", i);
    }
    tape_free(&t), params_free(&p);
}

/* As many parameters as the transformer, so that the comparison is one of kinds */
Test(prior, pixelsnail_is_as_large_as_the_transformer) {
    size_t parameters[2];
    for (int i = 0; i < 2; i++) {
        Params p = {.shapes_only = true};
        PriorConfig c = prior_config("default");
        c.vocabulary = 1514, c.rows = c.columns = 16, c.codes = 512, c.snail = i ? 64 : 0;
        prior_new(&p, c);
        parameters[i] = params_count(&p);
        params_free(&p);
    }
    double ratio = (double)parameters[1] / (double)parameters[0];
    cr_expect(fabs(ratio - 1) < 0.1, "%zu and %zu", parameters[0], parameters[1]);
}

/* Text is predicted from text before it; codes after it have no influence. */
Test(prior, text_does_not_see_the_picture) {
    Params p = {0};
    Prior prior = moved(&p, tiny);
    Tape t = {.no_grad = true};
    int z[N], other[N], other_text[T];
    some_codes(N, K, z);
    for (int i = 0; i < N; i++) other[i] = (z[i] + 1) % K;
    memcpy(other_text, text, sizeof other_text);
    other_text[3] = 6;
    Tensor *a = prior_logits(&prior, &t, 1, text, z).text;
    Tensor *b = prior_logits(&prior, &t, 1, text, other).text;
    Tensor *c = prior_logits(&prior, &t, 1, other_text, z).text;
    cr_assert(a->shape[1] == T - 1 && a->shape[2] == V);
    cr_expect_arr_eq(a->x, b->x, a->len * sizeof(real));
    cr_expect_arr_eq(a->x, c->x, 3 * V * sizeof(real));
    cr_expect(memcmp(a->x + 3 * V, c->x + 3 * V, V * sizeof(real)), "a token does not see itself");
    tape_free(&t), params_free(&p);
}

/* Padding is another token at each place, and a row and a column are seen apart. */
Test(prior, padding_and_places_are_embedded) {
    Params p = {0};
    Prior prior = moved(&p, tiny);
    Tape t = {0};
    int z[N];
    some_codes(N, K, z);
    params_zero_grad(&p);
    backward(prior_loss(&prior, &t, 1, text + T, z).loss);     /* three tokens, two places padded */
    for (int i = 0; i < T; i++) {
        double g = k_sum_squares(16, prior.text_tokens->g + (V + i) * 16);
        cr_expect_eq(g > 0, i >= 3, "the padding of place %d", i);
    }
    for (int r = 0; r < H; r++) cr_expect(k_sum_squares(16, prior.rows->g + r * 16) > 0);
    for (int c = 0; c < W; c++) cr_expect(k_sum_squares(16, prior.columns->g + c * 16) > 0);
    cr_expect(k_sum_squares(16, prior.image_start->g) > 0);
    tape_free(&t), params_free(&p);
}

/* ---- loss ------------------------------------------------------------------------------------ */

/* Worked out from the logits: tokens that are there, but not the start; all codes; an eighth and
 * seven eighths */
Test(prior, the_loss_is_an_eighth_text_and_seven_eighths_codes) {
    Params p = {0};
    Prior prior = moved(&p, tiny);
    Tape t = {.no_grad = true};
    int z[BATCH * N], n = 0;
    some_codes(BATCH * N, K, z);
    PriorLogits logits = prior_logits(&prior, &t, BATCH, text, z);
    Tensor *of_text = t_log_softmax(logits.text), *of_image = t_log_softmax(logits.image);
    double text_nats = 0, image_nats = 0, each[BATCH * N];
    for (int b = 0; b < BATCH; b++)
        for (int i = 1; i < T; i++) {
            int token = text[b * T + i];
            if (token == NO_TOKEN) continue;
            text_nats -= (double)of_text->x[(b * (T - 1) + i - 1) * V + token];
            n++;
        }
    prior_nats(&prior, BATCH, text, z, each);
    for (int i = 0; i < BATCH * N; i++) {
        image_nats -= (double)of_image->x[i * K + z[i]];
        cr_assert_float_eq(each[i], -(double)of_image->x[i * K + z[i]], 1e-5);
    }
    cr_assert_eq(n, 5);
    PriorTerms terms = prior_loss(&prior, &t, BATCH, text, z);
    cr_assert_float_eq(terms.text->x[0], text_nats / n, 1e-5);
    cr_assert_float_eq(terms.image->x[0], image_nats / (BATCH * N), 1e-5);
    cr_assert_float_eq(terms.loss->x[0], text_nats / n / 8 + image_nats / (BATCH * N) * 7 / 8,
                       1e-5);
    tape_free(&t), params_free(&p);
}

#ifdef REAL_DOUBLE
static Tensor *loss_of(Tape *t, void *context) {
    static int z[BATCH * N];
    some_codes(BATCH * N, K, z);
    return prior_loss(context, t, BATCH, text, z).loss;
}

Test(prior, gradients) {
    for (int i = 0; i < 4; i++) {
        Params p = {0};
        PriorConfig c = tiny;
        c.attention = i == 1 ? PATTERN_PAPER : PATTERN_FULL;
        c.plain = i == 2, c.snail = i == 3 ? SNAIL : 0;
        Prior prior = moved(&p, c);
        GradientCheck check = {.samples = c.snail ? 2 : 6, .h = 1e-4, .zero = "attention.key.b"};
        double error = gradient_error_of(&p, loss_of, &prior, check);
        cr_expect(error <= 1e-6, "configuration %d: relative error %g", i, error);
        params_free(&p);
    }
}
#endif

/* ---- sampling -------------------------------------------------------------------------------- */

static void expect_steps_equal_pass(PriorConfig c, int known) {
    Params p = {0};
    Prior prior = moved(&p, c);
    Tape t = {.no_grad = true};
    int z[BATCH * N], places = prior_codes(&c);
    some_codes(BATCH * N, K, z);
    Tensor *full = prior_logits(&prior, &t, BATCH, text, z).image;
    PriorSampler s;
    prior_open(&s, &prior, (PriorDraw){.n = BATCH, .known = known, .text = text, .codes = z});
    for (int i = known; i < places; i++) {
        Tensor *logits = prior_next(&s);
        for (int b = 0; b < BATCH; b++)
            for (int k = 0; k < K; k++)
                cr_assert_float_eq(logits->x[b * K + k], full->x[(b * N + i) * K + k], 1e-5);
    }
    prior_close(&s);
    tape_free(&t), params_free(&p);
}

/* Code by code from what was kept, or all at once: the same logits, under every pattern, from the
 * beginning and after codes that are given? */
Test(prior, sampling_step_by_step_equals_the_full_pass) {
    PriorConfig c = tiny;
    for (AttentionPattern a = PATTERN_FULL; a <= PATTERN_PAPER; a++) {
        c.attention = a;
        expect_steps_equal_pass(c, 0);
        expect_steps_equal_pass(c, N / 2);
    }
    c.attention = PATTERN_FULL, c.plain = true;
    expect_steps_equal_pass(c, 0);
}

/* Guided logits are those of two full passes, one of them after a text that says nothing, also
 * after codes that are given. */
Test(prior, guided_logits_are_those_of_two_passes) {
    Params p = {0};
    Prior prior = moved(&p, tiny);
    Tape t = {.no_grad = true};
    const double scale = 2.5;
    const int nothing[T] = {1, 2, NO_TOKEN, NO_TOKEN};
    int z[BATCH * N], empty[BATCH * T], known = N / 2;
    some_codes(BATCH * N, K, z);
    for (int i = 0; i < BATCH * T; i++) empty[i] = nothing[i % T];
    const Tensor *with = prior_logits(&prior, &t, BATCH, text, z).image;
    const Tensor *without = prior_logits(&prior, &t, BATCH, empty, z).image;
    PriorSampler s;
    prior_open(&s, &prior, (PriorDraw){BATCH, known, text, z, nothing, scale});
    for (int i = known; i < N; i++) {
        const Tensor *logits = prior_next(&s);
        cr_assert_eq(logits->shape[0], BATCH);
        for (int b = 0; b < BATCH; b++)
            for (int k = 0; k < K; k++) {
                size_t at = (size_t)((b * N + i) * K + k);
                cr_assert_float_eq(logits->x[b * K + k],
                                   without->x[at] + scale * (with->x[at] - without->x[at]), 1e-5);
            }
    }
    prior_close(&s);
    tape_free(&t), params_free(&p);
}

/* Do the probabilities of all 3^4 pictures of 2x2 codes sum to 1, and are samples drawn by them? Of
 * given codes only the rest is drawn. */
static void expect_samples_of_the_distribution(PriorConfig c) {
    enum { PICTURES = 81, DRAWS = 4000 };
    c.rows = c.columns = 2, c.codes = 3;
    Params p = {0};
    Prior prior = moved(&p, c);
    static int z[4 * DRAWS], texts[T * DRAWS], times[PICTURES];
    memset(times, 0, sizeof times);
    double expected[PICTURES], sum = 0;
    for (int i = 0; i < PICTURES; i++) {
        double nats[4];
        prior_nats(&prior, 1, text, (int[]){i % 3, i / 3 % 3, i / 9 % 3, i / 27}, nats);
        expected[i] = exp(-nats[0] - nats[1] - nats[2] - nats[3]);
        sum += expected[i];
    }
    cr_assert_float_eq(sum, 1, 1e-5);
    for (int i = 0; i < T * DRAWS; i++) texts[i] = text[i % T];
    TokenSampler how = {TOKEN_SAMPLER_DEFAULTS};
    Rng rng = rng_new(1, "draws");
    prior_sample(&prior, (PriorDraw){.n = DRAWS, .text = texts, .codes = z}, &how, &rng);
    for (int i = 0; i < DRAWS; i++)
        times[z[4 * i] + 3 * z[4 * i + 1] + 9 * z[4 * i + 2] + 27 * z[4 * i + 3]]++;
    for (int i = 0; i < PICTURES; i++)
        cr_expect(fabs(times[i] - DRAWS * expected[i]) < 5 * sqrt(DRAWS * expected[i]) + 5,
                  "picture %d: %d times, %g", i, times[i], DRAWS * expected[i]);
    /* the first two codes are given: those after which the third is least as it is after 0 and 0 */
    double after[9], given[9] = {0}, first[9] = {0};
    int two = 0, zero = 0;
    for (int i = 0; i < PICTURES; i++)
        given[i % 9] += expected[i], first[i % 9] += i / 9 % 3 == 0 ? expected[i] : 0;
    for (int k = 0; k < 9; k++) {
        after[k] = first[k] / given[k];
        if (fabs(after[k] - after[0]) > fabs(after[two] - after[0])) two = k;
    }
    cr_assert_gt(fabs(after[two] - after[0]), 0.03, "%g and %g are alike", after[two], after[0]);
    for (int i = 0; i < DRAWS; i++) z[4 * i] = two % 3, z[4 * i + 1] = two / 3;
    prior_sample(&prior, (PriorDraw){.n = DRAWS, .known = 2, .text = texts, .codes = z}, &how, &rng);
    for (int i = 0; i < DRAWS; i++) {
        cr_assert(z[4 * i] == two % 3 && z[4 * i + 1] == two / 3);
        zero += z[4 * i + 2] == 0;
    }
    cr_assert_float_eq((double)zero / DRAWS, after[two], 0.02);
    params_free(&p);
}

Test(prior, samples_are_drawn_from_the_priors_distribution) {
    PriorConfig c = tiny;
    expect_samples_of_the_distribution(c);
    c.snail = SNAIL;
    expect_samples_of_the_distribution(c);
}

/* ---- captions, learning ---------------------------------------------------------------------- */

Test(prior, captions_become_tokens_and_then_none) {
    Bpe b = bpe_load(NULL);
    int ids[8], cut[4];
    prior_text(&b, "a red bag", NULL, 8, ids);
    cr_expect(ids[0] == b.start && ids[4] == b.end, "%d ... %d", ids[0], ids[4]);
    for (int i = 5; i < 8; i++) cr_expect_eq(ids[i], NO_TOKEN);
    prior_text(&b, "a red bag above a blue coat", NULL, 4, cut);
    cr_expect(cut[0] == b.start && cut[3] == b.end && cut[1] == ids[1]);
    bpe_free(&b);
}

/* Two captions, two pictures: after some steps each caption gives its picture, at temperature 0. */
Test(prior, a_few_pairs_are_learned_by_heart) {
    Params p = {.seed = 1};
    Prior prior = prior_new(&p, tiny);
    Optimizer adam = {.params = &p, .adam = {ADAM_DEFAULTS}};
    Tape t = {0};
    int z[BATCH * N], drawn[BATCH * N];
    some_codes(BATCH * N, K, z);
    for (int i = 0; i < 150; i++) {
        tape_reset(&t);
        minimise(&adam, prior_loss(&prior, &t, BATCH, text, z).loss, 5e-3);
    }
    Rng rng = rng_new(1, "draws");
    prior_sample(&prior, (PriorDraw){.n = BATCH, .text = text, .codes = drawn},
                 &(TokenSampler){.top_p = 1}, &rng);
    cr_expect_arr_eq(drawn, z, sizeof z);
    cr_expect(memcmp(z, z + N, N * sizeof *z), "the pictures are alike");
    tape_free(&t), params_free(&p), adam_free(&adam.adam);
}
