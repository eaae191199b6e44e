/* vqvae2 — train, sample from, evaluate the two-level autoencoder and the priors over its codes.
 * Training has three stages, each a run of its own in the same folder: autoencoder, top, bottom.
 * Once both priors of an autoencoder are there, weights.safetensors holds all networks. */
#include "base/error.h"
#include "experiments/code_pictures.h"
#include "experiments/levels.h"
#include "model.h"
#include "train/report.h"
#include "train/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    CommonOptions common;
    int levels, codes, width, dim;
    const char *stage, *attention, *autoencoder;
    int top_steps, bottom_steps, prior_batch, prior_channels, classes, samples;
    double prior_lr, temperature, keep;
} o = {
    .common = {COMMON_DEFAULTS("vqvae2"), .steps = 8000, .batch = 64, .lr = 5e-4},
    .levels = 2,
    .codes = 256,
    .width = 64,
    .dim = 32,
    .stage = "all",
    .attention = "top",
    .top_steps = 15000,
    .bottom_steps = 10000,
    .prior_batch = 32,
    .prior_lr = 5e-4,
    .prior_channels = 64,
    .classes = 10,
    .samples = 2000,
    .temperature = 1,
    .keep = 1,
};

/* The autoencoder's weights file keeps the options before "stage": priors of several kinds may be
 * trained for one autoencoder. */
