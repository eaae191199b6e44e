/* ddpm — train, sample from, evaluate denoising diffusion models on Fashion-MNIST. */
#include "data/batches.h"
#include "data/fashion.h"
#include "ddpm.h"
#include "eval/likelihood.h"
#include "eval/scores.h"
#include "io/checkpoint.h"
#include "io/cli.h"
#include "io/file.h"
#include "io/json.h"
#include "io/npy.h"
#include "io/picture.h"
#include "io/progress.h"
#include "io/results.h"
#include "io/run.h"
#include "nn/optim.h"
#include "tensor/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    CommonOptions common;
    int warmup, preview, sampling_steps, pictures, samples, bound;
    double clip, ema;
    const char *predict, *variance;
} o = {
    .common = {.seed = 1, .steps = 15000, .batch = 64, .lr = 5e-4, .config = "default",
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
    {"warmup", 0, .i = &o.warmup, .min = 0, .max = 1e9, .meta = "N", .only = "train",
     .help = "steps in which the learning rate rises"},
    {"clip", 0, .d = &o.clip, .min = 0, .max = 1e9, .meta = "X", .only = "train",
     .help = "largest norm of a gradient; 0: any"},
    {"ema", 0, .d = &o.ema, .min = 0, .max = 1, .meta = "X", .only = "train",
     .help = "decay of the averaged weights"},
    {"preview", 0, .i = &o.preview, .min = 0, .max = TIMESTEPS, .meta = "N", .keep = KEEP_DEFAULT,
     .only = "train", .help = "steps in which a checkpoint's samples.png is drawn; 0: none"},
    {"steps", 0, .i = &o.sampling_steps, .min = 1, .max = TIMESTEPS, .meta = "N",
     .keep = KEEP_NOT, .only = "sample eval", .help = "of the 1000 steps back, so many"},
    {"variance", 'v', .s = &o.variance, .choices = "small|large", .keep = KEEP_NOT,
     .only = "sample eval", .help = "of a step back: beta~ or beta"},
    {"pictures", 'n', .i = &o.pictures, .min = 1, .max = 10000, .meta = "N", .keep = KEEP_NOT,
     .only = "sample", .help = "how many to draw"},
    {"samples", 0, .i = &o.samples, .min = SCORE_MINIMUM, .max = 10000, .meta = "N",
     .keep = KEEP_NOT, .only = "eval", .help = "pictures to draw and score"},
    {"bound", 0, .i = &o.bound, .min = 0, .max = 10000, .meta = "N", .keep = KEEP_NOT,
     .only = "eval", .help = "test images for the bound, at all 1000 steps"},
    {0}};

/* the paper's recipe; steps are for their data and processors */
static const Preset presets[] = {{"bench", "lr=0.0002 warmup=5000"},
                                 {"cifar10", "lr=0.0002 warmup=5000 batch=128 steps=800000"},
                                 {"lsun256", "lr=0.00002 warmup=5000 batch=64 steps=1200000"},
                                 {0}};

static Cli cli = {.program = "ddpm",
                  .about = "Denoising diffusion: pictures out of noise, a thousand small steps.",
                  .options = options,
                  .presets = presets};

enum { COLUMNS = 8, ROWS = 4, HELD_OUT = 256, MOMENTS = 10 };

/* ---- what all commands use ------------------------------------------------------------------- */

static Fashion load_data(void) {
    Fashion data = fashion_load(o.common.data);
    if (data.test.count < SCORE_MINIMUM || data.validation.count < 1)
        fail("%s: %d images for testing; at least %d are needed", o.common.data, data.test.count,
             SCORE_MINIMUM);
    return data;
}

static UNetDesign chosen_design(void) {
    UNetDesign d = unet_design(o.common.config);
    if (d.in != 1)
        usage_error("--config %s: a network for colour pictures of another size; info counts it, "
                    "train takes default or bench", o.common.config);
    return d;
}

static Schedule paper_schedule(void) {
    return schedule_linear(TIMESTEPS, 1e-4, 0.02);
}

static real *new_images(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * PIXELS * sizeof(real));
}

