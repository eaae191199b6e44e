/* test_diffusion.c — noise schedules and respacing against the official constants, the forward
 * process against Bayes' rule and integrals, the three predictions, the variances, the bound, the
 * losses and their gradients. The way back: test_sampling.c. */
#include "diffusion/validation.h"
#include "eval/likelihood.h"
#include "testing.h"

#include <math.h>
#include <stdio.h>

SUITE(diffusion);

static void near(double got, double want, double tolerance, const char *what) {
    cr_expect(fabs(got - want) <= tolerance * fabs(want), "%s: %.9g, not %.9g", what, got, want);
}

/* what real can hold after a few operations */
static const double exact = sizeof(real) == 8 ? 1e-12 : 1e-5;

static NoiseSchedule paper(void) {
    return schedule_linear(1000, 1e-4, 0.02);
}

/* ---- schedules ------------------------------------------------------------------------------- */

/* computed once by the official codes in double */
Test(diffusion, constants_of_the_papers_schedules) {
    NoiseSchedule linear = paper(), linear4 = schedule_linear(4000, 2.5e-5, 5e-3);
    NoiseSchedule cosine = schedule_cosine(1000), cosine4 = schedule_cosine(4000);
    near(linear.beta[1], 1.1991992e-4, 1e-8, "linear beta 1");
    near(linear.alpha_bar[0], 0.9999, 1e-12, "linear alpha_bar 0");
    near(linear.alpha_bar[499], 0.078587243, 1e-8, "linear alpha_bar 499");
    near(linear.alpha_bar[999], 4.0358298e-5, 1e-8, "linear alpha_bar 999");
    near(linear.posterior_variance[1], 5.4531877e-5, 1e-8, "linear beta~ 1");
    near(linear.posterior_variance[999], 0.019999984, 5e-8, "linear beta~ 999");
    cr_expect_eq(linear.posterior_variance[0], 0);
    near(linear4.beta[0], 2.5e-5, 1e-12, "first of 4000");
    near(linear4.beta[3999], 5e-3, 1e-12, "last of 4000");
    near(linear4.alpha_bar[3999], 4.2466523e-5, 1e-8, "linear alpha_bar 3999");
    near(cosine.beta[0], 4.1284225e-5, 1e-8, "cosine beta 0");
    near(cosine.alpha_bar[499], 0.49384359, 1e-8, "cosine alpha_bar 499");
    near(cosine.alpha_bar[999], 2.43e-9, 2e-3, "cosine alpha_bar 999");
    near(cosine4.beta[0], 9.8658188e-6, 1e-8, "cosine beta 0 of 4000");
    int clipped = 0;
    for (int t = 0; t < 1000; t++) clipped += cosine.beta[t] >= 0.999;
    cr_expect(clipped == 1 && cosine.beta[999] == 0.999, "%d betas are clipped", clipped);
    schedule_free(&linear), schedule_free(&linear4);
    schedule_free(&cosine), schedule_free(&cosine4);
}

/* LDM's and Stable Diffusion's: some of the picture is left at the end */
Test(diffusion, constants_of_the_square_root_schedules) {
    NoiseSchedule ldm = schedule_sqrt_linear(1000, 0.0015, 0.0195);
    NoiseSchedule sd = schedule_sqrt_linear(1000, 0.00085, 0.012);
    near(ldm.alpha_bar[999], 1.4230e-4, 1e-4, "LDM alpha_bar 999");
    near(sd.alpha_bar[999], 0.0046600985, 1e-8, "SD alpha_bar 999");
    near(sqrt((1 - sd.alpha_bar[999]) / sd.alpha_bar[999]), 14.6146, 1e-5, "SD largest sigma");
    near(sqrt((1 - sd.alpha_bar[0]) / sd.alpha_bar[0]), 0.0291672, 1e-5, "SD smallest sigma");
    schedule_free(&ldm), schedule_free(&sd);
}

Test(diffusion, a_table_of_betas_is_a_schedule) {
    NoiseSchedule want = paper(), got = schedule_of_betas(want.T, want.beta);
    for (int t = 0; t < want.T; t++) {
        cr_assert_eq(got.alpha_bar[t], want.alpha_bar[t]);
        cr_assert_eq(got.posterior_log_variance[t], want.posterior_log_variance[t]);
        cr_assert_eq(got.time[t], t);
    }
    schedule_free(&want), schedule_free(&got);
}

static void expect_steps(int T, const char *sections, int n, const int *want) {
    int steps[4000], got = space_timesteps(T, sections, steps);
    cr_expect_eq(got, n, "%s: %d steps", sections, got);
    for (int i = 0; i < n && i < got; i++)
        cr_expect_eq(steps[i], want[i], "%s: step %d is %d", sections, i, steps[i]);
}

