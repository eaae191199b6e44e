/* guidance — train, sample from and evaluate a diffusion model and the noisy classifier that steers
 * it, on Fashion-MNIST. Training has two stages, each a run of its own in the same folder:
 * diffusion, classifier. */
#include "base/error.h"
#include "diffusion/drawing.h"
#include "experiments/classifier_views.h"
#include "image_guide.h"
#include "io/npy.h"
#include "train/diffusion_options.h"
#include "train/draw_samples.h"
#include "train/report.h"
#include "training.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    CommonOptions common;
    int classes;
    const char *stage;
    /* the diffusion network */
    bool conditional;
    int width, blocks, head_channels;
    const char *attention, *resampling, *embedding;
    /* training */
    int warmup, preview, classifier_steps, classifier_batch;
    double clip, ema, dropout, classifier_lr, weight_decay;
    /* use */
    const char *classifier, *guide, *respace, *sampler, *low_res;
    double scale, eta;
    int pictures, class, samples, reference;
} o = {
    .common = {COMMON_DEFAULTS("guidance"), .steps = 8000, .batch = 32, .lr = 5e-4},
    .classes = 10,
    .stage = "all",
    .width = 32,
    .blocks = 1,
    .head_channels = 16,
    .attention = "14,7",
    .resampling = "resblock",
    .embedding = "scale-shift",
    .warmup = 500,
    .preview = 50,
    .classifier_steps = 4000,
    .classifier_batch = 64,
    .clip = 1,
    .ema = 0.9999,
    .classifier_lr = 1e-3,
    .weight_decay = 0.05,
    .guide = "class",
    .sampler = "ancestral",
    .pictures = 80,
    .class = -1,
    .samples = 1000,
};

/* The file of the classifier's weights keeps the options before "stage", the diffusion network's
 * all. */
static Option options[] = {
    COMMON_OPTIONS(o.common, "default|imagenet64|imagenet128|imagenet256|imagenet256-uncond|"
                             "imagenet512|upsample256|upsample512"),
    {"classes", 0, .i = &o.classes, .min = 2, .max = 256, .meta = "N", .keep = KEEP_MODEL,
     .help = "classes of the data; Fashion-MNIST has 10"},
    {"stage", 0, .s = &o.stage, .choices = "all|diffusion|classifier", .keep = KEEP_NOT,
     .only = "train", .help = "stage to train"},
    {"conditional", 0, .b = &o.conditional, .keep = KEEP_MODEL,
     .help = "condition the diffusion network on the class"},
    {"width", 0, .i = &o.width, .min = 32, .max = 512, .multiple = 32, .meta = "N",
     .keep = KEEP_MODEL, .help = "channels at 28x28, a multiple of 32; twice as many below"},
    {"blocks", 0, .i = &o.blocks, .min = 1, .max = 8, .meta = "N", .keep = KEEP_MODEL,
     .help = "residual blocks per resolution going down; one more going up"},
    {"head-channels", 0, .i = &o.head_channels, .min = 4, .max = 1024, .meta = "N",
     .keep = KEEP_MODEL, .help = "channels per attention head"},
    {"attention", 0, .s = &o.attention, .choices = "none|7|14,7", .keep = KEEP_MODEL,
     .help = "resolutions with attention"},
    {"resampling", 0, .s = &o.resampling, .choices = "conv|resblock", .keep = KEEP_MODEL,
     .help = "down- and upsampling by convolutions, or by BigGAN's residual blocks"},
    {"embedding", 0, .s = &o.embedding, .choices = "add|scale-shift", .keep = KEEP_MODEL,
     .help = "how time and class enter a block; scale-shift: adaptive group normalisation"},
    DIFFUSION_TRAINING(o, TIMESTEPS),
    STAGE_STEPS("classifier-steps", o.classifier_steps,
                "training steps of the classifier; --steps are the diffusion network's"),
    STAGE_BATCH("classifier-batch", o.classifier_batch, "classifier's images in a batch"),
    STAGE_LR("classifier-lr", o.classifier_lr,
             "initial learning rate of the classifier; decays linearly to 0"),
    {"weight-decay", 0, .d = &o.weight_decay, .min = 0, .max = 1e3, .meta = "X", .only = "train",
     .help = "weight decay of the classifier's AdamW"},
    {"classifier", 0, .s = &o.classifier, .meta = "FILE", .keep = KEEP_NOT, .only = "sample eval",
     .help = "weights of the classifier (default: classifier-weights.safetensors beside "
             "--weights)"},
    {"scale", 0, .d = &o.scale, .min = 0, .max = 1e6, .meta = "S", .keep = KEEP_NOT,
     .only = "sample eval", .help = "guidance scale; 0: no guidance"},
    {"guide", 0, .s = &o.guide, .choices = "class|pixels|features|style", .keep = KEEP_NOT,
     .only = "sample",
     .help = "what guidance raises: log p(class), or similarity to reference images"},
    {"reference", 0, .i = &o.reference, .min = 0, .max = 9999, .meta = "N", .keep = KEEP_NOT,
     .only = "sample", .help = "index of the first reference among the test images"},
    DIFFUSION_RESPACE(o, " (default: 100; ddim25 for ddim)"),
    {"sampler", 0, .s = &o.sampler, .choices = "ancestral|ddim", .keep = KEEP_NOT,
     .only = "sample eval", .help = "ancestral sampling (algorithm 1) or DDIM (algorithm 2)"},
    DIFFUSION_ETA(o),
    DIFFUSION_CLASS(o, ""),
    {"low-res", 0, .s = &o.low_res, .meta = "FILE", .keep = KEEP_NOT, .only = "sample",
     .help = "samples.npy with the images that an upsampler enlarges; of the same --class"},
    DIFFUSION_SAMPLES(o),
    {0}};

