#include "settings.h"

#include "eval/scores.h"
#include "train/checkpoint.h"
#include "base/file.h"
#include "train/results.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

Settings o = {
    .common = {.seed = 1, .steps = 16000, .batch = 32, .lr = 5e-4, .config = "default",
               .out = "build/runs/ddpm"},
    .warmup = 500,
    .preview = 50,
    .sampling_steps = 100,
    .pictures = 64,
    .samples = 1000,
    .bound = 64,
    .clip = 1,
    .ema = 0.9999,
    .predict = "noise",
    .variance = "small",
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default|bench|cifar10|lsun256"),
    {"predict", 'p', .s = &o.predict, .choices = "noise|start|mean", .keep = KEEP_MODEL,
     .help = "what the network predicts: eps, x0, or the posterior's mean"},
    {"no-time", 0, .b = &o.no_time, .keep = KEEP_MODEL,
     .help = "the network is not told t: what its embedding is worth"},
    {"warmup", 0, .i = &o.warmup, .min = 0, .max = 1e9, .meta = "N", .only = "train",
     .help = "steps in which the learning rate rises"},
    {"clip", 0, .d = &o.clip, .min = 0, .max = 1e9, .meta = "X", .only = "train",
     .help = "largest norm of a gradient; 0: any"},
    {"dropout", 0, .d = &o.dropout, .min = 0, .max = 0.95, .meta = "X", .only = "train",
     .help = "share of the features that a block leaves out"},
    {"ema", 0, .d = &o.ema, .min = 0, .max = 1, .meta = "X", .only = "train",
     .help = "decay of the averaged weights"},
    {"preview", 0, .i = &o.preview, .min = 0, .max = TIMESTEPS, .meta = "N", .keep = KEEP_DEFAULT,
     .only = "train", .help = "steps in which a checkpoint's samples.png is drawn; 0: none"},
    {"steps", 0, .i = &o.sampling_steps, .min = 1, .max = TIMESTEPS, .meta = "N",
     .keep = KEEP_NOT, .only = "sample eval", .help = "of the 1000 steps back, so many"},
    {"variance", 'v', .s = &o.variance, .choices = "small|large", .keep = KEEP_NOT,
     .only = "sample eval", .help = "of a step back: beta~ or beta"},
    {"raw", 0, .b = &o.raw, .keep = KEEP_NOT, .only = "sample eval",
     .help = "a checkpoint's weights as trained, not their average"},
    {"pictures", 'n', .i = &o.pictures, .min = 1, .max = 10000, .meta = "N", .keep = KEEP_NOT,
     .only = "sample", .help = "how many to draw"},
    {"samples", 0, .i = &o.samples, .min = SCORE_MINIMUM, .max = 10000, .meta = "N",
     .keep = KEEP_NOT, .only = "eval", .help = "pictures to draw and score"},
    {"bound", 0, .i = &o.bound, .min = 0, .max = 10000, .meta = "N", .keep = KEEP_NOT,
     .only = "eval", .help = "test images for the bound, at all 1000 steps"},
    {0}};

/* the paper's recipe; steps are for their data and processors */
static const Preset presets[] = {{"bench", "lr=0.0002 warmup=5000"},
                                 {"cifar10", "lr=0.0002 warmup=5000 batch=128 steps=800000 "
                                             "dropout=0.1"},
                                 {"lsun256", "lr=0.00002 warmup=5000 batch=64 steps=1200000"},
                                 {0}};

Cli cli = {.program = "ddpm",
           .about = "Denoising diffusion: pictures out of noise, a thousand small steps.",
           .options = options,
           .presets = presets};

/* ---- data and network ------------------------------------------------------------------------ */

Fashion load_data(void) {
    Fashion data = fashion_load(o.common.data);
    if (data.validation.count < 1 || data.test.count < SCORE_MINIMUM)
        fail("%s: %d images for training and %d for testing; at least 10 and %d are needed",
             o.common.data, data.train.count + data.validation.count, data.test.count,
             SCORE_MINIMUM);
    return data;
}