static Option options[] = {
    COMMON_OPTIONS(o.common, "default|emoji|rosinality"),
    {"levels", 0, .i = &o.levels, .min = 1, .max = 2, .meta = "N", .keep = KEEP_MODEL,
     .help = "levels of codes; 1: without the top level"},
    {"codes", 0, .i = &o.codes, .min = 2, .max = 65536, .meta = "K", .keep = KEEP_MODEL,
     .help = "number of codes in each codebook"},
    {"width", 0, .i = &o.width, .min = 2, .max = 1024, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels of the autoencoder"},
    {"dim", 0, .i = &o.dim, .min = 1, .max = 1024, .meta = "D", .keep = KEEP_MODEL,
     .help = "dimensions of a code's vector"},
    {"stage", 0, .s = &o.stage, .choices = "all|autoencoder|top|bottom", .keep = KEEP_NOT,
     .only = "train eval", .help = "stage to train; eval takes all or autoencoder"},
    {"autoencoder", 0, .s = &o.autoencoder, .meta = "FILE", .keep = KEEP_DEFAULT, .only = "train",
     .help = "autoencoder to train the priors on (default: the one in --out)"},
    {"attention", 0, .s = &o.attention, .choices = "none|top|both", .keep = KEEP_MODEL,
     .help = "priors with attention over all earlier positions"},
    {"classes", 0, .i = &o.classes, .min = 1, .max = 256, .meta = "N", .keep = KEEP_MODEL,
     .help = "classes the priors are conditioned on"},
    {"prior-channels", 0, .i = &o.prior_channels, .min = 16, .max = 1024, .meta = "N",
     .multiple = 16, .keep = KEEP_MODEL, .help = "channels of the priors, a multiple of 16"},
    STAGE_STEPS("top-steps", o.top_steps,
                "training steps of the top prior; --steps are the autoencoder's"),
    STAGE_STEPS("bottom-steps", o.bottom_steps, "training steps of the bottom prior"),
    STAGE_BATCH("prior-batch", o.prior_batch, "code maps in a batch"),
    STAGE_LR("prior-lr", o.prior_lr, "learning rate of the priors"),
    {"temperature", 'T', .d = &o.temperature, .min = 0, .max = 100, .meta = "X", .keep = KEEP_NOT,
     .only = "sample eval", .help = "sampling temperature; below 1, likely codes are preferred"},
    {"keep", 'k', .d = &o.keep, .min = 0.001, .max = 1, .meta = "X", .keep = KEEP_NOT,
     .only = "sample eval", .help = "share of samples kept: the likeliest by the classifier"},
    {"samples", 0, .i = &o.samples, .min = SCORE_MINIMUM, .max = 10000, .meta = "N",
     .keep = KEEP_NOT, .only = "eval", .help = "number of samples to draw and score"},
    {0}};

static const Preset presets[] = {
    {"emoji", "batch=32 steps=4000 top-steps=3000 bottom-steps=1500"},
    {"rosinality", "width=128 dim=64 codes=512 lr=0.0003 batch=128 steps=20000"},
    {0}};

static int train(void), sample(void), eval(void), info(void);
static Cli cli = {.program = "vqvae2",
                  .about = "VQ-VAE-2: two levels of discrete codes, and priors over both.",
                  .common = &o.common,
                  .commands = (const Command[]){STANDARD_COMMANDS, {0}},
                  .options = options,
                  .presets = presets};

enum { COLUMNS = 12, HELD_OUT = 500 };    /* of pictures; images that the log's means are over */

/* ---- data and networks as the options describe them ------------------------------------------ */

/* Fashion-MNIST in 32x32; else emoji or a user's own colour images in 64x64 */
static bool is_fashion(void) { return !strcmp(o.common.config, "default"); }

static bool has_stage(int stage) { return stage != TOP || o.levels == 2; }

static ImageSet load_data(void) {
    const char *folder = o.common.data;
    ImageSet d = is_fashion() ? image_set_fashion(folder) : image_set_colour(folder, 64);
    if (d.validation.count < COLUMNS || d.test.count < SCORE_MINIMUM)
        fail("%s: %d images for validation and %d for testing; at least %d and %d are needed",
             folder, d.validation.count, d.test.count, COLUMNS, SCORE_MINIMUM);
    if (d.classes > o.classes && strcmp(o.stage, "autoencoder"))     /* priors see labels */
        fail("the data have %d classes; --classes %d is too few", d.classes, o.classes);
    return d;
}

/* The bottom is conditioned on the top's codes, by a network of its own. With one level the bottom
 * prior has the attention that the top's would have. Both are conditioned on the class. */
static SnailConfig prior_config(int stage) {
    bool both = !strcmp(o.attention, "both"), top = stage == TOP;
    int size = (is_fashion() ? 32 : 64) / (top ? 8 : 4);
    bool first = top || o.levels == 1;            /* there is nothing above it */
    return (SnailConfig){.height = size, .width = size, .codes = o.codes,
                         .channels = o.prior_channels, .kernel = 3,
                         .blocks = 2, .res_blocks = top ? 2 : 3,
                         .res_channels = o.prior_channels * 3 / 4,
                         .attention = first ? strcmp(o.attention, "none") : both, .dropout = 0.1,
                         .condition_channels = 32, .condition_blocks = first ? 0 : 2,
                         .condition_kernel = 3, .condition_codes = o.codes,
                         .classes = o.classes, .previous = true};
}

static void build(Model *m, int stage) {
    Params *p = &m->params[stage];
    p->seed = o.common.seed;
    if (stage != AUTOENCODER) m->prior[stage] = snail_new(p, prior_config(stage));
    else m->autoencoder = vqvae2_new(p, (Vqvae2Config){
        .levels = o.levels, .channels = is_fashion() ? 1 : 3, .width = o.width, .res_blocks = 2,
        .res_channels = 32, .codes = o.codes, .dim = o.dim});
}

static char *weights_of(int stage) {
    return text_format("%s/%s-weights.safetensors", o.common.out, stage_names[stage]);
}

static void load_autoencoder(Model *m, const char *path) {
    Cli remembered = cli_before(&cli, "stage");
    checkpoint_options(path, &remembered, false);
    build(m, AUTOENCODER);
    weights_load_file(&cli, path, &vqvae2_official, &m->params[AUTOENCODER]);
}

/* the networks as weights.safetensors holds them */
static void list_all(Model *m, CheckpointParams list[static 4]) {
    list[0] = (CheckpointParams){"autoencoder.", &m->params[AUTOENCODER], NULL};
    list[1] = (CheckpointParams){"bottom.", &m->params[BOTTOM], NULL};
    if (has_stage(TOP)) list[2] = (CheckpointParams){"top.", &m->params[TOP], NULL};
}

/* from --weights, or the file in --out */
static void load_all(Model *m) {
    CheckpointParams list[4] = {0};
    weights_options(&cli);
    for (int s = 0; s < STAGES; s++)
        if (has_stage(s)) build(m, s);
    list_all(m, list);
    weights_load(&cli, list);
}

/* ---- pictures -------------------------------------------------------------------------------- */

static Grid grid(const ImageSet *d, int rows, int columns) {
    return (Grid){.count = rows * columns, .height = d->size, .width = d->size,
                  .channels = d->channels, .columns = columns, .enlarge = d->size < 64 ? 2 : 1,
                  .low = -1, .high = 1};
}

/* rows of `columns` images, labelled "first|second", or not: NULL */
static void save_labelled(char *path, const ImageSet *d, const real *x, int rows, int columns,
                          const char *labels) {
    Grid g = grid(d, rows, columns);
    g.row_labels = labels;
    save_grid(&cli, path, x, g);
}

/* the same with labelled columns */
static void save_columns(char *path, const ImageSet *d, const real *x, int rows, int columns,
                         const char *labels) {
    Grid g = grid(d, rows, columns);
    g.column_labels = labels;
    save_grid(&cli, path, x, g);
}

static void save_rows(char *path, const ImageSet *d, const real *x, int rows, int columns) {
    save_labelled(path, d, x, rows, columns, NULL);
}

/* originals; reconstructed from both levels, from the top alone, from the bottom alone */
static void picture_of_reconstructions(char *path, const ImageSet *d, const Vqvae2 *v,
                                       const Images *set) {
    Arena arena = {0};
    int n = set->count < COLUMNS ? set->count : COLUMNS, rows = o.levels == 2 ? 4 : 2;
    int index[COLUMNS];
    Codes c = codes_new(&arena, d, n);
    size_t row = (size_t)(n * image_len(d));
    real *x = arena_get(&arena, (size_t)rows * row * sizeof *x);
    for (int i = 0; i < n; i++) index[i] = (int)((int64_t)i * set->count / n);
    images_get(set, n, index, -1, 1, x, NULL);
    encode_all(v, n, d->size, d->size, x, c.z[TOP], c.z[BOTTOM]);
    for (int k = 0; k + 1 < rows; k++)
        memcpy(x + (size_t)(k + 1) * row, decode_codes(&arena, v, &c, (Levels)k), row * sizeof *x);
    save_labelled(path, d, x, rows, n, "images|both levels|the top alone|the bottom alone");
    arena_free(&arena);
}

/* ---- train: the autoencoder ------------------------------------------------------------------ */

static void validate(Run *run, const ImageSet *d, const Vqvae2 *v) {
    Arena *arena = &run->tape.arena;
    Codes c = encode_set(arena, d, v, &d->validation, HELD_OUT);
    run_value(run, "validation_error", relative_error(d, v, &d->validation, &c, BOTH_LEVELS));
    for (int s = TOP; s < STAGES; s++)
        if (has_stage(s))
            run_value(run, s == TOP ? "perplexity_top" : "perplexity_bottom",
                      codebook_perplexity(o.codes, times_chosen(arena, v, &c, s)));
}

static int train_autoencoder(void) {
    Run *run = run_start(&cli, (RunSettings){
        .columns = "loss,error,commitment,revived,validation_error,perplexity_top,"
                   "perplexity_bottom",
        .log_every = 10, .stage = "autoencoder", .later = "top bottom",
        .whole_batch = "the codebooks follow the whole batch"});
    ImageSet data = load_data();
    run_image_set(run, &data);
    Model m = {0};
    Vqvae2 *net = &m.autoencoder;
    Params *params = &m.params[AUTOENCODER];
    build(&m, AUTOENCODER);
    run_state(run, "", params);
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    Rng *codebooks = run_rng(run, "codebooks");
    Loader *loader = run_loader(run, &data.train);
    Cli remembered = cli_before(&cli, "stage");
    run_weights(run, (Weights){.cli = &remembered, .params = {{"", params}}});
    double variance = image_set_variance(&data);
    run_record(run, "parameters", (double)params_count(params));
    run_record(run, "variance", variance);

    while (run_next(run)) {
        Tensor *x = loader_images(loader, &run->tape, -1, 1);
        if (run->random && run->step == 0) vqvae2_start(net, x, codebooks);
        Encoding e = encode(net, x);
        run_value(run, "revived", codebooks_update(net, &e, 0.1, codebooks));
        Tensor *loss = vqvae2_loss(&e, x, decode(net, e.top.codes, e.bottom.codes), variance);
        double commitment = (double)e.bottom.commitment_loss->x[0];
        if (o.levels == 2) commitment += (double)e.top.commitment_loss->x[0];
        run_log(run, "loss", loss), run_value(run, "commitment", commitment);
        run_value(run, "error", (double)loss->x[0] - 0.25 * commitment);
        minimise(adam, loss, o.common.lr * lr_warmup(run->step, 100));
        if (run_every(run, 250)) validate(run, &data, net);
        if (run_saves(run))
            picture_of_reconstructions(run_path(run, "reconstructions.png"), &data, net,
                                       &data.validation);
    }
    int status = run_finish(run);
    model_free(&m), image_set_free(&data);
    return status;
}

/* ---- train: a prior -------------------------------------------------------------------------- */

/* the cross-entropy of the next batch's codes */
static Tensor *prior_loss(const Snail *s, int stage, Tape *t, Loader *l, const Codes *c) {
    loader_next(l);
    int *z = loader_rows(l, t, c->positions[stage], c->z[stage]);
    SnailCondition on = {loader_rows(l, t, c->positions[TOP], c->z[TOP]),
                    loader_rows(l, t, 1, c->labels)};
    Tensor *condition = snail_condition(s, t, l->size, on);
    return t_cross_entropy(snail(s, snail_one_hot(s, t, l->size, z), condition), z);
}

/* samples of a prior in training: of the top, decoded without a bottom; of the bottom, given the
 * tops of validation images */
static void picture_of_prior(char *path, const ImageSet *d, const Model *m, int stage, Codes c) {
    Arena arena = {0};
    c.n = c.n < 4 * COLUMNS ? c.n / COLUMNS * COLUMNS : 4 * COLUMNS;
    int *z = arena_get(&arena, (size_t)(c.n * c.positions[stage]) * sizeof *z);
    Rng rng = rng_new(o.common.seed, "samples");
    snail_sample(&m->prior[stage], c.n, (SnailCondition){c.z[TOP], c.labels}, 1, &rng, z);
    c.z[stage] = z;
    real *x = decode_codes(&arena, &m->autoencoder, &c, stage == TOP ? TOP_ALONE : BOTH_LEVELS);
    save_rows(path, d, x, c.n / COLUMNS, COLUMNS);
    arena_free(&arena);
}

static int train_prior(int stage) {
    Run *run = run_start(&cli, (RunSettings){
        .columns = "loss,training,validation", .log_every = 10, .stage = stage_names[stage],
        .steps = stage == TOP ? &o.top_steps : &o.bottom_steps});
    char *autoencoder_file = o.autoencoder ? text_format("%s", o.autoencoder)
                                           : weights_of(AUTOENCODER);
    run_trained_on(run, autoencoder_file);
    Model m = {0};
    load_autoencoder(&m, autoencoder_file);
    ImageSet data = load_data();
    run_image_set(run, &data);
    Params *params = &m.params[stage];
    build(&m, stage);
    run_state(run, "", params);
    Codes codes = encode_set(&run->arena, &data, &m.autoencoder, &data.train, data.train.count);
    Codes held_out = encode_set(&run->arena, &data, &m.autoencoder, &data.validation, HELD_OUT);
    Codes training = codes;
    training.n = codes.n < HELD_OUT ? codes.n : HELD_OUT;
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    adam->clip = 1;
    run_ema(run, adam, 0.999);
    run->tape.dropout = run_rng(run, "dropout");
    Loader *loader = run_order(run, codes.n, run_part(run, o.prior_batch));
    Weights all = {.file = "weights.safetensors"};
    int other = stage == TOP ? BOTTOM : TOP;
    run_weights(run, (Weights){.params = {{"", params}}});
    if (has_stage(other)) build(&m, other);
    list_all(&m, all.params);
    if (!has_stage(other) || run_load_stage(run, stage_names[other], &m.params[other]))
        run_weights(run, all);
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        Tensor *loss = prior_loss(&m.prior[stage], stage, &run->tape, loader, &codes);
        run_log(run, "loss", loss);
        minimise(adam, loss, o.prior_lr * lr_warmup(run->step, 100));
        if (run_every(run, 250)) {
            run_value(run, "training", nats_per_code(&m, stage, &training));
            run_value(run, "validation", nats_per_code(&m, stage, &held_out));
        }
        if (run_saves(run))
            picture_of_prior(run_path(run, "samples.png"), &data, &m, stage, held_out);
    }
    int status = run_finish(run);
    model_free(&m), image_set_free(&data);
    free(autoencoder_file);
    return status;
}