static int train(void), sample(void), eval(void), info(void);
static Cli cli = {.program = "guidance",
                  .about = "Classifier guidance (Dhariwal & Nichol 2021).",
                  .common = &o.common,
                  .commands = (const Command[]){STANDARD_COMMANDS, {0}},
                  .options = options};

enum { COLUMNS = 8, ROWS = 4 };

/* ---- networks as the options describe them --------------------------------------------------- */

static bool is_default(void) { return !strcmp(o.common.config, "default"); }

static ModelConfig chosen_config(void) {
    ModelConfig c = model_config(o.common.config);
    UNetConfig *u = &c.unet;
    u->style.dropout = o.dropout;
    if (!is_default()) {
        cli_refuse(&cli, "conditional classes width blocks head-channels attention resampling "
                   "embedding", "--config default");
        return c;
    }
    c.classes = o.conditional ? o.classes : 0;
    u->width = o.width, u->blocks = o.blocks, u->head_channels = o.head_channels;
    if (2 * o.width % o.head_channels)
        usage_error("--head-channels %d: %d channels do not split into such heads",
                    o.head_channels, 2 * o.width);
    u->attends[1] = !strcmp(o.attention, "14,7");
    u->attends[2] = strcmp(o.attention, "none");
    u->resampling = strcmp(o.resampling, "conv") ? RESAMPLE_RESBLOCK : RESAMPLE_CONV;
    u->style.scale_shift = strcmp(o.embedding, "add");
    return c;
}

static UNetConfig chosen_classifier(void) {
    UNetConfig c = classifier_config(o.common.config);
    if (is_default()) c.out = o.classes;
    return c;
}

static ClassUNet network_new(Params *p) {
    ModelConfig c = chosen_config();
    return class_unet_new(p, c.unet, c.classes);
}

/* how many classes pictures are drawn of */
static int wanted_classes(void) { return is_default() ? o.classes : 1000; }

/* ---- data and pictures ----------------------------------------------------------------------- */

/* Train and eval refuse networks that 28x28 grey pictures do not fit. */
static Fashion load_data(void) {
    if (!is_default())
        usage_error("--config %s: a network for colour pictures of another size; info counts it, "
                    "sample draws with official weights, train and eval take default",
                    o.common.config);
    Fashion data = fashion_load_unlabelled(o.common.data, 10, SCORE_MINIMUM);
    bool labelled = strcmp(o.stage, "diffusion") || o.conditional;
    if (labelled && data.classes != o.classes)
        fail("%s: pictures of %d classes, but the networks are for %d (--classes)",
             o.common.data ? o.common.data : FASHION_FOLDER, data.classes, o.classes);
    return data;
}

static Grid grid(int count, int columns) {
    ModelConfig c = chosen_config();
    return (Grid){.count = count, .height = c.side, .width = c.side,
                  .channels = is_default() ? 1 : 3, .columns = columns,
                  .enlarge = c.side < 128 ? 2 : 1, .low = -1, .high = 1};
}

