/* ddpm — train, sample from, evaluate denoising diffusion models on Fashion-MNIST. */
#include "base/error.h"
#include "base/progress.h"
#include "ddpm.h"
#include "diffusion/validation.h"
#include "train/diffusion_options.h"
#include "train/draw_samples.h"
#include "train/report.h"
#include "train/run.h"
#include "train/timesteps.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    CommonOptions common;
    int warmup, preview, sampling_steps, pictures, samples, bound;
    double clip, ema, dropout;
    const char *predict, *variance;
    bool raw, no_time;
} o = {
    .common = {COMMON_DEFAULTS("ddpm"), .steps = 16000, .batch = 32, .lr = 5e-4},
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
     .help = "what the network predicts: the noise, x0, or the posterior's mean"},
    {"no-time", 0, .b = &o.no_time, .keep = KEEP_MODEL,
     .help = "train without the time embedding"},
    DIFFUSION_TRAINING(o, TIMESTEPS),
    {"steps", 0, .i = &o.sampling_steps, .min = 1, .max = TIMESTEPS, .meta = "N",
     .keep = KEEP_NOT, .only = "sample eval", .help = "sampling steps, out of 1000"},
    {"variance", 'v', .s = &o.variance, .choices = "small|large", .keep = KEEP_NOT,
     .only = "sample eval", .help = "variance of a reverse step: beta~ (small) or beta (large)"},
    {"raw", 0, .b = &o.raw, .keep = KEEP_NOT, .only = "sample eval",
     .help = "use a checkpoint's weights without averaging"},
    DIFFUSION_SAMPLES(o),
    {"bound", 0, .i = &o.bound, .min = 0, .max = 10000, .meta = "N", .keep = KEEP_NOT,
     .only = "eval", .help = "test images for the likelihood bound; 0: none"},
    {0}};

/* the paper's settings, its numbers of steps included */
static const Preset presets[] = {{"bench", "lr=0.0002 warmup=5000"},
                                 {"cifar10", "lr=0.0002 warmup=5000 batch=128 steps=800000 "
                                             "dropout=0.1"},
                                 {"lsun256", "lr=0.00002 warmup=5000 batch=64 steps=1200000"},
                                 {0}};

static int train(void), sample(void), eval(void), info(void);
static Cli cli = {.program = "ddpm",
                  .about = "Denoising diffusion: images are generated from noise in a thousand "
                           "small steps.",
                  .common = &o.common,
                  .commands = (const Command[]){STANDARD_COMMANDS, {0}},
                  .options = options,
                  .presets = presets};

enum { SIDE = 28, PIXELS = SIDE * SIDE, COLUMNS = 8, ROWS = 4 };

/* ---- what all commands use ------------------------------------------------------------------- */

static Fashion load_data(void) {
    return fashion_load_unlabelled(o.common.data, 10, SCORE_MINIMUM);
}

/* the network that --config names */
static UNetConfig chosen_config(void) {
    UNetConfig c = unet_config(o.common.config);
    c.style.dropout = o.dropout;
    return c;
}

/* Train and eval refuse the configurations for colour pictures: their data are 28x28 and grey. */
static void check_config(void) {
    if (unet_config(o.common.config).in != 1)
        usage_error("--config %s: a network for colour pictures of another size; info counts it, "
                    "sample draws with official weights, train takes default or bench",
                    o.common.config);
}

static PredictionType predicted(void) {
    if (!strcmp(o.predict, "start")) return PREDICT_X0;
    return !strcmp(o.predict, "mean") ? PREDICT_MEAN : PREDICT_NOISE;
}

/* `net` as --predict and --variance say */
static NetworkDenoiser denoiser_of(const Model *net) {
    return unet_denoiser(net, predicted(), strcmp(o.variance, "small") ? FIXED_LARGE : FIXED_SMALL);
}

static Sampler sampler_of(const Denoiser *d, const NoiseSchedule *s) {
    int side = picture_side(o.common.config), channels = unet_config(o.common.config).in;
    return (Sampler){.denoiser = d, .schedule = s, .height = side, .width = side,
                     .channels = channels, .seed = o.common.seed, .start_key = TIMESTEPS};
}

static Grid grid(int count, int columns) {
    int side = picture_side(o.common.config), channels = unet_config(o.common.config).in;
    return (Grid){.count = count, .height = side, .width = side, .channels = channels,
                  .columns = columns, .enlarge = side < 128 ? 2 : 1, .low = -1, .high = 1};
}

/* ---- train ----------------------------------------------------------------------------------- */

/* the loss of validation images, at times spread evenly */
static double validation_loss(const Model *net, const NoiseSchedule *s, const Images *set) {
    enum { HELD_OUT = 256 };
    int n = set->count < HELD_OUT ? set->count : HELD_OUT, t[HELD_OUT];
    Validation v = {.schedule = s, .images = set, .n = n, .t = t};
    double sum = 0;
    even_timesteps(TIMESTEPS, n, t);
    while (validation_next(&v))
        sum += v.B * (double)simple_loss(net, &v.batch, predicted(), NULL)->x[0];
    validation_free(&v);
    return sum / n;
}

