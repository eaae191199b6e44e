/* test_cfg.c — guidance without a classifier: mixing, leaving out, continuous time, and what it
 * samples from where that is known. GLIDE: test_glide.c; the program: test_program.c. */
#include "cfg.h"
#include "diffusion/guidance.h"
#include "diffusion/losses.h"
#include "diffusion/sampler.h"
#include "experiments/toy.h"
#include "nn/unet_config.h"
#include "testing.h"

#include <math.h>
#include <string.h>

SUITE(cfg);

enum { SIDE = 8, NONE = 3 };

/* the chapter's network, small: three classes and none */
static ClassUNet small(Params *p, int out) {
    UNetConfig c = adm_family(8, 1);
    unet_levels(&c, 1, 2);
    unet_attend_at(&c, SIDE, SIDE / 2, SIDE / 2);
    c.in = 1, c.out = out, c.head_channels = 8, c.style.groups = 2;
    c.resampling = RESAMPLE_CONV;
    ClassUNet net = class_unet_new(p, c, NONE + 1);
    move_params(p, 0.1);
    return net;
}

/* ---- both answers ---------------------------------------------------------------------------- */

static Step step_at(const NoiseSchedule *s, Tape *t, int first, int n) {
    return (Step){.schedule = s, .t = 5, .first = first, .n = n, .height = SIDE, .width = SIDE,
                  .channels = 1, .tape = t};
}

/* what the network says of xt with these classes */
static Tensor *answer(const ClassUNet *net, const Step *at, const real *xt, const int *label) {
    Tensor *x = t_input(at->tape, xt, SHAPE(at->n, SIDE, SIDE, 1));
    return class_unet(net, x, step_times(at), label);
}

/* Scale 1 is the network with the class, 0 without, bit for bit; at 3 the predictions are mixed, in
 * each picture its own, while the variance stays that with the class. */
Test(cfg, guidance_mixes_predictions_and_nothing_else) {
    enum { N = 3, FIRST = 2, LEN = SIDE * SIDE };
    static const int label[FIRST + N] = {0, 0, 2, 0, 1}, none[N] = {NONE, NONE, NONE};
    static const double scales[] = {0, 1, 3, -0.5};
    Params p = {.seed = 1};
    Tape t = {.no_grad = true};
    ClassUNet net = small(&p, 2);
    NoiseSchedule s = schedule_cosine(10);
    Step at = step_at(&s, &t, FIRST, N);
    real xt[N * LEN];
    test_values("xt", -2, 2, N * LEN, xt);
    const real *with = answer(&net, &at, xt, label + FIRST)->x;
    const real *without = answer(&net, &at, xt, none)->x;
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
        GuidedClasses g = {&net, label, NONE, scales[k]};
        NetworkDenoiser d = guided_classes(&g, LEARNED_RANGE);
        const real *got = d.output(d.network, &at, t_input(&t, xt, SHAPE(N, SIDE, SIDE, 1)))->x;
        for (int i = 0; i < 2 * N * LEN; i++) {
            bool prediction = i % 2 == 0, exact = scales[k] == 0 || scales[k] == 1;
            double a = (double)with[i], b = (double)without[i];
            double want = prediction ? b + scales[k] * (a - b) : a;
            if (exact) cr_expect_eq(got[i], scales[k] == 1 ? with[i] : without[i], "number %d", i);
            else cr_expect_float_eq(got[i], want, 1e-4, "scale %g, number %d", scales[k], i);
        }
    }
    schedule_free(&s), tape_free(&t), params_free(&p);
}

/* In the doubled batch itself: scale 1 gives the first half, scale 0 the second half's predictions,
 * bit for bit. */
Test(cfg, scales_one_and_zero_of_a_doubled_batch_are_its_halves) {
    enum { N = 2, LEN = N * 3 * 3 * 4 };
    Tape t = {.no_grad = true};
    Tensor *both = t_input(&t, NULL, SHAPE(2 * N, 3, 3, 4));
    test_values("both", -3, 3, both->len, both->x);
    Tensor *one = mix_guided(both, 1, 2), *zero = mix_guided(both, 0, 2);
    cr_expect_eq(one->shape[0], N);
    cr_expect_eq(memcmp(one->x, both->x, LEN * sizeof *one->x), 0);
    for (int i = 0; i < LEN; i++) {
        int from = i % 4 < 2 ? LEN + i : i;
        cr_expect_eq(zero->x[i], both->x[from], "number %d", i);
    }
    tape_free(&t);
}

