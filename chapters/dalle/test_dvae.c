/* test_dvae.c — the discrete autoencoder: the published size, gradients, the likelihood as a
 * density, the relaxation and its limit, the weight of the KL, the published starting point, a few
 * pictures by heart. */
#include "dvae.h"
#include "nn/optimizer.h"
#include "official_file.h"
#include "testing.h"

#include <math.h>
#include <unistd.h>

SUITE(dvae);

static const DvaeConfig small = {.channels = 2, .groups = 3, .blocks = 2, .width = 8, .init = 5,
                                 .codes = 7, .least_scale = 0.05};
enum { BATCH = 2, AREA = 16 * 16 };

static Tensor *pictures(Tape *t, int channels) {
    Tensor *x = t_input(t, NULL, SHAPE(BATCH, 16, 16, channels));
    test_values("pictures", 0, 1, x->len, x->x);
    return x;
}

/* ---- the networks ---------------------------------------------------------------------------- */

static size_t count(DvaeNet (*make)(Scope, DvaeConfig), const char *name) {
    Params p = {.shapes_only = true};
    make(scope(&p, "%s", ""), dvae_config(name));
    size_t n = params_count(&p);
    cr_expect(p.arena.used < 1 << 20, "counting took %zu bytes", p.arena.used);
    params_free(&p);
    return n;
}

Test(dvae, the_published_networks_have_the_published_number_of_parameters) {
    cr_expect_eq(count(dvae_encoder_new, "openai"), 53786240);
    cr_expect_eq(count(dvae_decoder_new, "openai"), 43829766);
}

/* N(0, 1/fan_in), biases 0 */
Test(dvae, starting_values_are_the_papers) {
    Params p = {.seed = 1};
    dvae_encoder_new(scope(&p, "e"), dvae_config("default"));
    for (int i = 0; i < p.count; i++) {
        const Tensor *w = p.list[i];
        double sum = k_sum_squares(w->len, w->x);
        if (w->rank == 1) {
            cr_expect_eq(sum, 0, "%s", w->name);
            continue;
        }
        double fan_in = (double)w->len / w->shape[3], n = (double)w->len;
        double off = fabs(sum / n * fan_in - 1);
        cr_expect(off < 5 * sqrt(2 / n), "%s: variance off by %g", w->name, off);
    }
    params_free(&p);
}

static void expect_residuals(double gain, double wanted) {
    Params p = {.seed = 1};
    DvaeConfig c = {.channels = 4, .groups = 1, .blocks = 2, .width = 4, .init = 4, .codes = 4,
                    .gain = gain};
    DvaeNet e = dvae_encoder_new(scope(&p, "%s", ""), c);
    move_params(&p, 0.1);
    Tape t = {.no_grad = true};
    Tensor *x = pictures(&t, 4), *h = conv2d(&e.input, x);
    for (int i = 0; i < 2; i++) {
        Tensor *r = h;
        for (int k = 0; k < 4; k++) r = conv2d(&e.block[0][i].conv[k], t_relu(r));
        h = t_add(h, t_scale(r, wanted));
    }
    h = conv2d(&e.output, t_relu(h));
    Tensor *y = dvae_encoder(&e, x);
    for (size_t i = 0; i < y->len; i++) cr_assert_float_eq(y->x[i], h->x[i], 1e-5);
    tape_free(&t), params_free(&p);
}

/* As the official code computes it: id + res / (blocks)^2, four rectified convolutions in res; or
 * with a gain of one's own */
Test(dvae, a_block_adds_a_small_residual) {
    expect_residuals(0, 1.0 / 4);
    expect_residuals(0.7, 0.7);
}

/* ---- gradients ------------------------------------------------------------------------------- */

#ifdef REAL_DOUBLE
/* the same noise at every call */
static Tensor *loss_of(Tape *t, void *context) {
    Rng rng = rng_new(3, "gumbel");
    return dvae_loss(context, pictures(t, 2), 0.7, 5, &rng).loss;
}

/* Few blocks, so that the residual paths' gradients are not lost beside the others'; four channels
 * inside of each, so that some are above 0 */