/* pixels in [-1,1]; `path` is freed */
static void save_grid(char *path, const real *images, int count, int columns) {
    picture_save(path, images,
                 (Grid){.count = count, .height = SIDE, .width = SIDE, .channels = 1,
                        .columns = columns, .enlarge = 2, .low = -1, .high = 1},
                 cli.line);
    free(path);
}

static Sampler sampler_of(const UNet *net, const Schedule *s) {
    return (Sampler){.net = net, .schedule = s, .prediction = prediction_named(o.predict),
                     .variance = variance_named(o.variance), .side = SIDE, .seed = o.common.seed,
                     .tape = {.no_grad = true}};
}

/* n pictures from noise, the first of them number `first`; x0: space for as many */
static void draw(Sampler *m, int first, int n, real *x, real *x0, Progress *progress) {
    int T = m->schedule->T;
    for (int i = 0; i < n; i++)
        sampling_noise(m->seed, first + i, TIMESTEPS, PIXELS, x + (size_t)i * PIXELS);
    for (int t = T - 1; t >= 0; t--) {
        sample_step(m, t, first, n, x, x0);
        if (progress) progress_update(progress, progress->last_step + 1, "");
    }
}

/* ---- train ----------------------------------------------------------------------------------- */

/* everything that changes while training, but for the run's own state */
typedef struct {
    Params params;
    UNet net;
    Schedule schedule;
    Adam adam;
    Ema ema;
    Rng noise, times, dropout;
    Batches batches;
    const Images *set;
    /* space for one batch */
    int *index, *t;
    double *error;
    real *held_out;              /* validation images */
    int held_out_count;
} Training;

static void training_start(Training *m, Arena *arena, const Fashion *data) {
    uint64_t seed = o.common.seed;
    size_t B = (size_t)o.common.batch;
    m->params.seed = seed;
    m->net = unet_new(&m->params, chosen_design());
    m->schedule = paper_schedule();
    m->adam = (Adam){ADAM_DEFAULTS};
    m->ema.decay = o.ema;
    m->noise = rng_new(seed, "noise"), m->times = rng_new(seed, "times");
    m->dropout = rng_new(seed, "dropout");
    m->set = &data->train;
    m->batches = batches_new(data->train.count, seed);
    m->index = arena_get(arena, B * sizeof *m->index);
    m->t = arena_get(arena, B * sizeof *m->t);
    m->error = arena_get(arena, B * sizeof *m->error);
    m->held_out_count = data->validation.count < HELD_OUT ? data->validation.count : HELD_OUT;
    m->held_out = new_images(arena, m->held_out_count);
    images_get(&data->validation, m->held_out_count, NULL, -1, 1, m->held_out, NULL);
}

static void training_free(Training *m) {
    schedule_free(&m->schedule);
    ema_free(&m->ema), adam_free(&m->adam), params_free(&m->params);
    batches_free(&m->batches);
}

/* Garments are not mirrored, as the paper's pictures are: all shoes point the same way. */
static void training_step(Training *m, Tape *tape, Run *run) {
    static const char *const quarters[] = {"quarter_1", "quarter_2", "quarter_3", "quarter_4"};
    int B = o.common.batch;
    batches_next(&m->batches, B, m->index);
    Tensor *x0 = t_input(tape, NULL, SHAPE(B, SIDE, SIDE, 1));
    images_get(m->set, B, m->index, -1, 1, x0->x, NULL);
    for (int b = 0; b < B; b++) m->t[b] = (int)rng_below(&m->times, TIMESTEPS);
    Tensor *loss = simple_loss(&m->net, &m->schedule, prediction_named(o.predict), x0, m->t,
                               &m->noise, &m->dropout, m->error);
    run_value(run, "loss", (double)loss->x[0]);
    for (int b = 0; b < B; b++) run_value(run, quarters[4 * m->t[b] / TIMESTEPS], m->error[b]);
    params_zero_grad(&m->params);
    backward(loss);
    double norm = grad_norm(&m->params);
    run_value(run, "gradient", norm);
    adam_step(&m->adam, &m->params, o.common.lr * lr_warmup(run->step, o.warmup),
              clip_scale(norm, o.clip));
    ema_update(&m->ema, &m->params);
}