Test(diffusion, steps_are_exactly_the_official_ones) {
    static const int even[] = {0,   42,  83,  125, 166, 208, 250, 291, 333, 375, 416, 458, 500,
                               541, 583, 624, 666, 708, 749, 791, 832, 874, 916, 957, 999};
    static const int sections[] = {0, 166, 333, 334, 667};
    static const int fast[] = {0,   22,  44,  66,  88,  111, 133, 155, 177, 199, 200, 222, 244, 266,
                               288, 311, 333, 355, 377, 399, 400, 500, 599, 600, 799, 800, 997};
    static const int quad[] = {1, 89, 356, 801};
    int steps[4000];
    expect_steps(1000, "25", 25, even);
    expect_steps(1000, "3,1,1", 5, sections);
    expect_steps(1000, "fast27", 27, fast);
    expect_steps(1000, "ldmquad4", 4, quad);
    expect_steps(100, "1", 1, (int[]){0});
    cr_expect_eq(space_timesteps(1000, "ddim25", steps), 25);
    for (int i = 0; i < 25; i++) cr_expect_eq(steps[i], 40 * i);
    cr_expect_eq(space_timesteps(1000, "ldm50", steps), 50);
    for (int i = 0; i < 50; i++) cr_expect_eq(steps[i], 20 * i + 1);
    cr_expect_eq(space_timesteps(1000, "ldm7", steps), 8, "every 142nd");
    for (int i = 0; i < 8; i++) cr_expect_eq(steps[i], 142 * i + 1);
    cr_expect_eq(space_timesteps(4000, "4000", steps), 4000);
    for (int i = 0; i < 4000; i++) cr_assert_eq(steps[i], i);
}

/* LDM's own code ends with an error for 9 and 27 steps, and for all above 500. */
Test(diffusion, every_number_of_ldm_steps_can_be_taken) {
    int steps[1000];
    char sections[16];
    for (int n = 1; n <= 1000; n++) {
        snprintf(sections, sizeof sections, "ldm%d", n);
        int got = space_timesteps(1000, sections, steps);
        cr_assert(got >= n && (got == n || n < 500), "%d of %d", got, n);
        for (int i = 0; i < got; i++)
            cr_assert(steps[i] >= 0 && steps[i] < 1000 && (i == 0 || steps[i] > steps[i - 1]),
                      "%s: step %d is %d", sections, i, steps[i]);
    }
    cr_expect_eq(space_timesteps(1000, "ldm1000", steps), 1000);
    cr_expect_eq(space_timesteps(1000, "ldm9", steps), 9);
    cr_expect_eq(steps[8], 889);
}

Test(diffusion, steps_that_cannot_be_taken_are_refused) {
    static const char *const wrong[] = {
        "1001", "0",  "",       "ddim",    "ddim600", "10,",  "10,,20",  "10;20",
        "-5",   "5x", "ddim25x", "600,1,1", "fast28",  "ldm",  "ldm1001", "ldmquad100"};
    int steps[4000];
    NoiseSchedule all = paper();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_expect_eq(space_timesteps(1000, wrong[i], steps), 0, "'%s' is taken", wrong[i]);
        cr_expect_eq(schedule_respaced(&all, wrong[i]).T, 0);
    }
    schedule_free(&all);
}

/* As much of the picture left at each step as the whole chain has there, the network given the
 * original step on its scale; all steps: the same chain */
Test(diffusion, a_respaced_chain_passes_through_the_same_noise) {
    NoiseSchedule all = schedule_cosine(4000);
    schedule_rescale_time(&all);
    NoiseSchedule s = schedule_respaced(&all, "50"), same = schedule_respaced(&all, "4000");
    int steps[4000];
    cr_assert_eq(space_timesteps(4000, "50", steps), 50);
    cr_assert_eq(s.T, 50);
    for (int i = 0; i < s.T; i++) {
        near(s.alpha_bar[i], all.alpha_bar[steps[i]], 1e-8, "alpha_bar");
        cr_expect_eq(s.step[i], steps[i]);
        cr_expect_float_eq(s.time[i], steps[i] / 4.0, 1e-12);
    }
    for (int t = 0; t < 4000; t++) near(same.beta[t], all.beta[t], 1e-8, "beta");
    schedule_free(&all), schedule_free(&s), schedule_free(&same);
}

/* LDM's last step leads to the noise of the chain's first step, not to none. */
Test(diffusion, ldm_steps_end_where_ldm_ends) {
    NoiseSchedule all = schedule_sqrt_linear(1000, 0.00085, 0.012);
    NoiseSchedule s = schedule_respaced(&all, "ldm50"), whole = schedule_respaced(&all, "ldm1000");
    near(s.alpha_bar_before[0], all.alpha_bar[0], 1e-12, "end");
    for (int i = 0; i < 50; i++) near(s.alpha_bar[i], all.alpha_bar[20 * i + 1], 1e-9, "alpha_bar");
    cr_expect(isfinite(s.posterior_log_variance[0]) && isfinite(whole.log_beta[0]));
    cr_expect_eq(whole.alpha_bar_before[0], 1);
    schedule_free(&all), schedule_free(&s), schedule_free(&whole);
}

