/* test_priors.c — the priors: the published size, gradients, what tokens see, the codes of an
 * embedding, likelihoods that sum to one, drawing with a cache against full passes. */
#include "dalle2.h"
#include "nn/optim.h"
#include "official_file.h"
#include "testing.h"

#include <string.h>
#include <unistd.h>

SUITE(prior);

enum { B = 2, TOKENS = 5, DIM = 6 };

/* texts of 3 and 5 tokens */
static const uint8_t mask[B * TOKENS] = {1, 1, 1, 0, 0, 1, 1, 1, 1, 1};

static Tensor *values(Tape *t, const char *name, int rank, const int *shape) {
    Tensor *x = t_input(t, NULL, rank, shape);
    test_values(name, -1, 1, x->len, x->x);
    return x;
}

static CaptionFeatures some_text(Tape *t) {
    return (CaptionFeatures){values(t, "tokens", SHAPE(B, TOKENS, DIM)),
                       values(t, "embedding", SHAPE(B, DIM)), mask};
}

static const PriorConfig small = {.tokens = TOKENS, .dim = DIM, .width = 8, .depth = 2, .heads = 2};
static const ArPriorConfig small_ar = {.tokens = TOKENS, .dim = DIM, .codes = 3, .buckets = 4,
                                       .width = 8, .depth = 2, .heads = 2};

/* ---- the diffusion prior --------------------------------------------------------------------- */

Test(prior, karlo_has_the_published_number_of_parameters) {
    Params p = {.shapes_only = true};
    prior_new(&p, prior_config("karlo", 0, 0));
    cr_expect_eq(params_count(&p), 1022028544, "%zu", params_count(&p));
    params_free(&p);
}

/* A file under the official names gives every weight back. */
Test(prior, official_weights_are_read) {
    Arena arena = {0};
    Params p = {.seed = 1}, q = {.seed = 2};
    prior_new(&p, small), prior_new(&q, small);
    OfficialMap map = prior_official(&arena, &small);
    move_params(&p, 0.1);
    char *path = official_round_trip(&map, &p, &q);
    unlink(path), free(path);
    arena_free(&arena), params_free(&p), params_free(&q);
}

static const double times[B] = {3, 700};

/* What stands where no token is has no influence; what stands where one is has. */
Test(prior, padding_is_not_read) {
    Params p = {.seed = 1};
    Prior m = prior_new(&p, small);
    Tape t = {.no_grad = true};
    Tensor *zt = values(&t, "zt", SHAPE(B, DIM));
    CaptionFeatures text = some_text(&t);
    Tensor *y = prior_output(&m, zt, times, text);
    text.tokens->x[4 * DIM] += 1;                            /* the first text's fifth token */
    Tensor *padded = prior_output(&m, zt, times, text);
    text.tokens->x[2 * DIM] += 1;                            /* its third */
    Tensor *other = prior_output(&m, zt, times, text);
    cr_expect_eq(memcmp(y->x, padded->x, y->len * sizeof *y->x), 0);
    cr_expect_neq(memcmp(y->x, other->x, DIM * sizeof *y->x), 0);
    cr_expect_eq(memcmp(y->x + DIM, other->x + DIM, DIM * sizeof *y->x), 0, "the other text");
    tape_free(&t);
    params_free(&p);
}

/* The network's output is z itself, not the noise: where it is 0, z is what is missed. */
Test(prior, the_embedding_itself_is_predicted) {
    Params p = {.seed = 1};
    Prior m = prior_new(&p, small);
    for (int k = 0; k < p.count; k++) k_fill(p.list[k]->len, 0, p.list[k]->x);
    Tape t = {.no_grad = true};
    NoiseSchedule s = schedule_cosine(20);
    Rng noise = rng_new(1, "noise");
    Tensor *z = values(&t, "z", SHAPE(B, DIM));
    double squares = k_sum_squares(z->len, z->x) / (double)z->len;
    Tensor *loss = prior_loss(&m, &s, z, some_text(&t), (const int[B]){3, 17}, &noise);
    cr_expect_float_eq(loss->x[0], squares, 1e-6);
    tape_free(&t), schedule_free(&s), params_free(&p);
}

/* ---- the autoregressive prior ---------------------------------------------------------------- */

static void random_pairs(int n, real *image, real *text) {
    test_values("images", -1, 1, (size_t)n * DIM, image);
    test_values("texts", -1, 1, (size_t)n * DIM, text);
    for (int i = 0; i < 2 * n; i++) {
        real *z = i < n ? image + i * DIM : text + (i - n) * DIM;
        real length = (real)sqrt(k_sum_squares(DIM, z));
        for (int d = 0; d < DIM; d++) z[d] /= length;
    }
}

