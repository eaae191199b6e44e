/* test_first_stage.c — autoencoders: gradients, losses and the discriminator against their definitions,
 * the decoder in bands. */
#include "bands.h"
#include "first_stage_loss.h"
#include "nn/optim.h"
#include "patchgan.h"
#include "tiny_models.h"

#include <math.h>
#include <stdlib.h>

SUITE(first_stage);

/* ---- networks --------------------------------------------------------------------------------- */

static FirstStageConfig tiny_vq(void) {
    FirstStageConfig c = tiny_kl;
    c.codes = 12;
    return c;
}

/* of the sample and of its KL, both terms at once */
static Tensor *kl_stage_loss(Tape *t, void *context) {
    const FirstStage *f = context;
    Posterior q = posterior(encode(f, image(t, "x", 2)));
    Tensor *z = posterior_sample(q, values(t, "noise", SHAPE(2, 4, 4, 2)));
    Tensor *y = decode(f, z);
    return t_add(t_mse(y, image(t, "target", 2)), t_scale(t_mean(posterior_kl(q)), 0.01));
}

Test(first_stage, first_stage_gradients) {
    if (sizeof(real) == 4) return;
    Params p = {.seed = 1};
    FirstStage f = first_stage_new(&p, tiny_kl);
    double error = gradient_error_of(&p, kl_stage_loss, &f, (GradientCheck){.samples = 4,
                                                                           .h = 1e-4});
    cr_expect(error < 1e-6, "%g", error);
    params_free(&p);
}

/* KL(N(m, s^2) || N(0,1)) = (m^2 + s^2 - 1) / 2 - ln s, summed over a picture's numbers */
Test(first_stage, the_kl_is_that_of_normal_distributions) {
    Tape t = {0};
    const real moments[] = {1, 0, 0, (real)(2 * log(2)),         /* pixel 1: means, log variances */
                            0, 2, (real)(2 * log(0.5)), 0};
    Tensor *m = t_input(&t, moments, SHAPE(1, 2, 1, 4));
    double expected = 0.5 + ((4 - 1) / 2. - log(2)) + ((0.25 - 1) / 2 - log(0.5)) + 2;
    cr_expect_float_eq(posterior_kl(posterior(m))->x[0], expected, 1e-5);
    Tensor *noise = t_input(&t, (real[]){1, 1, -1, 2}, SHAPE(1, 2, 1, 2));
    const real *z = posterior_sample(posterior(m), noise)->x;
    const double sample[] = {2, 2, -0.5, 4};
    for (int i = 0; i < 4; i++) cr_expect_float_eq(z[i], sample[i], 1e-5);
    const real wild[] = {0, 0, 100, -100};
    Tensor *log_variance = posterior(t_input(&t, wild, SHAPE(1, 1, 1, 4))).log_variance;
    cr_expect_eq(log_variance->x[0], 20);
    cr_expect_eq(log_variance->x[1], -30);
    tape_free(&t);
}

/* Nothing starts at 0 in LDM's autoencoder: both networks say something from the beginning, and
 * halving a picture looks one row and one column beyond its far sides alone. */
Test(first_stage, the_first_stage_begins_as_the_official_one) {
    Params p = {.seed = 1};
    FirstStage f = first_stage_new(&p, tiny_kl);
    cr_expect(k_sum_squares(f.encoder.level[0].block[0].conv2.w->len,
                            f.encoder.level[0].block[0].conv2.w->x) > 0);
    cr_expect(k_sum_squares(f.decoder.middle_attention.attention.out.w->len,
                            f.decoder.middle_attention.attention.out.w->x) > 0);
    ConvPad pad = f.encoder.level[0].resample.pad;
    cr_expect(pad.top == 0 && pad.left == 0 && pad.bottom == 1 && pad.right == 1);
    params_free(&p);
}