/* Each timestep comes once before any comes again, and a part of them is spread over all T. */
Test(diffusion, even_timesteps_are_even) {
    static const int lengths[] = {2, 3, 7, 50, 388, 389, 390, 778, 1000, 4000};
    int t[4000], times[4000];
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        int T = lengths[k], part = T < 256 ? T : 256;
        double mean = 0;
        memset(times, 0, sizeof times);
        even_timesteps(T, T, t);
        for (int i = 0; i < T; i++) times[t[i]]++;
        for (int i = 0; i < T; i++) cr_assert_eq(times[i], 1, "%d of %d: %d times", i, T, times[i]);
        for (int i = 0; i < part; i++) mean += (double)t[i] / part / (T - 1);
        cr_expect_float_eq(mean, 0.5, 0.03, "T = %d: the mean of %d is %g", T, part, mean);
    }
}

/* ---- the forward process --------------------------------------------------------------------- */

/* x_t made step by step, x_t = sqrt(1-beta) x_{t-1} + sqrt(beta) eps, has the mean and the variance
 * that q_sample gives it at once */
Test(diffusion, q_sample_is_what_the_single_steps_come_to) {
    NoiseSchedule s = paper();
    double mean = 1, variance = 0;
    for (int t = 0; t < s.T; t++) {
        real x0 = 1, none = 0, one = 1, zero = 0, got[2];
        mean *= sqrt(1 - s.beta[t]);
        variance = (1 - s.beta[t]) * variance + s.beta[t];
        q_sample(&s, t, 1, &x0, &none, got);
        q_sample(&s, t, 1, &zero, &one, got + 1);
        cr_assert_float_eq(got[0], mean, 1e-6, "mean at %d", t);
        cr_assert_float_eq(got[1] * got[1], variance, 1e-6, "variance at %d", t);
    }
    schedule_free(&s);
}

Test(diffusion, the_posterior_is_what_bayes_rule_gives) {
    NoiseSchedule linear = paper(), few = schedule_respaced(&linear, "10");
    NoiseSchedule cosine = schedule_cosine(1000), few_cosine = schedule_respaced(&cosine, "10");
    NoiseSchedule ldm = schedule_respaced(&linear, "ldm10");
    const struct { const NoiseSchedule *s; int t; } at[] = {
        {&linear, 1}, {&linear, 40},  {&linear, 500}, {&linear, 999},  {&few, 1},
        {&few, 5},    {&few, 9},      {&cosine, 1},   {&cosine, 500},  {&cosine, 998},
        {&ldm, 0},    {&few_cosine, 1}, {&few_cosine, 5}, {&few_cosine, 8}};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        const NoiseSchedule *s = at[i].s;
        int t = at[i].t;
        real x0 = (real)0.7, xt = (real)-0.4, got;
        double mean, variance;
        posterior_by_bayes(s->beta[t], s->alpha_bar_before[t], 0.7, -0.4, &mean, &variance);
        posterior_mean(s, t, 1, &x0, &xt, &got);
        cr_expect_float_eq(got, mean, 2e-6, "mean at %d: %.8f, Bayes %.8f", t, (double)got, mean);
        near(s->posterior_variance[t], variance, 1e-6, "beta~");
    }
    schedule_free(&linear), schedule_free(&few);
    schedule_free(&cosine), schedule_free(&few_cosine), schedule_free(&ldm);
}

/* If x0 is known, the way back passes through the same distributions as the way there: the variance
 * of x_{t-1} is beta~ plus what is left of x_t's. In all steps or few. */
Test(diffusion, the_way_back_keeps_the_variance_of_the_way_there) {
    NoiseSchedule linear = paper(), cosine = schedule_cosine(4000);
    NoiseSchedule schedules[] = {linear, schedule_respaced(&linear, "7"), cosine,
                                 schedule_respaced(&cosine, "50")};
    for (int k = 0; k < 4; k++) {
        const NoiseSchedule *s = &schedules[k];
        for (int t = s->T - 1; t > 0; t--) {
            double after = s->mean_coef_xt[t] * s->mean_coef_xt[t] * (1 - s->alpha_bar[t]) +
                           s->posterior_variance[t];
            near(after, 1 - s->alpha_bar[t - 1], 1e-9, "variance");
            double mean = s->mean_coef_x0[t] + s->mean_coef_xt[t] * sqrt(s->alpha_bar[t]);
            near(mean, sqrt(s->alpha_bar[t - 1]), 1e-9, "mean");
        }
    }
    for (int k = 0; k < 4; k++) schedule_free(&schedules[k]);
}

