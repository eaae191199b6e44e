/* test_vae.c — the published sizes, gradients, the two terms of the ELBO against integrals and
 * random numbers, a few images by heart, the program. */
#include "data/fashion.h"
#include "experiments/gradients.h"
#include "nn/optim.h"
#include "programs.h"
#include "vae.h"

#include <math.h>
#include <string.h>

SUITE(vae);

static const Architecture architectures[] = {CONVOLUTIONAL, AEVB_2013, KINGMA_2014,
                                             PYTORCH_EXAMPLE};
static const char *const names[] = {"default", "aevb", "kingma", "pytorch"};

/* ---- networks -------------------------------------------------------------------------------- */

static size_t count(const Params *p, const char *prefix) {
    size_t n = 0;
    for (int i = 0; i < p->count; i++)
        if (!strncmp(p->list[i]->name, prefix, strlen(prefix))) n += p->list[i]->len;
    return n;
}

/* Are these the published networks, to the last weight? */
Test(vae, published_networks_have_the_published_number_of_parameters) {
    Params aevb = {0}, kingma = {0}, pytorch = {0};
    vae_new(&aevb, architecture_named("aevb"), BERNOULLI, 20, 0);
    vae_new(&kingma, architecture_named("kingma"), BERNOULLI, 50, 0);
    vae_new(&pytorch, architecture_named("pytorch"), BERNOULLI, 20, 0);
    cr_expect_eq(count(&kingma, "encoder."), 693100, "%zu", count(&kingma, "encoder."));
    cr_expect_eq(count(&kingma, "decoder."), 668784, "%zu", count(&kingma, "decoder."));
    cr_expect_eq(params_count(&pytorch), 652824, "%zu", params_count(&pytorch));
    cr_expect_eq(params_count(&aevb), 815824, "%zu", params_count(&aevb));
    params_free(&aevb), params_free(&kingma), params_free(&pytorch);
}

static const int some_labels[5] = {3, 0, 9, 3, 5};

/* a small network away from its first values, which give gradients that drown in rounding */
static Vae moved_vae(Params *p, int i, Likelihood likelihood, int classes) {
    Vae v = vae_new(p, architectures[i], likelihood, 3, classes);
    move_params(p, 0.08);
    for (int k = 0; k < p->count && i == 0; k++)
        k_axpy(p->list[k]->len, 1, p->list[k]->x, p->list[k]->x, true);
    return v;
}

static void some_images(const Vae *v, int n, real *x) {
    Rng rng = rng_new(5, "observations");
    real grey[5 * PIXELS];
    test_values("images", 0, 1, (size_t)n * PIXELS, grey);
    observe(v, (size_t)n * PIXELS, grey, &rng, x);
}

#ifdef REAL_DOUBLE
/* the negative ELBO of two images; the same noise at every call */
static Tensor *negative_elbo(Tape *t, void *context) {
    const Vae *v = context;
    Rng rng = rng_new(6, "noise");
    Tensor *x = t_input(t, NULL, SHAPE(2, IMAGE, IMAGE, 1));
    some_images(v, 2, x->x);
    Posterior q = encode(v, x, some_labels);
    Tensor *logits = decode(v, reparameterize(q, &rng), some_labels);
    return t_sub(kl_divergence(q), log_likelihood(v, logits, x));
}

/* Do all weights of all networks get the right gradient, through the noise as well? */
Test(vae, gradients_of_every_network_and_likelihood) {
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 4; k++) {
            Params p = {.seed = 4};
            Vae v = moved_vae(&p, i, k & 1 ? GAUSSIAN : BERNOULLI, k & 2 ? 10 : 0);
            double error = gradient_error(&p, negative_elbo, &v, 4);
            cr_expect(error <= 1e-6, "%s, %s, %s: relative error %g", names[i],
                      k & 1 ? "gaussian" : "bernoulli", k & 2 ? "labels" : "no labels", error);
            params_free(&p);
        }
}
#endif

