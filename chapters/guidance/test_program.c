/* test_program.c — two garments learned by heart, of which the classifier chooses; and the
 * program. */
#include "diffusion/drawing.h"
#include "diffusion/losses.h"
#include "guidance.h"
#include "io/npy.h"
#include "nn/optim.h"
#include "nn/unet_config.h"
#include "official_file.h"
#include "programs.h"

#include <math.h>

enum { PIXELS = 28 * 28 };

#ifndef REAL_DOUBLE
SUITE(guidance_network);

/* ---- learning -------------------------------------------------------------------------------- */

/* of half the side */
enum { GARMENTS = 2, EACH = 4, B_ = GARMENTS * EACH, SIDE = 14, AREA = SIDE * SIDE };

typedef struct {
    real x0[B_ * AREA];               /* the two garments in turn */
    int label[B_];
    NoiseSchedule all;
    Rng noise, times;
    Tape tape;
} Heart;

static void heart_start(Heart *h) {
    Fashion data = fashion_load(NULL);
    int index[B_];
    static real whole[B_ * PIXELS];
    for (int b = 0; b < B_; b++) index[b] = b % GARMENTS, h->label[b] = b % GARMENTS;
    images_get(&data.train, B_, index, -1, 1, whole, NULL);
    k_sum_pool2(B_, SIDE, SIDE, 1, (real)0.25, whole, h->x0, false);
    h->all = schedule_cosine(TIMESTEPS);
    h->noise = rng_new(1, "noise"), h->times = rng_new(1, "times");
    fashion_free(&data);
}

static NoisyImages next_batch(Heart *h) {
    tape_reset(&h->tape);
    int *t = arena_get(&h->tape.arena, B_ * sizeof *t);
    for (int b = 0; b < B_; b++) t[b] = (int)rng_below(&h->times, TIMESTEPS);
    return noisy_images(&h->all, t_input(&h->tape, h->x0, SHAPE(B_, SIDE, SIDE, 1)), t, &h->noise);
}

static void train_on(Adam *adam, Params *p, Tensor *loss, double lr) {
    params_zero_grad(p);
    backward(loss);
    adam_step(adam, p, lr, clip_scale(grad_norm(p), 1));
}

/* 14x14 -> 7x7, with attention */
static UNetConfig narrow(UNetConfig c) {
    c.width = 16, c.head_channels = 8, c.style.groups = 8;
    unet_levels(&c, 1, 2);
    unet_attend_at(&c, SIDE, 7, 7);
    return c;
}

/* without classes: what it draws is one of the two, by chance */
static ClassUNet learn_network(Heart *h, Params *p) {
    enum { STEPS = 300 };
    Adam adam = {ADAM_DEFAULTS};
    ClassUNet net = class_unet_new(p, narrow(model_config("default").unet), 0);
    for (int step = 0; step < STEPS; step++) {
        NoisyImages b = next_batch(h);
        Losses l = training_losses(&b, HYBRID, (Parameterization){PREDICT_NOISE, LEARNED_RANGE},
                                   class_unet(&net, b.xt, b.time, NULL));
        train_on(&adam, p, t_mean(l.each), 3e-3 * lr_cosine(step, 10, STEPS));
    }
    adam_free(&adam);
    return net;
}

/* returns how often it was right in the last quarter of its training, at all amounts of noise */
static double learn_classifier(Heart *h, Params *p, NoisyClassifier *net) {
    enum { STEPS = 120, LAST = 30 };
    Adam adam = {ADAM_DEFAULTS};
    double right[B_], share = 0;
    UNetConfig c = narrow(classifier_config("default"));
    c.out = GARMENTS;
    *net = noisy_classifier_new(p, c, SIDE);
    for (int step = 0; step < STEPS; step++) {
        NoisyImages b = next_batch(h);
        Tensor *logits = class_logits(net, b.xt, b.time);
        class_is_right(logits, h->label, right);
        for (int i = 0; i < B_ && step >= STEPS - LAST; i++) share += right[i] / (B_ * LAST);
        train_on(&adam, p, t_cross_entropy(logits, h->label), 3e-3 * lr_linear(step, 10, STEPS));
    }
    adam_free(&adam);
    params_freeze(p, true);
    return share;
}

