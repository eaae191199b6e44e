/* test_program.c — iddpm's networks at work, learning by heart, and the program. */
#include "data/images.h"
#include "diffusion/drawing.h"
#include "eval/likelihood.h"
#include "iddpm.h"
#include "io/npy.h"
#include "nn/optim.h"
#include "nn/unet_config.h"
#include "official_file.h"
#include "programs.h"

#include <math.h>
#include <signal.h>

SUITE(iddpm_network);

/* ---- the reverse process with a network ------------------------------------------------------ */

enum { SIDE = 4, SIZE = SIDE * SIDE, PIXELS = 28 * 28, CLASSES = 3 };

/* the chapter's kind, small, and with no weight zero */
static ClassUNet small_network(Params *p) {
    ModelConfig c = model_config("default");
    c.unet.width = 8, c.unet.style.groups = 2, c.unet.blocks = 1, c.unet.levels = 2;
    c.classes = CLASSES;
    ClassUNet net = class_unet_new(p, c.unet, c.classes);
    move_params(p, 0.3);
    return net;
}

static NoiseSchedule few_steps(const char *sections) {
    NoiseSchedule all = schedule_cosine(100);
    schedule_rescale_time(&all);
    NoiseSchedule s = schedule_respaced(&all, sections);
    schedule_free(&all);
    return s;
}

static Sampler small_sampler(const Denoiser *d, const NoiseSchedule *s, bool ddim) {
    return (Sampler){.denoiser = d, .schedule = s, .method = ddim ? DDIM : ANCESTRAL, .eta = 0.5,
                     .height = SIDE, .width = SIDE, .channels = 1, .seed = 9};
}

/* Is a picture, bit for bit, the same whatever is drawn beside it, by either sampler? */
Test(iddpm_network, a_picture_depends_on_its_number_alone) {
    static const int label[] = {2, 0, 1, 1, 0};
    NoiseSchedule s = few_steps("5");
    Params params = {.seed = 1};
    ClassUNet net = small_network(&params);
    Labelled model = {&net, label};
    NetworkDenoiser network = labelled_denoiser(&model, LEARNED_RANGE);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    for (int ddim = 0; ddim < 2; ddim++) {
        Sampler m = small_sampler(&clipped.denoiser, &s, ddim);
        real five[5 * SIZE], one[SIZE];
        start_noise(&m, 0, 5, five), start_noise(&m, 3, 1, one);
        for (int t = s.T - 1; t >= 0; t--) {
            sample_step(&m, t, 0, 5, five);
            Prediction p = sample_step(&m, t, 3, 1, one);
            for (int i = 0; i < SIZE; i++) cr_assert(p.x0[i] >= -1 && p.x0[i] <= 1);
        }
        cr_expect_arr_eq(five + 3 * SIZE, one, sizeof one);
        sampler_free(&m);
    }
    params_free(&params);
    schedule_free(&s);
}

/* What a network of some of the steps predicts is what that of all steps does where they meet: it
 * is given the same time and the same class, and as much of the picture is left. */
Test(iddpm_network, respacing_asks_the_network_what_it_was_trained_for) {
    static const int label = 1, other = 2;
    NoiseSchedule all = few_steps("100"), s = few_steps("7,2");
    Params params = {.seed = 1};
    ClassUNet net = small_network(&params);
    Labelled model = {&net, &label};
    NetworkDenoiser network = labelled_denoiser(&model, LEARNED_RANGE);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    Sampler few = small_sampler(&clipped.denoiser, &s, false);
    Sampler many = small_sampler(&clipped.denoiser, &all, false);
    real x[SIZE];
    test_values("x", -1.5, 1.5, SIZE, x);
    for (int t = 0; t < s.T; t++) {
        model.label = &label;
        Prediction a = predict(&few, t, 0, 1, x), b = predict(&many, s.step[t], 0, 1, x);
        for (int i = 0; i < SIZE; i++)
            cr_assert_float_eq(a.x0[i], b.x0[i], sizeof(real) == 8 ? 1e-12 : 1e-5);
        real before = a.log_variance[0];
        model.label = &other;
        cr_expect_neq(predict(&few, t, 0, 1, x).log_variance[0], before, "class at %d", t);
    }
    sampler_free(&few), sampler_free(&many);
    params_free(&params);
    schedule_free(&all), schedule_free(&s);
}

