/* test_program.c — iddpm's networks at work, learning by heart, and the program. */
#include "data/images.h"
#include "draw.h"
#include "eval/likelihood.h"
#include "io/npy.h"
#include "network.h"
#include "nn/optim.h"
#include "programs.h"

#include <math.h>
#include <signal.h>

SUITE(iddpm_network);

/* ---- the reverse process with a network ------------------------------------------------------ */

enum { SIDE = 4, SIZE = SIDE * SIDE, PIXELS = 28 * 28, CLASSES = 3 };

/* the chapter's kind, small, and with no weight zero */
static Model small_network(Params *p) {
    ModelConfig c = model_config("default");
    c.unet.width = 8, c.unet.style.groups = 2, c.unet.blocks = 1, c.unet.levels = 2;
    c.classes = CLASSES;
    Model net = model_new(p, c);
    for (int k = 0; k < p->count; k++) {
        Tensor *w = p->list[k];
        real *noise = arena_get(&p->arena, w->len * sizeof *noise);
        test_values(w->name, -0.3, 0.3, w->len, noise);
        k_axpy(w->len, 1, noise, w->x, true);
    }
    return net;
}

static Diffusion few_steps(const char *sections) {
    int steps[100];
    Diffusion all = diffusion_cosine(100);
    diffusion_rescale_time(&all);
    Diffusion d = diffusion_respaced(&all, space_timesteps(100, sections, steps), steps);
    diffusion_free(&all);
    return d;
}

/* Is a picture, bit for bit, the same whoever is drawn beside it, by either sampler, and is the
 * noise of every picture and step another? */
Test(iddpm_network, a_picture_depends_on_its_number_alone) {
    Diffusion d = few_steps("5");
    Params params = {.seed = 1};
    Model net = small_network(&params);
    static const int label[] = {2, 0, 1, 1, 0};
    for (int ddim = 0; ddim < 2; ddim++) {
        Sampler m = {.net = &net, .chain = &d, .ddim = ddim, .eta = 0.5, .side = SIDE, .seed = 9,
                     .tape = {.no_grad = true}};
        real five[5 * SIZE], one[SIZE];
        for (int i = 0; i < 5; i++) sampling_noise(9, i, X_T, SIZE, five + i * SIZE);
        sampling_noise(9, 3, X_T, SIZE, one);
        for (int t = d.T - 1; t >= 0; t--) {
            sample_step(&m, t, 0, 5, label, five);
            Reverse p = sample_step(&m, t, 3, 1, label + 3, one);
            for (int i = 0; i < SIZE; i++) cr_assert(p.start[i] >= -1 && p.start[i] <= 1);
        }
        cr_expect_arr_eq(five + 3 * SIZE, one, sizeof one);
        tape_free(&m.tape);
    }
    real one[SIZE], other[SIZE];
    sampling_noise(9, 2, 3, SIZE, one), sampling_noise(9, 2, 2, SIZE, other);
    cr_expect(memcmp(one, other, sizeof one), "two steps of a picture have the same noise");
    sampling_noise(9, 1, 3, SIZE, other);
    cr_expect(memcmp(one, other, sizeof one), "two pictures have the same noise");
    sampling_noise(9, 1, X_T, SIZE, one), sampling_noise(9, 2, 0, SIZE, other);
    cr_expect(memcmp(one, other, sizeof one), "a start and another picture's step");
    params_free(&params);
    diffusion_free(&d);
}

/* A recording holds the first pictures after every so many steps, the last frame what is drawn; and
 * pictures are saved after each group, the last one included. */
static int saved;
static void count_saved(int n, const real *x) {
    (void)x;
    cr_expect(n == 2 || n == 3, "%d", n);
    saved = n;
}

