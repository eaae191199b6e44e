/* classes.c — the program's half with classes: Fashion-MNIST, one network with and without the
 * class. */
#include "base/error.h"
#include "base/file.h"
#include "cfg.h"
#include "diffusion/drawing.h"
#include "diffusion/labelled.h"
#include "diffusion/losses.h"
#include "nn/unet_config.h"
#include "settings.h"
#include "train/draw_samples.h"
#include "train/report.h"
#include "train/run.h"
#include "train/timesteps.h"

#include <stdlib.h>
#include <string.h>

enum { SIDE = 28, NONE = FASHION_CLASSES, TIMESTEPS = 1000 };

static bool is_continuous(void) { return !strcmp(o.time, "continuous"); }

/* The guidance chapter's class-conditional network with a row more, for no class; without a learned
 * variance in continuous time */
ClassUNet classes_network(Params *p) {
    UNetConfig c = adm_family(32, 1);
    unet_levels(&c, 1, 2, 2);
    unet_attend_at(&c, SIDE, SIDE / 2, SIDE / 4);
    c.in = 1, c.out = is_continuous() ? 1 : 2;
    c.head_channels = 16;
    return class_unet_new(p, c, FASHION_CLASSES + 1);
}

/* ---- drawing --------------------------------------------------------------------------------- */

static NoiseSchedule sampling_chain(const char *sections) {
    if (!is_continuous()) return respace(schedule_cosine(TIMESTEPS), "respace", sections, FROM_NOISE);
    char *end;
    long T = strtol(sections, &end, 10);
    if (*end || T < 2 || T > TIMESTEPS)
        usage_error("--respace %s: with --time continuous a number of steps, 2 to %d", sections,
                    TIMESTEPS);
    return log_snr_schedule((int)T);
}

/* From the network to the picture: guided; in continuous time with v's variance; clipped */
typedef struct {
    GuidedClasses guided;
    NetworkDenoiser network;
    InterpolatedVariance interpolated;
    ClippedDenoiser clipped;
    NoiseSchedule chain;
    Sampler sampler;
} Drawn;

/* d must not move */
static void drawn_open(Drawn *d, const ClassUNet *net, const int *label, double scale,
                       const char *steps) {
    d->guided = (GuidedClasses){net, label, NONE, scale};
    d->network = guided_classes(&d->guided, is_continuous() ? FIXED_SMALL : LEARNED_RANGE);
    d->interpolated = interpolated_variance(&d->network.denoiser, o.v);
    d->clipped = clipped_denoiser(is_continuous() ? &d->interpolated.denoiser
                                                  : &d->network.denoiser);
    d->chain = sampling_chain(steps);
    d->sampler = (Sampler){.denoiser = &d->clipped.denoiser, .schedule = &d->chain,
                           .method = chosen_method(), .eta = o.eta,
                           .height = SIDE, .width = SIDE, .channels = 1, .seed = o.common.seed};
}

static void drawn_close(Drawn *d) {
    sampler_free(&d->sampler);
    schedule_free(&d->chain);
}

static int *labels_of(Arena *arena, int n) {
    if (o.class >= FASHION_CLASSES)
        usage_error("--class %d: there are %d, from 0", o.class, FASHION_CLASSES);
    return labels_in_turn(arena, n, o.class, FASHION_CLASSES);
}

static Grid grid(int n) {
    return (Grid){.count = n, .height = SIDE, .width = SIDE, .channels = 1,
                  .columns = FASHION_CLASSES, .enlarge = 2, .low = -1, .high = 1};
}

/* ---- train ----------------------------------------------------------------------------------- */

/* n pictures (n,28,28,1), some without their class: the loss of each, (n,1), and the error of eps
 * alone */
static Losses losses(const ClassUNet *net, const NoiseSchedule *s, Tensor *x0, const int *label,
                     Rng *times, Rng *noise) {
    int B = x0->shape[0];
    if (is_continuous()) {
        ContinuousBatch b = continuous_batch(x0, times, noise);
        Tensor *error = t_square(t_sub(class_unet(net, b.z, b.time, label), b.eps));
        Tensor *mse = t_mean_axis(t_reshape(error, SHAPE(B, SIDE * SIDE)), 1);
        return (Losses){.each = mse, .mse = mse};
    }
    const int *t = uniform_timesteps(&x0->tape->arena, times, TIMESTEPS, B);
    NoisyImages b = noisy_images(s, x0, t, noise);
    return training_losses(&b, HYBRID, (Parameterization){PREDICT_NOISE, LEARNED_RANGE},
                           class_unet(net, b.xt, b.time, label));
}