/* which class each of n pictures is to be */
static int *labels_new(Arena *arena, int n) {
    return labels_in_turn(arena, n, o.class, wanted_classes());
}

/* is a class drawn that was asked for? */
static bool by_class(void) { return chosen_config().classes || o.scale > 0; }

/* a sheet class by class, if there are few */
static Grid sheet(void) {
    bool all = wanted_classes() <= 16 && o.class < 0;
    Grid g = grid(0, all ? wanted_classes() : COLUMNS);
    if (all && by_class() && !o.common.data) g.column_labels = FASHION_LABELS;
    return g;
}

static Sampler sampler_of(const Denoiser *d, const NoiseSchedule *chain) {
    bool ddim = !strcmp(o.sampler, "ddim");
    Grid g = grid(0, 0);
    return (Sampler){.denoiser = d, .schedule = chain, .method = ddim ? DDIM : ANCESTRAL,
                     .eta = o.eta, .height = g.height, .width = g.width, .channels = g.channels,
                     .seed = o.common.seed};
}

/* ---- train: the diffusion network ------------------------------------------------------------ */

/* a few pictures in a few steps, without guidance, to see how far the training is */
static void save_preview(const ClassUNet *net, const NoiseSchedule *all, char *path) {
    Arena arena = {0};
    int columns = o.conditional ? o.classes : COLUMNS, n = ROWS * columns;
    NoiseSchedule few = schedule_respaced_to(all, "", o.preview);
    Labelled model = {net, labels_new(&arena, n)};
    LabelledDenoiser d;
    Sampler sampler = sampler_of(clipped_labelled(&d, model, LEARNED_RANGE), &few);
    draw_preview(&cli, &sampler, path, grid(n, columns));
    sampler_free(&sampler);
    schedule_free(&few);
    arena_free(&arena);
}

static int train_diffusion(void) {
    Run *run = run_start(&cli, (RunSettings){
        .columns = "loss,bits,quarter_1,quarter_2,quarter_3,quarter_4,validation",
        .log_every = 10, .stage = "diffusion"});
    Fashion data = load_data();
    run_fashion(run, &data);
    ModelConfig c = chosen_config();
    NoiseSchedule schedule = model_schedule(&c);
    Params *params = run_params(run, "");
    ClassUNet net = network_new(params);
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    adam->clip = o.clip;
    run_ema(run, adam, o.ema);
    Loader *loader = run_loader(run, &data.train);
    Rng *noise = run_rng(run, "noise"), *times = run_rng(run, "times");
    run->tape.dropout = run_rng(run, "dropout");
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        Arena *arena = &run->tape.arena;
        Tensor *x0 = loader_images(loader, &run->tape, -1, 1);
        int *t = uniform_timesteps(arena, times, TIMESTEPS, loader->size);
        NoisyImages batch = noisy_images(&schedule, x0, t, noise);
        Losses loss = diffusion_losses(&net, &batch, loader->labels);
        Tensor *mean = t_mean(loss.each);
        run_log(run, "loss", mean);
        run_value(run, "bits", TIMESTEPS * k_sum(loss.bits->len, loss.bits->x) / loader->size);
        double *error = arena_get(arena, (size_t)loader->size * sizeof *error);
        for (int b = 0; b < loader->size; b++) error[b] = (double)loss.mse->x[b];
        log_by_quarter(run, "quarter", TIMESTEPS, loader->size, t, error);
        minimise(adam, mean, o.common.lr * lr_warmup(run->step, o.warmup));
        if (run_every(run, 250))
            run_value(run, "validation", validation_error(&net, &schedule, &data.validation));
        if (run_saves(run) && o.preview)
            save_preview(&net, &schedule, run_path(run, "samples.png"));
    }
    schedule_free(&schedule);
    fashion_free(&data);
    return run_finish(run);
}

/* ---- train: the classifier ------------------------------------------------------------------- */