Test(cfg, both_ways_to_count_the_scale) {
    cr_expect_eq(scale_of(0), 1);
    cr_expect_eq(scale_of(2), 3);
    cr_expect_eq(weight_of(scale_of(0.25)), 0.25);
}

/* ---- leaving out ----------------------------------------------------------------------------- */

Test(cfg, classes_are_left_out_one_by_one) {
    enum { N = 20000 };
    static int label[N];
    Rng rng = rng_new(1, "drop");
    int left = 0, changes = 0;
    drop_labels(N, label, NONE, 0, &rng);
    for (int i = 0; i < N; i++) cr_assert_eq(label[i], 0);
    drop_labels(N, label, NONE, 0.15, &rng);
    for (int i = 0; i < N; i++) {
        cr_assert(label[i] == 0 || label[i] == NONE);
        left += label[i] == NONE;
        changes += i && label[i] != label[i - 1];
    }
    cr_expect_float_eq((double)left / N, 0.15, 0.01);
    cr_expect_float_eq((double)changes / N, 2 * 0.15 * 0.85, 0.015);
    drop_labels(N, label, NONE, 1, &rng);
    for (int i = 0; i < N; i++) cr_assert_eq(label[i], NONE);
}

/* ---- what is sampled from -------------------------------------------------------------------- */

/* The share of a batch that the mixture's score gives to each class is right, and the score is the
 * gradient of the log density. */
Test(cfg, the_toy_scores_are_gradients) {
    const double x[2] = {0.3, -0.2}, h = 1e-5, abar = 0.6;
    for (int class = -1; class < TOY_CLASSES; class++) {
        double score[2];
        toy_score(&toy_figure, class, abar, x, score);
        for (int d = 0; d < 2; d++) {
            double log_p[2];
            for (int side = 0; side < 2; side++) {
                double at[2] = {x[0], x[1]}, p = 0;
                at[d] += side ? h : -h;
                for (int k = 0; k < TOY_CLASSES; k++) {
                    double c = toy_figure.deviation[k], v = abar * c * c + 1 - abar, log_k = 0;
                    for (int e = 0; e < 2; e++)
                        log_k += log_normal_density(at[e], sqrt(abar) * toy_figure.mean[k][e], v);
                    if (class < 0 || class == k) p += exp(log_k);
                }
                log_p[side] = log(p);
            }
            cr_expect_float_eq(score[d], (log_p[1] - log_p[0]) / (2 * h), 1e-6, "class %d", class);
        }
    }
}

/* Guided a little, each point moves as the first order in w says; in more steps the difference
 * is smaller. */
Test(cfg, a_little_guidance_moves_points_as_the_closed_form_says) {
    enum { N = 16, ALL = 2 * N };
    const double w = 0.001;
    static const int steps[] = {100, 400};
    double error[2];
    for (int k = 0; k < 2; k++) {
        real plain[ALL], guided[ALL];
        double move[ALL], off = 0, size = 0;
        toy_draw(&toy_figure, 1, 1, steps[k], N, 7, plain);
        toy_draw(&toy_figure, 1, scale_of(w), steps[k], N, 7, guided);
        toy_first_order(&toy_figure, 1, N, plain, move);
        for (int i = 0; i < ALL; i++) {
            double moved = ((double)guided[i] - (double)plain[i]) / w;
            off += (moved - move[i]) * (moved - move[i]);
            size += move[i] * move[i];
        }
        error[k] = sqrt(off / size);
    }
    cr_expect_lt(error[1], 0.01, "relative error %g", error[1]);
    cr_expect_lt(error[1], 0.5 * error[0], "%g, and with fewer steps %g", error[1], error[0]);
}

/* knows the data: N(0, deviation^2) */
typedef struct {
    Denoiser denoiser;
    double deviation;
} Gaussian;