/* Do labels reach both halves, and is an image's posterior its own, whatever stands beside it? */
Test(vae, labels_matter_and_neighbours_do_not) {
    for (int i = 0; i < 3; i++) {
        Params p = {.seed = 4};
        Vae v = moved_vae(&p, i, BERNOULLI, 10);
        real x[5 * PIXELS], mu[5 * 3], alone[3], other[3], a[PIXELS], b[PIXELS];
        int label = some_labels[1], another = label + 1;
        some_images(&v, 5, x);
        encode_all(&v, 5, x, some_labels, mu, NULL);
        encode_all(&v, 1, x + PIXELS, &label, alone, NULL);
        encode_all(&v, 1, x + PIXELS, &another, other, NULL);
        for (int j = 0; j < 3; j++) cr_expect_float_eq(mu[3 + j], alone[j], 1e-5, "%s", names[i]);
        cr_expect(memcmp(alone, other, sizeof alone), "%s: the encoder sees no label", names[i]);
        decode_all(&v, 1, alone, &label, a);
        decode_all(&v, 1, alone, &another, b);
        cr_expect(memcmp(a, b, sizeof a), "%s: the decoder sees no label", names[i]);
        params_free(&p);
    }
}

/* ---- the two terms --------------------------------------------------------------------------- */

/* Is the closed form what log q(z|x) - log p(z) is on average over samples of the
 * reparameterisation, and do these samples have the mean and variance they should have? */
Test(vae, kl_and_reparameterization_agree_with_monte_carlo) {
    enum { N = 200000, D = 3 };
    static const real mu[D] = {0.5, -1.5, 0}, logvar[D] = {-1, 0.7, -3};
    Tape t = {.no_grad = true};
    Rng rng = rng_new(2, "samples");
    Posterior one = {t_input(&t, mu, SHAPE(1, D)), t_input(&t, logvar, SHAPE(1, D))};
    Posterior q = {t_input(&t, NULL, SHAPE(N, D)), t_input(&t, NULL, SHAPE(N, D))};
    for (int i = 0; i < N * D; i++) q.mu->x[i] = mu[i % D], q.logvar->x[i] = logvar[i % D];
    Tensor *z = reparameterize(q, &rng);
    double sum = 0, mean[D] = {0}, square[D] = {0};
    for (int i = 0; i < N * D; i++) {
        double lv = (double)logvar[i % D], v = (double)z->x[i], d = v - (double)mu[i % D];
        sum += -0.5 * (lv + d * d * exp(-lv)) + 0.5 * v * v;
        mean[i % D] += v / N;
        square[i % D] += d * d / N;
    }
    double kl = (double)kl_divergence(one)->x[0];
    cr_expect_float_eq(sum / N, kl, 0.02, "Monte Carlo %g, closed form %g", sum / N, kl);
    for (int j = 0; j < D; j++) {
        cr_expect_float_eq(mean[j], (double)mu[j], 0.02);
        cr_expect_float_eq(square[j] / exp((double)logvar[j]), 1, 0.02);
    }
    tape_free(&t);
}

/* The gradient of E[z^2] for z ~ N(1,1) with respect to the mean is 2. Both estimators have that
 * mean; 2 z, through the reparameterised z, has the variance 4, the score function's z^2 (z - 1)
 * the variance 34 - 4 = 30. */
Test(vae, reparameterized_gradients_have_less_variance_than_the_score_functions) {
    enum { N = 400000 };
    static real zero[N];
    Tape t = {0};
    Params p = {0};
    Tensor *mu = param(scope(&p, "%s", ""), "mu", INIT_CONSTANT, 1, SHAPE(N, 1));
    Posterior q = {t_use(&t, mu), t_input(&t, zero, SHAPE(N, 1))};
    Rng rng = rng_new(3, "gradient");
    Tensor *z = reparameterize(q, &rng);
    t_keep(z);
    backward(t_sum(t_square(z)));
    double mean[2] = {0}, square[2] = {0};
    for (int i = 0; i < N; i++) {
        double x = (double)z->x[i], g[2] = {(double)mu->g[i], x * x * (x - 1)};
        for (int k = 0; k < 2; k++) mean[k] += g[k] / N, square[k] += g[k] * g[k] / N;
    }
    cr_expect_float_eq(mean[0], 2, 0.02);
    cr_expect_float_eq(mean[1], 2, 0.1);
    cr_expect_float_eq(square[0] - mean[0] * mean[0], 4, 0.1);
    cr_expect_float_eq(square[1] - mean[1] * mean[1], 30, 3);
    tape_free(&t), params_free(&p);
}

enum { FEW = 3 };      /* dimensions of z in the test below */

/* log p(x|z) by decoding */
static double log_px_at(const Vae *v, const real *x, const real *z) {
    real image[PIXELS];
    double sum = 0;
    decode_all(v, 1, z, NULL, image);
    for (int i = 0; i < PIXELS; i++)
        sum += log(x[i] > 0 ? (double)image[i] : 1 - (double)image[i]);
    return sum;
}