static int train_classifier(void) {
    Run *run = run_start(&cli, (RunSettings){
        .columns = "loss,accuracy,quarter_1,quarter_2,quarter_3,quarter_4,validation,"
                   "validation_1,validation_2,validation_3,validation_4",
        .log_every = 10, .stage = "classifier", .steps = &o.classifier_steps});
    Fashion data = load_data();
    run_fashion(run, &data);
    ModelConfig c = chosen_config();
    NoiseSchedule schedule = model_schedule(&c);
    Params *params = run_params(run, "");
    NoisyClassifier net = noisy_classifier_new(params, chosen_classifier(), c.side);
    Optimizer *adam = run_adam(run, "adam", params,
                               (Adam){ADAM_DEFAULTS, .weight_decay = o.weight_decay});
    Loader *loader = run_order(run, data.train.count, run_part(run, o.classifier_batch));
    loader->images = &data.train;
    Rng *noise = run_rng(run, "noise"), *times = run_rng(run, "times");
    Cli remembered = cli_before(&cli, "stage");
    run_weights(run, (Weights){.cli = &remembered, .params = {{"", params}}});
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        Arena *arena = &run->tape.arena;
        Tensor *x0 = loader_images(loader, &run->tape, -1, 1);
        int *t = uniform_timesteps(arena, times, TIMESTEPS, loader->size);
        NoisyImages batch = noisy_images(&schedule, x0, t, noise);
        Tensor *logits = class_logits(&net, batch.xt, batch.time);
        double *right = arena_get(arena, (size_t)loader->size * sizeof *right);
        class_is_right(logits, loader->labels, right);
        Tensor *loss = t_cross_entropy(logits, loader->labels);
        run_log(run, "loss", loss);
        for (int b = 0; b < loader->size; b++) run_value(run, "accuracy", right[b]);
        log_by_quarter(run, "quarter", TIMESTEPS, loader->size, t, right);
        minimise(adam, loss, o.classifier_lr * lr_linear(run->step, 100, o.classifier_steps));
        if (run_every(run, 250)) log_validation_accuracy(run, &net, &schedule, &data.validation);
    }
    schedule_free(&schedule);
    fashion_free(&data);
    return run_finish(run);
}

static int train(void) {
    bool all = !strcmp(o.stage, "all");
    int status = 0;
    chosen_config();                            /* what contradicts itself is said at once */
    if (o.preview == 1)
        usage_error("--preview 1: 0, or 2 steps and more");
    if (!strcmp(o.stage, "classifier")) cli_refuse(&cli, "steps batch lr", "--stage diffusion");
    if (all || !strcmp(o.stage, "diffusion")) status = train_diffusion();
    if (!status && (all || !strcmp(o.stage, "classifier"))) status = train_classifier();
    return status;
}

/* ---- what sample and eval load --------------------------------------------------------------- */

typedef struct {
    ModelConfig config;
    NoiseSchedule all, chain;               /* of training; the steps of --respace */
    Params params, classifier_params;
    ClassUNet net;
    NoisyClassifier classifier;             /* with --scale */
    /* around each other: network, clipped, guided */
    Labelled labelled;
    Enlarging enlarging;
    NetworkDenoiser network;
    ClippedDenoiser clipped;
    ClassGuide class_guide;
    ImageGuide image_guide;
    ScoreGuidance guided;
    Tape tape;                              /* the guide's */
    Arena arena;
} Trained;

/* DIR/classifier-weights.safetensors of --weights DIR/..., unless --classifier says otherwise */
static char *classifier_path(void) {
    return o.classifier ? text_format("%s", o.classifier)
                        : stage_weights_path(&cli, "classifier", "diffusion");
}

static void load_classifier(Trained *t) {
    Cli remembered = cli_before(&cli, "stage");
    const char *config = o.common.config;
    int classes = o.classes;
    char *path = classifier_path();
    if (t->config.low_side) usage_error("--scale: %s is not guided; its input is", config);
    checkpoint_options(path, &remembered, false);
    if (strcmp(config, o.common.config) || classes != o.classes)
        fail("%s: a classifier of %d classes for --config %s; the diffusion network is %s, %d",
             path, o.classes, o.common.config, config, classes);
    UNetConfig c = chosen_classifier();
    t->classifier = noisy_classifier_new(&t->classifier_params, c, t->config.side);
    UNetOfficial names = {.config = c};
    weights_load_file(&cli, path, &(OfficialMap){.rows = class_unet_official,
                                                 .locate = unet_official, .design = &names},
                      &t->classifier_params);
    params_freeze(&t->classifier_params, true);
    free(path);
}

static NoiseSchedule sampling_chain(const NoiseSchedule *all) {
    const char *usual = strcmp(o.sampler, "ddim") ? "100" : "ddim25";
    return respaced(all, "respace", o.respace ? o.respace : usual, FROM_NOISE);
}