/* the loss of validation images, at times spread evenly and with the same noise each time */
static double held_out_loss(const Training *m) {
    enum { AT_ONCE = 64 };
    Tape tape = {.no_grad = true};
    Rng noise = rng_new(1, "validation");
    double sum = 0;
    int n = m->held_out_count, t[AT_ONCE];
    for (int i = 0; i < n; i += AT_ONCE) {
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        tape_reset(&tape);
        for (int b = 0; b < B; b++) t[b] = (int)((i + b) * 389LL % TIMESTEPS);
        Tensor *x0 = t_input(&tape, m->held_out + (size_t)i * PIXELS, SHAPE(B, SIDE, SIDE, 1));
        Tensor *loss = simple_loss(&m->net, &m->schedule, prediction_named(o.predict), x0, t,
                                   &noise, NULL, NULL);
        sum += B * (double)loss->x[0];
    }
    tape_free(&tape);
    return sum / n;
}

/* a few pictures in a few steps, to see how far the training is */
static void save_samples(const Training *m, char *path) {
    static real x[ROWS * COLUMNS * PIXELS], x0[ROWS * COLUMNS * PIXELS];
    Schedule quick = schedule_strided(&m->schedule, o.preview);
    Sampler sampler = sampler_of(&m->net, &quick);
    draw(&sampler, 0, ROWS * COLUMNS, x, x0, NULL);
    save_grid(path, x, ROWS * COLUMNS, COLUMNS);
    tape_free(&sampler.tape);
    schedule_free(&quick);
}