/* All components and many buckets give the embedding back, up to half a bucket along each axis. */
Test(prior, codes_are_the_embedding_up_to_their_buckets) {
    enum { N = 40, BUCKETS = 1000 };
    ArPriorConfig c = small_ar;
    c.codes = DIM, c.buckets = BUCKETS;
    Params p = {.seed = 1};
    ArPrior m = ar_prior_new(&p, c);
    real image[N * DIM], text[N * DIM], back[N * DIM];
    int code[N * DIM];
    random_pairs(N, image, text);
    cr_expect_float_eq(ar_prior_fit(&m, N, image, text), 1, 1e-6);
    ar_prior_encode(&m, N, image, code);
    ar_prior_decode(&m, N, code, back);
    double widest = 0;
    for (int k = 0; k < DIM; k++) widest = fmax(widest, (double)(m.most->x[k] - m.least->x[k]));
    for (int i = 0; i < N * DIM; i++)
        cr_expect_lt(fabs((double)(back[i] - image[i])), sqrt(DIM) * widest / BUCKETS / 2 + 1e-6);
    for (int k = 1; k < DIM; k++) {
        double spread[2] = {0};
        for (int i = 0; i < N * DIM; i++)
            if (i % DIM >= k - 1 && i % DIM <= k)
                spread[i % DIM - k + 1] += pow(code[i] - (BUCKETS - 1) / 2.0, 2) *
                    pow((double)(m.most->x[i % DIM] - m.least->x[i % DIM]), 2);
        cr_expect_gt(spread[0], 0.5 * spread[1], "component %d before %d", k - 1, k);
    }
    double share = k_sum((size_t)BUCKETS, m.dot_share->x);
    cr_expect_float_eq(share, 1, 1e-5);
    params_free(&p);
}

static double log_probability(const Tensor *logits, int b, const int *code,
                              const ArPriorConfig *c) {
    double sum = 0;
    for (int k = 0; k < c->codes; k++) {
        const real *row = logits->x + (size_t)(b * c->codes + k) * (size_t)c->buckets;
        double total = 0;
        for (int v = 0; v < c->buckets; v++) total += exp((double)row[v]);
        sum += (double)row[code[k]] - log(total);
    }
    return sum;
}

/* Each code depends on those before it alone: the probabilities of all sequences sum to 1. */
Test(prior, probabilities_of_all_codes_sum_to_one) {
    Params p = {.seed = 3};
    ArPrior m = ar_prior_new(&p, small_ar);
    for (int k = 0; k < p.count; k++) k_axpy(p.list[k]->len, 2, p.list[k]->x, p.list[k]->x, true);
    int dot[B] = {1, 3}, code[B * 3];
    double sum[B] = {0};
    for (int i = 0; i < 64; i++) {
        Tape t = {.no_grad = true};
        for (int b = 0; b < B; b++)
            for (int k = 0; k < 3; k++) code[b * 3 + k] = i >> 2 * k & 3;
        Tensor *logits = ar_prior_logits(&m, some_text(&t), dot, code);
        double mean = 0;
        for (int b = 0; b < B; b++) {
            double log_p = log_probability(logits, b, code, &small_ar);
            sum[b] += exp(log_p), mean += log_p / B;
        }
        cr_expect_float_eq(ar_prior_loss(&m, some_text(&t), dot, code)->x[0], -mean, 1e-4);
        tape_free(&t);
    }
    for (int b = 0; b < B; b++) cr_expect_float_eq(sum[b], 1, 1e-5);
    params_free(&p);
}

/* A bucket of the first component is no bucket of the second: each place has rows of its own. */
Test(prior, codes_of_two_places_are_different_words) {
    Params p = {.seed = 5};
    ArPrior m = ar_prior_new(&p, small_ar);
    const int dot[B] = {1, 3}, code[B * 3] = {1, 2, 0, 1, 2, 0};
    Tape t = {.no_grad = true};
    Tensor *y = ar_prior_logits(&m, some_text(&t), dot, code), *z[2];
    for (int place = 0; place < 2; place++) {                /* bucket 2, where the second code is */
        m.values.table->x[(place * small_ar.buckets + 2) * small_ar.width] += 1;
        z[place] = ar_prior_logits(&m, some_text(&t), dot, code);
    }
    cr_expect_eq(memcmp(y->x, z[0]->x, y->len * sizeof *y->x), 0, "the first place's row was read");
    cr_expect_neq(memcmp(y->x, z[1]->x, y->len * sizeof *y->x), 0, "the second's was not");
    tape_free(&t), params_free(&p);
}