/* Pictures of either class, guided: is each that class's garment? */
static void expect_garments(Heart *h, const ClassUNet *net, const NoisyClassifier *classifier) {
    enum { DRAWN = 4 };
    static const int wanted[DRAWN] = {0, 1, 1, 0};
    static real x[DRAWN * AREA];
    Tape tape = {0};
    NoiseSchedule few = schedule_respaced(&h->all, "50");
    Labelled labelled = {net, NULL};
    NetworkDenoiser network = labelled_denoiser(&labelled, LEARNED_RANGE);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    ClassGuide guide = class_guide(classifier, wanted, &tape);
    ScoreGuidance guided = score_guidance(&clipped.denoiser, guide_gradient, &guide, 10);
    Sampler m = {.denoiser = &guided.denoiser, .schedule = &few, .height = SIDE, .width = SIDE,
                 .channels = 1, .seed = 1};
    start_noise(&m, 0, DRAWN, x);
    sample_from(&m, few.T - 1, 0, DRAWN, x);
    double apart = k_sum_squared_difference(AREA, h->x0, h->x0 + AREA);
    for (int i = 0; i < DRAWN; i++) {
        double off[GARMENTS];
        for (int k = 0; k < GARMENTS; k++)
            off[k] = k_sum_squared_difference(AREA, x + i * AREA, h->x0 + k * AREA);
        cr_expect(off[wanted[i]] < 0.3 * apart, "picture %d, to be garment %d, is %g and %g from "
                  "them; they are %g apart", i, wanted[i], off[0], off[1], apart);
    }
    sampler_free(&m);
    schedule_free(&few);
    tape_free(&tape);
}

Test(guidance_network, a_classifier_chooses_of_what_was_learned_by_heart) {
    static Heart h;
    Params params = {.seed = 1}, classifier_params = {.seed = 1};
    NoisyClassifier classifier;
    heart_start(&h);
    ClassUNet net = learn_network(&h, &params);
    double right = learn_classifier(&h, &classifier_params, &classifier);
    cr_expect(right > 0.8, "the classifier is right about %g", right);
    expect_garments(&h, &net, &classifier);
    schedule_free(&h.all);
    tape_free(&h.tape);
    params_free(&params), params_free(&classifier_params);
}

/* ---- the program ----------------------------------------------------------------------------- */

PROGRAM_SUITE(guidance_program);

#define TRAIN "train -q --preview 0 --batch 2 --classifier-batch 2 --steps 1 --classifier-steps 1 "

/* pictures of a .npy file; the first `room` numbers of them go to x */
static size_t pictures_in(const char *name, size_t room, float *x) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    Npy a = npy_open(path);
    size_t n = a.shape[0];
    if (x) memcpy(x, a.data, (room < a.len ? room : a.len) * sizeof *x);
    npy_close(&a);
    return n;
}

/* a file of the official code's kind, with weights that are not 0 */
static void write_weights(const char *name, UNetConfig c, Params *p) {
    char path[200];
    UNetOfficial design = {.config = c};
    OfficialMap map = {.rows = class_unet_official, .locate = unet_official, .design = &design};
    move_params(p, 0.05);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    write_official(path, &map, p);
}

/* Are both networks' weights read under the names of the official code, and does the program draw
 * what they draw in this process? */
Test(guidance_program, official_weights_draw_what_the_networks_draw) {
    enum { N = 3 };
    static const int label[N] = {7, 7, 7};
    static float drawn[N * PIXELS];
    static real x[N * PIXELS];
    Params params = {.seed = 1}, classifier_params = {.seed = 2};
    ModelConfig c = model_config("default");
    UNetConfig k = classifier_config("default");
    ClassUNet net = class_unet_new(&params, c.unet, 10);
    NoisyClassifier classifier = noisy_classifier_new(&classifier_params, k, 28);
    write_weights("official.safetensors", c.unet, &params);
    write_weights("classifier-weights.safetensors", k, &classifier_params);
    RUN("guidance", "sample -q --conditional --respace 3 -n 3 --class 7 --scale 5 "
                    "--weights %s/official.safetensors --out %s");
    cr_assert_eq(pictures_in("samples.npy", N * PIXELS, drawn), N);

    Tape tape = {0};
    NoiseSchedule all = model_schedule(&c), few = schedule_respaced(&all, "3");
    params_freeze(&classifier_params, true);
    Labelled labelled = {&net, label};
    NetworkDenoiser network = labelled_denoiser(&labelled, LEARNED_RANGE);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    ClassGuide guide = class_guide(&classifier, label, &tape);
    ScoreGuidance guided = score_guidance(&clipped.denoiser, guide_gradient, &guide, 5);
    Sampler m = {.denoiser = &guided.denoiser, .schedule = &few, .height = 28, .width = 28,
                 .channels = 1, .seed = 1};
    draw_images(&m, N, x, (Drawing){.at_once = N, .quiet = true});
    for (int i = 0; i < N * PIXELS; i++)
        cr_assert_float_eq(drawn[i], fmin(1, fmax(0, ((double)x[i] + 1) / 2)), 1e-3, "%d", i);
    sampler_free(&m), tape_free(&tape);
    schedule_free(&all), schedule_free(&few);
    params_free(&params), params_free(&classifier_params);
}

/* Scale 0 needs no classifier; a scale moves the pictures, and more of them drawn are the same
 * first, to rounding. The conditional network draws each class differently. */
