/* test_iddpm.c — the published networks and constants, respacing, the learned variance, the three
 * losses and their gradients, DDIM, timesteps by importance. The chapter's networks and its
 * program: test_program.c. */
#include "eval/likelihood.h"
#include "iddpm.h"
#include "testing.h"

#include <math.h>

SUITE(iddpm);

static void near(double got, double want, double tolerance, const char *what) {
    cr_expect(fabs(got - want) <= tolerance * fabs(want), "%s: %.9g, not %.9g", what, got, want);
}

/* what real can hold after a few operations */
static const double exact = sizeof(real) == 8 ? 1e-12 : 1e-5;

/* ---- networks -------------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
/* Are these the published networks, to the last weight? */
Test(iddpm, published_networks_have_the_published_number_of_parameters) {
    static const struct {
        const char *config;
        size_t count;
    } sizes[] = {{"cifar10", 52546438},
                 {"imagenet64", 121063942},
                 {"imagenet64-cond", 273049350},
                 {"lsun", 113676678}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Params p = {0};
        model_new(&p, model_config(sizes[i].config));
        cr_expect_eq(params_count(&p), sizes[i].count, "%s: %zu", sizes[i].config,
                     params_count(&p));
        params_free(&p);
    }
}
#endif

/* ---- the chain ------------------------------------------------------------------------------- */

/* computed once by the official code in double */
Test(iddpm, constants_of_both_schedules) {
    Diffusion linear = diffusion_linear(1000), linear4 = diffusion_linear(4000);
    Diffusion cosine = diffusion_cosine(1000), cosine4 = diffusion_cosine(4000);
    near(linear.beta[1], 1.1991992e-4, 1e-8, "linear beta 1");
    near(linear.alpha_bar[0], 0.9999, 1e-12, "linear alpha_bar 0");
    near(linear.alpha_bar[499], 0.078587243, 1e-8, "linear alpha_bar 499");
    near(linear.alpha_bar[999], 4.0358298e-5, 1e-8, "linear alpha_bar 999");
    near(linear.posterior_variance[1], 5.4531877e-5, 1e-8, "linear beta~ 1");
    near(linear.posterior_variance[999], 0.019999984, 5e-8, "linear beta~ 999");
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
    diffusion_free(&linear), diffusion_free(&linear4);
    diffusion_free(&cosine), diffusion_free(&cosine4);
}