Test(iddpm_network, what_is_recorded_on_the_way) {
    enum { N = 3, COLUMNS = 2, FRAMES = 3 };
    static const int label[N] = {2, 0, 1};
    static real x[N * PIXELS], by_hand[COLUMNS * PIXELS], frames[FRAMES * 2 * COLUMNS * PIXELS];
    Diffusion d = few_steps("6");
    Params params = {.seed = 1};
    Model net = small_network(&params);
    Sampler m = {.net = &net, .chain = &d, .side = 28, .seed = 9, .tape = {.no_grad = true}};
    Recording r = {.steps = 6, .frames = FRAMES, .columns = COLUMNS, .pixels = PIXELS,
                   .images = frames};
    draw_pictures(&m, N, label, x, (Drawing){.at_once = 2, .quiet = true, .save = count_saved,
                                             .recording = &r});
    cr_assert_eq(r.taken, FRAMES);
    cr_expect_eq(saved, N);
    for (int i = 0; i < COLUMNS; i++) sampling_noise(9, i, X_T, PIXELS, by_hand + i * PIXELS);
    for (int t = d.T - 1; t >= 0; t--) {
        Reverse p = sample_step(&m, t, 0, COLUMNS, label, by_hand);
        if (t % 2) continue;
        const real *frame = frames + (2 - t / 2) * 2 * COLUMNS * PIXELS;
        cr_expect_arr_eq(frame, by_hand, sizeof by_hand, "x at %d", t);
        cr_expect_arr_eq(frame + COLUMNS * PIXELS, p.start, sizeof by_hand, "x0 at %d", t);
    }
    cr_expect_arr_eq(x, by_hand, sizeof by_hand);
    tape_free(&m.tape);
    params_free(&params);
    diffusion_free(&d);
}

/* What a network of some of the steps predicts is what that of all steps does where they meet: it
 * is told the same time and the same class, and as much of the picture is left. */
Test(iddpm_network, respacing_asks_the_network_what_it_was_trained_for) {
    Diffusion all = few_steps("100"), d = few_steps("7,2");
    Params params = {.seed = 1};
    Model net = small_network(&params);
    Sampler few = {.net = &net, .chain = &d, .side = SIDE, .tape = {.no_grad = true}};
    Sampler many = {.net = &net, .chain = &all, .side = SIDE, .tape = {.no_grad = true}};
    static const int label = 1, other = 2;
    real x[SIZE];
    test_values("x", -1.5, 1.5, SIZE, x);
    for (int t = 0; t < d.T; t++) {
        Reverse a = predict(&few, t, 1, x, &label), b = predict(&many, d.step[t], 1, x, &label);
        for (int i = 0; i < SIZE; i++)
            cr_assert_float_eq(a.start[i], b.start[i], sizeof(real) == 8 ? 1e-12 : 1e-5);
        real before = a.log_variance[0];
        cr_expect_neq(predict(&few, t, 1, x, &other).log_variance[0], before, "class at %d", t);
    }
    tape_free(&few.tape), tape_free(&many.tape);
    params_free(&params);
    diffusion_free(&all), diffusion_free(&d);
}

/* A loss is of what the network says of x_t, told the time on its own scale and the class. */
Test(iddpm_network, the_loss_is_of_what_the_network_is_told) {
    Diffusion d = few_steps("100");
    Params params = {.seed = 1};
    Model net = small_network(&params);
    Tape tape = {.no_grad = true};
    static const int label = 2, t = 40;
    Rng noise = rng_new(1, "noise"), again = rng_new(1, "noise");
    Tensor *x0 = t_input(&tape, NULL, SHAPE(1, SIDE, SIDE, 1));
    Tensor *eps = t_input(&tape, NULL, SHAPE(1, SIDE, SIDE, 1));
    Tensor *xt = t_input(&tape, NULL, SHAPE(1, SIDE, SIDE, 1));
    test_values("x0", -1, 1, SIZE, x0->x);
    rng_normal(&again, SIZE, eps->x);
    q_sample(&d, t, SIZE, x0->x, eps->x, xt->x);
    double time = 40 * 10;                       /* 100 steps on a scale of 1000 */
    Tensor *answer = model_output(&net, xt, &time, &label);
    Losses want = training_losses(&d, HYBRID, LEARNED, answer, x0, xt, eps, &t);
    Losses got = network_losses(&net, &d, HYBRID, LEARNED, x0, &label, &t, &noise);
    cr_expect_eq(got.each->x[0], want.each->x[0]);
    cr_expect_eq(got.mse->x[0], want.mse->x[0]);
    double bits;
    again = rng_new(1, "noise");
    network_bound(&net, &d, LEARNED, x0, &label, &t, &again, &bits);
    Sampler m = {.net = &net, .chain = &d, .side = SIDE, .tape = {.no_grad = true}};
    Reverse p = predict(&m, t, 1, xt->x, &label);              /* clips, as the bound does */
    double nats = bound_term(&d, t, SIZE, x0->x, xt->x, &p);
    cr_expect_float_eq(bits, bits_per_dimension(nats, SIZE), 1e-6 * fabs(bits), "%g, %g", bits,
                       bits_per_dimension(nats, SIZE));
    tape_free(&tape), tape_free(&m.tape);
    params_free(&params);
    diffusion_free(&d);
}