Test(guidance_program, pictures_depend_on_class_scale_seed_and_number) {
    static float x[4][21 * PIXELS];
    static const char *const calls[] = {
        "sample -q --respace 3 -n 21 --weights %s/diffusion-weights.safetensors --out %s/0",
        "sample -q --respace 3 -n 21 --scale 100 --out %s --weights "
        "%s/diffusion-weights.safetensors",
        "sample -q --respace 3 -n 3 --scale 100 --weights %s/diffusion-weights.safetensors "
        "--out %s/2",
        "sample -q --respace 3 -n 21 --class 1 --weights %s/diffusion-weights.safetensors "
        "--out %s/3"};
    static const char *const names[] = {"0/samples.npy", "samples.npy", "2/samples.npy",
                                        "3/samples.npy"};
    few_garments(200, 20);
    RUN("guidance", TRAIN "--conditional --lr 0.01 --warmup 0 --steps 3 --data %s --out %s");
    for (int k = 0; k < 4; k++) {
        RUN("guidance", calls[k]);
        cr_assert_eq(pictures_in(names[k], 21 * PIXELS, x[k]), k == 2 ? 3 : 21);
    }
    cr_expect(memcmp(x[0], x[1], sizeof x[0]), "the scale does not matter");
    for (int i = 0; i < 3 * PIXELS; i++) cr_assert_float_eq(x[1][i], x[2][i], 2e-3);
    for (int k = 0; k < 21; k++) {
        double square = 0;
        for (int i = k * PIXELS; i < (k + 1) * PIXELS; i++) square += pow(x[0][i] - x[3][i], 2);
        cr_expect((square < 1e-8) == (k % 10 == 1), "picture %d differs by %g", k, square);
    }
}

/* lines of a file, the first one included */
static int lines_of(const char *name) {
    char path[200], line[500];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    int n = 0;
    while (fgets(line, sizeof line, f)) n++;
    fclose(f);
    return n;
}

Test(guidance_program, trained_weights_give_pictures_and_scores) {
    few_garments(200, 20);
    RUN("guidance", "train -q --batch 2 --classifier-batch 2 --steps 1 --classifier-steps 1 "
                    "--preview 2 --data %s --out %s");
    RUN("guidance", "sample -q --sampler ddim --respace ddim5 -n 4 --scale 2 --out %s");
    RUN("guidance", "sample -q --guide style --respace 2 --scale 2 --data %s --out %s");
    RUN("guidance", "eval -q --respace 2 --samples 20 --scale 1 --data %s --out %s");
    cr_expect_eq(lines_of("classifier.csv"), 1 + 20);
    static const char *const files[] = {
        "diffusion-samples.png", "diffusion-log.csv", "diffusion-run.json", "classifier-log.csv",
        "metrics.json", "classes.csv", "neighbours.png", "gradient.png", "samples.png",
        "samples.npy", "like.png", "progress.png", "film.png"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        cr_expect(file_there(files[i]), "%s is missing or empty", files[i]);
}

Test(guidance_program, bad_input_gets_one_line_and_a_status) {
#define OURS "--weights %s/diffusion-weights.safetensors --out %s/x"
    static const Refusal cases[] = {
        {"info --config sd1", 2, "sd1"},
        {"train --config imagenet64 --out %s/x", 2, "imagenet64"},
        {"train --width 48 --out %s/x", 2, "--width"},
        {"train --head-channels 24 --out %s/x", 2, "--head-channels 24"},
        {"train --preview 1 --out %s/x", 2, "--preview 1"},
        {"train --stage prior --out %s/x", 2, "prior"},
        {"train --scale 1 --out %s/x", 2, "--scale"},
        {"train --steps 1 --classes 11 --out %s/x", 1, "--classes"},
        {"sample -n 0 --out %s/x", 2, "--pictures"},
        {"sample --scale -1 --out %s/x", 2, "--scale"},
        {"sample --eta 0.5 " OURS, 2, "--sampler ddim"},
        {"sample --respace 1001 " OURS, 2, "--respace 1001"},
        {"sample --respace 1 " OURS, 2, "--respace 1"},
        {"sample --class 10 " OURS, 2, "--class 10"},
        {"sample --guide pixels " OURS, 2, "--guide pixels"},
        {"sample --low-res %s/none.npy --weights %s/diffusion-weights.safetensors", 2, "--low-res"},
        {"sample --scale 1 --classifier %s/none.safetensors --weights "
         "%s/diffusion-weights.safetensors", 1, "none.safetensors"},
        {"sample --scale 1 --classifier %s/diffusion-weights.safetensors --weights "
         "%s/diffusion-weights.safetensors", 1, "diffusion-weights.safetensors"},
        {"sample --weights %s/classifier-weights.safetensors --out %s/x", 1,
         "classifier-weights.safetensors"},
        {"eval --weights tests/golden/adm_unet.safetensors --out %s/x", 1, "adm_unet"},
    };
    few_garments(200, 20);
    RUN("guidance", TRAIN "--data %s --out %s");
    EXPECT_REFUSALS("guidance", cases);
    RUN("guidance", "info");
    RUN("guidance", "info --config upsample512");
}
#endif