/* the squared length of its gradient, by central differences */
static double squared_gradient(const Vae *v, const real *x, const real *z) {
    double sum = 0, step = 1e-2;
    for (int j = 0; j < FEW; j++) {
        real to[FEW], from[FEW];
        memcpy(to, z, sizeof to), memcpy(from, z, sizeof from);
        to[j] += (real)step, from[j] -= (real)step;
        sum += pow((log_px_at(v, x, to) - log_px_at(v, x, from)) / (2 * step), 2);
    }
    return sum;
}

/* the sum of the squares of its second derivatives */
static double squared_curvature(const Vae *v, const real *x, const real *z) {
    double sum = 0, step = 1e-2;
    for (int i = 0; i < FEW; i++)
        for (int j = 0; j < FEW; j++) {
            double second = 0;
            for (int k = 0; k < 4; k++) {
                real at[FEW];
                memcpy(at, z, sizeof at);
                at[i] += (real)(k & 1 ? -step : step), at[j] += (real)(k & 2 ? -step : step);
                second += (k == 0 || k == 3 ? 1 : -1) * log_px_at(v, x, at);
            }
            sum += pow(second / (4 * step * step), 2);
        }
    return sum;
}

/* For a narrow posterior log p(x|z) is nearly linear, L + g . (z - mu). The score function's
 * variance is then L^2/sigma^2 for each dimension, with the baseline (dimensions + 1) |g|^2 in all,
 * and the reparameterised gradient's |H|^2 sigma^2, H being the second derivatives. */
Test(vae, variances_of_gradients_for_narrow_posteriors) {
    enum { K = 4000 };
    Params p = {.seed = 1};
    Vae v = vae_new(&p, AEVB_2013, BERNOULLI, FEW, 0);
    static real x[PIXELS];
    const real mu[FEW] = {(real)0.1, (real)0.2, (real)-0.3};
    double of[2][ESTIMATORS], sigma[2] = {0.01, 0.02};
    for (int i = 0; i < PIXELS; i++) x[i] = i % 3 == 0;
    Rng rng = rng_new(1, "narrow");
    for (int k = 0; k < 2; k++) {
        real l = (real)(2 * log(sigma[k])), logvar[FEW] = {l, l, l};
        gradient_variances(&v, x, NULL, mu, logvar, K, &rng, of[k]);
        double wanted = FEW * pow(log_px_at(&v, x, mu) / sigma[k], 2);
        cr_expect_float_eq(of[k][SCORE_FUNCTION] / wanted, 1, 0.05);
        wanted = squared_curvature(&v, x, mu) * sigma[k] * sigma[k];
        cr_expect_float_eq(of[k][REPARAMETERISED] / wanted, 1, 0.1);
    }
    double squared = squared_gradient(&v, x, mu);
    cr_expect_float_eq(of[0][WITH_BASELINE] / ((FEW + 1) * squared), 1, 0.1);
    params_free(&p);
}

/* Are both terms sums over pixels and dimensions and means over images? */
Test(vae, terms_are_nats_per_image) {
    Tape t = {0};
    Params p = {0};
    Vae bernoulli = vae_new(&p, CONVOLUTIONAL, BERNOULLI, 2, 0);
    Tensor *logits = t_input(&t, NULL, SHAPE(3, IMAGE, IMAGE, 1));
    Tensor *x = t_input(&t, NULL, SHAPE(3, IMAGE, IMAGE, 1));
    k_fill(logits->len, 0, logits->x);
    k_fill(x->len, 1, x->x);
    cr_expect_float_eq(log_likelihood(&bernoulli, logits, x)->x[0], -PIXELS * log(2), 1e-2);

    Params p2 = {0};
    Vae gaussian = vae_new(&p2, CONVOLUTIONAL, GAUSSIAN, 2, 0);     /* the mean image is 0.5 */
    gaussian.log_sigma->x[0] = (real)log(0.25);
    double expected = PIXELS * (-log(0.25) - log(2 * M_PI) / 2 - 0.5 * 0.25 / 0.0625);
    cr_expect_float_eq(log_likelihood(&gaussian, logits, x)->x[0], expected, 1e-2);

    Posterior q = {t_input(&t, NULL, SHAPE(3, 2)), t_input(&t, NULL, SHAPE(3, 2))};
    k_fill(6, 2, q.mu->x);
    k_fill(6, 0, q.logvar->x);
    cr_expect_float_eq(kl_divergence(q)->x[0], 4, 1e-5, "2 dimensions, mu^2/2 = 2 nats each");
    tape_free(&t);
    params_free(&p), params_free(&p2);
}