/* ---- p(x_{t-1}|x_t) -------------------------------------------------------------------------- */

/* Does each of eps, x0, mu~ give back the same x0? */
Test(diffusion, four_predictions_say_the_same) {
    enum { N = 50 };
    NoiseSchedule s = paper();
    static const int at[] = {0, 1, 100, 500, 700};
    for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
        int t = at[k];
        Tape tape = {0};
        Rng noise = rng_new(1, "noise");
        real back[N], again[N];
        Tensor *x0 = t_input(&tape, NULL, SHAPE(1, 5, 10, 1));
        test_values("x0", -1, 1, N, x0->x);
        NoisyImages b = noisy_images(&s, x0, &t, &noise);
        double tolerance = sizeof(real) == 8 ? 1e-10 : 1e-6 / sqrt(s.alpha_bar[t] * s.beta[t]);
        for (PredictionType p = PREDICT_NOISE; p <= PREDICT_VELOCITY; p++) {
            x0_from_output(&s, p, t, N, b.xt->x, training_target(&b, p)->x, back);
            for (int i = 0; i < N; i++)
                cr_assert_float_eq(back[i], x0->x[i], tolerance, "prediction %d at %d: %g, not %g",
                                   (int)p, t, (double)back[i], (double)x0->x[i]);
        }
        noise_from_x0(&s, t, N, b.xt->x, x0->x, again);
        for (int i = 0; i < N; i++)
            cr_assert_float_eq(again[i], b.eps->x[i], sizeof(real) == 8 ? 1e-10 : 1e-4,
                               "eps at %d", t);
        tape_free(&tape);
    }
    schedule_free(&s);
}

Test(diffusion, fixed_variances) {
    NoiseSchedule s = paper();
    near(exp(fixed_log_variance(&s, FIXED_SMALL, 0)), 5.4531877e-5, 1e-8, "small at 0");
    near(exp(fixed_log_variance(&s, FIXED_LARGE, 0)), 5.4531877e-5, 1e-8, "large at 0");
    near(exp(fixed_log_variance(&s, FIXED_LARGE, 1)), 1.1991992e-4, 1e-8, "large at 1");
    near(exp(fixed_log_variance(&s, FIXED_SMALL, 1)), 5.4531877e-5, 1e-8, "small at 1");
    schedule_free(&s);
}

enum { W = 3, C = 2, N = W * W * C };

/* one picture's x_t on a tape, with the right eps in the output and v from -1.2 to 1.2 */
typedef struct {
    Tape tape;
    Tensor *x0, *xt, *output;
    NoisyImages b;
    int t;
} Picture;

static void some_picture(Picture *p, const NoiseSchedule *s, int t) {
    Rng noise = rng_new(1, "noise");
    *p = (Picture){.t = t, .tape = {.no_grad = true}};
    p->x0 = t_input(&p->tape, NULL, SHAPE(1, W, W, C));
    test_values("x0", -0.9, 0.9, N, p->x0->x);
    p->b = noisy_images(s, p->x0, &p->t, &noise);
    p->xt = p->b.xt;
    Tensor *v = t_input(&p->tape, NULL, SHAPE(1, W, W, C));
    test_values("v", -1.2, 1.2, N, v->x);
    p->output = t_concat(p->b.eps, v, 3);
}

static Prediction read_as(const Picture *p, Variance v) {
    Parameterization as = {PREDICT_NOISE, v};
    return p_mean_variance(p->b.schedule, as, p->t, p->xt, p->output);
}

/* v = -1 is beta~, v = 1 is beta, between them log variances lie on a line, and nothing keeps v
 * within (eq. 15 of Nichol & Dhariwal) */
Test(diffusion, the_learned_variance_lies_between_the_fixed_ones) {
    NoiseSchedule s = schedule_cosine(100);
    static const int at[] = {0, 1, 50, 99};
    for (int k = 0; k < 4; k++) {
        int t = at[k];
        Picture p;
        some_picture(&p, &s, t);
        double low = s.posterior_log_variance[t], high = log(s.beta[t]);
        static const double v[4] = {-1, 1, 0, 1.5};
        for (int i = 0; i < 4; i++) p.output->x[i * 2 * C + C] = (real)v[i];
        Prediction r = read_as(&p, LEARNED_RANGE);
        for (int i = 0; i < 4; i++)
            cr_expect_float_eq(r.log_variance[i * C], low + (v[i] + 1) / 2 * (high - low), 1e-5);
        r = read_as(&p, FIXED_LARGE);
        cr_expect(!r.log_variance);
        cr_expect_float_eq(r.fixed_log_variance, t ? high : low, 1e-5);
        cr_expect_float_eq(read_as(&p, FIXED_SMALL).fixed_log_variance, low, 1e-5);
        tape_free(&p.tape);
    }
    schedule_free(&s);
}