static void load_network(Trained *t) {
    if (strcmp(o.sampler, "ddim")) cli_refuse(&cli, "eta", "--sampler ddim");
    if (!o.common.weights)
        o.common.weights = arena_text(&t->arena, "%s/diffusion-weights.safetensors", o.common.out);
    weights_options(&cli);
    ModelConfig c = t->config = chosen_config();
    if (o.class >= wanted_classes())
        usage_error("--class %d: %s is for %d classes", o.class, o.common.weights,
                    wanted_classes());
    if (o.class >= 0 && !by_class())
        usage_error("--class %d: %s was trained without classes; with --scale above 0 the "
                    "classifier steers it to one", o.class, o.common.weights);
    t->net = network_new(&t->params);
    UNetOfficial names = {.config = c.unet, .qkv_first = c.qkv_first};
    weights_load_any(&cli, &(OfficialMap){.rows = class_unet_official, .locate = unet_official,
                                          .design = &names}, &t->params);
    t->all = model_schedule(&c);
    t->chain = sampling_chain(&t->all);
    if (o.scale > 0) load_classifier(t);
}

/* the network of these classes, which may be NULL without classes, or one that enlarges `low` */
static const Denoiser *unguided(Trained *t, const int *label, const real *low) {
    t->labelled = (Labelled){&t->net, label};
    t->enlarging = (Enlarging){&t->net, label, low, t->config.low_side};
    t->network = low ? enlarging_denoiser(&t->enlarging)
                     : labelled_denoiser(&t->labelled, LEARNED_RANGE);
    t->clipped = clipped_denoiser(&t->network.denoiser);
    return &t->clipped.denoiser;
}

/* the same, guided to the classes if there is a --scale */
static const Denoiser *guided_to_class(Trained *t, const int *label, const real *low) {
    const Denoiser *d = unguided(t, label, low);
    if (!t->classifier_params.count) return d;
    t->class_guide = class_guide(&t->classifier, label, &t->tape);
    t->guided = score_guidance(d, guide_gradient, &t->class_guide, o.scale);
    return &t->guided.denoiser;
}

/* guided to be like references (N,H,W,C), whatever class they are of */
static const Denoiser *guided_to_image(Trained *t, const int *label, const real *reference) {
    Likeness what = !strcmp(o.guide, "pixels") ? LIKE_PIXELS
                    : !strcmp(o.guide, "style") ? LIKE_STYLE : LIKE_FEATURES;
    t->image_guide = image_guide(&t->classifier, what, reference, o.common.seed, &t->tape);
    t->guided = score_guidance(unguided(t, label, NULL), guide_gradient, &t->image_guide, o.scale);
    return &t->guided.denoiser;
}

static void unload(Trained *t) {
    schedule_free(&t->all), schedule_free(&t->chain);
    params_free(&t->params), params_free(&t->classifier_params);
    tape_free(&t->tape), arena_free(&t->arena);
}

/* ---- sample ---------------------------------------------------------------------------------- */

/* the pictures of --low-res, of which there are *n */
static real *low_pictures(Trained *t, int *n) {
    int side = t->config.low_side;
    if (!side) {
        if (o.low_res) usage_error("--low-res: --config %s enlarges nothing", o.common.config);
        return NULL;
    }
    if (!o.low_res)
        usage_error("--config %s enlarges pictures: it needs --low-res", o.common.config);
    Npy a = npy_open(o.low_res);
    size_t size = (size_t)(side * side * 3);
    double white = a.type == NPY_U8 ? 255 : 1;
    if (a.rank != 4 || a.shape[1] != (size_t)side || a.shape[2] != (size_t)side || a.shape[3] != 3)
        fail("%s: not pictures (N,%d,%d,3)", o.low_res, side, side);
    if (a.shape[0] < (size_t)*n) *n = (int)a.shape[0];
    real *x = arena_get(&t->arena, (size_t)*n * size * sizeof *x);
    for (size_t i = 0; i < (size_t)*n * size; i++) x[i] = (real)(2 * npy_number(&a, i) / white - 1);
    npy_close(&a);
    return x;
}