/* Error of eps for validation images, with their classes or without; the same noise every time */
static double validation(const ClassUNet *net, const NoiseSchedule *s, const Images *set,
                         bool with) {
    enum { HELD_OUT = 256 };
    int n = set->count < HELD_OUT ? set->count : HELD_OUT, label[HELD_OUT];
    Tape t = {.no_grad = true};
    Rng times = rng_new(1, "validation times"), noise = rng_new(1, "validation noise");
    Tensor *x0 = t_input(&t, NULL, SHAPE(n, SIDE, SIDE, 1));
    images_get(set, n, NULL, -1, 1, x0->x, label);
    for (int i = 0; i < n; i++) label[i] = with ? label[i] : NONE;
    Tensor *mse = losses(net, s, x0, label, &times, &noise).mse;
    double mean = k_sum(mse->len, mse->x) / n;
    tape_free(&t);
    return mean;
}

/* Rows of pictures, one class a column, at scales 0, 1 and 3 */
static void save_preview(const ClassUNet *net, char *path) {
    static const double scale[] = {0, 1, 3};
    enum { ROWS = 3, EACH = FASHION_CLASSES };
    real x[ROWS * EACH * SIDE * SIDE];
    Arena arena = {0};
    int *label = labels_of(&arena, EACH);
    char steps[16];
    snprintf(steps, sizeof steps, "%d", o.preview);
    for (int r = 0; r < ROWS; r++) {
        Drawn d;
        drawn_open(&d, net, label, scale[r], steps);
        draw_images(&d.sampler, EACH, x + r * EACH * SIDE * SIDE,
                    (Drawing){.at_once = EACH, .quiet = true});
        drawn_close(&d);
    }
    save_grid(&cli, path, x, grid(ROWS * EACH));
    arena_free(&arena);
}

int classes_train(void) {
    Run *run = run_start(&cli, (RunSettings){
        .columns = "loss,mse,gradient,validation,without", .log_every = 10,
        .stage = stage_names[CLASSES], .steps = &o.classes_steps});
    Fashion data = fashion_load_least(o.common.data, 10, SCORE_MINIMUM);
    run_fashion(run, &data);
    Params *params = run_params(run, "");
    ClassUNet net = classes_network(params);
    NoiseSchedule chain = schedule_cosine(TIMESTEPS);
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    adam->clip = o.clip;
    run_ema(run, adam, o.ema);
    Loader *loader = run_order(run, data.train.count, run_part(run, o.classes_batch));
    loader->images = &data.train;
    Rng *noise = run_rng(run, "noise"), *times = run_rng(run, "times");
    Rng *drop = run_rng(run, "drop");
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        Tensor *x0 = loader_images(loader, &run->tape, -1, 1);
        drop_labels(loader->size, loader->labels, NONE, o.p_uncond, drop);
        Losses l = losses(&net, &chain, x0, loader->labels, times, noise);
        Tensor *loss = t_mean(l.each);
        run_log(run, "mse", t_mean(t_detach(l.mse)));
        run_minimise(run, adam, loss, o.classes_lr * lr_warmup(run->step, o.warmup));
        if (run_every(run, 250)) {
            run_value(run, "validation", validation(&net, &chain, &data.validation, true));
            run_value(run, "without", validation(&net, &chain, &data.validation, false));
        }
        if (run_saves(run) && o.preview) save_preview(&net, run_path(run, "samples.png"));
    }
    schedule_free(&chain);
    fashion_free(&data);
    return run_finish(run);
}

/* ---- sample, eval ---------------------------------------------------------------------------- */

static ClassUNet load(Params *params) {
    char *path = o.common.weights ? text_format("%s", o.common.weights) : stage_weights(CLASSES);
    checkpoint_options(path, &cli, false);
    if (!is_continuous()) cli_refuse(&cli, "v", "--time continuous");
    ClassUNet net = classes_network(params);
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", params, NULL}}});
    weights_guidable(path, chosen_scale());
    free(path);
    return net;
}

int classes_sample(void) {
    Params params = {0};
    Arena arena = {0};
    ClassUNet net = load(&params);
    int n = cli_given(&cli, "pictures") ? o.pictures : 80;
    Drawn d;
    drawn_open(&d, &net, labels_of(&arena, n), chosen_scale(), o.respace);
    draw_samples(&cli, &d.sampler, n, grid(0));
    say_scale();
    drawn_close(&d);
    arena_free(&arena), params_free(&params);
    return 0;
}

int classes_eval(void) {
    Params params = {0};
    Arena arena = {0};
    ClassUNet net = load(&params);
    Fashion data = fashion_load_least(o.common.data, 10, SCORE_MINIMUM);
    Evaluator evaluator = report_evaluator(&data);
    cJSON *metrics = metrics_new(&cli);
    int n = score_count(&data, o.samples), *label = labels_of(&arena, n);
    Drawn d;
    drawn_open(&d, &net, label, chosen_scale(), o.respace);
    json_number(metrics, "parameters", (double)params_count(&params));
    json_number(metrics, "scale", chosen_scale());
    json_number(metrics, "w", weight_of(chosen_scale()));
    report_drawn(&cli, &evaluator, &d.sampler, n, label, metrics);
    metrics_save(&cli, metrics);
    drawn_close(&d);
    evaluator_free(&evaluator), fashion_free(&data), arena_free(&arena), params_free(&params);
    return 0;
}