/* The right eps gives x0, and with it the posterior's mean; a wrong one is not clipped. */
Test(diffusion, the_mean_is_the_posteriors_at_the_predicted_picture) {
    NoiseSchedule s = schedule_cosine(100);
    Picture p;
    some_picture(&p, &s, 40);
    real mean[N], want[N];
    Prediction r = read_as(&p, LEARNED_RANGE);
    posterior_mean(&s, 40, N, r.x0, p.xt->x, mean);
    posterior_mean(&s, 40, N, p.x0->x, p.xt->x, want);
    for (int i = 0; i < N; i++) {
        cr_expect_float_eq(r.x0[i], p.x0->x[i], 10 * exact);
        cr_expect_float_eq(mean[i], want[i], 10 * exact);
    }
    p.output->x[0] = -50;
    cr_expect(read_as(&p, LEARNED_RANGE).x0[0] > 1);
    tape_free(&p.tape);
    schedule_free(&s);
}

/* ---- the bound ------------------------------------------------------------------------------- */

/* values of the official code, in double */
Test(diffusion, constants_of_the_discretized_likelihood) {
    near(discretized_log_likelihood(0, 0, -3), -2.76809361, 1e-8, "(0,0,-3)");
    near(discretized_log_likelihood(0, 0.1, -4), -18.70422677, 1e-8, "(0,.1,-4)");
    near(discretized_log_likelihood(-1, -0.98, -4), -1.66001127, 1e-8, "(-1,-.98,-4)");
    near(discretized_log_likelihood(1, 0.97, -5), -10.31326412, 1e-8, "(1,.97,-5)");
}

/* Do the 256 values of a byte share all of the probability? */
Test(diffusion, probabilities_of_all_bytes_add_up_to_one) {
    static const double means[] = {0, -0.99, 1.3, 0.123}, scales[] = {-1, -3, -4.5};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 3; j++) {
            double sum = 0;
            for (int k = 0; k < 256; k++)
                sum += exp(discretized_log_likelihood(2 * k / 255.0 - 1, means[i], scales[j]));
            cr_expect_float_eq(sum, 1, 1e-8, "mean %g, log scale %g: %.10f", means[i], scales[j],
                               sum);
        }
}

Test(diffusion, kl_between_normals_agrees_with_its_integral) {
    enum { STEPS = 20000 };
    double sum = 0, m1 = 0.3, v1 = 0.5, m2 = -0.2, v2 = 0.9;
    for (int i = 0; i <= STEPS; i++) {
        double x = -10 + 20.0 * i / STEPS, log_p = log_normal_density(x, m1, v1);
        sum += exp(log_p) * (log_p - log_normal_density(x, m2, v2)) * 20 / STEPS;
    }
    near(normal_kl(m1, log(v1), m2, log(v2)), sum, 1e-8, "KL");
    cr_expect_eq(normal_kl(m1, log(v1), m1, log(v1)), 0);
}

static Prediction fixed(const NoiseSchedule *s, Variance v, int t, size_t n, real *x0) {
    return (Prediction){.n = n, .x0 = x0, .fixed_log_variance = fixed_log_variance(s, v, t)};
}

/* With the true x0 the bound costs nothing but for the variance, and the cost of a wrong x0 grows
 * with its square. The prior's term follows from the schedule: about 1e-5 bits. */
Test(diffusion, terms_of_the_bound) {
    NoiseSchedule s = paper();
    real x0[4] = {-1, (real)-0.2, (real)0.5, 1}, xt[4] = {0, 1, -1, (real)0.5}, wrong[4];
    for (int t = 1; t < s.T; t += 111) {
        double beta = s.beta[t], small = s.posterior_variance[t];
        double wider = 4 * 0.5 * (log(beta / small) - 1 + small / beta);
        Prediction p = fixed(&s, FIXED_SMALL, t, 4, x0), large = fixed(&s, FIXED_LARGE, t, 4, x0);
        cr_expect_float_eq(bound_term(&s, t, x0, xt, &p), 0, 1e-12);
        cr_expect_float_eq(bound_term(&s, t, x0, xt, &large), wider, 1e-9);
        for (int i = 0; i < 4; i++) wrong[i] = x0[i] + (real)0.125;
        p.x0 = wrong;
        double once = bound_term(&s, t, x0, xt, &p);
        near(once, 4 * pow(s.mean_coef_x0[t] * 0.125, 2) / (2 * small), 1e-5, "a wrong x0");
    }
    Prediction p = fixed(&s, FIXED_SMALL, 0, 4, x0);
    double sure = bound_term(&s, 0, x0, xt, &p);
    double one = -discretized_log_likelihood(0, 0, 0.5 * log(s.posterior_variance[1]));
    cr_expect(sure > 0 && sure <= 4 * one, "%g nats at the last step", sure);
    double prior = bits_per_dimension(prior_term(&s, 4, x0), 4);
    cr_expect(prior > 5e-6 && prior < 3e-5, "%g", prior);
    schedule_free(&s);
}