/* Dynamic binarisation: zeros and ones with the grey value as their mean. Dequantisation: within
 * 1/256 above the byte. */
Test(vae, observations_are_what_the_likelihood_is_about) {
    enum { N = 40000 };
    static real grey[N], x[N];
    Params p = {0}, p2 = {0};
    Vae bernoulli = vae_new(&p, PYTORCH_EXAMPLE, BERNOULLI, 2, 0);
    Vae gaussian = vae_new(&p2, PYTORCH_EXAMPLE, GAUSSIAN, 2, 0);
    Rng rng = rng_new(1, "observe");
    k_fill(N, (real)51 / 255, grey);
    observe(&bernoulli, N, grey, &rng, x);
    for (int i = 0; i < N; i++) cr_assert(x[i] == 0 || x[i] == 1);
    cr_assert_float_eq(k_sum(N, x) / N, 0.2, 0.01);
    observe(&gaussian, N, grey, &rng, x);
    for (int i = 0; i < N; i++) cr_assert(x[i] >= (real)51 / 256 - 1e-6 && x[i] < (real)52 / 256 + 1e-6);
    cr_assert_float_eq(k_sum(N, x) / N, 51.5 / 256, 1e-4);
    params_free(&p), params_free(&p2);
}

/* log p(x) of a one-dimensional model by the trapezoid rule over z */
static double integrated_likelihood(const Vae *v, const real *x) {
    enum { N = 1600 };
    const double range = 8, h = 2 * range / N;
    double w[N + 1], most = -INFINITY, sum = 0;
    Tape t = {.no_grad = true};
    for (int i = 0; i <= N; i++) {
        tape_reset(&t);
        double z = -range + i * h;
        real code = (real)z;
        Tensor *image = t_input(&t, x, SHAPE(1, IMAGE, IMAGE, 1));
        Tensor *logits = decode(v, t_input(&t, &code, SHAPE(1, 1)), NULL);
        w[i] = (double)log_likelihood(v, logits, image)->x[0] - z * z / 2 - log(2 * M_PI) / 2;
        most = fmax(most, w[i]);
    }
    for (int i = 0; i <= N; i++) sum += exp(w[i] - most) * (i == 0 || i == N ? 0.5 : 1);
    tape_free(&t);
    return most + log(sum * h);
}

/* ELBO <= bound with K samples <= log p(x), and the bound arrives there? Both likelihoods, a model
 * whose evidence can be integrated. */
Test(vae, importance_weighting_rises_from_the_elbo_to_the_evidence) {
    for (int gaussian = 0; gaussian < 2; gaussian++) {
        Params p = {.seed = 3};
        Vae v = vae_new(&p, PYTORCH_EXAMPLE, gaussian ? GAUSSIAN : BERNOULLI, 1, 0);
        k_axpy(v.decoder[0].w->len, 3, v.decoder[0].w->x, v.decoder[0].w->x, false);
        if (gaussian) v.log_sigma->x[0] = 0;        /* wide, so that many z explain the image */
        real x[5 * PIXELS];
        some_images(&v, 5, x);
        Rng rng = rng_new(1, "importance");
        double evidence = integrated_likelihood(&v, x), elbo = 0;
        for (int i = 0; i < 200; i++) {
            Elbo e = elbo_all(&v, 1, x, NULL, &rng);
            elbo += (e.log_likelihood - e.kl) / 200;
        }
        double ten = 0;
        for (int i = 0; i < 50; i++) ten += importance_weighted(&v, 1, x, NULL, 10, &rng) / 50;
        double many = importance_weighted(&v, 1, x, NULL, 20000, &rng);
        cr_expect(elbo < ten && ten < evidence, "%g %g %g", elbo, ten, evidence);
        cr_expect_float_eq(many, evidence, 0.05, "importance %g, integral %g", many, evidence);
        params_free(&p);
    }
}

/* ---- codes ----------------------------------------------------------------------------------- */

Test(vae, unused_dimensions_are_seen) {
    enum { N = 1000, D = 3 };
    static real mu[N * D], logvar[N * D];
    double kl[D], variance[D];
    Rng rng = rng_new(1, "codes");
    rng_normal(&rng, N * D, mu);
    for (int i = 0; i < N; i++) {
        mu[i * D] = 0, logvar[i * D] = 0;                           /* is the prior: unused */
        logvar[i * D + 1] = (real)log(0.01);
        mu[i * D + 2] = 1, logvar[i * D + 2] = 0;      /* costs half a nat and says nothing */
    }
    code_use(N, D, mu, logvar, kl, variance);
    cr_assert_float_eq(kl[0], 0, 1e-6);
    cr_assert_float_eq(kl[1], 0.5 * (1 + 0.01 - 1 - log(0.01)), 0.1);
    cr_assert_float_eq(kl[2], 0.5, 1e-6);
    cr_assert_eq(active_units(D, variance), 1);
}