static const DvaeConfig checked[2] = {
    {.channels = 2, .groups = 2, .blocks = 1, .width = 16, .init = 5, .codes = 7},
    {.channels = 2, .groups = 1, .blocks = 2, .width = 16, .init = 5, .codes = 7,
     .least_scale = 0.05}};

Test(dvae, gradients) {
    for (int i = 0; i < 2; i++) {
        Params p = {.seed = 2};
        Dvae d = dvae_new(&p, checked[i]);
        move_params(&p, 0.2);
        double error = gradient_error_within(&p, loss_of, &d, 8, 4e-6);
        cr_expect(error <= 1e-6, "configuration %d: relative error %g", i, error);
        params_free(&p);
    }
}

static Tensor *hard_loss_of(Tape *t, void *context) {
    return dvae_hard_loss(context, pictures(t, 2)).loss;
}

/* of the decoder alone: hard codes and lookup have no gradient that differences could confirm */
static void expect_decoder_gradients(DvaeConfig c, Tensor *(*loss)(Tape *t, void *context)) {
    Params p = {.seed = 2};
    Dvae d = dvae_new(&p, c);
    move_params(&p, 0.2);
    for (int i = 0; i < p.count; i++)
        if (strncmp(p.list[i]->name, "decoder", 7)) p.list[i]->wants_grad = false;
    double error = gradient_error_within(&p, loss, &d, 8, 4e-6);
    cr_expect(error <= 1e-6, "relative error %g", error);
    params_free(&p);
}

Test(dvae, gradients_behind_hard_codes) {
    expect_decoder_gradients(checked[0], hard_loss_of);
}

Test(dvae, gradients_behind_a_codebook) {
    DvaeConfig c = checked[0];
    c.dim = 3;
    expect_decoder_gradients(c, loss_of);
}
#endif

/* ---- the likelihood -------------------------------------------------------------------------- */

/* -ln f of one value x in (0,1) */
static double nats_of(Tape *t, double x, double mu, double ln_b, double least) {
    tape_reset(t);
    Tensor *value = t_input(t, (real[]){(real)x}, SHAPE(1, 1, 1, 1));
    Tensor *stats = t_input(t, (real[]){(real)mu, (real)ln_b}, SHAPE(1, 1, 1, 2));
    return (double)logit_laplace_nats(stats, value, least)->x[0];
}

/* Is it a density: does it integrate to 1 over (0,1)? In z = logit x, with dx = x (1-x) dz, the
 * integrand is smooth on both sides of mu. */
Test(dvae, the_likelihood_integrates_to_1) {
    static const double mu[] = {0, 1.3, -2}, ln_b[] = {0, -1, 0.3}, least[] = {0, 0.05, 0.2};
    Tape t = {.no_grad = true};
    for (int k = 0; k < 3; k++) {
        enum { STEPS = 1000 };
        double b = exp(ln_b[k]) + least[k], reach = fmin(12 * b, 14), sum = 0;
        for (int i = 0; i < STEPS; i++) {
            double z = mu[k] + reach * (2 * (i + 0.5) / STEPS - 1), x = 1 / (1 + exp(-z));
            sum += exp(-nats_of(&t, x, mu[k], ln_b[k], least[k])) * x * (1 - x) * 2 * reach / STEPS;
        }
        cr_assert_float_eq(sum, 1, 1e-3);
    }
    tape_free(&t);
}

/* The formula itself, value by value */
Test(dvae, the_likelihood_is_a_laplace_density_of_the_logit) {
    Tape t = {.no_grad = true};
    for (int k = 0; k < 9; k++) {
        double x = 0.1 + 0.1 * k, mu = 0.3 * k - 1, ln_b = -0.2 * k, b = exp(ln_b) + 0.05;
        double f = exp(-fabs(log(x / (1 - x)) - mu) / b) / (2 * b * x * (1 - x));
        cr_assert_float_eq(nats_of(&t, x, mu, ln_b, 0.05), -log(f), 1e-4);
    }
    tape_free(&t);
}