Test(iddpm, steps_are_exactly_the_official_ones) {
    static const int even[] = {0,   42,  83,  125, 166, 208, 250, 291, 333, 375, 416, 458, 500,
                               541, 583, 624, 666, 708, 749, 791, 832, 874, 916, 957, 999};
    int steps[4000];
    cr_expect_eq(space_timesteps(1000, "25", steps), 25);
    cr_expect_arr_eq(steps, even, sizeof even);
    cr_expect_eq(space_timesteps(1000, "ddim25", steps), 25);
    for (int i = 0; i < 25; i++) cr_expect_eq(steps[i], 40 * i);
    cr_expect_eq(space_timesteps(4000, "4000", steps), 4000);
    for (int i = 0; i < 4000; i++) cr_assert_eq(steps[i], i);
    cr_expect_eq(space_timesteps(1000, "3,1,1", steps), 5);
    static const int sections[] = {0, 166, 333, 334, 667};
    cr_expect_arr_eq(steps, sections, sizeof sections, "%d %d %d %d %d", steps[0], steps[1],
                     steps[2], steps[3], steps[4]);
    cr_expect_eq(space_timesteps(100, "1", steps), 1);
    cr_expect_eq(steps[0], 0);
    static const char *const wrong[] = {"1001",   "0",     "",   "ddim", "ddim600", "10,",
                                        "10,,20", "10;20", "-5", "5x",   "ddim25x", "600,1,1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_eq(space_timesteps(1000, wrong[i], steps), 0, "'%s' is taken", wrong[i]);
}

/* As much of the picture left at each step as the whole chain has there, the network told the
 * original step; all steps: the same chain */
Test(iddpm, a_respaced_chain_passes_through_the_same_noise) {
    int steps[4000], n = space_timesteps(4000, "50", steps);
    Diffusion all = diffusion_cosine(4000);
    diffusion_rescale_time(&all);
    Diffusion d = diffusion_respaced(&all, n, steps);
    for (int i = 0; i < n; i++) {
        near(d.alpha_bar[i], all.alpha_bar[steps[i]], 1e-8, "alpha_bar");
        cr_expect_float_eq(model_time(&d, i), steps[i] / 4.0, 1e-12);
        /* the way back passes through the same variances */
        double after = d.mean_coef_xt[i] * d.mean_coef_xt[i] * (1 - d.alpha_bar[i]) +
                       d.posterior_variance[i];
        if (i > 0) near(after, 1 - d.alpha_bar[i - 1], 1e-9, "variance");
    }
    space_timesteps(4000, "4000", steps);
    Diffusion same = diffusion_respaced(&all, 4000, steps);
    for (int t = 0; t < 4000; t++) near(same.beta[t], all.beta[t], 1e-8, "beta");
    diffusion_free(&all), diffusion_free(&d), diffusion_free(&same);
}

Test(iddpm, the_posterior_is_what_bayes_rule_gives) {
    int steps[1000], n = space_timesteps(1000, "10", steps);
    Diffusion all = diffusion_cosine(1000), d = diffusion_respaced(&all, n, steps);
    const struct { const Diffusion *d; int t; } at[] = {{&all, 1}, {&all, 500}, {&all, 998},
                                                        {&d, 1},   {&d, 5},     {&d, 8}};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        real x0 = (real)0.7, xt = (real)-0.4, got;
        double mean, variance;
        posterior_by_bayes(at[i].d->beta[at[i].t], at[i].d->alpha_bar_before[at[i].t], 0.7,
                           -0.4, &mean, &variance);
        posterior_mean(at[i].d, at[i].t, 1, &x0, &xt, &got);
        cr_expect_float_eq(got, mean, 2e-6, "mean at %d: %.8f, Bayes %.8f", at[i].t, (double)got,
                           mean);
        near(at[i].d->posterior_variance[at[i].t], variance, 1e-6, "beta~");
    }
    diffusion_free(&all), diffusion_free(&d);
}

/* ---- the reverse process --------------------------------------------------------------------- */

enum { W = 3, C = 2, PIXELS = W * W, N = PIXELS * C };

typedef struct {
    real x0[N], eps[N], xt[N], answer[2 * N], z[N], start[N], mean[N], log_variance[N];
} Picture;

/* x_t, with the right eps in the answer and v from -1.2 to 1.2 */
static Reverse some_picture(const Diffusion *d, int t, Picture *p) {
    test_values("x0", -0.9, 0.9, N, p->x0), test_values("eps", -2, 2, N, p->eps);
    test_values("answer", -1.2, 1.2, 2 * N, p->answer), test_values("z", -2, 2, N, p->z);
    for (int i = 0; i < PIXELS; i++)
        for (int c = 0; c < C; c++) p->answer[i * 2 * C + c] = p->eps[i * C + c];
    q_sample(d, t, N, p->x0, p->eps, p->xt);
    return (Reverse){p->start, p->mean, p->log_variance};
}

/* v = -1 is beta~, v = 1 is beta, between them log variances lie on a line, and nothing keeps v
 * within (eq. 15) */
Test(iddpm, the_learned_variance_lies_between_the_fixed_ones) {
    Diffusion d = diffusion_cosine(100);
    static const int at[] = {0, 1, 50, 99};
    for (int k = 0; k < 4; k++) {
        Picture p;
        Reverse r = some_picture(&d, at[k], &p);
        double low = d.posterior_log_variance[at[k]], high = log(d.beta[at[k]]);
        static const double v[4] = {-1, 1, 0, 1.5};
        for (int i = 0; i < 4; i++) p.answer[i * 2 * C + C] = (real)v[i];
        p_mean_variance(&d, LEARNED, at[k], PIXELS, C, false, p.xt, p.answer, r);
        for (int i = 0; i < 4; i++)
            cr_expect_float_eq(r.log_variance[i * C], low + (v[i] + 1) / 2 * (high - low), 1e-5);
        p_mean_variance(&d, FIXED_LARGE, at[k], PIXELS, C, false, p.xt, p.answer, r);
        cr_expect_float_eq(r.log_variance[0], at[k] ? high : low, 1e-5);
        p_mean_variance(&d, FIXED_SMALL, at[k], PIXELS, C, false, p.xt, p.answer, r);
        cr_expect_float_eq(r.log_variance[0], low, 1e-5);
    }
    diffusion_free(&d);
}

