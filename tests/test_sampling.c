/* test_sampling.c — the way back: single steps, whole ways against known solutions, denoisers
 * around denoisers, guidance towards a known density. */
#include "diffusion/drawing.h"
#include "diffusion/guidance.h"
#include "nn/layers.h"
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

SUITE(sampling);

static void near(double got, double want, double tolerance, const char *what) {
    cr_expect(fabs(got - want) <= tolerance * fabs(want), "%s: %.9g, not %.9g", what, got, want);
}

/* what real can hold after a few operations */
static const double exact = sizeof(real) == 8 ? 1e-12 : 1e-5;

/* ---- single steps ---------------------------------------------------------------------------- */

Test(sampling, a_step_back_adds_its_noise_except_the_last) {
    NoiseSchedule s = schedule_linear(1000, 1e-4, 0.02);
    for (Variance v = FIXED_SMALL; v <= LEARNED_RANGE; v++) {
        real x0[2] = {(real)0.5, -1}, xt[2] = {1, -1}, z[2] = {1, -2}, mean[2];
        static const int at[] = {0, 1, 500, 999};
        for (int k = 0; k < 4; k++) {
            int t = at[k];
            real x[2] = {xt[0], xt[1]}, learned[2] = {-3, (real)-0.5};
            Prediction p = {.n = 2, .x0 = x0};
            if (v == LEARNED_RANGE) p.log_variance = learned;
            else p.fixed_log_variance = fixed_log_variance(&s, v, t);
            posterior_mean(&s, t, 2, x0, xt, mean);
            p_sample(&s, t, &p, t ? z : NULL, x);
            for (int i = 0; i < 2; i++) {
                double lv = v == LEARNED_RANGE ? (double)learned[i] : p.fixed_log_variance;
                double sigma = t ? exp(0.5 * lv) : 0;
                cr_expect_float_eq(x[i], (double)mean[i] + sigma * (double)z[i], 1e-6, "t = %d", t);
            }
        }
    }
    schedule_free(&s);
}

enum { N = 18 };

static void some_numbers(real *x0, real *xt, real *z) {
    test_values("x0", -0.9, 0.9, N, x0);
    test_values("xt", -2, 2, N, xt);
    test_values("z", -2, 2, N, z);
}

/* With eta = 1 DDIM is ancestral sampling with the small variance, at every step but the first,
 * whatever is predicted and however few steps there are; no noise at t = 0 in either. */
Test(sampling, ddim_with_eta_one_is_ancestral_sampling) {
    NoiseSchedule all = schedule_linear(1000, 1e-4, 0.02), s = schedule_respaced(&all, "20");
    real x0[N], xt[N], z[N];
    some_numbers(x0, xt, z);
    for (int t = 0; t < s.T; t++) {
        real x[N], y[N];
        memcpy(x, xt, sizeof x), memcpy(y, xt, sizeof y);
        Prediction p = {.n = N, .x0 = x0,
                        .fixed_log_variance = fixed_log_variance(&s, FIXED_SMALL, t)};
        p_sample(&s, t, &p, z, x);
        ddim_sample(&s, t, ddim_sigma(&s, t, 1), &p, z, y);
        for (int i = 0; i < N; i++)
            cr_assert_float_eq(x[i], y[i], 20 * exact, "t = %d: %g, DDIM %g", t, (double)x[i],
                               (double)y[i]);
    }
    schedule_free(&all), schedule_free(&s);
}

/* With eta = 0 a step there and a step back meet, if the same picture is predicted; and with
 * the true picture predicted, the steps lead to it. */
Test(sampling, ddim_without_noise_can_be_reversed) {
    NoiseSchedule s = schedule_cosine(50);
    real x0[N], eps[N], z[N], x[N], there[N], back[N];
    some_numbers(x0, eps, z);
    q_sample(&s, 48, N, x0, eps, x);
    Prediction p = {.n = N, .x0 = x0};
    for (int t = 48; t >= 0; t--) {
        memcpy(there, x, sizeof x);
        ddim_sample(&s, t, 0, &p, NULL, x);
        if (t == 0) break;
        memcpy(back, x, sizeof x);
        ddim_reverse(&s, t - 1, &p, back);
        for (int i = 0; i < N; i++) cr_assert_float_eq(back[i], there[i], 100 * exact, "t = %d", t);
    }
    for (int i = 0; i < N; i++) cr_expect_float_eq(x[i], x0[i], 10 * exact);
    schedule_free(&s);
}