/* ---- losses ---------------------------------------------------------------------------------- */

enum { B = 4 };
static const int some_times[B] = {0, 1, 30, 99};

typedef struct {
    NoiseSchedule s;
    Objective objective;
    Parameterization as;
    double k;                    /* of prioritized(); 0: equal weights */
    Tensor *predicted, *v;       /* the two halves of the output, parameters (B,W,W,C) */
} LossCase;

static void loss_case_start(LossCase *c, Params *p) {
    c->s = schedule_cosine(100);
    c->predicted = param(scope(p, "output"), "predicted", INIT_NORMAL, 1, SHAPE(B, W, W, C));
    c->v = param(scope(p, "output"), "v", INIT_NORMAL, 0.5, SHAPE(B, W, W, C));
    /* near enough to the truth at t = 0 for probabilities that are not clamped */
    for (int i = 0; i < N; i++) c->predicted->x[i] *= (real)0.3;
}

/* bytes, black and white among them */
static void some_bytes(size_t n, real *x) {
    test_values("bytes", -1.3, 1.3, n, x);
    for (size_t i = 0; i < n; i++)
        x[i] = (real)(2 * fmin(fmax(rint(127.5 * ((double)x[i] + 1)), 0), 255) / 255 - 1);
}

/* noise in [-1,1), so that at t = 0 a prediction of 0 is near enough */
static NoisyImages some_batch(const NoiseSchedule *s, Tape *t) {
    Rng noise = rng_new(1, "noise");
    Tensor *x0 = t_input(t, NULL, SHAPE(B, W, W, C));
    some_bytes(x0->len, x0->x);
    NoisyImages b = noisy_images(s, x0, some_times, &noise);
    test_values("noise", -1, 1, b.eps->len, b.eps->x);
    for (int i = 0; i < B; i++)
        q_sample(s, some_times[i], N, x0->x + i * N, b.eps->x + i * N, b.xt->x + i * N);
    return b;
}

static Losses losses_of(const LossCase *c, Tape *t) {
    NoisyImages b = some_batch(&c->s, t);
    Tensor *predicted = t_use(t, c->predicted);
    if (c->as.predicts != PREDICT_NOISE)     /* around the truth, for the same reason */
        predicted = t_add(t_scale(predicted, 0.01), training_target(&b, c->as.predicts));
    Losses l = training_losses(&b, c->objective, c->as, t_concat(predicted, t_use(t, c->v), 3));
    return c->k > 0 ? prioritized(&b, c->k, l) : l;
}

/* A batch's noise is drawn, its own for each number, and times are the schedule's. */
Test(diffusion, a_batch_is_noised_at_its_own_times) {
    NoiseSchedule s = schedule_cosine(100);
    schedule_rescale_time(&s);
    Tape t = {0};
    Rng noise = rng_new(5, "noise"), again = rng_new(5, "noise");
    Tensor *x0 = t_input(&t, NULL, SHAPE(B, W, W, C));
    test_values("x0", -1, 1, x0->len, x0->x);
    NoisyImages b = noisy_images(&s, x0, some_times, &noise);
    real eps[B * N], xt[N];
    rng_normal(&again, B * N, eps);
    cr_expect_arr_eq(b.eps->x, eps, sizeof eps);
    for (int i = 0; i < B; i++) {
        q_sample(&s, some_times[i], N, x0->x + i * N, eps + i * N, xt);
        cr_expect_arr_eq(b.xt->x + i * N, xt, sizeof xt);
        cr_expect_float_eq(b.time[i], 10 * some_times[i], 1e-9);
    }
    cr_expect_eq(noise.next, again.next);
    tape_free(&t);
    schedule_free(&s);
}

#ifdef REAL_DOUBLE
/* a sum that tells the pictures apart, scaled to the size of 1 */
static Tensor *loss_of(Tape *t, void *context) {
    const LossCase *c = context;
    Tensor *each = losses_of(c, t).each, *weight = t_input(t, NULL, SHAPE(B, 1));
    for (int b = 0; b < B; b++) weight->x[b] = 1.0 / (b + 1);
    return t_scale(t_sum(t_mul(each, weight)), 0.01);
}

