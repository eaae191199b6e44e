/* test_iddpm.c — the published networks, gradients of the bound through one, timesteps by
 * importance. The mathematics: tests/test_diffusion.c, tests/test_sampling.c. The chapter's network
 * at work and its program: test_program.c. */
#include "iddpm.h"
#include "official_file.h"
#include "testing.h"

#include <math.h>

SUITE(iddpm);

static void near(double got, double want, double tolerance, const char *what) {
    cr_expect(fabs(got - want) <= tolerance * fabs(want), "%s: %.9g, not %.9g", what, got, want);
}

/* ---- networks -------------------------------------------------------------------------------- */

/* Are these the published networks, to the last weight, in as many tensors? */
Test(iddpm, published_networks_have_the_published_number_of_parameters) {
    static const struct {
        const char *config;
        size_t count;
        int tensors;                     /* 0: not known */
    } sizes[] = {{"cifar10", 52546438, 446},
                 {"imagenet64", 121063942, 0},
                 {"imagenet64-cond", 273049350, 0},
                 {"lsun", 113676678, 0}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Params p = {.shapes_only = true};
        ModelConfig c = model_config(sizes[i].config);
        UNetOfficial names = {.config = c.unet};
        OfficialMap map = {.rows = class_unet_official, .locate = unet_official, .design = &names};
        class_unet_new(&p, c.unet, c.classes);
        cr_expect_eq(params_count(&p), sizes[i].count, "%s: %zu", sizes[i].config,
                     params_count(&p));
        int tensors = official_count(&map, &p);
        cr_expect(!sizes[i].tensors || tensors == sizes[i].tensors, "%s: %d tensors",
                  sizes[i].config, tensors);
        params_free(&p);
    }
}

/* ---- the bound through the network ----------------------------------------------------------- */

#ifdef REAL_DOUBLE
typedef struct {
    ClassUNet net;
    NoiseSchedule s;
} Whole;

/* bytes, black and white among them */
static void some_bytes(size_t n, real *x) {
    test_values("bytes", -1.3, 1.3, n, x);
    for (size_t i = 0; i < n; i++)
        x[i] = (real)(2 * fmin(fmax(rint(127.5 * ((double)x[i] + 1)), 0), 255) / 255 - 1);
}

/* the bound through a small network of the chapter's kind, to all of its weights */
static Tensor *bound_of_network(Tape *t, void *context) {
    static const int at[2] = {0, 3};
    const Whole *w = context;
    Rng noise = rng_new(1, "noise");
    Tensor *x0 = t_input(t, NULL, SHAPE(2, 4, 4, 1));
    some_bytes(x0->len, x0->x);
    NoisyImages b = noisy_images(&w->s, x0, at, &noise);
    Tensor *output = class_unet(&w->net, b.xt, b.time, NULL);
    Parameterization p = {PREDICT_NOISE, LEARNED_RANGE};
    return t_scale(t_sum(training_losses(&b, VLB, p, output).each), 0.01);
}

Test(iddpm, gradients_of_the_bound_through_the_network) {
    Params p = {.seed = 2};
    ModelConfig c = model_config("default");
    c.unet.width = 8, c.unet.style.groups = 2, c.unet.blocks = 1, c.unet.levels = 2;
    Whole w = {.net = class_unet_new(&p, c.unet, c.classes), .s = scaled_linear(20)};
    move_params(&p, 0.1);
    double error = gradient_error(&p, bound_of_network, &w, 3);
    cr_expect(error <= 1e-6, "relative error %g", error);
    schedule_free(&w.s);
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
Test(iddpm, gradient_noise_is_separated_from_the_gradient) {
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
