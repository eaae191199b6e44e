/* iddpm — train, sample from, evaluate improved denoising diffusion models on Fashion-MNIST. */
#include "base/error.h"
#include "diffusion/validation.h"
#include "experiments/inversion.h"
#include "iddpm.h"
#include "train/diffusion_options.h"
#include "train/draw_samples.h"
#include "train/report.h"
#include "train/run.h"
#include "train/timesteps.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TIMESTEPS = 10000 };

static struct {
    CommonOptions common;
    /* the model */
    const char *schedule, *variance;
    int timesteps, classes, width;
    /* its training */
    const char *objective, *times;
    int warmup, preview;
    double clip, ema, dropout;
    /* its use */
    const char *respace, *sampler, *bound_respace;
    double eta;
    int pictures, class, samples, bound, inverted;
} o = {
    .common = {COMMON_DEFAULTS("iddpm"), .steps = 16000, .batch = 32, .lr = 5e-4},
    .schedule = "cosine",
    .variance = "learned",
    .timesteps = 1000,
    .objective = "hybrid",
    .times = "auto",
    .warmup = 500,
    .preview = 50,
    .clip = 1,
    .ema = 0.9999,
    .sampler = "ddpm",
    .pictures = 64,
    .class = -1,
    .samples = 1000,
    .bound = 64,
    .inverted = 8,
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default|cifar10|imagenet64|imagenet64-cond|lsun"),
    {"schedule", 0, .s = &o.schedule, .choices = "linear|cosine", .keep = KEEP_MODEL,
     .help = "noise schedule"},
    {"timesteps", 'T', .i = &o.timesteps, .min = 2, .max = MOST_TIMESTEPS, .meta = "T",
     .keep = KEEP_MODEL, .help = "steps of the forward process; the paper: 4000"},
    {"variance", 'v', .s = &o.variance, .choices = "learned|small|large", .keep = KEEP_MODEL,
     .help = "variance of a reverse step: learned, beta~ (small) or beta (large)"},
    {"classes", 0, .i = &o.classes, .min = 0, .max = 256, .meta = "N", .keep = KEEP_MODEL,
     .help = "classes the network is conditioned on; 0: none, Fashion-MNIST has 10"},
    {"width", 0, .i = &o.width, .min = 0, .max = 512, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels at full resolution, a multiple of 32; 0: as in --config"},
    {"objective", 0, .s = &o.objective, .choices = "simple|hybrid|vlb", .only = "train",
     .help = "training loss: L_simple, L_hybrid or L_vlb"},
    {"times", 0, .s = &o.times, .choices = "auto|uniform|importance", .only = "train",
     .help = "how timesteps are drawn; auto: importance sampling for vlb, else uniform"},
    DIFFUSION_TRAINING(o, MOST_TIMESTEPS),
    DIFFUSION_RESPACE(o, " (default: 100, or all)"),
    {"sampler", 0, .s = &o.sampler, .choices = "ddpm|small|large|ddim", .keep = KEEP_NOT,
     .only = "sample eval",
     .help = "ancestral sampling with the model's variance or a fixed one, or DDIM"},
    DIFFUSION_ETA(o),
    DIFFUSION_CLASS(o, ""),
    DIFFUSION_SAMPLES(o),
    {"bound", 0, .i = &o.bound, .min = 0, .max = 10000, .meta = "N", .keep = KEEP_NOT,
     .only = "eval", .help = "test images for the likelihood bound; 0: none"},
    {"inverted", 0, .i = &o.inverted, .min = 0, .max = 64, .meta = "N", .keep = KEEP_NOT,
     .only = "eval", .help = "test images for DDIM inversion; 0: none"},
    {"bound-respace", 0, .s = &o.bound_respace, .meta = "STEPS", .keep = KEEP_NOT, .only = "eval",
     .help = "evaluate the bound of a shorter chain, as --respace (default: all steps)"},
    {0}};

/* the paper's settings for CIFAR-10 and ImageNet, its numbers of steps included */
#define PAPER "lr=0.0001 warmup=0 batch=128 timesteps=4000 "
static const Preset presets[] = {{"cifar10", PAPER "dropout=0.3 steps=500000"},
                                 {"imagenet64", PAPER "steps=1500000"},
                                 {"imagenet64-cond", "timesteps=4000"},
                                 {"lsun", "schedule=linear timesteps=1000"},
                                 {0}};

static int train(void), sample(void), eval(void), info(void);
static Cli cli = {.program = "iddpm",
                  .about = "Improved denoising diffusion: a learned variance, fewer steps.",
                  .common = &o.common,
                  .commands = (const Command[]){STANDARD_COMMANDS, {0}},
                  .options = options,
                  .presets = presets};

enum { SIDE = 28, PIXELS = SIDE * SIDE, COLUMNS = 8, ROWS = 4 };

/* ---- the model ------------------------------------------------------------------------------- */

/* --config, --classes, --width, --dropout */
static ModelConfig chosen_config(void) {
    ModelConfig c = model_config(o.common.config);
    if (o.classes) c.classes = o.classes;
    if (o.width % c.unet.style.groups)
        usage_error("--width %d: groups of channels are normalised; a multiple of %d", o.width,
                    c.unet.style.groups);
    if (o.width) c.unet.width = o.width;
    c.unet.style.dropout = o.dropout;
    return c;
}

static ClassUNet network_new(Params *p) {
    ModelConfig c = chosen_config();
    return class_unet_new(p, c.unet, c.classes);
}

/* Train and eval refuse networks for colour pictures: their data are 28x28 and grey. */
static void check_config(void) {
    if (chosen_config().unet.in != 1)
        usage_error("--config %s: a network for colour pictures of another size; info counts it, "
                    "sample draws with official weights, train takes default", o.common.config);
}

static Variance variance_named(const char *name) {
    if (!strcmp(name, "small")) return FIXED_SMALL;
    return !strcmp(name, "large") ? FIXED_LARGE : LEARNED_RANGE;
}

static Objective chosen_objective(void) {
    if (!strcmp(o.objective, "simple")) return SIMPLE;
    return !strcmp(o.objective, "vlb") ? VLB : HYBRID;
}

/* ---- its chain ------------------------------------------------------------------------------- */

/* --schedule, --timesteps; the network is told the step out of 1000, whatever their number, but for
 * the authors' imagenet64-cond (--rescale_timesteps False) */
static NoiseSchedule chosen_chain(void) {
    bool cosine = !strcmp(o.schedule, "cosine");
    if (!cosine && o.timesteps <= 20)
        usage_error("--timesteps %d: too few for --schedule linear, whose last beta is 20 / T",
                    o.timesteps);
    NoiseSchedule s = cosine ? schedule_cosine(o.timesteps) : scaled_linear(o.timesteps);
    if (strcmp(o.common.config, "imagenet64-cond")) schedule_rescale_time(&s);
    return s;
}

/* the steps of --respace; without it 100, or all if there are no more */
static NoiseSchedule sampling_chain(const NoiseSchedule *all) {
    const char *usual = o.timesteps > 100 ? "100" : NULL;
    return respaced(all, "respace", o.respace ? o.respace : usual, FROM_NOISE);
}

/* ---- data and pictures ----------------------------------------------------------------------- */

static Fashion load_data(void) {
    Fashion data = fashion_load_unlabelled(o.common.data, 10, SCORE_MINIMUM);
    if (o.classes && data.classes != o.classes)
        fail("%s: pictures of %d classes, but the network is conditioned on one of %d (--classes)",
             o.common.data ? o.common.data : FASHION_FOLDER, data.classes, o.classes);
    return data;
}

static Grid grid(int count, int columns) {
    ModelConfig c = chosen_config();
    return (Grid){.count = count, .height = c.side, .width = c.side, .channels = c.unet.in,
                  .columns = columns, .enlarge = c.side < 128 ? 2 : 1, .low = -1, .high = 1};
}

/* The class of each of n pictures: --class, or all in turn; NULL without classes. */
static const int *wanted_classes(Arena *arena, int n) {
    int classes = chosen_config().classes;
    return classes ? labels_in_turn(arena, n, o.class, classes) : NULL;
}

/* the variance that --sampler says */
static Variance sampling_variance(void) {
    bool own = !strcmp(o.sampler, "ddim") || !strcmp(o.sampler, "ddpm");
    return variance_named(own ? o.variance : o.sampler);
}

/* as --sampler and --eta say */
static Sampler sampler_of(const Denoiser *d, const NoiseSchedule *chain) {
    bool ddim = !strcmp(o.sampler, "ddim");
    ModelConfig c = chosen_config();
    return (Sampler){.denoiser = d, .schedule = chain, .method = ddim ? DDIM : ANCESTRAL,
                     .eta = o.eta, .height = c.side, .width = c.side, .channels = c.unet.in,
                     .seed = o.common.seed};
}

/* ---- train ----------------------------------------------------------------------------------- */

/* Ends the program with one line where options contradict each other. */
static void check_settings(void) {
    bool simple = !strcmp(o.objective, "simple"), learned = !strcmp(o.variance, "learned");
    NoiseSchedule s = chosen_chain();
    schedule_free(&s);
    check_config();
    if (simple && learned)
        usage_error("--objective simple trains no variance: it needs --variance small or large");
    if (o.preview == 1)
        usage_error("--preview 1: one step draws no picture; 2 or more do, 0 is none");
    if (!strcmp(o.objective, "hybrid") && !learned)
        usage_error("--objective hybrid is simple and, for a learned variance alone, the bound: "
                    "it needs --variance learned");
}

/* what is trained; of one batch, times and their weights, and the losses of each picture */
typedef struct {
    ClassUNet net;
    NoiseSchedule chain;
    Objective objective;
    Parameterization parameterization;
    bool importance;
    LossSampler sampler;                /* unless times are uniform */
    Loader *loader;
    int *t;
    double *weight, *loss, *mse, *bits;
} Training;

static bool draws_by_importance(void) {
    return strcmp(o.times, "auto") ? !strcmp(o.times, "importance") : chosen_objective() == VLB;
}

static Training training_new(Run *run, Params *params, const Images *set) {
    Training m = {.net = network_new(params), .chain = chosen_chain(),
                  .objective = chosen_objective(), .loader = run_loader(run, set),
                  .parameterization = {PREDICT_NOISE, variance_named(o.variance)}};
    size_t B = (size_t)m.loader->size;
    m.importance = draws_by_importance();
    m.t = arena_get(&run->arena, B * sizeof *m.t);
    double **of_each[] = {&m.weight, &m.loss, &m.mse, &m.bits};
    for (int k = 0; k < 4; k++)
        *of_each[k] = arena_get(&run->arena, B * sizeof **of_each[k]);
    return m;
}

static void draw_times(Training *m, Rng *times) {
    if (m->importance) {
        draw_timesteps(&m->sampler, times, m->loader->size, m->t, m->weight);
        return;
    }
    for (int b = 0; b < m->loader->size; b++) {
        m->t[b] = (int)rng_below(times, (uint32_t)o.timesteps);
        m->weight[b] = 1;
    }
}

/* n pictures of the batch from `first` on: their part of the gradient of its mean weighted loss */
static void add_gradient(Training *m, Tape *tape, Rng *noise, int first, int n) {
    const Loader *l = m->loader;
    tape_reset(tape);
    Tensor *x0 = t_input(tape, NULL, SHAPE(n, SIDE, SIDE, 1));
    Tensor *w = t_input(tape, NULL, SHAPE(n, 1));
    images_get(l->images, n, l->index + first, -1, 1, x0->x, NULL);
    for (int b = 0; b < n; b++) w->x[b] = (real)(m->weight[first + b] / l->size);
    NoisyImages batch = noisy_images(&m->chain, x0, m->t + first, noise);
    Tensor *output = class_unet(&m->net, batch.xt, batch.time, l->labels + first);
    Losses loss = training_losses(&batch, m->objective, m->parameterization, output);
    for (int b = 0; b < n; b++) {
        m->loss[first + b] = (double)loss.each->x[b];
        m->mse[first + b] = (double)loss.mse->x[b];
        m->bits[first + b] = loss.bits ? (double)loss.bits->x[b] : 0;
    }
    backward(t_sum(t_mul(loss.each, w)));
}

/* The weighted mean over all times, and the plain means of each quarter of them. */
static void log_losses(const Training *m, Run *run) {
    int B = m->loader->size, T = o.timesteps;
    double loss = 0, bits = 0;
    for (int b = 0; b < B; b++) {
        loss += m->weight[b] * m->loss[b] / B;
        bits += m->weight[b] * m->bits[b] / B * T;
    }
    log_by_quarter(run, "quarter", T, B, m->t, m->mse);
    run_value(run, "loss", loss);
    if (m->objective != SIMPLE) run_value(run, "bits", bits);
}

/* Mean over validation images, each at its own time: without weights of the squared error of eps,
 * with them of the bound's weighted terms in bits per dimension. */
static double validation_mean(const Training *m, const Images *set, const int *t,
                              const double *weight, int n) {
    Validation v = {.schedule = &m->chain, .images = set, .n = n, .t = t};
    double sum = 0, bits[VALIDATION_BATCH];
    while (validation_next(&v)) {
        Tensor *output = class_unet(&m->net, v.batch.xt, v.batch.time, v.labels);
        if (weight) {
            clipped_bound(&v.batch, m->parameterization, output, bits);
            for (int b = 0; b < v.B; b++) sum += weight[v.first + b] * bits[b];
        } else {
            Tensor *mse = training_losses(&v.batch, SIMPLE, m->parameterization, output).mse;
            sum += k_sum(mse->len, mse->x);
        }
    }
    validation_free(&v);
    return sum / n;
}

static void validate(const Training *m, Run *run, const Images *set) {
    enum { HELD_OUT = 256 };
    int n = set->count < HELD_OUT ? set->count : HELD_OUT, even[HELD_OUT], early[HELD_OUT];
    double weight[HELD_OUT];
    even_timesteps(o.timesteps, n, even);
    early_timesteps(o.timesteps, n, early, weight);
    run_value(run, "validation", validation_mean(m, set, even, NULL, n));
    run_value(run, "validation_bits", validation_mean(m, set, early, weight, n) * o.timesteps);
}

/* a few pictures in a few steps, to see how far the training is */
static void save_preview(const Training *m, char *path) {
    Arena arena = {0};
    int n = o.classes ? ROWS * o.classes : ROWS * COLUMNS;
    NoiseSchedule few = schedule_respaced_to(&m->chain, "", o.preview < o.timesteps ? o.preview
                                                                                    : o.timesteps);
    Labelled model = {&m->net, wanted_classes(&arena, n)};
    LabelledDenoiser d;
    Sampler sampler = sampler_of(clipped_labelled(&d, model, sampling_variance()), &few);
    draw_preview(&cli, &sampler, path, grid(n, n / ROWS));
    sampler_free(&sampler);
    schedule_free(&few);
    arena_free(&arena);
}

/* The batch goes through the network in two halves, whose gradients are added: gradient_noise needs
 * that of one half, and it takes half the memory. Images are not mirrored: all shoes point the same
 * way. */
static int train(void) {
    if (!o.common.resume) check_settings();     /* else the checkpoint has them */
    Run *run = run_start(&cli, (RunSettings){
        .columns = "loss,bits,quarter_1,quarter_2,quarter_3,quarter_4,gradient,signal,noise,"
                   "validation,validation_bits",
        .log_every = 10,
        .whole_batch = draws_by_importance() ? "times are drawn by the losses of the batches before"
                                             : NULL});
    Fashion data = load_data();
    run_fashion(run, &data);
    Params *params = run_params(run, "");
    Training m = training_new(run, params, &data.train);
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    adam->clip = o.clip;
    run_ema(run, adam, o.ema);
    Rng *noise = run_rng(run, "noise"), *times = run_rng(run, "times");
    run->tape.dropout = run_rng(run, "dropout");
    if (m.importance) loss_sampler_start(&m.sampler, o.timesteps);
    if (m.importance) run_state(run, "times.", &m.sampler.state);
    int B = m.loader->size, half = (B + 1) / 2;
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        loader_next(m.loader);
        draw_times(&m, times);
        add_gradient(&m, &run->tape, noise, 0, half);
        double small = grad_norm(params) * B / half;
        if (half < B) add_gradient(&m, &run->tape, noise, half, B - half);
        double norm = grad_norm(params);
        log_losses(&m, run);
        run_value(run, "gradient", norm);
        if (half < B) {
            GradientNoise g = gradient_noise(half, small * small, B, norm * norm);
            run_value(run, "signal", g.signal), run_value(run, "noise", g.noise);
        }
        if (m.importance) loss_sampler_update(&m.sampler, B, m.t, m.loss);
        optimizer_step(adam, o.common.lr * lr_warmup(run->step, o.warmup));
        if (run_every(run, 250)) validate(&m, run, &data.validation);
        if (run_saves(run) && o.preview) save_preview(&m, run_path(run, "samples.png"));
    }
    if (m.importance) loss_sampler_free(&m.sampler);
    schedule_free(&m.chain);
    fashion_free(&data);
    return run_finish(run);
}