/* Into (0,1), where logits are finite, and back */
Test(dvae, pixels_are_mapped_and_back) {
    Tape t = {.no_grad = true};
    real x[5] = {0, (real)0.25, (real)0.5, (real)0.8, 1}, back[5];
    Tensor *y = map_pixels(t_input(&t, x, SHAPE(5)));
    cr_assert_float_eq(y->x[0], 0.1, 1e-6);
    cr_assert_float_eq(y->x[4], 0.9, 1e-6);
    unmap_pixels(5, y->x, back);
    for (int i = 0; i < 5; i++) cr_assert_float_eq(back[i], x[i], 1e-6);
    real beyond[2] = {(real)0.05, (real)0.97};
    unmap_pixels(2, beyond, back);
    cr_expect(back[0] == 0 && back[1] == 1);
    tape_free(&t);
}

/* ---- the posterior --------------------------------------------------------------------------- */

/* As tau goes to 0 the relaxation is a draw: one-hot, code k as often as its probability says. */
Test(dvae, cold_gumbel_softmax_draws_from_the_posterior) {
    enum { ROWS = 20000, K = 4 };
    static const double probability[K] = {0.5, 0.3, 0.15, 0.05};
    Tape t = {.no_grad = true};
    Tensor *logits = t_input(&t, NULL, SHAPE(1, 1, ROWS, K));
    for (int i = 0; i < ROWS * K; i++) logits->x[i] = (real)log(probability[i % K]);
    Rng rng = rng_new(5, "gumbel");
    Tensor *y = gumbel_softmax(logits, 1e-3, &rng);
    double times[K] = {0}, middling = 0;
    for (int i = 0; i < ROWS * K; i++) {
        times[i % K] += (double)y->x[i];
        middling += y->x[i] > (real)0.01 && y->x[i] < (real)0.99;
    }
    cr_expect(middling < 0.02 * ROWS, "%g values are not 0 or 1", middling);
    for (int k = 0; k < K; k++) {
        double deviation = sqrt(ROWS * probability[k] * (1 - probability[k]));
        cr_expect(fabs(times[k] - ROWS * probability[k]) < 4 * deviation, "code %d: %g", k,
                  times[k]);
    }
    tape_free(&t);
}

/* 0 where all codes are alike, ln K where one is certain; by the sum over positions, per picture */
Test(dvae, the_kl_is_that_to_the_uniform_distribution) {
    enum { K = 5 };
    Tape t = {.no_grad = true};
    Tensor *logits = t_input(&t, NULL, SHAPE(2, 1, 3, K));
    k_fill(logits->len, (real)0.7, logits->x);
    cr_assert_float_eq(kl_to_uniform(logits)->x[0], 0, 1e-5);
    for (int i = 0; i < 3; i++) logits->x[i * K + i] = 60;     /* the first picture's three */
    cr_assert_float_eq(kl_to_uniform(logits)->x[0], 3 * log(K) / 2, 1e-5);
    double p[K] = {0.4, 0.3, 0.1, 0.1, 0.1}, kl = log(K);
    for (int k = 0; k < K; k++) kl += p[k] * log(p[k]);
    for (size_t i = 0; i < logits->len; i++) logits->x[i] = (real)log(p[i % K]);
    cr_assert_float_eq(kl_to_uniform(logits)->x[0], 3 * kl, 1e-5);
    tape_free(&t);
}

/* The mistake that is reported most often: the KL of a picture is divided by its values, as its
 * likelihood is, and not by its positions. */
Test(dvae, the_kl_is_weighed_by_beta_over_the_values_of_a_picture) {
    Params p = {.seed = 2};
    Dvae d = dvae_new(&p, small);
    move_params(&p, 0.3);
    Tape t = {.no_grad = true};
    Rng rng = rng_new(3, "gumbel");
    DvaeTerms terms = dvae_loss(&d, pictures(&t, 2), 0.7, 6.6, &rng);
    double kl = (double)terms.kl->x[0], rest = (double)(terms.loss->x[0] - terms.nats->x[0]);
    cr_assert(kl > 0.01);
    cr_assert_float_eq(rest / kl, 6.6 / (AREA * 2), 1e-4 * 6.6 / (AREA * 2));
    tape_free(&t), params_free(&p);
}

