/* test_ddpm.c — the published networks and constants, the forward process against numerical
 * integrals, the bound, sampling, gradients, a garment by heart, the program. */
#include "data/fashion.h"
#include "ddpm.h"
#include "eval/likelihood.h"
#include "io/npy.h"
#include "nn/optim.h"
#include "programs.h"
#include "settings.h"

#include <math.h>
#include <signal.h>

SUITE(ddpm);

static void near(double got, double want, double tolerance, const char *what) {
    cr_expect(fabs(got - want) <= tolerance * fabs(want), "%s: %.9g, not %.9g", what, got, want);
}

/* ---- networks -------------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
/* Are these the published networks, to the last weight? */
Test(ddpm, published_networks_have_the_published_number_of_parameters) {
    static const struct {
        const char *config;
        size_t count;
    } sizes[] = {{"bench", 1623169}, {"cifar10", 35746307}, {"lsun256", 113673219}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Params p = {0};
        model_new(&p, unet_config(sizes[i].config));
        cr_expect_eq(params_count(&p), sizes[i].count, "%s: %zu", sizes[i].config,
                     params_count(&p));
        params_free(&p);
    }
}
#endif

/* ---- the schedule ---------------------------------------------------------------------------- */

static Schedule paper(void) {
    return schedule_linear(1000, 1e-4, 0.02);
}

/* the paper's schedule, computed once by the official code in double */
Test(ddpm, constants_of_the_papers_schedule) {
    Schedule s = paper();
    near(s.beta[1], 1.1991992e-4, 1e-8, "beta 1");
    near(s.alpha_bar[0], 0.9999, 1e-12, "alpha_bar 0");
    near(s.alpha_bar[499], 0.078587243, 1e-8, "alpha_bar 499");
    near(s.alpha_bar[999], 4.0358298e-5, 1e-8, "alpha_bar 999");
    near(s.posterior_variance[1], 5.4531877e-5, 1e-8, "beta~ 1");
    near(s.posterior_variance[999], 0.019999984, 5e-8, "beta~ 999");
    cr_expect_eq(s.posterior_variance[0], 0);
    near(exp(reverse_log_variance(&s, FIXED_SMALL, 0)), 5.4531877e-5, 1e-8, "small at 0");
    near(exp(reverse_log_variance(&s, FIXED_LARGE, 0)), 5.4531877e-5, 1e-8, "large at 0");
    near(exp(reverse_log_variance(&s, FIXED_LARGE, 1)), 1.1991992e-4, 1e-8, "large at 1");
    schedule_free(&s);
}

/* 25 of 1000 steps, from the first to the last, and as much of the picture left at each */
Test(ddpm, a_strided_schedule_passes_through_the_same_noise) {
    static const int listed[] = {0, 42, 83, 125, 166, 208, 250, 291};
    Schedule all = paper(), s = schedule_strided(&all, 25), same = schedule_strided(&all, 1000);
    for (int i = 0; i < 8; i++) cr_expect_eq(s.time[i], listed[i], "step %d: %g", i, s.time[i]);
    cr_expect_eq(s.time[23], 957);
    cr_expect_eq(s.time[24], 999);
    for (int i = 0; i < 25; i++)
        near(s.alpha_bar[i], all.alpha_bar[(int)s.time[i]], 1e-12, "alpha_bar");
    for (int t = 0; t < 1000; t++) near(same.beta[t], all.beta[t], 1e-9, "beta of all steps");
    schedule_free(&all), schedule_free(&s), schedule_free(&same);
}

/* Shorter schedules take over what the network is told. */
Test(ddpm, a_network_without_time_is_told_the_same_at_every_step) {
    o.no_time = true;
    Schedule all = paper_schedule(), some = schedule_strided(&all, 7);
    for (int t = 0; t < all.T; t++) cr_assert_eq(all.time[t], 0, "step %d", t);
    for (int t = 0; t < some.T; t++) cr_assert_eq(some.time[t], 0, "step %d of a few", t);
    schedule_free(&all), schedule_free(&some);
    o.no_time = false;
    all = paper_schedule();
    cr_expect_eq(all.time[999], 999);
    schedule_free(&all);
}