/* The most likely codes, drawn one by one with a cache, are the most likely of the full pass. */
Test(prior, drawing_with_a_cache_agrees_with_full_passes) {
    Params p = {.seed = 5};
    ArPrior m = ar_prior_new(&p, small_ar);
    for (int k = 0; k < p.count; k++) k_axpy(p.list[k]->len, 3, p.list[k]->x, p.list[k]->x, true);
    k_fill(m.dot_share->len, 0, m.dot_share->x);
    m.dot_share->x[2] = 1;                                   /* all dot products are this one */
    Tape t = {.no_grad = true};
    Rng rng = rng_new(1, "codes");
    CaptionFeatures text = some_text(&t);
    int code[B * 3], dot[B] = {2, 2};
    ar_prior_sample(&m, text, &(TokenSampler){.temperature = 0, .top_p = 1}, &rng, code);
    Tensor *logits = ar_prior_logits(&m, text, dot, code);
    for (int i = 0; i < B * 3; i++) {
        const real *row = logits->x + (size_t)i * 4;
        int best = 0;
        for (int v = 1; v < 4; v++)
            if (row[v] > row[best]) best = v;
        cr_expect_eq(code[i], best, "code %d is %d, not %d", i, code[i], best);
    }
    tape_free(&t);
    params_free(&p);
}

/* When drawing, dot products come from the larger half. */
Test(prior, drawn_dot_products_are_of_the_larger_half) {
    ArPriorConfig c = small_ar;
    c.buckets = 4;
    Params p = {.seed = 5};
    ArPrior m = ar_prior_new(&p, c);
    const real share[4] = {(real)0.25, (real)0.25, (real)0.375, (real)0.125};
    memcpy(m.dot_share->x, share, sizeof share);
    Rng rng = rng_new(1, "dots");
    int count[4] = {0};
    for (int i = 0; i < 2000; i++) count[ar_prior_draw_dot(&m, &rng)]++;
    cr_expect_eq(count[0] + count[1], 0);
    cr_expect_float_eq(count[3] / 2000.0, 0.25, 0.04);
    params_free(&p);
}

/* what either prior is trained on in a step: two captions' embeddings, or their codes */
static Tensor *next_loss(Tape *t, const Prior *m, const ArPrior *ar, const NoiseSchedule *s,
                         int step, Rng *noise) {
    static const int dot[B] = {1, 3}, code[B * 3] = {0, 3, 2, 1, 1, 0};
    int at[B] = {step % 20, (7 * step + 3) % 20};
    if (!m) return ar_prior_loss(ar, some_text(t), dot, code);
    return prior_loss(m, s, values(t, "z", SHAPE(B, DIM)), some_text(t), at, noise);
}

/* Two captions' embeddings are learned: what is left is what noise hides; of codes, nothing. */
static void expect_learned(Params *p, const Prior *m, const ArPrior *ar) {
    NoiseSchedule s = schedule_cosine(20);
    Adam adam = {ADAM_DEFAULTS};
    Tape t = {0};
    Rng noise = rng_new(1, "noise");
    double first = 0, last = 0;
    for (int step = 0; step < 150; step++) {
        tape_reset(&t);
        Tensor *loss = next_loss(&t, m, ar, &s, step, &noise);
        last = (double)loss->x[0];
        if (!step) first = last;
        params_zero_grad(p);
        backward(loss);
        adam_step(&adam, p, 1e-2, 1);
    }
    cr_expect_lt(last, 0.1 * first, "from %g to %g", first, last);
    adam_free(&adam), tape_free(&t), schedule_free(&s), params_free(p);
}

Test(prior, a_pair_of_embeddings_is_learned) {
    Params p = {.seed = 1}, q = {.seed = 1};
    Prior m = prior_new(&p, small);
    ArPrior ar = ar_prior_new(&q, small_ar);
    expect_learned(&p, &m, NULL);
    expect_learned(&q, NULL, &ar);
}

/* ---- gradients ------------------------------------------------------------------------------- */

#ifdef REAL_DOUBLE
static Tensor *loss_of_prior(Tape *t, void *context) {
    static const int at[B] = {3, 17};
    Rng noise = rng_new(1, "noise");
    NoiseSchedule s = schedule_cosine(20);
    Tensor *loss = prior_loss(context, &s, values(t, "z", SHAPE(B, DIM)), some_text(t), at, &noise);
    schedule_free(&s);
    return loss;
}

Test(prior, gradients_of_the_diffusion_prior) {
    Params p = {.seed = 1};
    Prior m = prior_new(&p, small);
    double error = gradient_error(&p, loss_of_prior, &m, 12);
    cr_expect(is_near(__FILE__, __LINE__, error, 1e-6));
    params_free(&p);
}

static Tensor *loss_of_ar_prior(Tape *t, void *context) {
    static const int dot[B] = {1, 3}, code[B * 3] = {0, 3, 2, 1, 1, 0};
    return ar_prior_loss(context, some_text(t), dot, code);
}

Test(prior, gradients_of_the_autoregressive_prior) {
    Params p = {.seed = 1};
    ArPrior m = ar_prior_new(&p, small_ar);
    double error = gradient_error(&p, loss_of_ar_prior, &m, 0);
    cr_expect(is_near(__FILE__, __LINE__, error, 1e-6));
    params_free(&p);
}
#endif