/* Losses of a batch are its pictures' own: whoever is beside it, a picture with its noise, time and
 * class has its loss. */
Test(iddpm_network, losses_belong_to_their_pictures) {
    enum { B = 3 };
    Diffusion d = few_steps("100");
    Params params = {.seed = 1};
    Model net = small_network(&params);
    Tape tape = {.no_grad = true};
    static const int label[B] = {2, 0, 1}, t[B] = {0, 40, 99};
    real x0[B * SIZE];
    test_values("x0", -1, 1, B * SIZE, x0);
    Rng noise = rng_new(1, "noise"), again = rng_new(1, "noise");
    Losses l = network_losses(&net, &d, HYBRID, LEARNED,
                              t_input(&tape, x0, SHAPE(B, SIDE, SIDE, 1)), label, t, &noise);
    for (int b = 0; b < B; b++) {
        Losses one = network_losses(&net, &d, HYBRID, LEARNED,
                                    t_input(&tape, x0 + b * SIZE, SHAPE(1, SIDE, SIDE, 1)),
                                    label + b, t + b, &again);
        double tolerance = (sizeof(real) == 8 ? 1e-12 : 1e-5) * (1 + fabs((double)l.each->x[b]));
        cr_expect_float_eq(l.each->x[b], one.each->x[0], tolerance, "picture %d", b);
        cr_expect_float_eq(l.each->x[b], l.mse->x[b] + (real)0.1 * l.bits->x[b], tolerance);
    }
    cr_expect_eq(noise.next, again.next);
    tape_free(&tape);
    params_free(&params);
    diffusion_free(&d);
}

#ifndef REAL_DOUBLE
/* ---- learning -------------------------------------------------------------------------------- */

static double drawn_error(const Model *net, bool ddim, const real *x0) {
    int steps[1000];
    real x[PIXELS];
    Diffusion all = diffusion_cosine(1000);
    diffusion_rescale_time(&all);
    Diffusion few = diffusion_respaced(&all, space_timesteps(1000, "20", steps), steps);
    Sampler m = {.net = net, .chain = &few, .ddim = ddim, .side = 28, .seed = 1,
                 .tape = {.no_grad = true}};
    sampling_noise(1, 0, X_T, PIXELS, x);
    for (int t = few.T - 1; t >= 0; t--) sample_step(&m, t, 0, 1, NULL, x);
    tape_free(&m.tape);
    diffusion_free(&all), diffusion_free(&few);
    return k_sum_squared_difference(PIXELS, x, x0) / PIXELS;
}

/* One garment by heart, by the hybrid loss: what is drawn from noise afterwards, with the learned
 * variance or none, must be that garment. */
Test(iddpm_network, one_garment_is_learned_by_heart) {
    enum { B = 4, STEPS = 250 };
    Fashion data = fashion_load(NULL);
    real x0[B * PIXELS];
    images_get(&data.train, B, (int[]){1, 1, 1, 1}, -1, 1, x0, NULL);
    Diffusion all = diffusion_cosine(1000);
    diffusion_rescale_time(&all);
    Params params = {.seed = 1};
    ModelConfig c = model_config("default");
    c.unet.width = 16, c.unet.style.groups = 8, c.unet.blocks = 1;
    Model net = model_new(&params, c);
    Adam adam = {ADAM_DEFAULTS};
    Tape tape = {0};
    Rng noise = rng_new(1, "noise"), times = rng_new(1, "times");
    for (int step = 0; step < STEPS; step++) {
        int t[B];
        tape_reset(&tape);
        for (int b = 0; b < B; b++) t[b] = (int)rng_below(&times, 1000);
        Tensor *images = t_input(&tape, x0, SHAPE(B, 28, 28, 1));
        Losses l = network_losses(&net, &all, HYBRID, LEARNED, images, NULL, t, &noise);
        params_zero_grad(&params);
        backward(t_mean(l.each));
        double norm = grad_norm(&params);
        adam_step(&adam, &params, 3e-3 * lr_cosine(step, 10, STEPS), clip_scale(norm, 1));
    }
    double variance = k_sum_squares(PIXELS, x0) / PIXELS - pow(k_sum(PIXELS, x0) / PIXELS, 2);
    for (int ddim = 0; ddim < 2; ddim++) {
        double error = drawn_error(&net, ddim, x0);
        cr_expect(error < 0.25 * variance, "%s: mean squared error %g, the garment's variance %g",
                  ddim ? "ddim" : "ddpm", error, variance);
    }
    tape_free(&tape);
    adam_free(&adam), params_free(&params);
    diffusion_free(&all);
    fashion_free(&data);
}