/* x_t made step by step, x_t = sqrt(1-beta) x_{t-1} + sqrt(beta) eps, has the mean and the variance
 * that q_sample gives it at once */
Test(ddpm, q_sample_is_what_the_single_steps_come_to) {
    Schedule s = paper();
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

Test(ddpm, the_posterior_is_what_bayes_rule_gives) {
    Schedule all = paper(), s = schedule_strided(&all, 10);
    const struct { const Schedule *s; int t; } at[] = {
        {&all, 1}, {&all, 40}, {&all, 500}, {&all, 999}, {&s, 1}, {&s, 5}, {&s, 9}};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        real x0 = (real)0.7, xt = (real)-0.4, got;
        double mean, variance;
        posterior_by_bayes(at[i].s->beta[at[i].t], at[i].s->alpha_bar_before[at[i].t], 0.7,
                           -0.4, &mean, &variance);
        posterior_mean(at[i].s, at[i].t, 1, &x0, &xt, &got);
        cr_expect_float_eq(got, mean, 2e-6, "mean at %d: %.8f, Bayes %.8f", at[i].t, (double)got,
                           mean);
        near(at[i].s->posterior_variance[at[i].t], variance, 1e-6, "beta~");
    }
    schedule_free(&all), schedule_free(&s);
}

/* ---- what the network predicts --------------------------------------------------------------- */

/* Does each of eps, x0, mu~ give back the same x0? */
Test(ddpm, three_predictions_say_the_same) {
    enum { N = 50 };
    Schedule s = paper();
    static const int at[] = {0, 1, 100, 500, 700};
    for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
        real x0[N], eps[N], xt[N], answer[N], back[N], again[N];
        int t = at[k];
        test_values("x0", -1, 1, N, x0), test_values("eps", -2, 2, N, eps);
        q_sample(&s, t, N, x0, eps, xt);
        double tolerance = sizeof(real) == 8 ? 1e-10 : 1e-6 / sqrt(s.alpha_bar[t] * s.beta[t]);
        for (Prediction p = NOISE; p <= MEAN; p++) {
            training_target(&s, p, t, N, x0, eps, xt, answer);
            predicted_start(&s, p, t, N, xt, answer, back);
            for (int i = 0; i < N; i++)
                cr_assert_float_eq(back[i], x0[i], tolerance, "prediction %d at %d: %g, not %g",
                                   (int)p, t, (double)back[i], (double)x0[i]);
        }
        noise_from_start(&s, t, N, xt, x0, again);
        for (int i = 0; i < N; i++)
            cr_assert_float_eq(again[i], eps[i], sizeof(real) == 8 ? 1e-10 : 1e-4, "eps at %d", t);
    }
    schedule_free(&s);
}

/* a small network for 4x4 pictures */
static Model small_network(Params *p) {
    UNetConfig d = unet_config("bench");
    d.width = 4, d.style.groups = 2, d.blocks = 1, d.levels = 2;
    Model net = model_new(p, d);
    for (int k = 0; k < p->count; k++) {
        real *noise = arena_get(&p->arena, p->list[k]->len * sizeof *noise);
        test_values(p->list[k]->name, -0.3, 0.3, p->list[k]->len, noise);
        k_axpy(p->list[k]->len, 1, noise, p->list[k]->x, true);
    }
    return net;
}

typedef struct {
    const Model *net;
    const Schedule *s;
    Prediction prediction;
    double error[3];
} Case;

static Tensor *loss_of_three(Tape *t, void *context) {
    Case *c = context;
    static const int at[3] = {0, 9, 4};
    Rng noise = rng_new(3, "noise");
    Tensor *x0 = t_input(t, NULL, SHAPE(3, 4, 4, 1));
    test_values("images", -1, 1, x0->len, x0->x);
    return simple_loss(c->net, c->s, c->prediction, x0, at, &noise, c->error);
}