/* The decoder reads codes; what it is given is replaced by the nearest. */
Test(first_stage, a_vq_decoder_begins_with_the_codebook) {
    Params p = {.seed = 1};
    Tape t = {.no_grad = true};
    FirstStage f = first_stage_new(&p, tiny_vq());
    Tensor *z = values(&t, "z", SHAPE(1, 4, 4, 2));
    Tensor *codes = quantise(&f.codebook, z).codes;
    Tensor *a = decode(&f, z), *b = decode(&f, codes);
    Tensor *c = conv2d(&f.decoder.out, decoder_features(&f, z));
    cr_expect(k_sum_squared_difference(a->len, a->x, b->x) == 0);
    cr_expect(k_sum_squared_difference(a->len, a->x, c->x) > 1e-6);
    tape_free(&t), params_free(&p);
}

/* ---- losses of the first stage --------------------------------------------------------------- */

static const ClassifierConfig few_features = {.height = SIDE, .width = SIDE, .channels = 3,
                                              .filters = {4, 6}, .features = 3, .classes = 2};

typedef struct {
    Params first, discriminator, features;
    FirstStage net;
    PatchGan patchgan;
    Classifier classifier;
    FirstStageLoss loss;
} Setup;

/* with a discriminator, which all of it is a function of */
static void setup(Setup *s, FirstStageConfig c) {
    *s = (Setup){.first.seed = 1, .discriminator.seed = 2, .features.seed = 3};
    s->net = first_stage_new(&s->first, c);
    s->patchgan = patchgan_new(&s->discriminator, (PatchGanConfig){3, 4, 1});
    s->classifier = classifier_new(&s->features, &few_features);
    params_freeze(&s->features, true);
    s->loss = (FirstStageLoss){.features = &s->classifier, .perceptual = 0.7,
                               .discriminator = &s->patchgan,
                               .discriminator_params = &s->discriminator, .weight = 0.5,
                               .kl = 0.01, .commitment = 0.25};
}

static void setup_free(Setup *s) {
    params_free(&s->first), params_free(&s->discriminator), params_free(&s->features);
}

/* L as it stands in the papers, in one graph; lambda 0 and 1, w 0: its parts */
static Tensor *whole_loss(Setup *s, Tape *t, double rec, double lambda, double latent) {
    Rng noise = rng_new(5, "noise");
    Tensor *x = image(t, "x", 2), *moments = encode(&s->net, x), *z, *term;
    if (s->net.config.codes) {
        Quantised q = quantise(&s->net.codebook, moments);
        z = q.codes, term = t_add(t_scale(q.commitment_loss, 0.25), q.codebook_loss);
        term = t_scale(term, SIDE * SIDE * 3);
    } else {
        Posterior q = posterior(moments);
        Tensor *eps = t_input(t, NULL, q.mean->rank, q.mean->shape);
        rng_normal(&noise, eps->len, eps->x);
        z = posterior_sample(q, eps), term = t_scale(t_mean(posterior_kl(q)), 0.01);
    }
    Tensor *y = conv2d(&s->net.decoder.out, decoder_features(&s->net, z));
    Tensor *l = t_add(t_l1(y, x), t_scale(perceptual_distance(&s->classifier, x, y), 0.7));
    Tensor *adv = t_scale(t_mean(patchgan(&s->patchgan, y, true)), -1);
    Tensor *sum = t_add(t_scale(l, rec * SIDE * SIDE * 3), t_scale(adv, lambda));
    return t_add(sum, t_scale(term, latent));
}

/* the gradient's length by the last layer's weights */
static double norm_by_last(Setup *s, double rec, double lambda) {
    Tape t = {0};
    params_zero_grad(&s->first);
    backward(whole_loss(s, &t, rec, lambda, 0));
    const Tensor *w = s->net.decoder.out.w;
    double norm = sqrt(k_sum_squares(w->len, w->g));
    tape_free(&t);
    return norm;
}