/* By differences: every loss by v, and where no gradient is stopped by the prediction. */
Test(diffusion, gradients_of_every_loss) {
    static const struct {
        Objective o;
        Parameterization as;
        bool by_prediction;
        double k;
    } all[] = {
        {SIMPLE, {PREDICT_NOISE, LEARNED_RANGE}, true, 0},
        {SIMPLE, {PREDICT_NOISE, LEARNED_RANGE}, true, 0.1},
        {SIMPLE, {PREDICT_X0, LEARNED_RANGE}, true, 0},
        {SIMPLE, {PREDICT_MEAN, LEARNED_RANGE}, true, 0},
        {SIMPLE, {PREDICT_VELOCITY, LEARNED_RANGE}, true, 0},
        {VLB, {PREDICT_NOISE, LEARNED_RANGE}, true, 0},
        {VLB, {PREDICT_NOISE, FIXED_LARGE}, true, 0},
        {VLB, {PREDICT_NOISE, FIXED_SMALL}, true, 0},
        {VLB, {PREDICT_X0, LEARNED_RANGE}, true, 0},
        {VLB, {PREDICT_MEAN, LEARNED_RANGE}, true, 0},
        {VLB, {PREDICT_VELOCITY, LEARNED_RANGE}, true, 0},
        {HYBRID, {PREDICT_NOISE, LEARNED_RANGE}, false, 0},
        {HYBRID, {PREDICT_X0, LEARNED_RANGE}, false, 0}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        Params p = {.seed = 3};
        LossCase c = {.objective = all[i].o, .as = all[i].as, .k = all[i].k};
        loss_case_start(&c, &p);
        c.predicted->wants_grad = all[i].by_prediction;
        bool uses_v = all[i].o != SIMPLE && all[i].as.variance == LEARNED_RANGE;
        GradientCheck check = {.h = 1e-5, .zero = uses_v ? NULL : "output.v"};
        double error = gradient_error_of(&p, loss_of, &c, check);
        cr_expect(error <= 1e-6, "case %zu: relative error %g", i, error);
        schedule_free(&c.s);
        params_free(&p);
    }
}
#endif

/* The hybrid loss pulls the prediction as the simple one does, and v as the bound does (times its
 * factor): no gradient of the bound leaks into the mean. */
Test(diffusion, the_bound_trains_the_variance_alone_in_the_hybrid_loss) {
    Tensor *eps[3], *v[3];
    Params p[3] = {{.seed = 3}, {.seed = 3}, {.seed = 3}};
    Tape t = {0};
    for (int k = 0; k < 3; k++) {
        LossCase c = {.objective = (Objective)k, .as = {PREDICT_NOISE, LEARNED_RANGE}};
        loss_case_start(&c, &p[k]);
        backward(t_sum(losses_of(&c, &t).each));
        eps[k] = c.predicted, v[k] = c.v;
        schedule_free(&c.s);
    }
    for (int i = 0; i < B * N; i++) {
        cr_expect_float_eq(eps[HYBRID]->g[i], eps[SIMPLE]->g[i], exact);
        /* T / 1000 of the term, and T of it */
        double bound = (double)v[VLB]->g[i] / 1000;
        cr_expect_float_eq(v[HYBRID]->g[i], bound, 10 * exact * (1 + fabs(bound)));
    }
    cr_expect_eq(v[SIMPLE]->has_grad ? k_sum_squares(v[SIMPLE]->len, v[SIMPLE]->g) : 0, 0);
    tape_free(&t);
    for (int k = 0; k < 3; k++) params_free(&p[k]);
}

/* Errors are divided by k + SNR, the bound's terms are not. */
Test(diffusion, prioritized_losses_weigh_errors_by_their_noise) {
    Params p[2] = {{.seed = 3}, {.seed = 3}};
    Tape t = {.no_grad = true};
    LossCase even = {.objective = HYBRID, .as = {PREDICT_NOISE, LEARNED_RANGE}}, weighted = even;
    weighted.k = 0.1;
    loss_case_start(&even, &p[0]), loss_case_start(&weighted, &p[1]);
    Losses l = losses_of(&even, &t), w = losses_of(&weighted, &t);
    for (int b = 0; b < B; b++) {
        double a = even.s.alpha_bar[some_times[b]], mse = (double)l.mse->x[b];
        double want = mse / sqrt(0.1 + a / (1 - a)) + (double)l.each->x[b] - mse;
        cr_expect_float_eq((double)w.each->x[b], want, 10 * exact * (1 + fabs(want)));
        cr_expect_eq(w.mse->x[b], l.mse->x[b]);
    }
    tape_free(&t);
    schedule_free(&even.s), schedule_free(&weighted.s);
    params_free(&p[0]), params_free(&p[1]);
}

/* Are the losses' terms those of the bound's own formula, number by number, in bits? And
 * clipped_bound's, with the prediction clipped? */