/* Both ways to use a score, by their definitions: the mean moves by Sigma score, eps by
 * -sqrt(1 - abar) score. */
Test(sampling, a_score_moves_the_mean_or_the_noise) {
    NoiseSchedule s = schedule_cosine(50);
    for (int t = 0; t < 50; t += 7) {
        real x0[N], xt[N], score[N], eps[N], x[N], mean[N], predicted[N], log_variance[N];
        some_numbers(x0, xt, score);
        test_values("log variance", -4, -1, N, log_variance);
        memcpy(predicted, x0, sizeof x0), memcpy(x, xt, sizeof x);
        Prediction p = {N, predicted, log_variance, 0, score};
        posterior_mean(&s, t, N, x0, xt, mean);
        real z[N] = {0};
        p_sample(&s, t, &p, z, x);
        for (int i = 0; i < N; i++)
            cr_expect_float_eq(x[i], mean[i] + exp((double)log_variance[i]) * (double)score[i],
                               exact);
        noise_from_x0(&s, t, N, xt, x0, eps);
        for (int i = 0; i < N; i++) eps[i] -= (real)sqrt(1 - s.alpha_bar[t]) * score[i];
        x0_from_noise(&s, t, N, xt, eps, mean);
        condition_score(&s, t, &p);
        cr_expect_null(p.score);
        for (int i = 0; i < N; i++)
            cr_expect_float_eq(p.x0[i], mean[i], exact * (1 + fabs((double)mean[i])));
    }
    schedule_free(&s);
}

/* ---- a mixture of normals in the plane ---------------------------------------------------------
 * Pictures of one pixel and two channels, for which the true denoiser is known. */

enum { COMPONENTS = 2, CLASS = 1, DRAWS = 2000 };

static const double weight[COMPONENTS] = {0.6, 0.4}, deviation = 0.25;
static const double centre[COMPONENTS][2] = {{-0.6, 0.3}, {0.7, -0.2}};

typedef struct {
    Denoiser denoiser;
    int only;                   /* one component's class, or -1: all */
    int calls;
} Mixture;

/* variance of x_t around a component's centre */
static double spread(const Step *at) {
    double left = at->schedule->alpha_bar[at->t];
    return left * deviation * deviation + 1 - left;
}

/* p(component|x_t) */
static void responsibilities(const Step *at, const real *x, int only, double *r) {
    double a = sqrt(at->schedule->alpha_bar[at->t]), sum = 0;
    for (int k = 0; k < COMPONENTS; k++) {
        double dx = (double)x[0] - a * centre[k][0], dy = (double)x[1] - a * centre[k][1];
        r[k] = only < 0 ? weight[k] : k == only;
        r[k] *= exp(-(dx * dx + dy * dy) / (2 * spread(at)));
        sum += r[k];
    }
    for (int k = 0; k < COMPONENTS; k++) r[k] /= sum;
}

/* E[x0|x_t]; the variance is beta~ */
static Prediction predict_mixture(const Denoiser *self, const Step *at, real *xt) {
    Mixture *m = (Mixture *)self;
    size_t n = 2 * (size_t)at->n;
    double a = sqrt(at->schedule->alpha_bar[at->t]);
    Prediction p = {n, arena_get(&at->tape->arena, n * sizeof(real)), NULL,
                    fixed_log_variance(at->schedule, FIXED_SMALL, at->t), NULL};
    m->calls++;
    for (int i = 0; i < at->n; i++) {
        double r[COMPONENTS];
        responsibilities(at, xt + 2 * i, m->only, r);
        for (int c = 0; c < 2; c++) {
            double mean = 0, x = (double)xt[2 * i + c];
            for (int k = 0; k < COMPONENTS; k++)
                mean += r[k] * (centre[k][c] + a * deviation * deviation / spread(at) *
                                                   (x - a * centre[k][c]));
            p.x0[2 * i + c] = (real)mean;
        }
    }
    return p;
}

static Mixture mixture(int only) {
    return (Mixture){{predict_mixture}, only, 0};
}

static Sampler plane_sampler(const Denoiser *d, const NoiseSchedule *s, SamplingMethod method) {
    return (Sampler){.denoiser = d, .schedule = s, .method = method, .height = 1, .width = 1,
                     .channels = 2, .seed = 3};
}