#ifdef REAL_DOUBLE
Test(ddpm, gradients_of_the_loss_for_every_prediction) {
    Schedule s = schedule_linear(10, 0.01, 0.3);
    for (Prediction p = NOISE; p <= MEAN; p++) {
        Params params = {.seed = 1};
        Model net = small_network(&params);
        double error = gradient_error(&params, loss_of_three, &(Case){&net, &s, p, {0}}, 4);
        cr_expect(error <= 1e-6, "prediction %d: relative error %g", (int)p, error);
        params_free(&params);
    }
    schedule_free(&s);
}
#endif

/* Is each picture's error that of its own time, and the loss their mean? */
Test(ddpm, the_loss_is_the_mean_of_the_pictures_errors) {
    Schedule s = schedule_linear(10, 0.01, 0.3);
    Params params = {.seed = 1};
    Model net = small_network(&params);
    Tape t = {.no_grad = true};
    Case c = {&net, &s, NOISE, {0}};
    double loss = (double)loss_of_three(&t, &c)->x[0];
    cr_expect_float_eq((c.error[0] + c.error[1] + c.error[2]) / 3, loss, 1e-5);
    cr_expect(c.error[0] != c.error[1] && c.error[1] != c.error[2]);
    tape_free(&t);
    params_free(&params);
    schedule_free(&s);
}

/* ---- the bound ------------------------------------------------------------------------------- */

/* values of the official code, in double */
Test(ddpm, constants_of_the_discretized_likelihood) {
    near(discretized_log_likelihood(0, 0, -3), -2.76809361, 1e-8, "(0,0,-3)");
    near(discretized_log_likelihood(0, 0.1, -4), -18.70422677, 1e-8, "(0,.1,-4)");
    near(discretized_log_likelihood(-1, -0.98, -4), -1.66001127, 1e-8, "(-1,-.98,-4)");
    near(discretized_log_likelihood(1, 0.97, -5), -10.31326412, 1e-8, "(1,.97,-5)");
}