/* a few pictures in a few steps, to see how far the training is */
static void save_preview(const Model *net, const NoiseSchedule *s, char *path) {
    NoiseSchedule quick = schedule_strided(s, o.preview);
    NetworkDenoiser network = denoiser_of(net);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    Sampler m = sampler_of(&clipped.denoiser, &quick);
    draw_preview(&cli, &m, path, grid(ROWS * COLUMNS, COLUMNS));
    sampler_free(&m);
    schedule_free(&quick);
}

/* Unlike the paper's, images are not mirrored: all shoes point the same way. */
static int train(void) {
    check_config();                      /* before there is a folder */
    Run *run = run_start(&cli, (RunSettings){
        .columns = "loss,quarter_1,quarter_2,quarter_3,quarter_4,gradient,validation",
        .log_every = 10});
    Fashion data = load_data();
    run_fashion(run, &data);
    Params *params = run_params(run, "");
    Model net = model_new(params, chosen_config());
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    adam->clip = o.clip;
    run_ema(run, adam, o.ema);
    Rng *noise = run_rng(run, "noise"), *times = run_rng(run, "times");
    run->tape.dropout = run_rng(run, "dropout");
    Loader *loader = run_loader(run, &data.train);
    NoiseSchedule schedule = ddpm_schedule(o.no_time);
    int B = loader->size;
    double *error = arena_get(&run->arena, (size_t)B * sizeof *error);
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        Tensor *x0 = loader_images(loader, &run->tape, -1, 1);
        int *t = uniform_timesteps(&run->tape.arena, times, TIMESTEPS, B);
        NoisyImages batch = noisy_images(&schedule, x0, t, noise);
        Tensor *loss = simple_loss(&net, &batch, predicted(), error);
        log_by_quarter(run, "quarter", TIMESTEPS, B, t, error);
        run_minimise(run, adam, loss, o.common.lr * lr_warmup(run->step, o.warmup));
        if (run_every(run, 500))
            run_value(run, "validation", validation_loss(&net, &schedule, &data.validation));
        if (run_saves(run) && o.preview)
            save_preview(&net, &schedule, run_path(run, "samples.png"));
    }
    schedule_free(&schedule);
    fashion_free(&data);
    return run_finish(run);
}

/* ---- trained weights ------------------------------------------------------------------------- */

/* A file must hold exactly the tensors asked for, so a checkpoint's averages and moments are read,
 * too, and freed. */
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

/* the weights in --weights, or in the folder --out; with --raw those of a checkpoint */
static Model load_network(Params *params) {
    char *path = o.raw && !o.common.weights ? path_join(o.common.out, "checkpoint.safetensors")
                                            : weights_path(&cli);
    checkpoint_options(path, &cli, false);
    Model net = model_new(params, chosen_config());
    if (o.raw) load_raw(path, params);
    else weights_load_any(&cli, &ddpm_official, params);
    free(path);
    return net;
}

/* ---- sample ---------------------------------------------------------------------------------- */

/* One test image at eleven times of the forward process; below each, the x0 predicted from it in
 * one pass. */
static void save_forward(Sampler *m, const Images *set) {
    enum { MOMENTS = 10, N = MOMENTS + 1 };
    static real x0[PIXELS], eps[PIXELS], images[2 * N * PIXELS];
    char *captions[2 * N];
    images_get(set, 1, NULL, -1, 1, x0, NULL);
    sampling_noise(m->seed, 0, TIMESTEPS, PIXELS, eps);
    for (int k = 0; k < N; k++) {
        int t = k * (m->schedule->T - 1) / MOMENTS;
        q_sample(m->schedule, t, PIXELS, x0, eps, images + k * PIXELS);
        Prediction p = predict(m, t, 0, 1, images + k * PIXELS);
        memcpy(images + (N + k) * PIXELS, p.x0, PIXELS * sizeof *images);
        captions[k] = text_format("t = %d", t + 1);
        captions[N + k] = "";
    }
    Grid g = grid(2 * N, N);
    g.captions = (const char *const *)captions;
    g.row_labels = "x_t|predicted x0";
    save_grid(&cli, output_path(&cli, "forward.png"), images, g);
    for (int k = 0; k < N; k++) free(captions[k]);
}

/* A row for each pair of test images: the first; mixtures of both at half the chain, denoised, from
 * the first alone to the second alone; the second (figure 8 of the paper). */