/* The right eps gives x0 and the posterior's mean; a wrong one is clipped only if asked. */
Test(iddpm, the_mean_is_the_posteriors_at_the_predicted_picture) {
    Diffusion d = diffusion_cosine(100);
    Picture p;
    Reverse r = some_picture(&d, 40, &p);
    real mean[N];
    p_mean_variance(&d, LEARNED, 40, PIXELS, C, true, p.xt, p.answer, r);
    posterior_mean(&d, 40, N, p.x0, p.xt, mean);
    for (int i = 0; i < N; i++) {
        cr_expect_float_eq(r.start[i], p.x0[i], 10 * exact);
        cr_expect_float_eq(r.mean[i], mean[i], 10 * exact);
    }
    p.answer[0] = -50;
    p_mean_variance(&d, LEARNED, 40, PIXELS, C, false, p.xt, p.answer, r);
    cr_expect(r.start[0] > 1);
    p_mean_variance(&d, LEARNED, 40, PIXELS, C, true, p.xt, p.answer, r);
    cr_expect_eq(r.start[0], 1);
    diffusion_free(&d);
}

/* With eta = 1 DDIM is ancestral sampling with the small variance, at every step but the first,
 * whatever is predicted and however few steps there are; no noise at t = 0 in either. */
Test(iddpm, ddim_with_eta_one_is_ancestral_sampling) {
    int steps[1000], n = space_timesteps(1000, "20", steps);
    Diffusion all = diffusion_linear(1000), d = diffusion_respaced(&all, n, steps);
    for (int t = 0; t < d.T; t++) {
        Picture p;
        real x[N], y[N];
        Reverse r = some_picture(&d, t, &p);
        test_values("wrong", -1, 1, N, p.answer);
        p_mean_variance(&d, FIXED_SMALL, t, PIXELS, C, true, p.xt, p.answer, r);
        p_sample(t, N, &r, p.z, x);
        memcpy(y, p.xt, sizeof y);
        ddim_sample(&d, t, N, 1, r.start, p.z, y);
        for (int i = 0; i < N; i++)
            cr_assert_float_eq(x[i], y[i], 20 * exact, "t = %d: %g, DDIM %g", t, (double)x[i],
                               (double)y[i]);
    }
    diffusion_free(&all), diffusion_free(&d);
}

/* With eta = 0 a step there and a step back meet, if the same picture is predicted; and whoever
 * predicts the true picture is led to it. */
Test(iddpm, ddim_without_noise_can_be_reversed) {
    Diffusion d = diffusion_cosine(50);
    Picture p;
    some_picture(&d, 48, &p);
    real x[N], there[N];
    memcpy(x, p.xt, sizeof x);
    for (int t = 48; t >= 0; t--) {
        memcpy(there, x, sizeof x);
        ddim_sample(&d, t, N, 0, p.x0, NULL, x);
        if (t == 0) break;
        real back[N];
        memcpy(back, x, sizeof x);
        ddim_reverse(&d, t - 1, N, p.x0, back);
        for (int i = 0; i < N; i++) cr_assert_float_eq(back[i], there[i], 100 * exact, "t = %d", t);
    }
    for (int i = 0; i < N; i++) cr_expect_float_eq(x[i], p.x0[i], 10 * exact);
    diffusion_free(&d);
}

/* ---- likelihoods ----------------------------------------------------------------------------- */

/* values of the official code, in double */
Test(iddpm, constants_of_the_discretized_likelihood) {
    near(discretized_log_likelihood(0, 0, -3), -2.76809361, 1e-8, "(0,0,-3)");
    near(discretized_log_likelihood(0, 0.1, -4), -18.70422677, 1e-8, "(0,.1,-4)");
    near(discretized_log_likelihood(-1, -0.98, -4), -1.66001127, 1e-8, "(-1,-.98,-4)");
    near(discretized_log_likelihood(1, 0.97, -5), -10.31326412, 1e-8, "(1,.97,-5)");
}

