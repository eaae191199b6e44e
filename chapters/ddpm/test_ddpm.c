/* test_ddpm.c — the published networks, strided schedules, the loss, interpolation, an image by
 * heart, the program. The mathematics: tests/test_diffusion.c, tests/test_sampling.c. */
#include "data/fashion.h"
#include "ddpm.h"
#include "diffusion/drawing.h"
#include "io/npy.h"
#include "nn/optim.h"
#include "nn/unet_config.h"
#include "official_file.h"
#include "programs.h"

#include <math.h>
#include <signal.h>

SUITE(ddpm);

enum { SIDE = 28, PIXELS = SIDE * SIDE };

static void near(double got, double want, double tolerance, const char *what) {
    cr_expect(fabs(got - want) <= tolerance * fabs(want), "%s: %.9g, not %.9g", what, got, want);
}

/* ---- networks -------------------------------------------------------------------------------- */

/* Are these the published networks, to the last weight, in as many tensors? */
Test(ddpm, published_networks_have_the_published_number_of_parameters) {
    static const struct {
        const char *config;
        size_t count;
        int tensors;                     /* 0: not known */
    } sizes[] = {{"bench", 1623169, 0}, {"cifar10", 35746307, 328}, {"lsun256", 113673219, 0}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Params p = {.shapes_only = true};
        model_new(&p, unet_config(sizes[i].config));
        cr_expect_eq(params_count(&p), sizes[i].count, "%s: %zu", sizes[i].config,
                     params_count(&p));
        int tensors = official_count(&ddpm_official, &p);
        cr_expect(!sizes[i].tensors || tensors == sizes[i].tensors, "%s: %d tensors",
                  sizes[i].config, tensors);
        params_free(&p);
    }
}

/* ---- the schedule ---------------------------------------------------------------------------- */

/* 25 of 1000 steps, from the first to the last, and as much of the picture left at each */
Test(ddpm, a_strided_schedule_passes_through_the_same_noise) {
    static const int listed[] = {0, 42, 83, 125, 166, 208, 250, 291};
    NoiseSchedule all = ddpm_schedule(false), s = schedule_strided(&all, 25);
    NoiseSchedule same = schedule_strided(&all, 1000), one = schedule_strided(&all, 1);
    for (int i = 0; i < 8; i++) cr_expect_eq(s.time[i], listed[i], "step %d: %g", i, s.time[i]);
    cr_expect_eq(s.time[23], 957);
    cr_expect_eq(s.time[24], 999);
    for (int i = 0; i < 25; i++)
        near(s.alpha_bar[i], all.alpha_bar[(int)s.time[i]], 1e-12, "alpha_bar");
    for (int t = 0; t < 1000; t++) near(same.beta[t], all.beta[t], 1e-9, "beta of all steps");
    cr_expect_eq(one.time[0], 999);
    schedule_free(&all), schedule_free(&s), schedule_free(&same), schedule_free(&one);
}

/* Shorter schedules take over what the network is given. */
Test(ddpm, a_network_without_time_gets_the_same_at_every_step) {
    NoiseSchedule all = ddpm_schedule(true), some = schedule_strided(&all, 7);
    for (int t = 0; t < all.T; t++) cr_assert_eq(all.time[t], 0, "step %d", t);
    for (int t = 0; t < some.T; t++) cr_assert_eq(some.time[t], 0, "step %d of a few", t);
    schedule_free(&all), schedule_free(&some);
    all = ddpm_schedule(false);
    cr_expect_eq(all.time[999], 999);
    schedule_free(&all);
}

/* a small network for 4x4 pictures */
static Model small_network(Params *p) {
    UNetConfig d = unet_config("bench");
    d.width = 4, d.style.groups = 2, d.blocks = 1, d.levels = 2;
    Model net = model_new(p, d);
    move_params(p, 0.3);
    return net;
}

typedef struct {
    const Model *net;
    const NoiseSchedule *s;
    PredictionType prediction;
    double error[3];
} Case;

static Tensor *loss_of_three(Tape *t, void *context) {
    Case *c = context;
    static const int at[3] = {0, 9, 4};
    Rng noise = rng_new(3, "noise");
    Tensor *x0 = t_input(t, NULL, SHAPE(3, 4, 4, 1));
    test_values("images", -1, 1, x0->len, x0->x);
    NoisyImages batch = noisy_images(c->s, x0, at, &noise);
    return simple_loss(c->net, &batch, c->prediction, c->error);
}