static void expect_same_gradients(FirstStageConfig c) {
    Setup s;
    Tape t = {0};
    setup(&s, c);
    double ratio = norm_by_last(&s, 1, 0) / (norm_by_last(&s, 0, 1) + 1e-4);
    Rng noise = rng_new(5, "noise");
    params_zero_grad(&s.discriminator);
    FirstStagePass pass = first_stage_pass(&s.net, &s.loss, image(&t, "x", 2), &noise);
    double tolerance = sizeof(real) == 8 ? 1e-9 : 1e-3;
    cr_expect_float_eq(pass.lambda / (0.5 * ratio), 1, tolerance);
    params_zero_grad(&s.first);
    backward(pass.loss);
    cr_expect(grad_norm(&s.discriminator) == 0, "the discriminator is not trained in this pass");
    Params copy = {.seed = 1};
    first_stage_new(&copy, c);
    for (int i = 0; i < copy.count; i++)
        memcpy(copy.list[i]->x, s.first.list[i]->g, copy.list[i]->len * sizeof(real));
    params_zero_grad(&s.first);
    backward(whole_loss(&s, &t, 1, pass.lambda, 1));
    for (int i = 0; i < copy.count; i++) {
        const Tensor *a = copy.list[i], *b = s.first.list[i];
        double norm = sqrt(k_sum_squares(b->len, b->g)) + 1e-3;
        double off = sqrt(k_sum_squared_difference(a->len, a->x, b->g)) / norm;
        cr_expect(is_near(__FILE__, __LINE__, off, tolerance), "%s: %g", a->name, off);
    }
    params_free(&copy), tape_free(&t), setup_free(&s);
}

/* Gradients by the reconstruction, added up before the one pass through the autoencoder, are those
 * of the whole loss; lambda is the ratio of the gradients by the last layer. */
Test(first_stage, one_pass_gives_the_gradients_of_the_whole_loss) {
    expect_same_gradients(tiny_kl);
    expect_same_gradients(tiny_vq());
}

Test(first_stage, without_a_discriminator_nothing_is_adversarial) {
    Setup s;
    Tape t = {0};
    Rng noise = rng_new(5, "noise");
    setup(&s, tiny_kl);
    s.loss.discriminator = NULL;
    FirstStagePass pass = first_stage_pass(&s.net, &s.loss, image(&t, "x", 2), &noise);
    cr_expect(pass.lambda == 0 && pass.adversarial == 0 && pass.l1 > 0 && pass.perceptual > 0);
    tape_free(&t), setup_free(&s);
}

static Tensor *perceptual_loss(Tape *t, void *context) {
    Setup *s = context;
    Tensor *y = t_use(t, s->first.list[0]);
    return perceptual_distance(&s->classifier, image(t, "x", 1), t_reshape(y, SHAPE(1, SIDE, SIDE,
                                                                                   3)));
}

Test(first_stage, perceptual_distance_and_its_gradient) {
    Setup s = {.first.seed = 1, .features.seed = 3};
    Tape t = {0};
    s.classifier = classifier_new(&s.features, &few_features);
    params_freeze(&s.features, true);
    param(scope(&s.first, "y"), "w", INIT_NORMAL, 0.5, SHAPE(SIDE * SIDE, 3));
    Tensor *x = image(&t, "x", 1), *y = image(&t, "y", 1);
    cr_expect_eq(perceptual_distance(&s.classifier, x, x)->x[0], 0);
    double d = (double)perceptual_distance(&s.classifier, x, y)->x[0];
    cr_expect(d > 0 && d < 4 * 2, "%g", d);      /* unit vectors: at most 4 a layer */
    if (sizeof(real) == 8) {
        double error = gradient_error_within(&s.first, perceptual_loss, &s, 12, 1e-6);
        cr_expect(error < 1e-6, "%g", error);
    }
    tape_free(&t), params_free(&s.first), params_free(&s.features);
}

/* Two layers by hand: features from the layers themselves, of length 1 at every pixel; squared
 * distances summed over channels, means over pixels, summed over layers */