static const Parameterization learned = {PREDICT_NOISE, LEARNED_RANGE};

static Losses losses_of(const ClassUNet *net, const NoisyImages *b, const int *label) {
    return training_losses(b, HYBRID, learned, class_unet(net, b->xt, b->time, label));
}

/* Is the loss that of the network's output for x_t, the time on its own scale and the class? And
 * the validation bound, which clips as sampling does? */
Test(iddpm_network, the_loss_is_of_what_the_network_is_given) {
    static const int label = 2, t = 40;
    NoiseSchedule s = few_steps("100");
    Params params = {.seed = 1};
    ClassUNet net = small_network(&params);
    Tape tape = {.no_grad = true};
    Rng noise = rng_new(1, "noise"), again = rng_new(1, "noise");
    Tensor *x0 = t_input(&tape, NULL, SHAPE(1, SIDE, SIDE, 1));
    real eps[SIZE], xt[SIZE];
    test_values("x0", -1, 1, SIZE, x0->x);
    NoisyImages b = noisy_images(&s, x0, &t, &noise);
    rng_normal(&again, SIZE, eps);
    q_sample(&s, t, SIZE, x0->x, eps, xt);
    cr_expect_arr_eq(b.xt->x, xt, sizeof xt);
    double time = 40 * 10;                       /* 100 steps on a scale of 1000 */
    Tensor *output = class_unet(&net, b.xt, &time, &label);
    Losses want = training_losses(&b, HYBRID, learned, output), got = losses_of(&net, &b, &label);
    cr_expect_eq(got.each->x[0], want.each->x[0]);
    cr_expect_eq(got.mse->x[0], want.mse->x[0]);
    double bits;
    clipped_bound(&b, learned, output, &bits);
    Labelled model = {&net, &label};
    NetworkDenoiser network = labelled_denoiser(&model, LEARNED_RANGE);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    Sampler m = small_sampler(&clipped.denoiser, &s, false);
    Prediction p = predict(&m, t, 0, 1, xt);
    double nats = bound_term(&s, t, x0->x, xt, &p);
    cr_expect_float_eq(bits, bits_per_dimension(nats, SIZE), 1e-6 * fabs(bits), "%g, %g", bits,
                       bits_per_dimension(nats, SIZE));
    tape_free(&tape), sampler_free(&m);
    params_free(&params);
    schedule_free(&s);
}

/* Does a picture with its noise, time and class have the same loss in any batch? */
Test(iddpm_network, losses_belong_to_their_pictures) {
    enum { B = 3 };
    static const int label[B] = {2, 0, 1}, t[B] = {0, 40, 99};
    NoiseSchedule s = few_steps("100");
    Params params = {.seed = 1};
    ClassUNet net = small_network(&params);
    Tape tape = {.no_grad = true};
    real x0[B * SIZE];
    test_values("x0", -1, 1, B * SIZE, x0);
    Rng noise = rng_new(1, "noise"), again = rng_new(1, "noise");
    NoisyImages all = noisy_images(&s, t_input(&tape, x0, SHAPE(B, SIDE, SIDE, 1)), t, &noise);
    Losses l = losses_of(&net, &all, label);
    for (int b = 0; b < B; b++) {
        Tensor *x = t_input(&tape, x0 + b * SIZE, SHAPE(1, SIDE, SIDE, 1));
        NoisyImages alone = noisy_images(&s, x, t + b, &again);
        Losses one = losses_of(&net, &alone, label + b);
        double tolerance = (sizeof(real) == 8 ? 1e-12 : 1e-5) * (1 + fabs((double)l.each->x[b]));
        cr_expect_float_eq(l.each->x[b], one.each->x[0], tolerance, "picture %d", b);
        cr_expect_float_eq(l.each->x[b], l.mse->x[b] + (real)0.1 * l.bits->x[b], tolerance);
    }
    cr_expect_eq(noise.next, again.next);
    tape_free(&tape);
    params_free(&params);
    schedule_free(&s);
}