static Prediction of_gaussian(const Denoiser *self, const Step *at, real *xt) {
    const Gaussian *g = (const Gaussian *)self;
    double a = at->schedule->alpha_bar[at->t], v = g->deviation * g->deviation;
    Prediction p = {.n = (size_t)at->n * step_size(at)};
    p.x0 = arena_get(&at->tape->arena, p.n * sizeof *p.x0);
    for (size_t i = 0; i < p.n; i++)
        p.x0[i] = (real)(sqrt(a) * v / (a * v + 1 - a) * (double)xt[i]);
    return p;
}

/* One Gaussian class among all, which are a Gaussian too: DDIM's way has a closed form, deviation
 * c (c/v)^w. The density p(x|c)^(1+w) / p(x)^w has another. */
Test(cfg, guided_samples_are_not_those_of_the_sharpened_density) {
    const double c = 0.5, v = 1.5, w = 1;
    NoiseSchedule s = schedule_cosine(2000);
    Gaussian with = {{of_gaussian}, c}, without = {{of_gaussian}, v};
    ClassifierFree guided = classifier_free(&with.denoiser, &without.denoiser, scale_of(w));
    Sampler m = {.denoiser = &guided.denoiser, .schedule = &s, .method = DDIM, .height = 1,
                 .width = 1, .channels = 1};
    real x = 1;                          /* one deviation of x_T, whose mean is 0 throughout */
    sample_from(&m, s.T - 1, 0, 1, &x);
    double closed = c * pow(c / v, w), sharpened = 1 / sqrt((1 + w) / (c * c) - w / (v * v));
    cr_expect_float_eq(x, closed, 0.01 * closed, "%g, not %g", (double)x, closed);
    cr_expect_gt(sharpened, 2 * (double)x, "the sharpened density's deviation is %g", sharpened);
    sampler_free(&m), schedule_free(&s);
}

/* ---- continuous time ------------------------------------------------------------------------- */

/* lambda falls from 20 to -20, and u is found again; its density is that of the paper, the
 * hyperbolic secant of lambda / 2, over 4 a. */
Test(cfg, the_log_of_signal_over_noise) {
    cr_expect_float_eq(log_snr(0), 20, 1e-9);
    cr_expect_float_eq(log_snr(1), -20, 1e-9);
    cr_expect_float_eq(log_snr(0.5), 0, 1e-9);
    double b = atan(exp(-10)), a = atan(exp(10)) - b, h = 1e-6;
    for (double u = 0.05; u < 1; u += 0.1) {
        double lambda = log_snr(u), slope = (log_snr(u + h) - log_snr(u - h)) / (2 * h);
        cr_expect_float_eq((atan(exp(-lambda / 2)) - b) / a, u, 1e-9);
        cr_expect_float_eq(-1 / slope, 1 / (cosh(lambda / 2) * 4 * a), 1e-6 / 4, "u = %g", u);
        double alpha = alpha_at(lambda), sigma = sigma_at(lambda);
        cr_expect_float_eq(alpha * alpha + sigma * sigma, 1, 1e-12);
        cr_expect_float_eq(log(alpha * alpha / (sigma * sigma)), lambda, 1e-9);
    }
}

/* The chain of T steps is q(z_lambda | z_lambda') of the paper (section 2), and its variance goes
 * from the one to the other. */
Test(cfg, steps_of_continuous_time_and_their_variance) {
    enum { T = 16 };
    NoiseSchedule s = log_snr_schedule(T);
    for (int t = 0; t < T; t++) {
        double lambda = log_snr((t + 1.0) / T), alpha = alpha_at(lambda), sigma = sigma_at(lambda);
        cr_expect_float_eq(s.alpha_bar[t], alpha * alpha, 1e-9 * alpha * alpha);
        cr_expect_float_eq(s.time[t], 1000 * (t + 1.0) / T, 1e-9);
        if (!t) continue;
        double after = log_snr(t / (double)T), ratio = 1 - exp(lambda - after);
        double forward = ratio * sigma * sigma;                    /* sigma^2_{lambda|lambda'} */
        double back = ratio * sigma_at(after) * sigma_at(after);   /* sigma~^2_{lambda'|lambda} */
        cr_expect_float_eq(s.beta[t], forward, 1e-6 * forward);
        cr_expect_float_eq(s.posterior_variance[t], back, 1e-6 * back);
        cr_expect_float_eq(interpolated_log_variance(&s, t, 0), log(back), 1e-5);
        cr_expect_float_eq(interpolated_log_variance(&s, t, 1), log(forward), 1e-5);
        cr_expect_float_eq(interpolated_log_variance(&s, t, 0.3),
                           0.7 * log(back) + 0.3 * log(forward), 1e-5);
    }
    schedule_free(&s);
}