UNetConfig chosen_config(void) {
    UNetConfig d = unet_config(o.common.config);
    if (d.in != 1)
        usage_error("--config %s: a network for colour pictures of another size; info counts it, "
                    "train takes default or bench", o.common.config);
    d.style.dropout = o.dropout;
    return d;
}

/* A checkpoint's averages and moments are read, too, and forgotten: a file holds what is asked for
 * or is refused. */
static void load_raw(const char *path, Params *params) {
    Params average = {0}, m = {0}, v = {0};
    checkpoint_load(path, &(Checkpoint){.cli = &cli,
                                        .params = {{"", params},
                                                   {"ema.", &average, .like = params},
                                                   {"adam.m.", &m, .like = params},
                                                   {"adam.v.", &v, .like = params}}});
    if (!average.count)
        fail("%s: holds one set of weights, not a training's; --raw reads checkpoint.safetensors",
             path);
    params_free(&average), params_free(&m), params_free(&v);
}

Model load_network(Params *params) {
    char *path = o.raw && !o.common.weights ? path_join(o.common.out, "checkpoint.safetensors")
                                            : weights_path(&o.common);
    checkpoint_options(path, &cli, false);
    Model net = model_new(params, chosen_config());
    if (o.raw) load_raw(path, params);
    else checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", params}}});
    free(path);
    return net;
}

/* ---- drawing --------------------------------------------------------------------------------- */

Schedule paper_schedule(void) {
    Schedule s = schedule_linear(TIMESTEPS, 1e-4, 0.02);
    for (int t = 0; t < s.T && o.no_time; t++) s.time[t] = 0;
    return s;
}

Sampler sampler_of(const Model *net, const Schedule *s) {
    return (Sampler){.net = net, .schedule = s, .prediction = prediction_named(o.predict),
                     .variance = variance_named(o.variance), .side = SIDE, .seed = o.common.seed,
                     .tape = {.no_grad = true}};
}

real *new_images(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * PIXELS * sizeof(real));
}

void draw(Sampler *m, int first, int n, real *x, real *x0, Progress *progress,
          Recording *recording) {
    int T = m->schedule->T;
    for (int i = 0; i < n; i++)
        sampling_noise(m->seed, first + i, TIMESTEPS, PIXELS, x + (size_t)i * PIXELS);
    for (int t = T - 1; t >= 0; t--) {
        sample_step(m, t, first, n, x, x0);
        if (recording) recording_take(recording, T - t, x, x0);
        if (progress) progress_update(progress, progress->done + 1, "");
    }
}

/* Whoever stops the program keeps what was drawn, but for what nine times as long as saving takes
 * has added. A picture depends on the seed and its number alone. */
void draw_many(Sampler *m, int n, real *x, int at_once, void (*save)(int n, const real *x),
               Recording *recording) {
    Arena arena = {0};
    Progress progress;
    real *x0 = new_images(&arena, at_once);
    int T = m->schedule->T, groups = (n + at_once - 1) / at_once;
    double next_save = 0;
    progress_start(&progress, "sample", 0, (int64_t)groups * T, o.common.quiet);
    for (int i = 0; i < n; i += at_once) {
        int count = n - i < at_once ? n - i : at_once;
        draw(m, i, count, x + (size_t)i * PIXELS, x0, &progress, i ? NULL : recording);
        double now = seconds_now();
        if (!save || (now < next_save && i + count < n)) continue;
        save(i + count, x);
        next_save = seconds_now() + 9 * (seconds_now() - now);
    }
    progress_end(&progress, (int64_t)groups * T, "");
    arena_free(&arena);
}

/* ---- pictures -------------------------------------------------------------------------------- */

Grid garments(int count, int columns) {
    return (Grid){.count = count, .height = SIDE, .width = SIDE, .channels = 1,
                  .columns = columns, .enlarge = 2, .low = -1, .high = 1};
}

void save_garments(char *path, const real *x, int count, int columns) {
    picture_save(path, x, garments(count, columns), cli.line);
    free(path);
}