#ifndef REAL_DOUBLE
/* ---- learning -------------------------------------------------------------------------------- */

enum { HALF = 14, AREA = HALF * HALF };           /* of half the side */

static double drawn_error(const ClassUNet *net, bool ddim, const real *x0) {
    real x[AREA];
    NoiseSchedule all = schedule_cosine(1000);
    schedule_rescale_time(&all);
    NoiseSchedule few = schedule_respaced(&all, "20");
    Labelled model = {net, NULL};
    NetworkDenoiser network = labelled_denoiser(&model, LEARNED_RANGE);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    Sampler m = {.denoiser = &clipped.denoiser, .schedule = &few,
                 .method = ddim ? DDIM : ANCESTRAL, .height = HALF, .width = HALF, .channels = 1,
                 .seed = 1};
    start_noise(&m, 0, 1, x);
    sample_from(&m, few.T - 1, 0, 1, x);
    sampler_free(&m);
    schedule_free(&all), schedule_free(&few);
    return k_sum_squared_difference(AREA, x, x0) / AREA;
}

/* One image by heart, by the hybrid loss: what is drawn from noise afterwards, with the learned
 * variance or none, must be that image. */
Test(iddpm_network, one_image_is_learned_by_heart) {
    enum { B = 4, STEPS = 250 };
    Fashion data = fashion_load(NULL);
    real whole[B * PIXELS], x0[B * AREA];
    images_get(&data.train, B, (int[]){1, 1, 1, 1}, -1, 1, whole, NULL);
    k_sum_pool2(B, HALF, HALF, 1, (real)0.25, whole, x0, false);
    NoiseSchedule all = schedule_cosine(1000);
    schedule_rescale_time(&all);
    Params params = {.seed = 1};
    ModelConfig c = model_config("default");
    c.unet.width = 16, c.unet.style.groups = 8, c.unet.blocks = 1;
    unet_levels(&c.unet, 1, 2);
    unet_attend_at(&c.unet, HALF, 7, 7);
    ClassUNet net = class_unet_new(&params, c.unet, c.classes);
    Adam adam = {ADAM_DEFAULTS};
    Tape tape = {0};
    Rng noise = rng_new(1, "noise"), times = rng_new(1, "times");
    for (int step = 0; step < STEPS; step++) {
        int t[B];
        tape_reset(&tape);
        for (int b = 0; b < B; b++) t[b] = (int)rng_below(&times, 1000);
        Tensor *images = t_input(&tape, x0, SHAPE(B, HALF, HALF, 1));
        NoisyImages batch = noisy_images(&all, images, t, &noise);
        Losses l = losses_of(&net, &batch, NULL);
        params_zero_grad(&params);
        backward(t_mean(l.each));
        double norm = grad_norm(&params);
        adam_step(&adam, &params, 3e-3 * lr_cosine(step, 10, STEPS), clip_scale(norm, 1));
    }
    double variance = k_sum_squares(AREA, x0) / AREA - pow(k_sum(AREA, x0) / AREA, 2);
    for (int ddim = 0; ddim < 2; ddim++) {
        double error = drawn_error(&net, ddim, x0);
        cr_expect(error < 0.25 * variance, "%s: mean squared error %g, the image's variance %g",
                  ddim ? "ddim" : "ddpm", error, variance);
    }
    tape_free(&tape);
    adam_free(&adam), params_free(&params);
    schedule_free(&all);
    fashion_free(&data);
}