/* Each picture has a lambda of its own, and noise of that size. */
Test(cfg, a_batch_in_continuous_time) {
    enum { B = 4, LEN = 16 * 16 };
    Tape t = {.no_grad = true};
    Rng times = rng_new(1, "times"), noise = rng_new(1, "noise");
    Tensor *x0 = t_input(&t, NULL, SHAPE(B, 16, 16, 1));
    test_values("x0", -1, 1, x0->len, x0->x);
    ContinuousBatch b = continuous_batch(x0, &times, &noise);
    for (int i = 0; i < B; i++) {
        double lambda = log_snr(b.time[i] / 1000);
        cr_expect(b.time[i] >= 0 && b.time[i] < 1000);
        for (int k = 0; k < i; k++) cr_expect_neq(b.time[k], b.time[i]);
        for (int j = i * LEN; j < (i + 1) * LEN; j++)
            cr_expect_float_eq(b.z->x[j], alpha_at(lambda) * (double)x0->x[j] +
                                          sigma_at(lambda) * (double)b.eps->x[j], 1e-5);
    }
    tape_free(&t);
}

/* The step's variance is v's; nothing else of a prediction changes. */
static Prediction flat(const Denoiser *self, const Step *at, real *xt) {
    (void)self;
    return (Prediction){.n = step_size(at), .x0 = xt, .fixed_log_variance = 1};
}

Test(cfg, interpolated_variances_reach_the_sampler) {
    NoiseSchedule s = log_snr_schedule(8);
    Tape t = {.no_grad = true};
    Step at = step_at(&s, &t, 0, 1);
    Denoiser plain = {flat};
    InterpolatedVariance d = interpolated_variance(&plain, 0.3);
    real x[SIDE * SIDE] = {1};
    Prediction p = denoise(&d.denoiser, &at, x);
    cr_expect_float_eq(p.fixed_log_variance, interpolated_log_variance(&s, 5, 0.3), 1e-12);
    cr_expect_eq(p.x0, x);
    schedule_free(&s), tape_free(&t);
}

/* ---- gradients ------------------------------------------------------------------------------- */

#ifdef REAL_DOUBLE
typedef struct {
    ClassUNet net;
    NoiseSchedule s;
} Whole;

static Tensor *pictures(Tape *t) {
    Tensor *x0 = t_input(t, NULL, SHAPE(3, SIDE, SIDE, 1));
    test_values("bytes", -1, 1, x0->len, x0->x);
    return x0;
}

static const int some[3] = {1, NONE, 2};             /* one is without its class */

static Tensor *continuous(Tape *t, void *context) {
    const Whole *w = context;
    Rng times = rng_new(1, "times"), noise = rng_new(1, "noise");
    ContinuousBatch b = continuous_batch(pictures(t), &times, &noise);
    return t_mse(class_unet(&w->net, b.z, b.time, some), b.eps);
}

/* L_hybrid's own gradients: tests/test_diffusion.c. They stop at the mean, so that differences of
 * the whole cannot be compared; here all of the network's output is pulled somewhere. */
static Tensor *discrete(Tape *t, void *context) {
    static const int at[3] = {2, 7, 11};
    const Whole *w = context;
    Rng noise = rng_new(1, "noise");
    NoisyImages b = noisy_images(&w->s, pictures(t), at, &noise);
    Tensor *output = class_unet(&w->net, b.xt, b.time, some);
    return t_mse(output, t_concat(b.eps, b.x0, 3));
}

Test(cfg, gradients_of_the_losses_with_classes) {
    for (int k = 0; k < 2; k++) {
        Params p = {.seed = 2};
        Whole w = {.net = small(&p, k ? 1 : 2), .s = schedule_cosine(20)};
        double error = gradient_error(&p, k ? continuous : discrete, &w, 3);
        cr_expect(is_near(__FILE__, __LINE__, error, 1e-6), "loss %d", k);
        schedule_free(&w.s), params_free(&p);
    }
}
#endif