Test(dvae, schedules_are_half_a_cosine) {
    cr_assert_float_eq(cosine_schedule(1, 0.0625, 0, 100), 1, 1e-12);
    cr_assert_float_eq(cosine_schedule(1, 0.0625, 50, 100), 0.53125, 1e-12);
    cr_assert_float_eq(cosine_schedule(0, 6.6, 25, 100), 6.6 * (1 - sqrt(0.5)) / 2, 1e-12);
    cr_assert_float_eq(cosine_schedule(0, 6.6, 100, 100), 6.6, 1e-12);
    cr_assert_float_eq(cosine_schedule(0, 6.6, 5000, 100), 6.6, 1e-12);
}

/* -ln p(x|y) where y is one-hot, and nothing beside it; only the decoder learns. */
Test(dvae, hard_codes_train_the_decoder_alone) {
    Params p = {.seed = 2};
    Dvae d = dvae_new(&p, small);
    move_params(&p, 0.3);
    Tape t = {0};
    Tensor *x = pictures(&t, 2), *z = dvae_encoder(&d.encoder, map_pixels(x));
    Tensor *y = t_input(&t, NULL, z->rank, z->shape);
    int codes[BATCH * 16];
    dvae_encode(&d, BATCH, 16, x->x, codes);
    k_fill(y->len, 0, y->x);
    for (int i = 0; i < BATCH * 16; i++) y->x[i * small.codes + codes[i]] = 1;
    double wanted = (double)logit_laplace_nats(dvae_decoder(&d.decoder, y), map_pixels(x),
                                               small.least_scale)->x[0];
    DvaeTerms terms = dvae_hard_loss(&d, x);
    cr_expect_float_eq(terms.loss->x[0], wanted, 1e-5 * fabs(wanted));
    backward(terms.loss);
    for (int i = 0; i < p.count; i++)
        cr_expect_eq(p.list[i]->has_grad, !strncmp(p.list[i]->name, "decoder", 7), "%s",
                     p.list[i]->name);
    tape_free(&t), params_free(&p);
}

/* ---- codes ----------------------------------------------------------------------------------- */

/* Are numbers of codes what the decoder makes of one-hot posteriors, or of the nearest vectors? */
static void expect_codes_decoded(DvaeConfig c) {
    Params p = {.seed = 2};
    Dvae d = dvae_new(&p, c);
    move_params(&p, 0.3);
    Tape t = {.no_grad = true};
    Tensor *x = pictures(&t, 2), *z = dvae_encoder(&d.encoder, map_pixels(x)), *y;
    int codes[BATCH * 16], K = c.codes;
    static real rebuilt[BATCH * AREA * 2], expected[BATCH * AREA * 2];
    dvae_encode(&d, BATCH, 16, x->x, codes);
    if (c.dim) {
        Quantised q = quantise(&d.book, z);
        cr_expect_arr_eq(codes, q.index, sizeof codes);
        y = q.codes;
    } else {
        y = t_input(&t, NULL, SHAPE(BATCH, 4, 4, K));
        k_fill(y->len, 0, y->x);
        for (int i = 0; i < BATCH * 16; i++) {
            for (int k = 0; k < K; k++)
                cr_expect(z->x[i * K + k] <= z->x[i * K + codes[i]], "position %d", i);
            y->x[i * K + codes[i]] = 1;
        }
    }
    Tensor *stats = dvae_decoder(&d.decoder, y);
    dvae_pixels(stats, expected);
    dvae_decode(&d, BATCH, 16, codes, rebuilt);
    for (int i = 0; i < BATCH * AREA * 2; i++) cr_assert_float_eq(rebuilt[i], expected[i], 1e-5);
    for (int i = 0; i < BATCH * AREA; i++) {                     /* mu, not ln b */
        double pixel = (1 / (1 + exp(-(double)stats->x[4 * i + 1])) - 0.1) / 0.8;
        cr_assert_float_eq(rebuilt[2 * i + 1], fmin(fmax(pixel, 0), 1), 1e-5);
    }
    tape_free(&t), params_free(&p);
}