/* DRAWS points from the first noises */
static void draw_points(Sampler *m, real *x) {
    start_noise(m, 0, DRAWS, x);
    sample_from(m, m->schedule->T - 1, 0, DRAWS, x);
    sampler_free(m);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Kolmogorov and Smirnov's distance between coordinate c of the points and the mixture's (or one
 * component's, moved by `shift`), in units of 1 / sqrt(DRAWS): above 1.63 once in a hundred */
static double ks_distance(const real *points, int c, int only, double shift) {
    static double x[DRAWS];
    double most = 0;
    for (int i = 0; i < DRAWS; i++) x[i] = (double)points[2 * i + c];
    qsort(x, DRAWS, sizeof *x, ascending);
    for (int i = 0; i < DRAWS; i++) {
        double f = 0;
        for (int k = 0; k < COMPONENTS; k++)
            f += (only < 0 ? weight[k] : k == only) * 0.5 *
                 erfc((centre[k][c] + shift - x[i]) / (deviation * sqrt(2)));
        most = fmax(most, fmax(fabs(f - (double)i / DRAWS), fabs(f - (i + 1.0) / DRAWS)));
    }
    return most * sqrt(DRAWS);
}

static void expect_density(const real *x, int only, double shift, const char *what) {
    for (int c = 0; c < 2; c++) {
        double distance = ks_distance(x, c, only, shift);
        cr_expect(distance < 1.63, "%s, coordinate %d: Kolmogorov-Smirnov %.2f", what, c, distance);
    }
}

/* Ancestral sampling's steps have errors in proportion to their length; guidance adds to them. */
#define STEPS_OF(method) ((method) == ANCESTRAL ? 800 : 100)

/* Does a denoiser of twenty lines steer towards one of the two? Its classifier is the true one, so
 * that with scale 1 the guided density is the class's own. */
typedef struct {
    Denoiser denoiser;
    const Denoiser *of;
    double scale;
} Guided;

static Prediction predict_guided(const Denoiser *self, const Step *at, real *xt) {
    const Guided *g = (const Guided *)self;
    Prediction p = denoise(g->of, at, xt);
    p.score = arena_get(&at->tape->arena, p.n * sizeof *p.score);
    for (int i = 0; i < at->n; i++) {
        double r[COMPONENTS], a = sqrt(at->schedule->alpha_bar[at->t]);
        responsibilities(at, xt + 2 * i, -1, r);
        for (int c = 0; c < 2; c++) {
            double mean = r[0] * centre[0][c] + r[1] * centre[1][c];
            p.score[2 * i + c] = (real)(g->scale * a * (centre[CLASS][c] - mean) / spread(at));
        }
    }
    return p;
}

Test(sampling, a_classifier_guides_towards_its_class) {
    static real x[2 * DRAWS], plain[2 * DRAWS];
    Mixture both = mixture(-1);
    Guided guided = {{predict_guided}, &both.denoiser, 1};
    Guided idle = {{predict_guided}, &both.denoiser, 0};
    for (SamplingMethod method = ANCESTRAL; method <= PLMS; method++) {
        NoiseSchedule s = schedule_cosine(STEPS_OF(method));
        Sampler m = plane_sampler(&both.denoiser, &s, method);
        draw_points(&m, plain);
        expect_density(plain, -1, 0, "unguided");
        m = plane_sampler(&guided.denoiser, &s, method);
        draw_points(&m, x);
        expect_density(x, CLASS, 0, "guided");
        cr_expect(ks_distance(plain, 0, CLASS, 0) > 10);
        m = plane_sampler(&idle.denoiser, &s, method);
        draw_points(&m, x);
        for (int i = 0; i < 2 * DRAWS; i++) cr_assert_eq(x[i], plain[i], "scale 0 is guidance");
        schedule_free(&s);
    }
}

/* log p(y|x0) = slope . x0 tilts a normal density, which stays one: its mean moves by scale slope
 * times the variance, for every scale. slope . E[x0|x_t] has the noisy classifier's gradient. */
static const double slope = 2;

static void tilt(const void *context, const Step *at, const real *xt, real *gradient) {
    double a = sqrt(at->schedule->alpha_bar[at->t]);
    (void)context, (void)xt;
    for (int i = 0; i < 2 * at->n; i++)
        gradient[i] = (real)(slope * a * deviation * deviation / spread(at));
}

Test(sampling, guidance_of_any_scale_tilts_the_density) {
    static real x[2 * DRAWS];
    Mixture one = mixture(CLASS);
    static const double scales[] = {1, -2, 4};
    for (int k = 0; k < 3; k++)
        for (SamplingMethod method = ANCESTRAL; method <= PLMS; method++) {
            if (method == ANCESTRAL && scales[k] != 1) continue;
            NoiseSchedule s = schedule_cosine(STEPS_OF(method));
            ScoreGuidance half = score_guidance(&one.denoiser, tilt, NULL, scales[k] / 2);
            ScoreGuidance whole = score_guidance(&half.denoiser, tilt, NULL, scales[k] / 2);
            Sampler m = plane_sampler(&whole.denoiser, &s, method);
            draw_points(&m, x);
            expect_density(x, CLASS, scales[k] * slope * deviation * deviation, "tilted");
            schedule_free(&s);
        }
}

/* Scale 1 is the conditional denoiser and scale 0 the other, bit for bit, through a whole way; in
 * between x0 is the mixture. */
Test(sampling, classifier_free_guidance_mixes_two_predictions) {
    static real x[2 * DRAWS], want[2 * DRAWS];
    NoiseSchedule s = schedule_cosine(20);
    Mixture with = mixture(CLASS), without = mixture(-1);
    const Denoiser *ends[] = {&without.denoiser, &with.denoiser};
    for (int scale = 0; scale <= 1; scale++) {
        ClassifierFree free = classifier_free(&with.denoiser, &without.denoiser, scale);
        Sampler m = plane_sampler(&free.denoiser, &s, ANCESTRAL);
        draw_points(&m, x);
        m = plane_sampler(ends[scale], &s, ANCESTRAL);
        draw_points(&m, want);
        cr_expect_arr_eq(x, want, sizeof x, "scale %d", scale);
    }
    ClassifierFree free = classifier_free(&with.denoiser, &without.denoiser, 2.5);
    Sampler m = plane_sampler(&free.denoiser, &s, ANCESTRAL);
    real at[2] = {(real)0.1, (real)0.2};
    Prediction p = predict(&m, 10, 0, 1, at);
    real mixed[2] = {p.x0[0], p.x0[1]};
    m.denoiser = &with.denoiser;
    p = predict(&m, 10, 0, 1, at);
    real c[2] = {p.x0[0], p.x0[1]};
    m.denoiser = &without.denoiser;
    p = predict(&m, 10, 0, 1, at);
    for (int i = 0; i < 2; i++)
        near((double)mixed[i], 2.5 * (double)c[i] - 1.5 * (double)p.x0[i], 10 * exact, "mixed");
    cr_expect(fabs((double)(c[0] - p.x0[0])) > 0.01);
    sampler_free(&m);
    schedule_free(&s);
}

/* ---- known solutions ------------------------------------------------------------------------- */

/* DDIM without noise is an ordinary differential equation. For one normal component its solution is
 * known: the distance from the centre shrinks as the deviation does. Largest error of 10 points. */
static double error_of_ode(SamplingMethod method, int steps) {
    enum { POINTS = 10 };
    char sections[16];
    real x[2 * POINTS];
    double most = 0;
    NoiseSchedule all = schedule_sqrt_linear(1000, 0.00085, 0.012);
    snprintf(sections, sizeof sections, "ldm%d", steps);
    NoiseSchedule s = schedule_respaced(&all, sections);
    Mixture one = mixture(CLASS);
    Sampler m = plane_sampler(&one.denoiser, &s, method);
    start_noise(&m, 0, POINTS, x);
    double want[2 * POINTS], here = s.alpha_bar[s.T - 1], end = s.alpha_bar_before[0];
    double v = deviation * deviation, shrink = sqrt((end * v + 1 - end) / (here * v + 1 - here));
    for (int i = 0; i < 2 * POINTS; i++)
        want[i] = sqrt(end) * centre[CLASS][i % 2] +
                  shrink * ((double)x[i] - sqrt(here) * centre[CLASS][i % 2]);
    sample_from(&m, s.T - 1, 0, POINTS, x);
    for (int i = 0; i < 2 * POINTS; i++) most = fmax(most, fabs((double)x[i] - want[i]));
    sampler_free(&m);
    schedule_free(&all), schedule_free(&s);
    return most;
}

/* Half the step: half the error of DDIM, less than a third of PLMS'. */
Test(sampling, plms_is_of_higher_order_than_ddim) {
    double ddim[2], plms[2];
    static const int steps[] = {25, 50};
    for (int k = 0; k < 2; k++) {
        ddim[k] = error_of_ode(DDIM, steps[k]);
        plms[k] = error_of_ode(PLMS, steps[k]);
        cr_expect(plms[k] < ddim[k] / 3, "%d steps: PLMS %g, DDIM %g", steps[k], plms[k], ddim[k]);
    }
    cr_expect(ddim[0] / ddim[1] > 1.6 && ddim[0] / ddim[1] < 2.2, "DDIM %g, %g", ddim[0], ddim[1]);
    cr_expect(plms[0] / plms[1] > 3, "PLMS %g, then %g", plms[0], plms[1]);
}

/* a denoiser whose eps is a polynomial in t, whatever x is */
typedef struct {
    Denoiser denoiser;
    double coef[4];
} Polynomial;

static Prediction predict_polynomial(const Denoiser *self, const Step *at, real *xt) {
    const double *c = ((const Polynomial *)self)->coef, t = at->t;
    size_t n = (size_t)at->n * step_size(at);
    Prediction p = {.n = n, .x0 = arena_get(&at->tape->arena, n * sizeof(real))};
    for (size_t i = 0; i < n; i++) p.x0[i] = (real)(c[0] + t * (c[1] + t * (c[2] + t * c[3])));
    x0_from_noise(at->schedule, at->t, n, xt, p.x0, p.x0);
    return p;
}

/* Each step's eps is to be the mean over the step: right for lines in the first two steps, in the
 * third for parabolas, then for cubics. */
Test(sampling, plms_steps_are_exact_for_polynomials) {
    static const int degree[] = {1, 1, 2, 3, 3, 3};
    NoiseSchedule all = schedule_linear(1000, 1e-4, 0.02), s = schedule_respaced(&all, "8");
    for (int d = 0; d <= 3; d++) {
        Polynomial p = {{predict_polynomial}, {0.3, -0.2, 0.1, -0.02}};
        for (int k = d + 1; k < 4; k++) p.coef[k] = 0;
        Sampler m = plane_sampler(&p.denoiser, &s, PLMS);
        real x[2] = {(real)0.4, (real)-0.7};
        for (int turn = 0, t = s.T - 1; turn < 6; turn++, t--) {
            real before[2] = {x[0], x[1]}, eps[2];
            Prediction q = sample_step(&m, t, 0, 1, x);
            noise_from_x0(&s, t, 2, before, q.x0, eps);
            double mean = 0;
            for (int k = 0; k <= d; k++)
                mean += p.coef[k] / (k + 1) * (pow(t, k + 1) - pow(t - 1, k + 1));
            bool right = fabs((double)eps[0] - mean) < 1e-4;
            cr_expect_eq(right, d <= degree[turn], "degree %d, step %d: %g, mean %g", d, turn + 1,
                         (double)eps[0], mean);
        }
        sampler_free(&m);
    }
    schedule_free(&all), schedule_free(&s);
}

/* PLMS asks once a step, but twice in the first of each way: also of a second group, and of a way
 * that begins in the middle. */
Test(sampling, plms_forgets_where_a_way_begins) {
    NoiseSchedule s = schedule_cosine(8);
    Mixture one = mixture(CLASS);
    Sampler m = plane_sampler(&one.denoiser, &s, PLMS), fresh = m;
    real x[6], y[6];
    start_noise(&m, 0, 3, x);
    sample_from(&m, 7, 0, 3, x);
    cr_expect_eq(one.calls, 9);
    start_noise(&m, 3, 2, x);
    sample_from(&m, 4, 3, 2, x);
    cr_expect_eq(one.calls, 9 + 6);
    start_noise(&fresh, 3, 2, y);
    sample_from(&fresh, 4, 3, 2, y);
    cr_expect_arr_eq(x, y, 4 * sizeof *x);
    sampler_free(&m), sampler_free(&fresh);
    schedule_free(&s);
}

static double error_of_inversion(const char *sections) {
    enum { POINTS = 10 };
    real x[2 * POINTS], back[2 * POINTS];
    double most = 0;
    NoiseSchedule all = schedule_linear(1000, 1e-4, 0.02), s = schedule_respaced(&all, sections);
    Mixture both = mixture(-1);
    Sampler m = plane_sampler(&both.denoiser, &s, DDIM);
    test_values("points", -1, 1, 2 * POINTS, x);
    memcpy(back, x, sizeof x);
    ddim_invert(&m, 0, POINTS, back);
    double moved = fabs((double)(back[0] - x[0]));
    sample_from(&m, s.T - 1, 0, POINTS, back);
    for (int i = 0; i < 2 * POINTS; i++) most = fmax(most, fabs((double)(x[i] - back[i])));
    cr_expect(moved > 0.1, "inversion leaves the picture where it is");
    sampler_free(&m);
    schedule_free(&all), schedule_free(&s);
    return most;
}

/* From a picture to its noise and back: the more steps, the nearer. */
Test(sampling, inversion_leads_back_to_the_picture) {
    double few = error_of_inversion("100"), many = error_of_inversion("400");
    cr_expect(many < 0.04, "%g in 400 steps", many);
    cr_expect(few > 3 * many, "%g in 100 steps, %g in 400", few, many);
}

/* ---- known pixels ---------------------------------------------------------------------------- */

/* The first of two points' pixel is known, the second's is not. */
Test(sampling, pasted_pixels_stay_and_are_clipped_when_inside) {
    static const real image[4] = {2, (real)-0.5, 9, 9}, mask[2] = {1, 0};
    NoiseSchedule s = schedule_cosine(20);
    Mixture one = mixture(CLASS);
    KnownPixels pasted = pasted_denoiser(&one.denoiser, image, mask);
    ClippedDenoiser clipped = clipped_denoiser(&pasted.denoiser);
    ClippedDenoiser inner = clipped_denoiser(&one.denoiser);
    KnownPixels outside = pasted_denoiser(&inner.denoiser, image, mask);
    real x[4], plain[4];
    Sampler m = plane_sampler(&one.denoiser, &s, ANCESTRAL);
    start_noise(&m, 0, 2, plain);
    sample_from(&m, s.T - 1, 0, 2, plain);
    m.denoiser = &clipped.denoiser;
    start_noise(&m, 0, 2, x);
    sample_from(&m, s.T - 1, 0, 2, x);
    cr_expect_float_eq(x[0], 1, exact, "%g", (double)x[0]);
    cr_expect_float_eq(x[1], -0.5, exact, "%g", (double)x[1]);
    cr_expect_eq(x[2], plain[2]);
    cr_expect_eq(x[3], plain[3]);
    m.denoiser = &outside.denoiser;
    sample_from(&m, s.T - 1, 0, 2, x);
    cr_expect_float_eq(x[0], 2, exact, "%g", (double)x[0]);
    sampler_free(&m);
    schedule_free(&s);
}

/* A known pixel is put on its own noisy way at every step, but not where PLMS only looks ahead, and
 * arrives at itself but for the noise of the last step; pictures drawn from another number on find
 * their own. */
Test(sampling, blended_pixels_follow_their_own_way) {
    static const real image[6] = {9, 9, (real)0.3, (real)-0.5, 9, 9}, mask[3] = {0, 1, 0};
    NoiseSchedule all = schedule_sqrt_linear(1000, 0.00085, 0.012);
    NoiseSchedule s = schedule_respaced(&all, "ldm20");
    Mixture both = mixture(-1);
    KnownPixels blended = blended_denoiser(&both.denoiser, image, mask, 7);
    for (SamplingMethod method = DDIM; method <= PLMS; method++) {
        real x[6], plain[6], one[2];
        Sampler m = plane_sampler(&both.denoiser, &s, method);
        start_noise(&m, 0, 3, plain), memcpy(x, plain, sizeof x);
        sample_from(&m, s.T - 1, 0, 3, plain);
        m.denoiser = &blended.denoiser;
        sample_from(&m, s.T - 1, 0, 3, x);
        for (int c = 0; c < 2; c++) {
            cr_expect_float_eq(x[2 + c], image[2 + c], 0.15, "%g", (double)x[2 + c]);
            cr_expect(x[c] == plain[c] && x[4 + c] == plain[4 + c]);
        }
        start_noise(&m, 1, 1, one);
        sample_from(&m, s.T - 1, 1, 1, one);
        cr_expect_arr_eq(one, x + 2, sizeof one);
        Step at = {.schedule = &s, .t = 9, .first = 1, .n = 1, .height = 1, .width = 1,
                   .channels = 2, .lookahead = method == PLMS, .tape = &m.tape};
        real before[2] = {one[0], one[1]};
        denoise(&blended.denoiser, &at, one);
        cr_expect_eq(memcmp(one, before, sizeof one) == 0, at.lookahead);
        sampler_free(&m);
    }
    schedule_free(&all), schedule_free(&s);
}