/* ---- the program ----------------------------------------------------------------------------- */

PROGRAM_SUITE(iddpm_program);

#define TRAIN "train -q --preview 0 --batch 4 "

/* Does --resume go on with the losses by which timesteps are drawn? Both of two have been seen ten
 * times when the run is stopped: without them, the rest of it would draw others. */
Test(iddpm_program, a_resumed_run_knows_the_losses_it_has_seen) {
    few_garments(200, 20);
    RUN("iddpm", TRAIN "--batch 16 --steps 3 --objective vlb --timesteps 2 --data %s "
                 "--out %s/straight");
    RUN("iddpm", TRAIN "--batch 16 --steps 2 --objective vlb --timesteps 2 --data %s "
                 "--out %s/resumed");
    RUN("iddpm", "train -q --steps 3 --resume --out %s/resumed");
    cr_assert(same_file("straight/checkpoint.safetensors", "resumed/checkpoint.safetensors"));
}

/* pictures of a .npy file; 0: there is none yet. The first `room` of them go to x unless NULL. */
static size_t pictures_in(const char *name, size_t room, float *x) {
    char path[200];
    if (!file_there(name)) return 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    Npy a = npy_open(path);
    size_t n = a.shape[0];
    if (x) memcpy(x, a.data, (n < room ? n : room) * PIXELS * sizeof *x);
    npy_close(&a);
    return n;
}

/* Are weights read under the names of the official code, and pictures of their size drawn, in
 * colour, as the network in this process draws them? */
Test(iddpm_program, official_weights_draw_what_the_network_draws) {
    enum { N = 2, SIZE64 = 64 * 64 * 3 };
    static float drawn[N * SIZE64];
    static real x[N * SIZE64];
    char path[200];
    ModelConfig c = model_config("imagenet64");
    c.unet.width = 32;
    UNetOfficial names = {.config = c.unet};
    OfficialMap map = {.rows = class_unet_official, .locate = unet_official, .design = &names};
    Params params = {.seed = 1};
    ClassUNet net = class_unet_new(&params, c.unet, c.classes);
    move_params(&params, 0.05);
    snprintf(path, sizeof path, "%s/official.safetensors", folder);
    write_official(path, &map, &params);
    RUN("iddpm", "sample -q --config imagenet64 --width 32 --respace 3 -n 2 --weights "
                 "%s/official.safetensors --out %s");
    snprintf(path, sizeof path, "%s/samples.npy", folder);
    Npy a = npy_open(path);
    cr_assert(a.rank == 4 && a.shape[0] == N && a.shape[1] == 64 && a.shape[3] == 3);
    memcpy(drawn, a.data, sizeof drawn);
    npy_close(&a);

    NoiseSchedule all = schedule_cosine(4000);
    schedule_rescale_time(&all);
    NoiseSchedule s = schedule_respaced(&all, "3");
    Labelled model = {&net, NULL};
    NetworkDenoiser network = labelled_denoiser(&model, LEARNED_RANGE);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    Sampler m = {.denoiser = &clipped.denoiser, .schedule = &s, .height = 64, .width = 64,
                 .channels = 3, .seed = 1};
    draw_images(&m, N, x, (Drawing){.at_once = N, .quiet = true});
    int between = 0;                     /* clipped numbers would agree whatever the network is */
    for (int i = 0; i < N * SIZE64; i++) between += drawn[i] > 0.01f && drawn[i] < 0.99f;
    cr_assert(between > N * SIZE64 / 10, "%d", between);
    for (int i = 0; i < N * SIZE64; i++)
        cr_assert_float_eq(drawn[i], ((double)x[i] + 1) / 2, 1e-3, "%d: %g, not %g", i,
                           (double)drawn[i], ((double)x[i] + 1) / 2);
    sampler_free(&m);
    schedule_free(&all), schedule_free(&s);
    params_free(&params);
}