static void save_interpolation(Sampler *m, const Images *set) {
    enum { PAIRS = 4, MIXTURES = 11, ROW = MIXTURES + 2 };
    static real pictures[2 * PAIRS * PIXELS], y[PAIRS * PIXELS], images[PAIRS * ROW * PIXELS];
    const real *a = pictures, *b = pictures + PAIRS * PIXELS;
    Progress progress;
    images_get(set, 2 * PAIRS, NULL, -1, 1, pictures, NULL);
    progress_start(&progress, "mix", 0, MIXTURES, o.common.quiet);
    for (int k = 0; k < ROW; k++) {
        if (k > 0 && k < ROW - 1) {
            interpolate(m, m->schedule->T / 2, PAIRS, a, b, (k - 1) / (MIXTURES - 1.0), y);
            progress_update(&progress, k, "");
        }
        const real *from = k == 0 ? a : k == ROW - 1 ? b : y;
        for (int i = 0; i < PAIRS; i++)
            memcpy(images + (i * ROW + k) * PIXELS, from + i * PIXELS, PIXELS * sizeof *images);
    }
    progress_end(&progress, MIXTURES, "");
    Grid g = grid(PAIRS * ROW, ROW);
    g.column_labels = "first image|0 %|10 %|20 %|30 %|40 %|50 %|60 %|70 %|80 %|90 %|100 %|"
                      "second image";
    save_grid(&cli, output_path(&cli, "interpolation.png"), images, g);
}

static int sample(void) {
    Params params = {0};
    Model net = load_network(&params);
    NoiseSchedule all = ddpm_schedule(o.no_time), s = schedule_strided(&all, o.sampling_steps);
    NetworkDenoiser network = denoiser_of(&net);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    Sampler m = sampler_of(&clipped.denoiser, &s), full = sampler_of(&clipped.denoiser, &all);
    draw_samples(&cli, &m, o.pictures, grid(0, COLUMNS));
    if (m.height == SIDE) {          /* the test images have this size */
        Fashion data = load_data();  /* not before: samples need no data */
        save_forward(&full, &data.test);
        save_interpolation(&m, &data.test);
        fashion_free(&data);
    }
    sampler_free(&m), sampler_free(&full);
    schedule_free(&all), schedule_free(&s);
    params_free(&params);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* schedule.csv: what each step adds, and what is left of the picture */
static void save_schedule(const NoiseSchedule *s) {
    char *path = path_join(o.common.out, "schedule.csv");
    AtomicFile f = file_create(path);
    fprintf(f.stream, "t,beta,alpha_bar,picture,noise,beta_tilde\n");
    for (int t = 0; t < s->T; t++)
        fprintf(f.stream, "%d,%.9g,%.9g,%.9g,%.9g,%.9g\n", t, s->beta[t], s->alpha_bar[t],
                s->xt_coef_x0[t], s->xt_coef_eps[t], s->posterior_variance[t]);
    file_commit(&f);
    free(path);
}

/* both bounds, of n test images at all 1000 steps: bound.csv has the terms */
static void report_bounds(Sampler *m, const Images *set, int n, cJSON *metrics) {
    Arena arena = {0};
    Bound b = report_bound(&cli, m, n, images_new(&arena, set, n, -1, 1, NULL), false);
    json_number(metrics, "bound_images", n);
    json_number(metrics, "bits_small", b.bits[BOUND_SMALL]);
    json_number(metrics, "bits_large", b.bits[BOUND_LARGE]);
    json_number(metrics, "prior_bits", b.prior);
    if (!o.common.quiet)
        printf("at most %.3f bits per dimension with the small variance, %.3f with the large: "
               "%d test images\n", b.bits[BOUND_SMALL], b.bits[BOUND_LARGE], n);
    arena_free(&arena);
}

static int eval(void) {
    Params params = {0};
    Model net = load_network(&params);
    check_config();
    Fashion data = load_data();
    Evaluator evaluator = report_evaluator(&data);
    NoiseSchedule all = ddpm_schedule(o.no_time), s = schedule_strided(&all, o.sampling_steps);
    NetworkDenoiser network = denoiser_of(&net);
    ClippedDenoiser clipped = clipped_denoiser(&network.denoiser);
    Sampler m = sampler_of(&clipped.denoiser, &s), full = sampler_of(&clipped.denoiser, &all);
    int images = o.bound < data.test.count ? o.bound : data.test.count;
    cJSON *metrics = metrics_new(&cli);
    json_number(metrics, "parameters", (double)params_count(&params));
    json_text(metrics, "weights", o.raw ? "as trained" : "averaged");
    json_text(metrics, "variance", o.variance);
    folder_create(o.common.out);
    save_schedule(&all);
    if (images) {
        report_bounds(&full, &data.test, images, metrics);
        metrics_keep(&cli, metrics);
    }
    report_drawn(&cli, &evaluator, &m, score_count(&data, o.samples), NULL, metrics);
    metrics_save(&cli, metrics);
    sampler_free(&m), sampler_free(&full);
    schedule_free(&all), schedule_free(&s);
    evaluator_free(&evaluator);
    fashion_free(&data);
    params_free(&params);
    return 0;
}

static int info(void) {
    Params params = {.shapes_only = true};
    model_new(&params, unet_config(o.common.config));
    return info_network(&params);
}

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