/* guided by test images: like.png, one of them in each row, and what is like it beside it */
static void sample_like(Trained *t) {
    enum { BESIDE = 7, REFERENCES = 6, N = REFERENCES * BESIDE };
    Fashion data = load_data();
    int last = data.test.count - REFERENCES, label[N];
    if (o.reference > last)
        usage_error("--reference %d: %d are shown, and there are test images up to %d", o.reference,
                    REFERENCES, last + REFERENCES - 1);
    Images shown = images_part(&data.test, o.reference, REFERENCES);
    size_t size = FASHION_PIXELS;
    real *reference = arena_get(&t->arena, N * size * sizeof *reference);
    real *x = arena_get(&t->arena, N * size * sizeof *x);
    real *all = arena_get(&t->arena, REFERENCES * (BESIDE + 1) * size * sizeof *all);
    for (int i = 0; i < N; i++)
        images_get(&shown, 1, (int[]){i / BESIDE}, -1, 1, reference + (size_t)i * size, label + i);
    Sampler m = sampler_of(guided_to_image(t, label, reference), &t->chain);
    draw_images(&m, N, x, (Drawing){.at_once = 16, .quiet = o.common.quiet});
    for (size_t i = 0; i < REFERENCES; i++) {
        real *row = all + i * (BESIDE + 1) * size;
        memcpy(row, reference + i * BESIDE * size, size * sizeof *row);
        memcpy(row + size, x + i * BESIDE * size, BESIDE * size * sizeof *row);
    }
    Grid g = grid(REFERENCES * (BESIDE + 1), BESIDE + 1);
    g.column_labels = "reference|samples||||||";
    save_grid(&cli, output_path(&cli, "like.png"), all, g);
    sampler_free(&m);
    fashion_free(&data);
}

static int sample(void) {
    Trained t = {0};
    if (strcmp(o.guide, "class")) cli_refuse(&cli, "pictures class", "--guide class");
    else cli_refuse(&cli, "reference", "--guide pixels, features or style");
    if (o.scale == 0) cli_refuse(&cli, "classifier", "--scale above 0");
    load_network(&t);
    int n = o.pictures;
    const real *low = low_pictures(&t, &n);
    if (strcmp(o.guide, "class")) {
        if (!t.classifier_params.count) usage_error("--guide %s needs a --scale", o.guide);
        sample_like(&t);
    } else {
        Sampler m = sampler_of(guided_to_class(&t, labels_new(&t.arena, n), low), &t.chain);
        draw_samples(&cli, &m, n, sheet());
        sampler_free(&m);
    }
    unload(&t);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

static void report_images(Trained *t, int n, const Evaluator *evaluator, cJSON *metrics) {
    const int *label = labels_new(&t->arena, n);
    Sampler m = sampler_of(guided_to_class(t, label, NULL), &t->chain);
    json_text(metrics, "sampler", o.sampler);
    json_number(metrics, "scale", o.scale);
    json_number(metrics, "eta", o.eta);
    report_drawn(&cli, evaluator, &m, n, label, metrics);
    sampler_free(&m);
}

/* accuracy over time: classifier.csv; its gradient: gradient.png */
static void report_classifier(const Trained *t, const Fashion *data, cJSON *metrics) {
    char *path = path_join(o.common.out, "classifier.csv");
    double accuracy = accuracy_by_time(&t->classifier, &t->all, &data->test, path);
    json_number(metrics, "classifier_parameters", (double)params_count(&t->classifier_params));
    json_number(metrics, "classifier_accuracy", accuracy);
    if (!o.common.quiet) printf("the classifier is right about %.3f of noisy images\n", accuracy);
    free(path);
    gradient_picture(&t->classifier, &t->all, data, output_path(&cli, "gradient.png"), cli.line);
}

static int eval(void) {
    Trained t = {0};
    load_network(&t);
    Fashion data = load_data();
    Evaluator evaluator = report_evaluator(&data);
    cJSON *metrics = metrics_new(&cli);
    json_number(metrics, "parameters", (double)params_count(&t.params));
    folder_create(o.common.out);
    if (t.classifier_params.count) report_classifier(&t, &data, metrics);
    report_images(&t, score_count(&data, o.samples), &evaluator, metrics);
    metrics_save(&cli, metrics);
    evaluator_free(&evaluator);
    fashion_free(&data);
    unload(&t);
    return 0;
}

static int info(void) {
    ModelConfig c = chosen_config();
    Params diffusion = {.shapes_only = true}, classifier = {.shapes_only = true};
    network_new(&diffusion);
    print_parameters("diffusion", &diffusion);
    if (!c.low_side) {
        noisy_classifier_new(&classifier, chosen_classifier(), c.side);
        print_parameters("classifier", &classifier);
    }
    params_free(&diffusion), params_free(&classifier);
    return 0;
}

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