/* Do more pictures begin with the same ones, to rounding, and on more threads bit for bit? */
Test(iddpm_program, pictures_depend_on_seed_and_number_alone) {
    static float one[3][21 * PIXELS];
    few_garments(200, 20);
    RUN("iddpm", TRAIN "--steps 3 --lr 0.01 --warmup 0 --classes 10 --timesteps 8 --data %s "
                 "--out %s");
    RUN("iddpm", "sample -q --respace 3 -n 21 --threads 2 --weights %s/weights.safetensors "
                 "--out %s/many");
    RUN("iddpm", "sample -q --respace 3 -n 3 --threads 1 --weights %s/weights.safetensors "
                 "--out %s/few");
    RUN("iddpm", "sample -q --respace 3 -n 21 --class 1 --weights %s/weights.safetensors "
                 "--out %s/class");
    static const char *const names[] = {"many/samples.npy", "few/samples.npy",
                                        "class/samples.npy"};
    static const size_t counts[] = {21, 3, 21};
    for (int k = 0; k < 3; k++) cr_assert_eq(pictures_in(names[k], 21, one[k]), counts[k]);
    for (int i = 0; i < 3 * PIXELS; i++) cr_assert_float_eq(one[0][i], one[1][i], 1e-4);
    for (int k = 0; k < 21; k++) {
        const float *in_turn = one[0] + k * PIXELS, *of_class_1 = one[2] + k * PIXELS;
        double square = k_sum_squared_difference(PIXELS, in_turn, of_class_1);
        cr_expect((square < 1e-8) == (k % 10 == 1), "picture %d differs by %g", k, square);
    }
    RUN("iddpm", "sample -q --respace 3 -n 21 --threads 1 --weights %s/weights.safetensors "
                 "--out %s/alone");
    cr_expect(same_file("many/samples.npy", "alone/samples.npy"), "threads matter");
}

/* Stopping the program keeps what was drawn. */
Test(iddpm_program, stopping_loses_nothing_that_was_drawn) {
    few_garments(200, 20);
    RUN("iddpm", TRAIN "--steps 1 --data %s --out %s");
    char weights[200], out[200], program[200];
    const char *build = getenv("BUILD");
    snprintf(weights, sizeof weights, "%s/weights.safetensors", folder);
    snprintf(out, sizeof out, "%s/many", folder);
    snprintf(program, sizeof program, "%s/iddpm", build ? build : "build");
    pid_t child = fork();
    if (child == 0) {
        execl(program, program, "sample", "-q", "--respace", "2", "-n", "10000", "--weights",
              weights, "--out", out, NULL);
        _exit(127);
    }
    for (int i = 0; i < 600 && pictures_in("many/samples.npy", 0, NULL) < 32; i++) usleep(100000);
    kill(child, SIGKILL);
    cr_assert(waitpid(child, NULL, 0) == child);
    size_t n = pictures_in("many/samples.npy", 0, NULL);
    cr_assert(n >= 32 && n < 10000 && n % 16 == 0, "%zu pictures", n);
    cr_assert(file_there("many/samples.png"));
}

/* lines of a file; what stands in its second line's column `column` goes to *value */
static int csv_lines(const char *name, int column, double *value) {
    char path[200], line[500];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    int n = 0;
    while (fgets(line, sizeof line, f)) {
        char *cell = line;
        for (int k = 0; k < column && cell; k++) cell = strchr(cell, ',') + 1;
        if (n++ == 1) *value = atof(cell);
    }
    fclose(f);
    return n;
}

/* The bound has a row for each step of its chain, named as the original ones, and DDIM draws other
 * pictures than the learned variance. */