static int train(void) {
    bool all = !strcmp(o.stage, "all");
    if (o.autoencoder && (all || !strcmp(o.stage, "autoencoder")))
        usage_error("--autoencoder: --stage %s trains one itself", o.stage);
    if (!has_stage(TOP) && !strcmp(o.stage, "top")) usage_error("--levels 1 has no top");
    for (int s = 0; s < STAGES; s++) {
        if (!has_stage(s) || !(all || !strcmp(o.stage, stage_names[s]))) continue;
        int status = s == AUTOENCODER ? train_autoencoder() : train_prior(s);
        if (status) return status;
    }
    return 0;
}

/* ---- sample ---------------------------------------------------------------------------------- */

/* what sample and eval need: the networks that --weights (or the run in --out) holds, and data */
typedef struct {
    Model m;
    ImageSet d;
    Evaluator *evaluator;                     /* NULL: for images that it does not know */
    Arena arena;
} Trained;

static void load(Trained *t) {
    *t = (Trained){0};
    char *path = o.common.weights ? text_format("%s", o.common.weights) : weights_of(AUTOENCODER);
    bool priors = strcmp(o.stage, "autoencoder");
    if (priors) load_all(&t->m);
    else load_autoencoder(&t->m, path);
    if (o.keep < 1 && !is_fashion())
        usage_error("--keep: the classifier knows Fashion-MNIST alone; not --config %s",
                    o.common.config);
    t->d = load_data();
    bool scores = priors && is_fashion() && (o.keep < 1 || !strcmp(cli.command, "eval"));
    if (scores) t->evaluator = arena_get(&t->arena, sizeof *t->evaluator);
    if (scores) *t->evaluator = report_evaluator(&t->d.fashion);
    free(path);
}