/* ---- the program ----------------------------------------------------------------------------- */

PROGRAM_SUITE(iddpm_program);

#define TRAIN "train -q --preview 0 --batch 4 "

/* Same seed, another number of threads: the same weights, bit for bit? */
Test(iddpm_program, weights_do_not_depend_on_threads) {
    few_garments(200, 20);
    RUN("iddpm", TRAIN "--steps 2 --threads 1 --data %s --out %s/one");
    RUN("iddpm", TRAIN "--steps 2 --threads 2 --data %s --out %s/two");
    RUN("iddpm", TRAIN "--steps 2 --seed 2 --data %s --out %s/other");
    cr_assert(same_file("one/checkpoint.safetensors", "two/checkpoint.safetensors"));
    cr_assert(!same_file("one/weights.safetensors", "other/weights.safetensors"));
}

/* Does --resume go on with the same noise, times, averages and moments? */
Test(iddpm_program, a_resumed_run_equals_one_that_was_never_stopped) {
    few_garments(200, 20);
    RUN("iddpm", TRAIN "--steps 4 --classes 10 --timesteps 50 --dropout 0.3 --data %s "
                 "--out %s/straight");
    RUN("iddpm", TRAIN "--steps 2 --classes 10 --timesteps 50 --dropout 0.3 --data %s "
                 "--out %s/resumed");
    RUN("iddpm", "train -q --steps 4 --resume --out %s/resumed");
    cr_assert(same_file("straight/checkpoint.safetensors", "resumed/checkpoint.safetensors"));
}

/* And with the losses by which timesteps are drawn? Both of two timesteps have been seen ten times
 * when the run is stopped: without them, the rest of it would draw others. */
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

/* Whoever draws more pictures gets the same first, to rounding; on more threads, bit for bit. */
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
    for (int i = 0; i < 3 * PIXELS; i++) cr_assert_float_eq(one[0][i], one[1][i], 1e-5);
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
    RUN("iddpm", "eval -q --respace 2 --samples 20 --bound 1 --bound-respace 3,2 --sampler large "
                 "--data %s --out %s");
    cr_expect_eq(csv_lines("bound.csv", 0, &last), 1 + 5);
    cr_expect_eq(last, 19);
    static const char *const files[] = {
        "samples.png",  "log.csv",      "run.json",    "metrics.json",     "classes.csv",
        "schedule.csv", "forward.png",  "neighbours.png", "ddpm/progress.png", "ddpm/samples.png",
        "ddpm/film.png"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        cr_expect(file_there(files[i]), "%s is missing or empty", files[i]);
}

Test(iddpm_program, bad_input_gets_one_line_and_a_status) {
    static const struct {
        const char *arguments;
        int status;
        const char *says;
    } cases[] = {
        {"info --config sd1", 2, "sd1"},
        {"paint", 2, "paint"},
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
        {"train --steps 1 --data %s/nothing --out %s/x", 1, "nothing"},
        {"train --steps 1 --classes 4 --out %s/x", 1, "--classes"},
        {"train --steps 1 --classes 11 --out %s/x", 1, "--classes"},
        {"sample -n 0 --out %s/x", 2, "--pictures"},
        {"sample --weights %s/stderr --out %s/x", 1, "stderr"},
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
    };
    few_garments(200, 20);
    RUN("iddpm", TRAIN "--steps 1 --timesteps 20 --data %s --out %s");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refusal("iddpm", cases[i].arguments, cases[i].status, cases[i].says);
    RUN("iddpm", "info");
    RUN("iddpm", "info --config imagenet64-cond");
}
#endif