Test(iddpm_program, trained_weights_give_pictures_and_scores) {
    few_garments(200, 20);
    RUN("iddpm", "train -q --batch 4 --preview 2 --steps 1 --timesteps 20 --data %s --out %s");
    RUN("iddpm", "sample -q --respace 10 -n 5 --weights %s/weights.safetensors --out %s/ddpm");
    RUN("iddpm", "sample -q --respace ddim10 -n 5 --sampler ddim --weights %s/weights.safetensors "
                 "--out %s/ddim");
    cr_expect_eq(pictures_in("ddpm/samples.npy", 0, NULL), 5);
    cr_expect(!same_file("ddpm/samples.npy", "ddim/samples.npy"));
    double last;
    RUN("iddpm", "eval -q --respace 2 --samples 20 --bound 1 --data %s --out %s");
    cr_expect_eq(csv_lines("bound.csv", 0, &last), 1 + 20);
    cr_expect_eq(csv_lines("inversion.csv", 0, &last), 1 + 1);     /* of chains of 20 steps or less */
    cr_expect_eq(last, 10);
    RUN("iddpm", "eval -q --respace 2 --samples 20 --bound 1 --bound-respace 3,2 --sampler large "
                 "--data %s --out %s");
    cr_expect_eq(csv_lines("bound.csv", 0, &last), 1 + 5);
    cr_expect_eq(last, 19);
    static const char *const files[] = {
        "samples.png",  "log.csv",      "run.json",    "metrics.json",     "classes.csv",
        "schedule.csv", "forward.png",  "neighbours.png", "ddpm/progress.png", "ddpm/samples.png",
        "ddpm/film.png", "inversion.png"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        cr_expect(file_there(files[i]), "%s is missing or empty", files[i]);
}

Test(iddpm_program, bad_input_gets_one_line_and_a_status) {
    static const Refusal cases[] = {
        {"info --config sd1", 2, "sd1"},
        {"train --config cifar10 --out %s/x", 2, "cifar10"},
        {"train --objective simple --out %s/x", 2, "--variance"},
        {"train --variance small --out %s/x", 2, "hybrid"},
        {"train --width 48 --out %s/x", 2, "--width 48"},
        {"train --timesteps 1 --out %s/x", 2, "--timesteps"},
        {"train --timesteps 20 --schedule linear --out %s/x", 2, "linear"},
        {"train --preview 1 --out %s/x", 2, "--preview 1"},
        {"train --dropout 1 --out %s/x", 2, "--dropout"},
        {"train --times sometimes --out %s/x", 2, "sometimes"},
        {"train --pictures 3 --out %s/x", 2, "--pictures"},
        {"train --steps 1 --classes 4 --out %s/x", 1, "--classes"},
        {"train --steps 1 --classes 11 --out %s/x", 1, "--classes"},
        {"sample -n 0 --out %s/x", 2, "--pictures"},
        {"sample --eta 0.5 --weights %s/weights.safetensors --out %s/x", 2, "--sampler ddim"},
        {"sample --respace 21 --weights %s/weights.safetensors --out %s/x", 2, "--respace 21"},
        {"sample --respace 1 --weights %s/weights.safetensors --out %s/x", 2, "--respace 1"},
        {"sample --respace ten --weights %s/weights.safetensors --out %s/x", 2, "--respace ten"},
        {"sample --respace '' --weights %s/weights.safetensors --out %s/x", 2, "--respace"},
        {"sample --class 3 --weights %s/weights.safetensors --out %s/x", 2, "--class 3"},
        {"sample --schedule linear --weights %s/weights.safetensors --out %s/x", 2, "schedule"},
        {"eval --bound-respace 10,11 --weights %s/weights.safetensors --out %s/x", 2,
         "--bound-respace 10,11"},
        {"eval --weights tests/golden/iddpm_unet.safetensors --out %s/x", 1, "iddpm_unet"},
        {"sample --weights tests/golden/iddpm_unet.safetensors --out %s/x", 1, " missing (time_"},
    };
    few_garments(200, 20);
    RUN("iddpm", TRAIN "--steps 1 --timesteps 20 --data %s --out %s");
    EXPECT_REFUSALS("iddpm", cases);
    RUN("iddpm", "info");
    RUN("iddpm", "info --config imagenet64-cond");
}
#endif