static int train(void) {
    Run run = {.columns = "loss,quarter_1,quarter_2,quarter_3,quarter_4,gradient,validation",
               .log_every = 10};
    chosen_design();
    run_start(&run, &cli, &o.common);
    Arena arena = {0};
    Fashion data = load_data();
    for (int i = 0; i < 4; i++) run_record(&run, fashion_files[i], data.file[i].sha256);
    Training m = {0};
    training_start(&m, &arena, &data);
    run_record_number(&run, "parameters", (double)params_count(&m.params));

    Checkpoint everything = {.cli = &cli,
                             .params = {{"", &m.params},
                                        {"ema.", &m.ema.average, .like = &m.params},
                                        {"adam.m.", &m.adam.m, .like = &m.params},
                                        {"adam.v.", &m.adam.v, .like = &m.params}},
                             .numbers = {{"step", .i = &run.step},
                                         {"ema.step", .i = &m.ema.step},
                                         {"adam.step", .i = &m.adam.step},
                                         {"noise", .u = &m.noise.next},
                                         {"times", .u = &m.times.next},
                                         {"dropout", .u = &m.dropout.next},
                                         {"batches", .u = &m.batches.next}}};
    Checkpoint weights = {.cli = &cli, .params = {{"", &m.ema.average}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {0};
    while (run_next(&run)) {
        tape_reset(&tape);
        training_step(&m, &tape, &run);
        if (run_due(&run, 500)) {
            ema_swap(&m.ema, &m.params);     /* scores and pictures are the averaged weights' */
            run_value(&run, "validation", held_out_loss(&m));
            ema_swap(&m.ema, &m.params);
        }
        run_step(&run);
        if (run_save_due(&run)) {
            checkpoint_save(run.checkpoint, &everything);
            checkpoint_save_half(run.weights, &weights);
            ema_swap(&m.ema, &m.params);
            if (o.preview) save_samples(&m, run_path(&run, "samples.png"));
            ema_swap(&m.ema, &m.params);
        }
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    training_free(&m);
    fashion_free(&data);
    arena_free(&arena);
    return run_finish(&run);
}

/* ---- a trained network ----------------------------------------------------------------------- */

/* the one that --weights (or the run in --out) holds */
static UNet load_network(Params *params) {
    char *path = weights_path(&o.common);
    checkpoint_options(path, &cli, false);
    UNet net = unet_new(params, chosen_design());
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", params}}});
    free(path);
    return net;
}

/* ---- sample ---------------------------------------------------------------------------------- */

/* all pictures so far, as a picture and as numbers in [0,1] */
static void save_pictures(int n, const real *x, const char *picture, const char *array) {
    Arena arena = {0};
    real *grey = new_images(&arena, n);
    k_affine((size_t)n * PIXELS, x, (real)0.5, (real)0.5, grey);
    save_grid(path_join(o.common.out, picture), x, n, COLUMNS);
    char *path = path_join(o.common.out, array);
    npy_save(path, grey, SHAPE(n, SIDE, SIDE, 1));
    free(path);
    arena_free(&arena);
}

/* Pictures are drawn a few at a time, and saved as soon as they are: whoever stops the program
 * keeps what was drawn. A picture depends on the seed and its number alone. */
static void draw_pictures(Sampler *m, int n, real *x, int at_once, bool save) {
    Arena arena = {0};
    Progress progress;
    real *x0 = new_images(&arena, at_once);
    int T = m->schedule->T, groups = (n + at_once - 1) / at_once;
    progress_start(&progress, "sample", 0, (int64_t)groups * T, o.common.quiet);
    for (int i = 0; i < n; i += at_once) {
        int count = n - i < at_once ? n - i : at_once;
        draw(m, i, count, x + (size_t)i * PIXELS, x0, &progress);
        if (save) save_pictures(i + count, x, "samples.png", "samples.npy");
    }
    progress_end(&progress, (int64_t)groups * T, "");
    arena_free(&arena);
}

/* One picture on its way, at ten moments: x_t above, and the x0 it was predicted to become below
 * (progressive generation, section 4.3). */
static void picture_of_progress(Sampler *m) {
    static real x[PIXELS], x0[PIXELS], grid[2 * MOMENTS * PIXELS];
    int T = m->schedule->T, moments = T < MOMENTS ? T : MOMENTS;
    sampling_noise(m->seed, 0, TIMESTEPS, PIXELS, x);
    for (int t = T - 1, k = 0; t >= 0; t--) {
        sample_step(m, t, 0, 1, x, x0);
        if (t != T - 1 - ((k + 1) * T / moments - 1)) continue;
        memcpy(grid + k * PIXELS, x, sizeof x);
        memcpy(grid + (moments + k) * PIXELS, x0, sizeof x0);
        k++;
    }
    save_grid(announced(&o.common, "progress.png"), grid, 2 * moments, moments);
}

static int sample(void) {
    Params params = {0};
    UNet net = load_network(&params);
    Arena arena = {0};
    Schedule all = paper_schedule(), s = schedule_strided(&all, o.sampling_steps);
    Sampler m = sampler_of(&net, &s);
    folder_create(o.common.out);
    free(announced(&o.common, "samples.png")), free(announced(&o.common, "samples.npy"));
    draw_pictures(&m, o.pictures, new_images(&arena, o.pictures), 16, true);
    picture_of_progress(&m);
    tape_free(&m.tape);
    schedule_free(&all), schedule_free(&s);
    arena_free(&arena);
    params_free(&params);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* the bound's terms in bits per dimension, and how well x0 is predicted: bound.csv. Fills the sum
 * of all terms and the prior's. */
static void evaluate_bound(Sampler *m, const Images *set, int n, double *bits, double *prior) {
    Arena arena = {0};
    Progress progress;
    const Schedule *s = m->schedule;
    real *x0 = new_images(&arena, n), *xt = new_images(&arena, n), *start = new_images(&arena, n);
    real eps[PIXELS];
    char *path = path_join(o.common.out, "bound.csv");
    AtomicFile f = file_create(path);
    images_get(set, n, NULL, -1, 1, x0, NULL);
    *prior = *bits = 0;
    for (int i = 0; i < n; i++)
        *prior += bits_per_dimension(prior_term(s, PIXELS, x0 + (size_t)i * PIXELS), PIXELS) / n;
    fprintf(f.stream, "t,bits_per_dimension,start_mse\n");
    progress_start(&progress, "bound", 0, s->T, o.common.quiet);
    for (int t = s->T - 1; t >= 0; t--) {
        double nats = 0;
        for (int i = 0; i < n; i++) {
            size_t at = (size_t)i * PIXELS;
            sampling_noise(m->seed + 1, i, t, PIXELS, eps);
            q_sample(s, t, PIXELS, x0 + at, eps, xt + at);
        }
        predict(m, t, n, xt, start);
        for (int i = 0; i < n; i++) {
            size_t at = (size_t)i * PIXELS;
            nats += bound_term(s, m->variance, t, PIXELS, x0 + at, xt + at, start + at) / n;
        }
        size_t size = (size_t)n * PIXELS;
        double mse = k_sum_squared_difference(size, start, x0) / (double)size;
        fprintf(f.stream, "%d,%.6g,%.6g\n", t, bits_per_dimension(nats, PIXELS), mse);
        *bits += bits_per_dimension(nats, PIXELS);
        progress_update(&progress, s->T - t, "");
    }
    *bits += *prior;
    progress_end(&progress, s->T, "");
    file_commit(&f);
    free(path);
    arena_free(&arena);
}

/* the scores of `n` pictures, into metrics */
static void score_samples(Sampler *m, const Fashion *data, int n, cJSON *metrics) {
    Arena arena = {0};
    real *x = new_images(&arena, n);
    Judge judge = judge_new(data, CLASSIFIER_WEIGHTS);
    draw_pictures(m, n, x, 64, false);
    k_affine((size_t)n * PIXELS, x, (real)0.5, (real)0.5, x);
    ScoreSheet sheet = score_sheet(&judge, n, x, NULL, o.common.seed);
    if (!o.common.quiet) score_sheet_print(&sheet);
    cJSON_AddItemToObject(metrics, "scores", score_sheet_json(&sheet));
    char *path = path_join(o.common.out, "classes.csv");
    score_sheet_classes(&sheet, path);
    free(path);
    path = path_join(o.common.out, "neighbours.png");
    neighbours_picture(&judge, 10, x, path, cli.line);
    free(path);
    judge_free(&judge);
    arena_free(&arena);
}

static int eval(void) {
    Params params = {0};
    UNet net = load_network(&params);
    Fashion data = load_data();
    Schedule all = paper_schedule(), s = schedule_strided(&all, o.sampling_steps);
    Sampler m = sampler_of(&net, &s), full = sampler_of(&net, &all);
    int n = o.samples < data.test.count ? o.samples : data.test.count;
    int images = o.bound < data.test.count ? o.bound : data.test.count;
    folder_create(o.common.out);

    cJSON *metrics = cJSON_CreateObject();
    cJSON_AddStringToObject(metrics, "command", cli.line);
    cJSON_AddNumberToObject(metrics, "parameters", (double)params_count(&params));
    cJSON_AddNumberToObject(metrics, "sampling_steps", s.T);
    cJSON_AddStringToObject(metrics, "variance", o.variance);
    if (images) {
        double bits, prior;
        evaluate_bound(&full, &data.test, images, &bits, &prior);
        cJSON_AddNumberToObject(metrics, "bound_images", images);
        cJSON_AddNumberToObject(metrics, "bits_per_dimension", bits);
        cJSON_AddNumberToObject(metrics, "prior_bits_per_dimension", prior);
        if (!o.common.quiet)
            printf("at most %.3f bits per dimension, %d test images, variance %s\n", bits, images,
                   o.variance);
    }
    score_samples(&m, &data, n, metrics);
    char *path = announced(&o.common, "metrics.json");
    json_save(path, metrics);
    cJSON_Delete(metrics);
    free(path);
    tape_free(&m.tape), tape_free(&full.tape);
    schedule_free(&all), schedule_free(&s);
    fashion_free(&data);
    params_free(&params);
    return 0;
}

/* ---- info ------------------------------------------------------------------------------------ */

static int info(void) {
    Params params = {0};
    unet_new(&params, unet_design(o.common.config));
    for (int i = 0; i < params.count; i++) printf("%s\n", t_describe(params.list[i]));
    printf("%zu parameters\n", params_count(&params));
    params_free(&params);
    return 0;
}

int main(int argc, char **argv) {
    threads_sleep_when_waiting(argv);
    cli_parse(&cli, argc, argv);
    if (o.common.threads) threads_set(o.common.threads);
    if (!strcmp(cli.command, "train")) return train();
    if (!strcmp(cli.command, "sample")) return sample();
    if (!strcmp(cli.command, "eval")) return eval();
    return info();
}