#ifdef REAL_DOUBLE
Test(ddpm, gradients_of_the_loss_for_every_prediction) {
    NoiseSchedule s = schedule_linear(10, 0.01, 0.3);
    for (PredictionType p = PREDICT_NOISE; p <= PREDICT_VELOCITY; p++) {
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
    NoiseSchedule s = schedule_linear(10, 0.01, 0.3);
    Params params = {.seed = 1};
    Model net = small_network(&params);
    Tape t = {.no_grad = true};
    Case c = {&net, &s, PREDICT_NOISE, {0}};
    double loss = (double)loss_of_three(&t, &c)->x[0];
    cr_expect_float_eq((c.error[0] + c.error[1] + c.error[2]) / 3, loss, 1e-5);
    cr_expect(c.error[0] != c.error[1] && c.error[1] != c.error[2]);
    tape_free(&t);
    params_free(&params);
    schedule_free(&s);
}

/* Is a picture the same whatever is drawn beside it, in a strided schedule, and is the predicted x0
 * clipped? */
Test(ddpm, a_picture_depends_on_its_number_alone) {
    enum { SIZE = 16 };
    NoiseSchedule all = ddpm_schedule(false), s = schedule_strided(&all, 4);
    Params params = {.seed = 1};
    Model net = small_network(&params);
    NetworkDenoiser network = unet_denoiser(&net, PREDICT_X0, FIXED_SMALL);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    Sampler m = {.denoiser = &clipped.denoiser, .schedule = &s, .height = 4, .width = 4,
                 .channels = 1, .seed = 9, .start_key = TIMESTEPS};
    real three[3 * SIZE], one[SIZE];
    start_noise(&m, 0, 3, three), start_noise(&m, 2, 1, one);
    for (int t = 3; t >= 0; t--) {
        Prediction p = sample_step(&m, t, 0, 3, three);
        for (int i = 0; i < 3 * SIZE; i++) cr_assert(p.x0[i] >= -1 && p.x0[i] <= 1);
        sample_step(&m, t, 2, 1, one);
    }
    for (int i = 0; i < SIZE; i++) cr_expect_float_eq(three[2 * SIZE + i], one[i], 1e-5);
    sampler_free(&m);
    params_free(&params);
    schedule_free(&all), schedule_free(&s);
}

/* x_T is the noise of step 1000, and a step's that of its place in the schedule: as the committed
 * pictures were drawn. */
Test(ddpm, noise_is_that_of_the_place_in_the_schedule) {
    NoiseSchedule all = ddpm_schedule(false), s = schedule_strided(&all, 4);
    for (int i = 0; i < 4; i++) cr_expect_eq(s.step[i], i);
    for (int t = 0; t < 1000; t++) cr_assert_eq(all.step[t], t);
    schedule_free(&all), schedule_free(&s);
}

/* Do mixtures lie on the line between the two ends, which they do only if nothing but lambda
 * changes, and is either end what becomes of its own picture alone? */
Test(ddpm, interpolation_moves_with_lambda_alone) {
    enum { N = 2, SIZE = 16, ALL = N * SIZE, T = 10 };
    NoiseSchedule s = schedule_linear(T, 1e-4, 1e-3);        /* too little noise to be clipped */
    Params p = {.seed = 1};
    UNetConfig c = unet_config("bench");
    c.width = 4, c.style.groups = 2, c.blocks = 1, c.levels = 2;
    Model net = model_new(&p, c);      /* untrained: eps = 0, so the way back is linear in x_t */
    NetworkDenoiser network = unet_denoiser(&net, PREDICT_NOISE, FIXED_SMALL);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    Sampler m = {.denoiser = &clipped.denoiser, .schedule = &s, .height = 4, .width = 4,
                 .channels = 1, .seed = 5};
    real a[ALL], b[ALL], other[ALL], y[5][ALL];
    test_values("a", -0.2, 0.2, ALL, a), test_values("b", -0.2, 0.2, ALL, b);
    test_values("other", -0.2, 0.2, ALL, other);
    interpolate(&m, 6, N, a, b, 0, y[0]);
    interpolate(&m, 6, N, a, b, 0.25, y[1]);
    interpolate(&m, 6, N, a, b, 1, y[2]);
    interpolate(&m, 6, N, a, other, 0, y[3]);
    interpolate(&m, 6, N, other, b, 1, y[4]);
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
    sampler_free(&m);
    params_free(&p);
    schedule_free(&s);
}

/* ---- learning -------------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
/* One image by heart: what is drawn from noise afterwards must be that image. */
Test(ddpm, one_image_is_learned_by_heart) {
    enum { B = 4, STEPS = 250, HALF = SIDE / 2, AREA = HALF * HALF };
    Fashion data = fashion_load(NULL);
    real whole[B * PIXELS], x0[B * AREA], x[AREA];
    images_get(&data.train, B, (int[]){1, 1, 1, 1}, -1, 1, whole, NULL);
    k_sum_pool2(B, HALF, HALF, 1, (real)0.25, whole, x0, false);
    NoiseSchedule all = ddpm_schedule(false), few = schedule_strided(&all, 20);
    Params params = {.seed = 1};
    UNetConfig d = unet_config("default");
    d.width = 16, d.style.groups = 8, d.blocks = 1;
    unet_levels(&d, 1, 2);
    unet_attend_at(&d, HALF, 7, 7);
    Model net = model_new(&params, d);
    Adam adam = {ADAM_DEFAULTS};
    Tape tape = {0};
    Rng noise = rng_new(1, "noise"), times = rng_new(1, "times");
    for (int step = 0; step < STEPS; step++) {
        int t[B];
        tape_reset(&tape);
        for (int b = 0; b < B; b++) t[b] = (int)rng_below(&times, 1000);
        Tensor *images = t_input(&tape, x0, SHAPE(B, HALF, HALF, 1));
        NoisyImages batch = noisy_images(&all, images, t, &noise);
        Tensor *loss = simple_loss(&net, &batch, PREDICT_NOISE, NULL);
        params_zero_grad(&params);
        backward(loss);
        double norm = grad_norm(&params);
        adam_step(&adam, &params, 3e-3 * lr_cosine(step, 10, STEPS), clip_scale(norm, 1));
    }
    NetworkDenoiser network = unet_denoiser(&net, PREDICT_NOISE, FIXED_SMALL);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    Sampler m = {.denoiser = &clipped.denoiser, .schedule = &few, .height = HALF, .width = HALF,
                 .channels = 1, .seed = 1, .start_key = TIMESTEPS};
    start_noise(&m, 0, 1, x);
    sample_from(&m, few.T - 1, 0, 1, x);
    double mse = k_sum_squared_difference(AREA, x, x0) / AREA;
    double variance = k_sum_squares(AREA, x0) / AREA - pow(k_sum(AREA, x0) / AREA, 2);
    cr_expect(mse < 0.25 * variance, "mean squared error %g, the image's variance %g", mse,
              variance);
    tape_free(&tape), sampler_free(&m);
    adam_free(&adam), params_free(&params);
    schedule_free(&all), schedule_free(&few);
    fashion_free(&data);
}
#endif

/* ---- the program ----------------------------------------------------------------------------- */

#ifndef REAL_DOUBLE
PROGRAM_SUITE(ddpm_program);

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

/* Are weights read under the names of the official code, and what this network draws drawn? */
Test(ddpm_program, official_weights_draw_what_the_network_draws) {
    enum { N = 2 };
    static float drawn[N * PIXELS];
    static real x[N * PIXELS];
    char path[200];
    few_garments(400, 120);
    Params params = {.seed = 1};
    Model net = model_new(&params, unet_config("bench"));
    move_params(&params, 0.05);
    snprintf(path, sizeof path, "%s/official.safetensors", folder);
    write_official(path, &ddpm_official, &params);
    RUN("ddpm", "sample -q --config bench --steps 3 -n 2 --weights %s/official.safetensors "
                "--out %s");
    snprintf(path, sizeof path, "%s/samples.npy", folder);
    Npy a = npy_open(path);
    cr_assert(a.rank == 4 && a.shape[0] == N && a.shape[1] == SIDE && a.shape[3] == 1);
    memcpy(drawn, a.data, sizeof drawn);
    npy_close(&a);

    NoiseSchedule all = ddpm_schedule(false), s = schedule_strided(&all, 3);
    NetworkDenoiser network = unet_denoiser(&net, PREDICT_NOISE, FIXED_SMALL);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    Sampler m = {.denoiser = &clipped.denoiser, .schedule = &s, .height = SIDE, .width = SIDE,
                 .channels = 1, .seed = 1, .start_key = TIMESTEPS};
    draw_images(&m, N, x, (Drawing){.at_once = N, .quiet = true});
    int between = 0;                     /* clipped numbers would agree whatever the network is */
    for (int i = 0; i < N * PIXELS; i++) between += drawn[i] > 0.01f && drawn[i] < 0.99f;
    cr_assert(between > N * PIXELS / 10, "%d", between);
    for (int i = 0; i < N * PIXELS; i++)
        cr_assert_float_eq(drawn[i], (x[i] + 1) / 2, 1e-3, "%d: %g, not %g", i,
                           (double)drawn[i], (double)(x[i] + 1) / 2);
    sampler_free(&m);
    schedule_free(&all), schedule_free(&s);
    params_free(&params);
}

/* Does a stopped drawing keep what was drawn, and does a longer one begin with the same images? */
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

static double metric(const char *key) {
    return number_in("metrics.json", key);
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

/* Does --raw draw from the weights as trained? With --ema 0 they are the averaged ones, up to the
 * half precision of the weights file; with a slow average they are not. */
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
    cr_expect(same < 0.1 && other > 0.5, "%g and %g apart", same, other);
    expect_refusal("ddpm", "sample --raw --weights %s/forgets/weights.safetensors --out %s/x", 1,
                   "--raw");
}

Test(ddpm_program, bad_input_gets_one_line_and_a_status) {
    static const Refusal cases[] = {
        {"train --predict velocity --out %s/x", 2, "velocity"},
        {"train --config cifar10 --out %s/x", 2, "cifar10"},
        {"train --pictures 3 --out %s/x", 2, "--pictures"},
        {"train --ema 2 --out %s/x", 2, "--ema"},
        {"sample --steps 1001 --out %s/x", 2, "--steps"},
        {"sample --steps 0 --out %s/x", 2, "--steps"},
        {"sample -n 0 --out %s/x", 2, "--pictures"},
        {"eval --weights tests/golden/ddpm_unet.safetensors --out %s/x", 1, "ddpm_unet"},
        {"sample --weights tests/golden/ddpm_unet.safetensors --out %s/x", 1, " missing (temb."},
    };
    EXPECT_REFUSALS("ddpm", cases);
}
#endif