Test(first_stage, perceptual_distance_is_summed_over_layers) {
    Params p = {.seed = 3};
    Tape t = {.no_grad = true};
    Classifier c = classifier_new(&p, &few_features);
    Tensor *x[2] = {image(&t, "x", 2), image(&t, "y", 2)}, *h[2];
    double sum = 0;
    for (int i = 0; i < 2; i++) h[i] = t_add_scalar(t_scale(x[i], 0.5), 0.5);
    for (int layer = 0; layer < 2; layer++) {
        int C = few_features.filters[layer], side = SIDE >> layer;
        for (int i = 0; i < 2; i++) h[i] = t_relu(conv2d(&c.conv[layer], h[i]));
        for (int pixel = 0; pixel < 2 * side * side; pixel++) {
            const real *a = h[0]->x + pixel * C, *b = h[1]->x + pixel * C;
            double aa = 1e-10, bb = 1e-10, squares = 0;
            for (int k = 0; k < C; k++) aa += (double)(a[k] * a[k]), bb += (double)(b[k] * b[k]);
            for (int k = 0; k < C; k++) {
                double difference = (double)a[k] / sqrt(aa) - (double)b[k] / sqrt(bb);
                squares += difference * difference;
            }
            sum += squares / (2 * side * side);
        }
        for (int i = 0; i < 2; i++) h[i] = t_max_pool2(h[i]);
    }
    double d = (double)perceptual_distance(&c, x[0], x[1])->x[0];
    cr_expect_float_eq(d, sum, 1e-4 * sum, "%g, not %g", d, sum);
    tape_free(&t), params_free(&p);
}

static Tensor *patchgan_loss(Tape *t, void *context) {
    const PatchGan *d = context;
    Tensor *real_ones = patchgan(d, image(t, "real", 3), true);
    return hinge_loss(real_ones, patchgan(d, image(t, "fake", 3), true));
}

Test(first_stage, discriminator_gradients) {
    if (sizeof(real) == 4) return;
    Params p = {.seed = 1};
    PatchGan d = patchgan_new(&p, (PatchGanConfig){3, 4, 1});
    for (int i = 0; i < 3; i++) k_axpy(d.down[i].w->len, 5, d.down[i].w->x, d.down[i].w->x, true);
    double error = gradient_error_within(&p, patchgan_loss, &d, 8, 1e-6);
    cr_expect(error < 1e-6, "%g", error);
    params_free(&p);
}

/* 1/2 mean relu(1 - r) + 1/2 mean relu(1 + f) */
Test(first_stage, hinge_loss_of_a_discriminator) {
    Tape t = {0};
    Tensor *r = t_input(&t, (real[]){2, 0.5, -1}, SHAPE(3));
    Tensor *f = t_input(&t, (real[]){-2, -0.5, 1}, SHAPE(3));
    cr_expect_float_eq(hinge_loss(r, f)->x[0], 2.5 / 3, 1e-6);
    tape_free(&t);
}

/* ---- the decoder in bands -------------------------------------------------------------------- */

static void expect_equal_bands(FirstStageConfig c, int h, int w, int rows) {
    Params p = {.seed = 1};
    Tape t = {.no_grad = true};
    FirstStage f = first_stage_decoder_new(&p, c);
    move_params(&p, 0.1);
    Tensor *z = values(&t, "z", SHAPE(1, h, w, c.embed)), *whole = decode(&f, z);
    real *x = malloc(whole->len * sizeof *x);
    decode_in_bands(&f, z->x, h, w, rows, x);
    double off = sqrt(k_sum_squared_difference(whole->len, whole->x, x) /
                      k_sum_squares(whole->len, whole->x));
    cr_expect(is_near(__FILE__, __LINE__, off, sizeof(real) == 8 ? 1e-13 : 5e-6),
              "%dx%d, %d rows: %g", h, w, rows, off);
    free(x), tape_free(&t), params_free(&p);
}

Test(first_stage, the_decoder_in_bands_equals_the_whole_one) {
    static const int rows[] = {2, 4, 6, 10, 64};
    for (int i = 0; i < 5; i++) {
        expect_equal_bands(tiny_kl, 6, 4, rows[i]);
        expect_equal_bands(tiny_vq(), 3, 5, rows[i]);
    }
    for (int w = 1; w <= 8192; w *= 2) {
        int n = band_rows(w);
        cr_expect(n >= 2 && n % 2 == 0, "%d rows of width %d", n, w);
    }
}