static void unload(Trained *t) {
    if (t->evaluator) evaluator_free(t->evaluator);
    arena_free(&t->arena), model_free(&t->m), image_set_free(&t->d);
}

/* n images of labels 0, 1, ... classes-1, 0, ... */
static real *draw(Trained *t, int n, int *labels, int classes) {
    Rng rng = rng_new(o.common.seed, "samples");
    for (int i = 0; i < n; i++) labels[i] = i % classes;
    Draw request = {n, labels, o.temperature, o.keep, t->evaluator};
    return sample_images(&t->arena, &t->d, &t->m, request, &rng);
}

static int sample(void) {
    enum { ROWS = 8, BOTTOMS = 6 };
    Trained t;
    load(&t);
    ImageSet *d = &t.d, colour = {.size = d->size, .channels = 3};
    int columns = d->classes < COLUMNS ? d->classes : COLUMNS, labels[ROWS * COLUMNS];
    Rng uniform = rng_new(o.common.seed, "uniform"), bottoms = rng_new(o.common.seed, "bottoms");
    save_columns(output_path(&cli, "samples.png"), d, draw(&t, ROWS * columns, labels, columns),
                 ROWS, columns, is_fashion() && !o.common.data ? FASHION_LABELS : NULL);
    picture_of_reconstructions(output_path(&cli, "reconstructions.png"), d, &t.m.autoencoder,
                               &d->test);
    save_labelled(output_path(&cli, "codes.png"), &colour,
                  codes_as_colours(&t.arena, d, &t.m, COLUMNS), o.levels + 1, COLUMNS,
                  o.levels == 2 ? "test images|top codes|bottom codes" : "test images|codes");
    save_labelled(output_path(&cli, "uniform.png"), d,
                  uniform_codes(&t.arena, d, &t.m, 2 * COLUMNS, &uniform), 2, COLUMNS,
                  "uniform codes");
    if (o.levels == 2)
        save_columns(output_path(&cli, "bottoms.png"), d,
                     bottoms_of_a_top(&t.arena, d, &t.m, BOTTOMS, COLUMNS, o.temperature, &bottoms),
                     BOTTOMS, COLUMNS, "test image|rebuilt|new bottoms");
    unload(&t);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

static void score_samples(Trained *t, cJSON *metrics) {
    int n = score_count(&t->d.fashion, o.samples);
    int *labels = arena_get(&t->arena, (size_t)n * sizeof *labels);
    real *grey = arena_get(&t->arena, (size_t)n * FASHION_PIXELS * sizeof *grey);
    image_set_crop(&t->d, n, draw(t, n, labels, t->d.classes), grey);
    json_number(metrics, "temperature", o.temperature);
    json_number(metrics, "keep", o.keep);
    report_samples(&cli, t->evaluator, (Samples){n, grey, labels, 16}, metrics);
}

static int eval(void) {
    Trained t;
    if (strcmp(o.stage, "all") && strcmp(o.stage, "autoencoder"))
        usage_error("--stage %s: eval takes all or autoencoder", o.stage);
    load(&t);
    cJSON *metrics = metrics_new(&cli);
    for (int s = 0; s < STAGES; s++)
        if (t.m.params[s].count)
            json_number(metrics, arena_text(&t.arena, "parameters_%s", stage_names[s]),
                        (double)params_count(&t.m.params[s]));
    report_autoencoder(&cli, &t.d, &t.m.autoencoder, metrics);
    if (strcmp(o.stage, "autoencoder")) report_priors(&cli, &t.d, &t.m, metrics);
    if (t.evaluator) score_samples(&t, metrics);
    metrics_save(&cli, metrics);
    unload(&t);
    return 0;
}

static int info(void) {
    Model m = {0};
    for (int s = 0; s < STAGES; s++) {
        if (!has_stage(s)) continue;
        build(&m, s);
        const Params *p = &m.params[s];
        for (int i = 0; i < p->count; i++) printf("%s\n", t_describe(p->list[i]));
    }
    for (int s = 0; s < STAGES; s++)
        if (has_stage(s))
            printf("%s: %zu parameters\n", stage_names[s], params_count(&m.params[s]));
    model_free(&m);
    return 0;
}

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