Test(diffusion, losses_and_bound_agree) {
    for (int k = 0; k < 12; k++) {
        Params params = {.seed = 3};
        Tape t = {.no_grad = true};
        LossCase c = {.objective = VLB, .as = {(PredictionType)(k / 3), (Variance)(k % 3)}};
        loss_case_start(&c, &params);
        Losses l = losses_of(&c, &t);
        NoisyImages batch = some_batch(&c.s, &t);
        Tensor *predicted = t_use(&t, c.predicted);
        if (c.as.predicts != PREDICT_NOISE)
            predicted = t_add(t_scale(predicted, 0.01), training_target(&batch, c.as.predicts));
        Tensor *output = t_concat(predicted, t_use(&t, c.v), 3);
        double clipped[B];
        clipped_bound(&batch, c.as, output, clipped);
        for (int b = 0; b < B; b++) {
            Tensor *xt = t_slice(batch.xt, 0, b, 1);
            Prediction p = p_mean_variance(&c.s, c.as, some_times[b], xt, t_slice(output, 0, b, 1));
            double nats = bound_term(&c.s, some_times[b], batch.x0->x + b * N, xt->x, &p);
            double bits = bits_per_dimension(nats, N), got = (double)l.bits->x[b];
            double tolerance = (sizeof(real) == 8 ? 1e-9 : 2e-3) * (1 + fabs(bits));
            cr_expect_float_eq(got, bits, tolerance, "case %d, t = %d: %g, bound_term %g", k,
                               some_times[b], got, bits);
            cr_expect_float_eq(l.each->x[b], 100 * got, 1e-4 * fabs(100 * got));
            k_clamp(p.n, p.x0, -1, 1, p.x0);
            nats = bound_term(&c.s, some_times[b], batch.x0->x + b * N, xt->x, &p);
            near(clipped[b], bits_per_dimension(nats, N), 1e-9, "clipped");
        }
        schedule_free(&c.s);
        tape_free(&t);
        params_free(&params);
    }
}

/* one number for each picture, and the errors that are logged */
Test(diffusion, numbers_of_each_picture) {
    static const double table[3] = {0.5, -2, 7};
    static const int times[4] = {2, 0, 0, 1};
    Tape t = {0};
    Tensor *y = extract(&t, table, 4, times);
    cr_assert_eq(y->rank, 4);
    for (int b = 0; b < 4; b++) cr_expect_eq(y->x[b], table[times[b]]);
    Tensor *a = t_input(&t, NULL, SHAPE(2, 1, 3, 1)), *z = t_input(&t, NULL, SHAPE(2, 1, 3, 1));
    for (int i = 0; i < 6; i++) a->x[i] = i, z->x[i] = i < 3 ? 0 : 5;
    double error[2];
    squared_errors(a, z, error);
    near(error[0], 5.0 / 3, 1e-12, "first");
    near(error[1], 5.0 / 3, 1e-12, "second");
    z->x[5] = 7;
    squared_errors(a, z, error);
    near(error[1], 9.0 / 3, 1e-12, "second changed");
    tape_free(&t);
}

/* Every image once, at its own time and with its class, in batches; the same noise at each
 * evaluation. */
Test(diffusion, validation_is_the_same_each_time) {
    enum { IMAGES = VALIDATION_BATCH + 6, PIXELS = 4, CLASSES = 3 };
    uint8_t pixels[IMAGES * PIXELS], labels[IMAGES];
    int t[IMAGES];
    double sum[2] = {0};
    NoiseSchedule s = schedule_cosine(100);
    even_timesteps(100, IMAGES, t);
    for (int i = 0; i < IMAGES; i++) {
        labels[i] = (uint8_t)(i % CLASSES);
        memset(pixels + i * PIXELS, 3 * i, PIXELS);
    }
    Images images = {IMAGES + 5, 2, 2, 1, pixels, labels, NULL};
    for (int k = 0; k < 2; k++) {
        Validation v = {.schedule = &s, .images = &images, .n = IMAGES, .t = t};
        Rng noise = rng_new(1, "validation");
        int seen = 0;
        while (validation_next(&v)) {
            real eps[VALIDATION_BATCH * PIXELS];
            cr_assert_eq(v.first, seen);
            rng_normal(&noise, v.batch.eps->len, eps);
            cr_expect_arr_eq(v.batch.eps->x, eps, v.batch.eps->len * sizeof *eps);
            for (int b = 0; b < v.B; b++, seen++) {
                cr_assert_eq(v.labels[b], seen % CLASSES);
                cr_assert_eq(v.batch.t[b], t[seen]);
                cr_assert_float_eq(v.batch.x0->x[b * PIXELS], 3 * seen / 127.5 - 1, 1e-6);
            }
            cr_expect(v.tape.no_grad);
            sum[k] += k_sum(v.batch.xt->len, v.batch.xt->x);
        }
        cr_expect_eq(seen, IMAGES);
        validation_free(&v);
    }
    cr_expect_eq(sum[0], sum[1]);
    schedule_free(&s);
}