Test(iddpm, probabilities_of_all_bytes_add_up_to_one) {
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

/* ---- losses ---------------------------------------------------------------------------------- */

enum { B = 4 };
static const int some_times[B] = {0, 1, 30, 99};

typedef struct {
    Diffusion d;
    Objective objective;
    Variance variance;
    Tensor *eps, *v;             /* the two halves of the answer, parameters (B,W,W,C) */
} LossCase;

static void loss_case_start(LossCase *c, Params *p) {
    c->d = diffusion_cosine(100);
    c->eps = param(scope(p, "answer"), "eps", INIT_NORMAL, 1, SHAPE(B, W, W, C));
    c->v = param(scope(p, "answer"), "v", INIT_NORMAL, 0.5, SHAPE(B, W, W, C));
    /* near enough to the truth at t = 0 for probabilities that are not clamped */
    for (int i = 0; i < N; i++) c->eps->x[i] *= (real)0.3;
}

/* bytes, black and white among them */
static void some_bytes(size_t n, real *x) {
    test_values("bytes", -1.3, 1.3, n, x);
    for (size_t i = 0; i < n; i++)
        x[i] = (real)(2 * fmin(fmax(rint(127.5 * ((double)x[i] + 1)), 0), 255) / 255 - 1);
}

static Losses losses_of(const LossCase *c, Tape *t) {
    Tensor *x0 = t_input(t, NULL, SHAPE(B, W, W, C)), *xt = t_input(t, NULL, SHAPE(B, W, W, C));
    Tensor *eps = t_input(t, NULL, SHAPE(B, W, W, C));
    some_bytes(x0->len, x0->x);
    test_values("noise", -1, 1, eps->len, eps->x);
    for (int b = 0; b < B; b++)
        q_sample(&c->d, some_times[b], N, x0->x + b * N, eps->x + b * N, xt->x + b * N);
    Tensor *answer = t_concat(t_use(t, c->eps), t_use(t, c->v), 3);
    return training_losses(&c->d, c->objective, c->variance, answer, x0, xt, eps, some_times);
}

#ifdef REAL_DOUBLE
/* a sum that tells the pictures apart, scaled to the size of 1 */
static Tensor *loss_of(Tape *t, void *context) {
    const LossCase *c = context;
    Tensor *each = losses_of(c, t).each, *weight = t_input(t, NULL, SHAPE(B, 1));
    for (int b = 0; b < B; b++) weight->x[b] = 1.0 / (b + 1);
    return t_scale(t_sum(t_mul(each, weight)), 0.01);
}

/* By differences: every loss by v, and where no gradient is stopped by eps. */
Test(iddpm, gradients_of_every_loss) {
    static const struct { Objective o; Variance v; bool by_eps; } all[] = {
        {SIMPLE, LEARNED, true}, {VLB, LEARNED, true}, {VLB, FIXED_LARGE, true},
        {VLB, FIXED_SMALL, true}, {HYBRID, LEARNED, false}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        Params p = {.seed = 3};
        LossCase c = {.objective = all[i].o, .variance = all[i].v};
        loss_case_start(&c, &p);
        c.eps->wants_grad = all[i].by_eps;
        bool uses_v = all[i].o != SIMPLE && all[i].v == LEARNED;
        GradientCheck check = {.h = 1e-5, .zero = uses_v ? NULL : "answer.v"};
        double error = gradient_error_of(&p, loss_of, &c, check);
        cr_expect(error <= 1e-6, "case %zu: relative error %g", i, error);
        diffusion_free(&c.d);
        params_free(&p);
    }
}
#endif

/* The hybrid loss pulls eps as the simple one does, and v as the bound does (times its factor): no
 * gradient of the bound leaks into the mean. */
Test(iddpm, the_bound_trains_the_variance_alone_in_the_hybrid_loss) {
    Tensor *eps[3], *v[3];
    Params p[3] = {{.seed = 3}, {.seed = 3}, {.seed = 3}};
    Tape t = {0};
    for (int k = 0; k < 3; k++) {
        LossCase c = {.objective = (Objective)k, .variance = LEARNED};
        loss_case_start(&c, &p[k]);
        backward(t_sum(losses_of(&c, &t).each));
        eps[k] = c.eps, v[k] = c.v;
        diffusion_free(&c.d);
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

/* Are the losses' terms those of the bound's own formula, number by number, in bits? */
Test(iddpm, losses_and_bound_agree) {
    for (Variance v = LEARNED; v <= FIXED_LARGE; v++) {
        Params p = {.seed = 3};
        Tape t = {.no_grad = true};
        LossCase c = {.objective = VLB, .variance = v};
        loss_case_start(&c, &p);
        Losses l = losses_of(&c, &t);
        real x0[B * N], eps[B * N], xt[N], answer[2 * N], out[3 * N];
        some_bytes(B * N, x0);
        test_values("noise", -1, 1, B * N, eps);
        for (int b = 0; b < B; b++) {
            Reverse r = {out, out + N, out + 2 * N};
            for (int i = 0; i < N; i++) {
                answer[i / C * 2 * C + i % C] = c.eps->x[b * N + i];
                answer[i / C * 2 * C + C + i % C] = c.v->x[b * N + i];
            }
            q_sample(&c.d, some_times[b], N, x0 + b * N, eps + b * N, xt);
            p_mean_variance(&c.d, v, some_times[b], PIXELS, C, false, xt, answer, r);
            double nats = bound_term(&c.d, some_times[b], N, x0 + b * N, xt, &r);
            double bits = bits_per_dimension(nats, N), got = (double)l.bits->x[b];
            cr_expect_float_eq(got, bits, (sizeof(real) == 8 ? 1e-9 : 2e-3) * (1 + fabs(bits)),
                               "variance %d, t = %d: %g, bound_term %g", (int)v, some_times[b], got,
                               bits);
            cr_expect_float_eq(l.each->x[b], 100 * got, 1e-4 * fabs(100 * got));
        }
        diffusion_free(&c.d);
        tape_free(&t);
        params_free(&p);
    }
}

#ifdef REAL_DOUBLE
typedef struct {
    Model net;
    Diffusion d;
} Whole;

/* the bound through a small network of the chapter's kind, to all of its weights */
static Tensor *bound_of_network(Tape *t, void *context) {
    const Whole *w = context;
    static const double time[2] = {0, 3};
    Tensor *x0 = t_input(t, NULL, SHAPE(2, 4, 4, 1)), *xt = t_input(t, NULL, SHAPE(2, 4, 4, 1));
    Tensor *eps = t_input(t, NULL, SHAPE(2, 4, 4, 1));
    some_bytes(x0->len, x0->x);
    test_values("noise", -1, 1, eps->len, eps->x);
    for (int b = 0; b < 2; b++)
        q_sample(&w->d, (int)time[b], 16, x0->x + b * 16, eps->x + b * 16, xt->x + b * 16);
    Tensor *answer = model_output(&w->net, xt, time, NULL);
    return t_scale(t_sum(training_losses(&w->d, VLB, LEARNED, answer, x0, xt, eps,
                                         (int[]){0, 3}).each), 0.01);
}

Test(iddpm, gradients_of_the_bound_through_the_network) {
    Params p = {.seed = 2};
    ModelConfig c = model_config("default");
    c.unet.width = 8, c.unet.style.groups = 2, c.unet.blocks = 1, c.unet.levels = 2;
    Whole w = {.net = model_new(&p, c), .d = diffusion_linear(20)};
    for (int k = 0; k < p.count; k++) {
        real *noise = arena_get(&p.arena, p.list[k]->len * sizeof *noise);
        test_values(p.list[k]->name, -0.1, 0.1, p.list[k]->len, noise);
        k_axpy(p.list[k]->len, 1, noise, p.list[k]->x, true);
    }
    double error = gradient_error(&p, bound_of_network, &w, 3);
    cr_expect(error <= 1e-6, "relative error %g", error);
    diffusion_free(&w.d);
    params_free(&p);
}
#endif

/* ---- which timesteps ------------------------------------------------------------------------- */

/* Uniform until every t has been seen ten times, then by the root of the mean square of the last
 * ten; drawn and weighted so that the mean stays the mean. */
Test(iddpm, timesteps_are_drawn_by_how_much_they_matter) {
    enum { T = 5, DRAWS = 20000 };
    LossSampler s;
    double p[T], mean = 0, seen[T] = {0};
    loss_sampler_start(&s, T);
    for (int i = 0; i < 25; i++)             /* the last ten count, not the first 15 */
        for (int t = 0; t < T; t++) {
            timestep_probabilities(&s, p);
            if (i < HISTORY) cr_assert_float_eq(p[t], 0.2, 1e-12, "known after %d", i);
            double loss = i < 15 ? 100 : i == 24 && t == 2 ? 0 : t + 1;
            loss_sampler_update(&s, 1, &t, &loss);
        }
    timestep_probabilities(&s, p);
    for (int t = 0; t < T; t++) {
        double root = t == 2 ? 3 * sqrt(0.9) : t + 1, all = 12 + 3 * sqrt(0.9);
        cr_expect_float_eq(p[t], 0.999 * root / all + 0.001 / T, 1e-6, "%d: %g", t, p[t]);
    }
    Rng rng = rng_new(1, "times");
    for (int i = 0; i < DRAWS; i++) {
        int t;
        double weight;
        draw_timesteps(&s, &rng, 1, &t, &weight);
        near(weight, 1 / (T * p[t]), 1e-12, "weight");
        seen[t] += 1.0 / DRAWS;
        mean += weight * (t + 1) / DRAWS;
    }
    for (int t = 0; t < T; t++) cr_expect_float_eq(seen[t], p[t], 0.015, "%d", t);
    cr_expect_float_eq(mean, 3, 0.01, "the weighted mean is %g", mean);
    loss_sampler_free(&s);
}

/* Each timestep comes once before any comes again, and a part of them is spread over all T. */
Test(iddpm, even_timesteps_are_even) {
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

/* Where a term is what early_timesteps supposes, c / (t + 1), any number of them gives the mean
 * over all t; where it is not, nearly. Both ends are among them. */
Test(iddpm, early_timesteps_keep_the_mean) {
    enum { MOST = 256 };
    int t[MOST];
    double weight[MOST];
    static const struct { int T, n; double tolerance; } cases[] = {
        {1000, MOST, 0.02}, {4000, 64, 0.06}, {3, 200, 0.02}, {1, 5, 1e-12}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int T = cases[k].T, n = cases[k].n;
        double harmonic = 0, mean = 0, all = 0;
        early_timesteps(T, n, t, weight);
        for (int i = 1; i <= T; i++) harmonic += 1.0 / i;
        for (int i = 0; i < n; i++) {
            mean += weight[i] / (t[i] + 1) / n, all += weight[i] / n;
            cr_assert(t[i] >= 0 && t[i] < T && (i == 0 || t[i] >= t[i - 1]));
        }
        near(mean, harmonic / T, 1e-12, "mean of 1 / (t + 1)");
        near(all, 1, cases[k].tolerance, "mean of 1");
        cr_expect(t[0] == 0 && t[n - 1] >= 0.9 * (T - 1), "from %d to %d of %d", t[0], t[n - 1], T);
    }
}

/* From gradients made of a known vector and known noise */
Test(iddpm, gradient_noise_is_told_from_the_gradient) {
    enum { N_ = 50, DRAWS = 4000, b = 3, B_ = 8 };
    Rng rng = rng_new(1, "gradient");
    double signal = 0, noise = 0;
    for (int k = 0; k < DRAWS; k++) {
        double square = 0, square_of_all = 0;
        for (int i = 0; i < N_; i++) {
            real z[B_];
            rng_normal(&rng, B_, z);
            double part = 0, all = 0;
            for (int p = 0; p < B_; p++) {
                double g = 0.3 + 2 * (double)z[p];
                part += p < b ? g / b : 0, all += g / B_;
            }
            square += part * part, square_of_all += all * all;
        }
        GradientNoise g = gradient_noise(b, square, B_, square_of_all);
        signal += g.signal / DRAWS, noise += g.noise / DRAWS;
    }
    near(signal, N_ * 0.09, 0.1, "signal");
    near(noise, N_ * 4, 0.02, "noise");
}