Test(vae, manifold_covers_the_prior_evenly) {
    real z[2 * 9];
    manifold_codes(3, z);
    cr_assert_float_eq(z[0], -0.967422, 1e-5, "probability 1/6");
    cr_assert_float_eq(z[1], 0.967422, 1e-5, "the top row is the largest z_2");
    cr_assert_float_eq(z[2 * 4], 0, 1e-6);
    cr_assert_float_eq(z[2 * 4 + 1], 0, 1e-6);
}

/* ---- learning -------------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
static Elbo train_on(Vae *v, Params *p, int n, const real *x, int steps, double lr) {
    Tape t = {0};
    Adam adam = {ADAM_DEFAULTS};
    Rng noise = rng_new(1, "noise"), eval = rng_new(1, "eval");
    for (int step = 0; step < steps; step++) {
        tape_reset(&t);
        Tensor *images = t_input(&t, x, SHAPE(n, IMAGE, IMAGE, 1));
        Posterior q = encode(v, images, NULL);
        Tensor *logits = decode(v, reparameterize(q, &noise), NULL);
        Tensor *loss = t_sub(kl_divergence(q), log_likelihood(v, logits, images));
        params_zero_grad(p);
        backward(loss);
        adam_step(&adam, p, lr * (1 - (double)step / steps), 1);
    }
    tape_free(&t);
    adam_free(&adam);
    return elbo_all(v, n, x, NULL, &eval);
}

/* Eight binarised images by heart: the image must be nearly certain given z, and z must cost no
 * less than the ln 8 nats that say which image it is. */
Test(vae, eight_images_are_learned_by_heart) {
    Fashion data = fashion_load(NULL);
    real grey[8 * PIXELS], x[8 * PIXELS];
    images_get(&data.train, 8, NULL, 0, 1, grey, NULL);
    for (int i = 0; i < 3; i++) {
        Params p = {.seed = 1};
        Rng rng = rng_new(1, "observe");
        Vae v = vae_new(&p, architectures[i], BERNOULLI, 8, 0);
        observe(&v, 8 * PIXELS, grey, &rng, x);
        Elbo e = train_on(&v, &p, 8, x, 400, 2e-3);
        cr_expect(e.log_likelihood > -12 && e.kl > log(8) && e.kl < 40, "%s: %g nats, KL %g",
                  names[i], e.log_likelihood, e.kl);
        params_free(&p);
    }
    fashion_free(&data);
}
#endif

/* ---- the program ----------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
PROGRAM_SUITE(vae_program);

Test(vae_program, trained_weights_give_pictures_and_scores) {
    few_garments(400, 120);
    RUN("vae", "train -q --config pytorch --steps 3 --batch 16 --code 2 --conditional --data %s "
               "--out %s");
    RUN("vae", "sample -q --weights %s/weights.safetensors --data %s --out %s/pictures");
    RUN("vae", "eval -q --draws 2 --samples 30 --weights %s/weights.safetensors --data %s "
               "--out %s/scores");
    static const char *const files[] = {"samples.png",
                                        "log.csv",
                                        "run.json",
                                        "pictures/samples.png",
                                        "pictures/reconstructions.png",
                                        "pictures/interpolation.png",
                                        "pictures/manifold.png",
                                        "scores/metrics.json",
                                        "scores/kl.csv",
                                        "scores/codes.csv",
                                        "scores/gradients.csv",
                                        "scores/neighbours.png"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        cr_expect(file_there(files[i]), "%s is missing or empty", files[i]);
}

Test(vae_program, bad_input_gets_one_line_and_a_status) {
    static const Refusal cases[] = {
        {"train --beta -1 --out %s/x", 2, "--beta"},
        {"train --likelihood poisson --out %s/x", 2, "poisson"},
        {"train --code 0 --out %s/x", 2, "--code"},
    };
    EXPECT_REFUSALS("vae", cases);
    RUN("vae", "train -q --steps 1 --batch 8 --config pytorch --out %s");
    expect_refusal("vae", "sample --weights %s/weights.safetensors --conditional --out %s/x", 2,
                   "conditional");
}
#endif