/* ---- sample ---------------------------------------------------------------------------------- */

/* the network that --weights (or the run in --out) holds, with its options */
static ClassUNet load_network(Params *params) {
    if (strcmp(o.sampler, "ddim")) cli_refuse(&cli, "eta", "--sampler ddim");
    weights_options(&cli);
    ModelConfig c = chosen_config();
    if (o.class >= c.classes && cli_given(&cli, "class"))
        usage_error("--class %d: %s is conditioned on one of %d classes", o.class,
                    weights_path(&cli), c.classes);
    ClassUNet net = class_unet_new(params, c.unet, c.classes);
    UNetOfficial names = {.config = c.unet};
    weights_load_any(&cli, &(OfficialMap){.rows = class_unet_official, .locate = unet_official,
                                          .design = &names}, params);
    return net;
}

static int sample(void) {
    Params params = {0};
    ClassUNet net = load_network(&params);
    Arena arena = {0};
    NoiseSchedule all = chosen_chain(), chain = sampling_chain(&all);
    Labelled model = {&net, wanted_classes(&arena, o.pictures)};
    LabelledDenoiser d;
    Sampler m = sampler_of(clipped_labelled(&d, model, sampling_variance()), &chain);
    int classes = chosen_config().classes;
    bool class_a_column = classes && classes <= 16 && o.class < 0;
    Grid g = grid(0, class_a_column ? classes : COLUMNS);
    if (class_a_column && m.height == SIDE && !o.common.data) g.column_labels = FASHION_LABELS;
    draw_samples(&cli, &m, o.pictures, g);
    sampler_free(&m);
    schedule_free(&all), schedule_free(&chain);
    arena_free(&arena);
    params_free(&params);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* schedule.csv: what is left of the picture's variance, and how far beta~ is from beta, for chains
 * of several lengths */
static void save_schedules(void) {
    static const int lengths[] = {30, 100, 1000};
    char *path = path_join(o.common.out, "schedule.csv");
    AtomicFile f = file_create(path);
    fprintf(f.stream, "schedule,T,t,alpha_bar,variance_ratio\n");
    for (int cosine = 0; cosine < 2; cosine++)
        for (int k = 0; k < 3; k++) {
            int T = lengths[k];
            NoiseSchedule s = cosine ? schedule_cosine(T) : scaled_linear(T);
            for (int t = 0; t < T; t++)
                fprintf(f.stream, "%s,%d,%d,%.6g,%.6g\n", cosine ? "cosine" : "linear", T, t,
                        s.alpha_bar[t], s.posterior_variance[t] / s.beta[t]);
            schedule_free(&s);
        }
    file_commit(&f);
    free(path);
}

/* forward.png: an image at rising t, with the same noise; linear above, cosine below */
static void save_forward(const Images *set) {
    enum { MOMENTS = 10 };
    static real x0[PIXELS], eps[PIXELS], images[2 * MOMENTS * PIXELS];
    char *captions[2 * MOMENTS];
    images_get(set, 1, NULL, -1, 1, x0, NULL);
    sampling_noise(1, 0, X_T, PIXELS, eps);
    for (int cosine = 0; cosine < 2; cosine++) {
        NoiseSchedule s = cosine ? schedule_cosine(1000) : scaled_linear(1000);
        for (int k = 0; k < MOMENTS; k++) {
            int t = (s.T - 1) * k / (MOMENTS - 1), cell = cosine * MOMENTS + k;
            q_sample(&s, t, PIXELS, x0, eps, images + cell * PIXELS);
            captions[cell] = text_format("t = %d", t + 1);
        }
        schedule_free(&s);
    }
    Grid g = grid(2 * MOMENTS, MOMENTS);
    g.captions = (const char *const *)captions;
    g.row_labels = "linear|cosine";
    save_grid(&cli, path_join(o.common.out, "forward.png"), images, g);
    for (int k = 0; k < 2 * MOMENTS; k++) free(captions[k]);
}

/* the bound of --bound test images in the steps of --bound-respace: bound.csv has the terms */
static void report_bounds(const ClassUNet *net, const NoiseSchedule *s, const Images *set,
                          cJSON *metrics) {
    static const char *const names[BOUND_VARIANCES] = {"bits_per_dimension", "bits_small",
                                                       "bits_large"};
    Arena arena = {0};
    int n = o.bound < set->count ? o.bound : set->count;
    int *label = arena_get(&arena, (size_t)n * sizeof *label);
    const real *x0 = images_new(&arena, set, n, -1, 1, label);
    LabelledDenoiser d;
    Sampler m = sampler_of(clipped_labelled(&d, (Labelled){net, label}, variance_named(o.variance)),
                           s);
    Bound b = report_bound(&cli, &m, n, x0, true);
    json_number(metrics, "bound_images", n);
    json_number(metrics, "bound_steps", s->T);
    for (int k = 0; k < BOUND_VARIANCES; k++) json_number(metrics, names[k], b.bits[k]);
    json_number(metrics, "prior_bits_per_dimension", b.prior);
    if (!o.common.quiet)
        printf("at most %.3f bits per dimension (with beta~ %.3f, with beta %.3f), %d test images, "
               "%d steps\n", b.bits[BOUND_MODEL], b.bits[BOUND_SMALL], b.bits[BOUND_LARGE], n,
               s->T);
    sampler_free(&m);
    arena_free(&arena);
}

/* inversion.png and .csv of --inverted test images */
static void save_inversion(const ClassUNet *net, const NoiseSchedule *s, const Images *set) {
    Arena arena = {0};
    int n = o.inverted < set->count ? o.inverted : set->count;
    int *label = arena_get(&arena, (size_t)n * sizeof *label);
    const real *x0 = images_new(&arena, set, n, -1, 1, label);
    LabelledDenoiser d;
    Sampler m = sampler_of(clipped_labelled(&d, (Labelled){net, label}, sampling_variance()), s);
    m.method = DDIM, m.eta = 0;
    invert_images(&cli, &m, n, x0, grid(0, 0));
    sampler_free(&m);
    arena_free(&arena);
}

static void report_images(const ClassUNet *net, const NoiseSchedule *s, int n,
                          const Evaluator *evaluator, cJSON *metrics) {
    Arena arena = {0};
    Labelled model = {net, wanted_classes(&arena, n)};
    LabelledDenoiser d;
    Sampler m = sampler_of(clipped_labelled(&d, model, sampling_variance()), s);
    json_text(metrics, "sampler", o.sampler);
    json_number(metrics, "eta", o.eta);
    report_drawn(&cli, evaluator, &m, n, model.label, metrics);
    sampler_free(&m);
    arena_free(&arena);
}

static int eval(void) {
    Params params = {0};
    ClassUNet net = load_network(&params);
    check_config();
    NoiseSchedule all = chosen_chain(), chain = sampling_chain(&all);
    NoiseSchedule bounded = respaced(&all, "bound-respace", o.bound_respace, FROM_ANYWHERE);
    Fashion data = load_data();
    Evaluator evaluator = report_evaluator(&data);
    cJSON *metrics = metrics_new(&cli);
    json_number(metrics, "parameters", (double)params_count(&params));
    folder_create(o.common.out);
    save_schedules();
    save_forward(&data.test);
    if (o.bound) {
        report_bounds(&net, &bounded, &data.test, metrics);
        metrics_keep(&cli, metrics);
    }
    if (o.inverted) save_inversion(&net, &all, &data.test);
    report_images(&net, &chain, score_count(&data, o.samples), &evaluator, metrics);
    metrics_save(&cli, metrics);
    schedule_free(&all), schedule_free(&chain), schedule_free(&bounded);
    evaluator_free(&evaluator);
    fashion_free(&data);
    params_free(&params);
    return 0;
}

static int info(void) {
    Params params = {.shapes_only = true};
    network_new(&params);
    return info_network(&params);
}

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