/* Do the 256 values of a byte share all of the probability? */
Test(ddpm, probabilities_of_all_bytes_add_up_to_one) {
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

Test(ddpm, kl_between_normals_agrees_with_its_integral) {
    enum { N = 20000 };
    double sum = 0, m1 = 0.3, v1 = 0.5, m2 = -0.2, v2 = 0.9;
    for (int i = 0; i <= N; i++) {
        double x = -10 + 20.0 * i / N, log_p = log_normal_density(x, m1, v1);
        sum += exp(log_p) * (log_p - log_normal_density(x, m2, v2)) * 20 / N;
    }
    near(normal_kl(m1, log(v1), m2, log(v2)), sum, 1e-8, "KL");
    cr_expect_eq(normal_kl(m1, log(v1), m1, log(v1)), 0);
}

/* Whoever knows x0 pays nothing but for the variance; and the price of a wrong x0 grows with its
 * square. The prior's term is what the facts of the schedule say: about 1e-5 bits. */
Test(ddpm, terms_of_the_bound) {
    Schedule s = paper();
    real x0[4] = {-1, (real)-0.2, (real)0.5, 1}, xt[4] = {0, 1, -1, (real)0.5}, start[4];
    for (int t = 1; t < s.T; t += 111) {
        double beta = s.beta[t], small = s.posterior_variance[t];
        double wider = 4 * 0.5 * (log(beta / small) - 1 + small / beta);
        cr_expect_float_eq(bound_term(&s, FIXED_SMALL, t, 4, x0, xt, x0), 0, 1e-12);
        cr_expect_float_eq(bound_term(&s, FIXED_LARGE, t, 4, x0, xt, x0), wider, 1e-9);
        for (int i = 0; i < 4; i++) start[i] = x0[i] + (real)0.125;
        double once = bound_term(&s, FIXED_SMALL, t, 4, x0, xt, start);
        near(once, 4 * pow(s.mean_coef_x0[t] * 0.125, 2) / (2 * small), 1e-5, "a wrong x0");
    }
    double sure = bound_term(&s, FIXED_SMALL, 0, 4, x0, xt, x0);
    double one = -discretized_log_likelihood(0, 0, 0.5 * log(s.posterior_variance[1]));
    cr_expect(sure > 0 && sure <= 4 * one, "%g nats at the last step", sure);
    double prior = bits_per_dimension(prior_term(&s, 4, x0), 4);
    cr_expect(prior > 5e-6 && prior < 3e-5, "%g", prior);
    schedule_free(&s);
}

/* ---- sampling -------------------------------------------------------------------------------- */

/* If x0 is known, the way back passes through the same distributions as the way there: the variance
 * of x_{t-1} is beta~ plus what is left of x_t's. In all steps or few. */
Test(ddpm, the_way_back_keeps_the_variance_of_the_way_there) {
    Schedule all = paper(), few = schedule_strided(&all, 7);
    const Schedule *schedules[] = {&all, &few};
    for (int k = 0; k < 2; k++)
        for (int t = schedules[k]->T - 1; t > 0; t--) {
            const Schedule *s = schedules[k];
            double after = s->mean_coef_xt[t] * s->mean_coef_xt[t] * (1 - s->alpha_bar[t]) +
                           s->posterior_variance[t];
            near(after, 1 - s->alpha_bar[t - 1], 1e-9, "variance");
            double mean = s->mean_coef_x0[t] + s->mean_coef_xt[t] * sqrt(s->alpha_bar[t]);
            near(mean, sqrt(s->alpha_bar[t - 1]), 1e-9, "mean");
        }
    schedule_free(&all), schedule_free(&few);
}

Test(ddpm, a_step_back_adds_its_noise_except_the_last) {
    Schedule s = paper();
    for (Variance v = FIXED_SMALL; v <= FIXED_LARGE; v++) {
        real x0[2] = {(real)0.5, -1}, xt[2] = {1, -1}, z[2] = {1, -2}, mean[2];
        static const int at[] = {0, 1, 500, 999};
        for (int k = 0; k < 4; k++) {
            real x[2] = {xt[0], xt[1]};
            double sigma = at[k] ? exp(0.5 * reverse_log_variance(&s, v, at[k])) : 0;
            posterior_mean(&s, at[k], 2, x0, xt, mean);
            p_sample(&s, v, at[k], 2, x0, z, x);
            for (int i = 0; i < 2; i++)
                cr_expect_float_eq(x[i], (double)mean[i] + sigma * (double)z[i], 1e-6, "t = %d",
                                   at[k]);
        }
    }
    schedule_free(&s);
}

/* Is a picture the same whoever is drawn beside it, is what is predicted clipped, and is the noise of
 * every picture and step another? */
Test(ddpm, a_picture_depends_on_its_number_alone) {
    enum { SIZE = 16 };
    Schedule all = paper(), s = schedule_strided(&all, 4);
    Params params = {.seed = 1};
    Model net = small_network(&params);
    Sampler m = {.net = &net, .schedule = &s, .prediction = START, .side = 4, .seed = 9,
                 .tape = {.no_grad = true}};
    real three[3 * SIZE], one[SIZE], start[3 * SIZE], other[SIZE];
    for (int i = 0; i < 3; i++) sampling_noise(9, i, 1000, SIZE, three + i * SIZE);
    sampling_noise(9, 2, 1000, SIZE, one);
    for (int t = 3; t >= 0; t--) {
        sample_step(&m, t, 0, 3, three, start);
        for (int i = 0; i < 3 * SIZE; i++) cr_assert(start[i] >= -1 && start[i] <= 1);
        sample_step(&m, t, 2, 1, one, start);
    }
    for (int i = 0; i < SIZE; i++) cr_expect_float_eq(three[2 * SIZE + i], one[i], 1e-5);
    sampling_noise(9, 2, 3, SIZE, one), sampling_noise(9, 2, 2, SIZE, other);
    cr_expect(memcmp(one, other, sizeof one), "two steps of a picture have the same noise");
    sampling_noise(9, 1, 3, SIZE, other);
    cr_expect(memcmp(one, other, sizeof one), "two pictures have the same noise");
    tape_free(&m.tape);
    params_free(&params);
    schedule_free(&all), schedule_free(&s);
}

/* A network that answers 0 everywhere: eps = 0, so that all of the way back is linear in x_t. */
static Sampler sampler_of_nothing(const Model *net, const Schedule *s) {
    return (Sampler){.net = net, .schedule = s, .side = 4, .seed = 5, .tape = {.no_grad = true}};
}

/* Do mixtures lie on the line between the two ends, which they do only if nothing but lambda
 * changes, and is either end what becomes of its own picture alone? */
Test(ddpm, interpolation_moves_with_lambda_alone) {
    enum { N = 2, SIZE = 16, ALL = N * SIZE, T = 10 };
    Schedule s = schedule_linear(T, 1e-4, 1e-3);        /* too little noise to be clipped */
    Params p = {.seed = 1};
    UNetConfig d = unet_config("bench");
    d.width = 4, d.style.groups = 2, d.blocks = 1, d.levels = 2;
    Model net = model_new(&p, d);
    Sampler m = sampler_of_nothing(&net, &s);
    real a[ALL], b[ALL], other[ALL], y[5][ALL], x0[ALL];
    test_values("a", -0.2, 0.2, ALL, a), test_values("b", -0.2, 0.2, ALL, b);
    test_values("other", -0.2, 0.2, ALL, other);
    interpolate(&m, 6, N, a, b, 0, y[0], x0);
    interpolate(&m, 6, N, a, b, 0.25, y[1], x0);
    interpolate(&m, 6, N, a, b, 1, y[2], x0);
    interpolate(&m, 6, N, a, other, 0, y[3], x0);
    interpolate(&m, 6, N, other, b, 1, y[4], x0);
    for (int i = 0; i < ALL; i++) {
        double mixture = 0.75 * (double)y[0][i] + 0.25 * (double)y[2][i];
        cr_assert_float_eq(y[1][i], mixture, 1e-6, "%g, not %g", (double)y[1][i], mixture);
        cr_assert(y[3][i] == y[0][i] && y[4][i] == y[2][i], "the other end is seen");
        cr_assert_float_eq(y[0][i], a[i], 0.3, "far from what it began with");
        cr_assert(y[0][i] != a[i] && y[0][i] != y[2][i]);
    }
    cr_expect(fabs((double)(y[0][0] - a[0]) - (double)(y[2][0] - b[0])) > 1e-6,
              "both ends have the same noise");
    cr_expect(fabs((double)(y[0][0] - a[0]) - (double)(y[0][SIZE] - a[SIZE])) > 1e-6,
              "both pictures have the same noise");
    tape_free(&m.tape);
    params_free(&p);
    schedule_free(&s);
}

/* Does a recorder keep the pictures as they pass, in order, up to the end? And does drawing in
 * three times as many steps take no more memory? */
Test(ddpm, what_is_recorded_on_the_way) {
    enum { N = 3, COLUMNS = 2, FRAMES = 4 };
    Schedule all = paper(), short_way = schedule_strided(&all, 4);
    Schedule long_way = schedule_strided(&all, 12);
    Params p = {.seed = 1};
    UNetConfig d = unet_config("bench");
    d.width = 4, d.style.groups = 2, d.blocks = 1;
    Model net = model_new(&p, d);
    Sampler m = sampler_of(&net, &short_way), longer = sampler_of(&net, &long_way);
    static real x[N * PIXELS], x0[N * PIXELS], by_hand[N * PIXELS];
    static real frames[FRAMES * 2 * COLUMNS * PIXELS];
    Recording r = {.steps = 4, .frames = FRAMES, .columns = COLUMNS, .pixels = PIXELS,
                   .images = frames};
    draw(&m, 0, N, x, x0, NULL, &r);
    cr_assert_eq(r.taken, FRAMES);
    for (int i = 0; i < N; i++) sampling_noise(m.seed, i, TIMESTEPS, PIXELS, by_hand + i * PIXELS);
    for (int t = 3; t >= 0; t--) {
        const real *frame = frames + (3 - t) * 2 * COLUMNS * PIXELS;
        sample_step(&m, t, 0, N, by_hand, x0);
        cr_expect_arr_eq(frame, by_hand, COLUMNS * PIXELS * sizeof(real), "x at %d", t);
        cr_expect_arr_eq(frame + COLUMNS * PIXELS, x0, COLUMNS * PIXELS * sizeof(real), "x0");
    }
    cr_expect_arr_eq(x, by_hand, sizeof x);
    r.taken = 0, r.steps = 12;
    draw(&longer, 0, N, x, x0, NULL, &r);
    cr_expect_eq(r.taken, FRAMES, "%d moments of 12 steps", r.taken);
    cr_expect_arr_eq(frames + (FRAMES - 1) * 2 * COLUMNS * PIXELS, x,
                     COLUMNS * PIXELS * sizeof(real));
    cr_expect_eq(tape_peak(&m.tape), tape_peak(&longer.tape), "memory grows with the steps");
    tape_free(&m.tape), tape_free(&longer.tape);
    params_free(&p);
    schedule_free(&all), schedule_free(&short_way), schedule_free(&long_way);
}

/* ---- learning -------------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
/* One garment by heart: what is drawn from noise afterwards must be that garment. */
Test(ddpm, one_garment_is_learned_by_heart) {
    enum { B = 4, STEPS = 250 };
    Fashion data = fashion_load(NULL);
    real x0[B * PIXELS], x[PIXELS], start[PIXELS];
    images_get(&data.train, B, (int[]){1, 1, 1, 1}, -1, 1, x0, NULL);
    Schedule all = paper(), few = schedule_strided(&all, 20);
    Params params = {.seed = 1};
    UNetConfig d = unet_config("default");
    d.width = 16, d.style.groups = 8, d.blocks = 1;
    Model net = model_new(&params, d);
    Adam adam = {ADAM_DEFAULTS};
    Tape tape = {0};
    Rng noise = rng_new(1, "noise"), times = rng_new(1, "times");
    for (int step = 0; step < STEPS; step++) {
        int t[B];
        tape_reset(&tape);
        for (int b = 0; b < B; b++) t[b] = (int)rng_below(&times, 1000);
        Tensor *images = t_input(&tape, x0, SHAPE(B, SIDE, SIDE, 1));
        Tensor *loss = simple_loss(&net, &all, NOISE, images, t, &noise, NULL);
        params_zero_grad(&params);
        backward(loss);
        double norm = grad_norm(&params);
        adam_step(&adam, &params, 3e-3 * lr_cosine(step, 10, STEPS), clip_scale(norm, 1));
    }
    Sampler m = {.net = &net, .schedule = &few, .side = SIDE, .seed = 1, .tape = {.no_grad = true}};
    sampling_noise(1, 0, 1000, PIXELS, x);
    for (int t = few.T - 1; t >= 0; t--) sample_step(&m, t, 0, 1, x, start);
    double mse = k_sum_squared_difference(PIXELS, x, x0) / PIXELS;
    double variance = k_sum_squares(PIXELS, x0) / PIXELS - pow(k_sum(PIXELS, x0) / PIXELS, 2);
    cr_expect(mse < 0.25 * variance, "mean squared error %g, the garment's variance %g", mse,
              variance);
    tape_free(&tape), tape_free(&m.tape);
    adam_free(&adam), params_free(&params);
    schedule_free(&all), schedule_free(&few);
    fashion_free(&data);
}
#endif

/* ---- the program ----------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
PROGRAM_SUITE(ddpm_program);

/* Same seed, another number of threads: the same weights, bit for bit? */
Test(ddpm_program, weights_do_not_depend_on_threads) {
    few_garments(400, 120);
    RUN("ddpm", "train -q --preview 0 --steps 2 --batch 4 --threads 1 --data %s --out %s/one");
    RUN("ddpm", "train -q --preview 0 --steps 2 --batch 4 --threads 2 --data %s --out %s/two");
    RUN("ddpm", "train -q --preview 0 --steps 2 --batch 4 --seed 2 --data %s --out %s/other");
    cr_assert(same_file("one/checkpoint.safetensors", "two/checkpoint.safetensors"));
    cr_assert(!same_file("one/weights.safetensors", "other/weights.safetensors"));
}

/* Does --resume go on with the same noise, times, averages and moments? */
Test(ddpm_program, a_resumed_run_equals_one_that_was_never_stopped) {
    few_garments(400, 120);
    RUN("ddpm", "train -q --preview 0 --steps 4 --batch 4 --predict mean --dropout 0.1 "
                "--data %s --out %s/straight");
    RUN("ddpm", "train -q --preview 0 --steps 2 --batch 4 --predict mean --dropout 0.1 "
                "--data %s --out %s/resumed");
    RUN("ddpm", "train -q --steps 4 --resume --out %s/resumed");
    cr_assert(same_file("straight/checkpoint.safetensors", "resumed/checkpoint.safetensors"));
}

/* pictures of a .npy file; 0: there is none yet */
static size_t pictures_in(const char *name) {
    char path[200];
    if (!file_there(name)) return 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    Npy a = npy_open(path);
    size_t n = a.shape[0];
    npy_close(&a);
    return n;
}

/* Whoever stops the drawing keeps what was drawn, and whoever draws more gets the same first. */
Test(ddpm_program, stopping_loses_nothing_that_was_drawn) {
    few_garments(400, 120);
    RUN("ddpm", "train -q --preview 0 --steps 1 --batch 4 --data %s --out %s");
    char weights[200], out[200];
    snprintf(weights, sizeof weights, "%s/weights.safetensors", folder);
    snprintf(out, sizeof out, "%s/many", folder);
    const char *build = getenv("BUILD");
    char program[200];
    snprintf(program, sizeof program, "%s/ddpm", build ? build : "build");
    pid_t child = fork();
    if (child == 0) {
        execl(program, program, "sample", "-q", "--steps", "2", "-n", "10000", "--weights",
              weights, "--out", out, NULL);
        _exit(127);
    }
    for (int i = 0; i < 600 && pictures_in("many/samples.npy") < 32; i++) usleep(100000);
    kill(child, SIGKILL);
    cr_assert(waitpid(child, NULL, 0) == child);
    size_t n = pictures_in("many/samples.npy");
    cr_assert(n >= 32 && n < 10000 && n % 16 == 0, "%zu pictures", n);
    cr_assert(file_there("many/samples.png"));
}

/* the number behind "key": in metrics.json */
static double metric(const char *key) {
    char path[200], text[20000];
    snprintf(path, sizeof path, "%s/metrics.json", folder);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *at = strstr(text, key);
    cr_assert_not_null(at, "%s", key);
    return atof(strchr(at, ':') + 1);
}

/* Are the bounds in metrics.json the sums of bound.csv's columns and the prior? */
static void bound_is_the_sum_of_its_terms(void) {
    char path[200], line[200];
    double small = 0, large = 0;
    int rows = 0;
    snprintf(path, sizeof path, "%s/bound.csv", folder);
    FILE *f = fopen(path, "r");
    cr_assert(f && fgets(line, sizeof line, f));
    cr_assert_str_eq(line, "t,small,large,start_mse\n");
    for (double t, a, b, mse; fscanf(f, "%lf,%lf,%lf,%lf", &t, &a, &b, &mse) == 4; rows++) {
        cr_assert_eq(t, TIMESTEPS - 1 - rows);
        small += a, large += b;
    }
    fclose(f);
    cr_expect_eq(rows, TIMESTEPS);
    cr_expect_float_eq(small + metric("prior_bits"), metric("bits_small"), 1e-3 * small);
    cr_expect_float_eq(large + metric("prior_bits"), metric("bits_large"), 1e-3 * large);
    cr_expect(fabs(small - large) > 1e-3 * small);
}

Test(ddpm_program, trained_weights_give_pictures_and_scores) {
    few_garments(400, 120);
    RUN("ddpm", "train -q --preview 1 --steps 1 --batch 4 --data %s --out %s");
    RUN("ddpm", "sample -q --steps 3 -n 5 --variance large --weights %s/weights.safetensors "
                "--out %s/pictures");
    cr_expect_eq(pictures_in("pictures/samples.npy"), 5);
    RUN("ddpm", "eval -q --steps 2 --samples 20 --bound 1 --data %s --out %s");
    static const char *const files[] = {"samples.png",       "log.csv",     "run.json",
                                        "metrics.json",      "bound.csv",   "classes.csv",
                                        "neighbours.png",    "pictures/samples.png",
                                        "pictures/progress.png", "pictures/film.png",
                                        "pictures/forward.png", "pictures/interpolation.png",
                                        "schedule.csv"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        cr_expect(file_there(files[i]), "%s is missing or empty", files[i]);
    bound_is_the_sum_of_its_terms();
}

/* largest distance between the pixels of two sample runs */
static double farthest(const char *a, const char *b) {
    char path[2][200];
    double most = 0;
    snprintf(path[0], sizeof path[0], "%s/%s/samples.npy", folder, a);
    snprintf(path[1], sizeof path[1], "%s/%s/samples.npy", folder, b);
    Npy x = npy_open(path[0]), y = npy_open(path[1]);
    cr_assert(x.len == y.len && x.len);
    for (size_t i = 0; i < x.len; i++)
        most = fmax(most, fabs(npy_number(&x, i) - npy_number(&y, i)));
    npy_close(&x), npy_close(&y);
    return most;
}

/* Does --raw draw from the weights as trained: those of the average if it forgets at once (up to
 * the half precision in which it is passed on), others if it remembers? */
Test(ddpm_program, raw_weights_are_those_as_trained) {
    few_garments(400, 120);
    static const char *const runs[] = {"forgets", "remembers"};
    for (int i = 0; i < 2; i++) {
        char line[300];
        snprintf(line, sizeof line, "train -q --preview 0 --steps 3 --batch 4 --warmup 0 --lr 0.01 "
                 "--ema %s --data %%s --out %%s/%s", i ? "0.999999" : "0", runs[i]);
        RUN("ddpm", line);
        snprintf(line, sizeof line, "sample -q --steps 2 -n 1 --weights %%s/%s/weights.safetensors "
                 "--out %%s/%s-average", runs[i], runs[i]);
        RUN("ddpm", line);
        snprintf(line, sizeof line, "sample -q --steps 2 -n 1 --raw --weights "
                 "%%s/%s/checkpoint.safetensors --out %%s/%s-raw", runs[i], runs[i]);
        RUN("ddpm", line);
    }
    double same = farthest("forgets-average", "forgets-raw");
    double other = farthest("remembers-average", "remembers-raw");
    cr_expect(same < 0.05 && other > 0.1, "%g and %g apart", same, other);
    expect_refusal("ddpm", "sample --raw --weights %s/forgets/weights.safetensors --out %s/x", 1,
                   "--raw");
}

Test(ddpm_program, bad_input_gets_one_line_and_a_status) {
    static const struct {
        const char *arguments;
        int status;
        const char *says;
    } cases[] = {
        {"train --predict velocity --out %s/x", 2, "velocity"},
        {"train --config cifar10 --out %s/x", 2, "cifar10"},
        {"train --pictures 3 --out %s/x", 2, "--pictures"},
        {"train --ema 2 --out %s/x", 2, "--ema"},
        {"sample --steps 1001 --out %s/x", 2, "--steps"},
        {"sample --steps 0 --out %s/x", 2, "--steps"},
        {"sample -n 0 --out %s/x", 2, "--pictures"},
        {"train --steps 1 --data %s/nothing --out %s/x", 1, "nothing"},
        {"sample --weights %s/stderr --out %s/x", 1, "stderr"},
        {"eval --weights tests/golden/ddpm_unet.safetensors --out %s/x", 1, "ddpm_unet"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refusal("ddpm", cases[i].arguments, cases[i].status, cases[i].says);
}
#endif