/* squared errors 0, 0.01, 0.04, 0 over squared distances 0.09, 0.01, 0.01, 0.09 from 0.4 */
Test(dvae, lost_variance_is_the_error_over_the_variance) {
    const real x[] = {(real)0.1, (real)0.3, (real)0.5, (real)0.7};
    const real y[] = {(real)0.1, (real)0.2, (real)0.7, (real)0.7};
    cr_expect_float_eq(lost_variance(4, x, y), 0.25, 1e-6);
}

Test(dvae, numbers_of_codes_give_the_decoders_pictures) {
    DvaeConfig c = small;
    expect_codes_decoded(c);
    c.dim = 3;
    expect_codes_decoded(c);
}

/* ---- official weights ------------------------------------------------------------------------ */

Test(dvae, official_weights_are_read) {
    Params p = {.seed = 2}, q = {.seed = 3};
    dvae_new(&p, small), dvae_new(&q, small);
    move_params(&p, 0.3);
    char *path = official_round_trip(&dvae_official, &p, &q);
    Safetensors s = safetensors_open(path);
    cr_expect(safetensors_find(&s, "decoder.blocks.group_2.block_1.res_path.conv_4.w"));
    cr_expect(safetensors_find(&s, "encoder.blocks.output.conv.b"));
    safetensors_close(&s);
    unlink(path), free(path);
    params_free(&p), params_free(&q);
}

/* ---- learning -------------------------------------------------------------------------------- */

/* Blocks of two colours, another pattern in each picture: mean squared error of those rebuilt from
 * hard codes after so many steps */
static double learn_by_heart(DvaeConfig c, int steps) {
    enum { N = 4, SIDE = 16, LEN = N * SIDE * SIDE * 3 };
    static real x[LEN], y[LEN];
    int codes[N * 16];
    for (int i = 0; i < LEN; i++) {
        int n = i / (SIDE * SIDE * 3), row = i / (SIDE * 3) % SIDE, column = i / 3 % SIDE;
        bool light = (row / 4 * 4 + column / 4 + n * 5) * 7 % 11 % 2;
        x[i] = light ? (real)0.9 : (real)(0.1 + 0.2 * (i % 3));
    }
    Params p = {.seed = 1};
    Dvae d = dvae_new(&p, c);
    Optimizer adam = {.params = &p, .adam = {ADAM_DEFAULTS}};
    Tape t = {0};
    Rng noise = rng_new(1, "gumbel"), rng = rng_new(1, "codebook");
    for (int step = 0; step < steps; step++) {
        tape_reset(&t);
        Tensor *batch = t_input(&t, x, SHAPE(N, SIDE, SIDE, 3));
        if (step == 0) dvae_start(&d, batch, &rng);
        double tau = cosine_schedule(1, 0.0625, step, steps * 2 / 3);
        DvaeTerms terms = dvae_loss(&d, batch, tau, 1, &noise);
        dvae_update(&d, &terms, &rng);
        minimise(&adam, terms.loss, 5e-3 * lr_cosine(step, 20, steps));
    }
    dvae_encode(&d, N, SIDE, x, codes);
    dvae_decode(&d, N, SIDE, codes, y);
    tape_free(&t), params_free(&p), adam_free(&adam.adam);
    return k_sum_squared_difference(LEN, x, y) / LEN;
}

/* hard codes, not the relaxed ones that training sees */
Test(dvae, a_few_pictures_are_learned_by_heart) {
    DvaeConfig c = {.channels = 3, .groups = 3, .blocks = 1, .width = 8, .init = 16, .codes = 16,
                    .least_scale = 0.05};
    double error = learn_by_heart(c, 300);
    cr_expect(error < 1e-4, "Gumbel-softmax: mean squared error %g", error);
    c.dim = 8;
    error = learn_by_heart(c, 300);
    cr_expect(error < 0.01, "VQ: mean squared error %g", error);
}
