/* vqvae2 — train, sample from, evaluate the two-level autoencoder and the priors over its codes. */
#include "data/batches.h"
#include "eval/scores.h"
#include "io/checkpoint.h"
#include "io/cli.h"
#include "io/file.h"
#include "io/json.h"
#include "io/picture.h"
#include "io/results.h"
#include "nn/optim.h"
#include "pictures.h"
#include "pixelsnail.h"
#include "tensor/error.h"
#include "vqvae2.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    CommonOptions common;
    int levels, codes, width, dim;
    const char *stage, *attention, *autoencoder;
    int top_steps, bottom_steps, prior_batch, prior_channels, classes, samples;
    double prior_lr, temperature, keep;
} o = {
    .common = {.seed = 1, .steps = 8000, .batch = 64, .lr = 5e-4, .config = "default",
               .out = "build/runs/vqvae2"},
    .levels = 2,
    .codes = 256,
    .width = 64,
    .dim = 32,
    .stage = "all",
    .attention = "top",
    .top_steps = 6000,
    .bottom_steps = 5000,
    .prior_batch = 32,
    .prior_lr = 5e-4,
    .prior_channels = 64,
    .classes = 10,
    .samples = 2000,
    .temperature = 1,
    .keep = 1,
};

/* The rows from "stage" on do not describe the autoencoder, and its weights do not remember them:
 * priors of several kinds may be trained for one autoencoder. */
static Option options[] = {
    COMMON_OPTIONS(o.common, "default|emoji|rosinality"),
    {"levels", 0, .i = &o.levels, .min = 1, .max = 2, .meta = "N", .keep = KEEP_MODEL,
     .help = "1: without the top, to compare with"},
    {"codes", 0, .i = &o.codes, .min = 2, .max = 65536, .meta = "K", .keep = KEEP_MODEL,
     .help = "codes in each codebook"},
    {"width", 0, .i = &o.width, .min = 2, .max = 1024, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels of the autoencoder"},
    {"dim", 0, .i = &o.dim, .min = 1, .max = 1024, .meta = "D", .keep = KEEP_MODEL,
     .help = "numbers in a code's vector"},
    {"stage", 0, .s = &o.stage, .choices = "all|autoencoder|top|bottom", .keep = KEEP_NOT,
     .only = "train eval", .help = "this one alone (eval: all or autoencoder)"},
    {"autoencoder", 0, .s = &o.autoencoder, .meta = "FILE", .keep = KEEP_DEFAULT, .only = "train",
     .help = "weights that priors are trained for (default: the ones in --out)"},
    {"attention", 0, .s = &o.attention, .choices = "none|top|both", .keep = KEEP_MODEL,
     .help = "which priors attend to all earlier positions"},
    {"classes", 0, .i = &o.classes, .min = 1, .max = 256, .meta = "N", .keep = KEEP_MODEL,
     .help = "classes that priors are told"},
    {"prior-channels", 0, .i = &o.prior_channels, .min = 16, .max = 1024, .meta = "N",
     .keep = KEEP_MODEL, .help = "channels of the priors, a multiple of 16"},
    {"top-steps", 0, .i = &o.top_steps, .min = 0, .max = 1e9, .meta = "N", .keep = KEEP_DEFAULT,
     .only = "train", .help = "training steps of the top prior; --steps are the autoencoder's"},
    {"bottom-steps", 0, .i = &o.bottom_steps, .min = 0, .max = 1e9, .meta = "N",
     .keep = KEEP_DEFAULT, .only = "train", .help = "training steps of the bottom prior"},
    {"prior-batch", 0, .i = &o.prior_batch, .min = 1, .max = 65536, .meta = "N", .only = "train",
     .help = "pictures of codes at a time"},
    {"prior-lr", 0, .d = &o.prior_lr, .min = 0, .max = 1e3, .meta = "X", .only = "train",
     .help = "learning rate of the priors"},
    {"temperature", 'T', .d = &o.temperature, .min = 0, .max = 100, .meta = "X", .keep = KEEP_NOT,
     .only = "sample eval", .help = "divides logits: below 1 likelier codes, less variety"},
    {"keep", 'k', .d = &o.keep, .min = 0.001, .max = 1, .meta = "X", .keep = KEEP_NOT,
     .only = "sample eval", .help = "share of samples kept, those the classifier is surest of"},
    {"samples", 0, .i = &o.samples, .min = SCORE_MINIMUM, .max = 10000, .meta = "N",
     .keep = KEEP_NOT, .only = "eval", .help = "pictures to draw and score"},
    {0}};

static const Preset presets[] = {
    {"emoji", "batch=32 steps=4000 top-steps=3000 bottom-steps=1500"},
    {"rosinality", "width=128 dim=64 codes=512 lr=0.0003 batch=128 steps=20000"},
    {0}};

static Cli cli = {.program = "vqvae2",
                  .about = "VQ-VAE-2: pictures as two levels of codes, and priors that write them.",
                  .options = options,
                  .presets = presets};

enum { AUTOENCODER, TOP, BOTTOM, STAGES };
static const char *const stage_names[] = {"autoencoder", "top", "bottom"};

/* ---- networks -------------------------------------------------------------------------------- */

static bool garments(void) {
    return !strcmp(o.common.config, "default");
}

static int side(void) { return garments() ? 32 : 64; }

static bool has_stage(int stage) {
    return stage != TOP || o.levels == 2;
}

static Vqvae2 new_autoencoder(Params *p) {
    return vqvae2_new(p, (Vqvae2Config){.levels = o.levels, .channels = garments() ? 1 : 3,
                                        .width = o.width, .res_blocks = 2, .res_channels = 32,
                                        .codes = o.codes, .dim = o.dim});
}

/* The bottom is told the top's codes, at its own size, by a network of its own; without a top it
 * attends in the top's place. Both are told the class. */
static Snail new_prior(Params *p, int stage) {
    bool both = !strcmp(o.attention, "both"), top = stage == TOP;
    int size = side() / (top ? 8 : 4);
    bool first = top || o.levels == 1;            /* nothing above it to be told */
    return snail_new(p, (SnailConfig){.height = size, .width = size, .codes = o.codes,
                                      .channels = o.prior_channels, .kernel = 3,
                                      .blocks = 2, .res_blocks = top ? 2 : 3,
                                      .res_channels = o.prior_channels * 3 / 4,
                                      .attention = first ? strcmp(o.attention, "none") : both,
                                      .dropout = 0.1, .condition_channels = 32,
                                      .condition_blocks = first ? 0 : 2,
                                      .condition_kernel = 3, .condition_codes = o.codes,
                                      .classes = o.classes, .previous = true});
}

/* all three, as far as there are weights for them */
typedef struct {
    Params params[STAGES];
    Vqvae2 autoencoder;
    Snail prior[STAGES];              /* [TOP] and [BOTTOM] */
} Models;

static void models_free(Models *m) {
    for (int s = 0; s < STAGES; s++) params_free(&m->params[s]);
}

static void build(Models *m, int stage) {
    if (stage == AUTOENCODER) m->autoencoder = new_autoencoder(&m->params[stage]);
    else m->prior[stage] = new_prior(&m->params[stage], stage);
}

/* the command line as far as it describes the autoencoder */
static Cli autoencoder_cli(void) {
    static Option rows[sizeof options / sizeof *options];
    size_t n = 0;
    for (; strcmp(options[n].name, "stage"); n++) rows[n] = options[n];
    rows[n] = (Option){0};
    Cli c = cli;
    c.options = rows;
    return c;
}

static char *weights_of(const char *stage) {
    return text_format("%s/%s%sweights.safetensors", o.common.out, stage, *stage ? "-" : "");
}

static void load_autoencoder(Models *m, const char *path) {
    Cli c = autoencoder_cli();
    char *own = weights_of("autoencoder");
    path = path ? path : own;
    checkpoint_options(path, &c, false);
    build(m, AUTOENCODER);
    checkpoint_load(path, &(Checkpoint){.cli = &c, .params = {{"", &m->params[AUTOENCODER]}}});
    free(own);
}

/* one file of all networks */
static Checkpoint together(Models *m) {
    Checkpoint c = {.cli = &cli, .params = {{"autoencoder.", &m->params[AUTOENCODER]}}};
    c.params[1] = (CheckpointParams){"bottom.", &m->params[BOTTOM], NULL};
    if (o.levels == 2) c.params[2] = (CheckpointParams){"top.", &m->params[TOP], NULL};
    return c;
}

static void load_all(Models *m) {
    char *own = weights_of("");
    const char *path = o.common.weights ? o.common.weights : own;
    checkpoint_options(path, &cli, false);
    for (int s = 0; s < STAGES; s++)
        if (has_stage(s)) build(m, s);
    Checkpoint c = together(m);
    checkpoint_load(path, &c);
    free(own);
}

/* ---- what all commands use ------------------------------------------------------------------- */

static real *new_pictures(Arena *arena, const Pictures *d, int n) {
    return arena_get(arena, (size_t)n * (size_t)picture_len(d) * sizeof(real));
}

static int *new_ints(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * sizeof(int));
}

enum { POSITIONS = 256,                   /* of codes, at most */
       HELD_OUT = 500,                    /* pictures that the log's means are over */
       COLUMNS = 12 };                    /* of pictures */

static int bottom_codes(const Pictures *d) { return d->side * d->side / 16; }

static void load_data(Pictures *d) {
    pictures_load(d, garments(), o.common.data);
    if (d->validation->count < COLUMNS || d->test->count < SCORE_MINIMUM)
        fail("%s: %d pictures for validation and %d for testing; at least %d and %d are needed",
             o.common.data, d->validation->count, d->test->count, COLUMNS, SCORE_MINIMUM);
    if (d->classes > o.classes)
        fail("the data have %d classes; --classes %d is too few", d->classes, o.classes);
}

/* the first n pictures of a set, their classes and codes */
typedef struct {
    int n, *labels, *top, *bottom;
    real *x;
} Coded;

static Coded code_first(Arena *arena, const Pictures *d, const Vqvae2 *v, const Images *set,
                        int n) {
    n = n < set->count ? n : set->count;
    int N = bottom_codes(d);
    Coded c = {n, new_ints(arena, n), new_ints(arena, n * N / 4), new_ints(arena, n * N),
               new_pictures(arena, d, n)};
    pictures_get(d, set, n, NULL, c.x, c.labels);
    encode_all(v, n, d->side, d->side, c.x, c.top, c.bottom);
    return c;
}

/* rows of `columns` pictures; `path` is freed */
static void save_grid(char *path, const Pictures *d, const real *x, int rows, int columns) {
    picture_save(path, x,
                 (Grid){.count = rows * columns, .height = d->side, .width = d->side,
                        .channels = d->channels, .columns = columns,
                        .enlarge = d->side < 64 ? 2 : 1, .low = -1, .high = 1}, cli.line);
    free(path);
}

/* ---- reconstructions ------------------------------------------------------------------------- */

static const char *const kinds[] = {"both", "top_only", "bottom_only"};

/* decodes codes, without the levels that `kind` leaves out */
static void rebuild(const Pictures *d, const Vqvae2 *v, int kind, int n, const int *top,
                    const int *bottom, real *x) {
    decode_all(v, n, d->side, d->side, kind < 2 ? top : NULL, kind % 2 ? NULL : bottom, x);
}

/* originals; rebuilt from both levels, from the top alone, from the bottom alone */
static void picture_of_reconstructions(char *path, const Pictures *d, const Vqvae2 *v,
                                       const Images *set) {
    Arena arena = {0};
    int n = set->count < COLUMNS ? set->count : COLUMNS, rows = o.levels == 2 ? 4 : 2;
    int *index = new_ints(&arena, n), N = bottom_codes(d);
    size_t row = (size_t)n * (size_t)picture_len(d);
    real *x = new_pictures(&arena, d, rows * n);
    int *top = new_ints(&arena, n * N / 4), *bottom = new_ints(&arena, n * N);
    for (int i = 0; i < n; i++) index[i] = (int)((int64_t)i * set->count / n);
    pictures_get(d, set, n, index, x, NULL);
    encode_all(v, n, d->side, d->side, x, top, bottom);
    for (int k = 0; k + 1 < rows; k++)
        rebuild(d, v, k, n, top, bottom, x + (size_t)(k + 1) * row);
    save_grid(path, d, x, rows, n);
    arena_free(&arena);
}

/* ---- training the autoencoder ---------------------------------------------------------------- */

/* how validation pictures are coded and rebuilt, into the log */
static void validate_autoencoder(Run *run, const Pictures *d, const Vqvae2 *v, double variance) {
    Arena arena = {0};
    int *times[2] = {new_ints(&arena, o.codes), new_ints(&arena, o.codes)}, N = bottom_codes(d);
    for (int k = 0; k < o.codes; k++) times[0][k] = times[1][k] = 0;
    Coded c = code_first(&arena, d, v, d->validation, HELD_OUT);
    real *y = new_pictures(&arena, d, c.n);
    decode_all(v, c.n, d->side, d->side, c.top, c.bottom, y);
    run_value(run, "validation_error", pictures_error(d, c.n, c.x, y) / c.n / variance);
    if (o.levels == 2) {
        codebook_count(c.n * N / 4, c.top, times[0]);
        run_value(run, "perplexity_top", codebook_perplexity(o.codes, times[0]));
    }
    codebook_count(c.n * N, c.bottom, times[1]);
    run_value(run, "perplexity_bottom", codebook_perplexity(o.codes, times[1]));
    arena_free(&arena);
}

static int train_autoencoder(void) {
    Run run = {.name = "autoencoder", .log_every = 10,
               .columns = "loss,error,commitment,revived,validation_error,perplexity_top,"
                          "perplexity_bottom"};
    run_start(&run, &cli, &o.common);
    Models m = {.params = {[AUTOENCODER] = {.seed = o.common.seed}}};
    Pictures d;
    load_data(&d);
    pictures_record(&d, &run);
    build(&m, AUTOENCODER);
    Vqvae2 *v = &m.autoencoder;
    Params *params = &m.params[AUTOENCODER];
    Arena arena = {0};
    int B = o.common.batch, *index = new_ints(&arena, B);
    double variance = pictures_variance(&d);
    Batches batches = batches_new(d.train->count, o.common.seed);
    Rng revive = rng_new(o.common.seed, "codebooks");
    Adam adam = {ADAM_DEFAULTS};
    run_record_number(&run, "parameters", (double)params_count(params));
    run_record_number(&run, "variance", variance);

    Checkpoint everything = {.cli = &cli,
                             .params = {{"", params},
                                        {"adam.m.", &adam.m, .like = params},
                                        {"adam.v.", &adam.v, .like = params}},
                             .numbers = {{"step", .i = &run.step},
                                         {"adam.step", .i = &adam.step},
                                         {"codebooks", .u = &revive.next},
                                         {"batches", .u = &batches.next}}};
    Cli own = autoencoder_cli();
    Checkpoint weights = {.cli = &own, .params = {{"", params}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {0};
    while (run_next(&run)) {
        tape_reset(&tape);
        batches_next(&batches, B, index);
        Tensor *x = t_input(&tape, NULL, SHAPE(B, d.side, d.side, d.channels));
        pictures_get(&d, d.train, B, index, x->x, NULL);
        if (run.step == 0) vqvae2_start(v, x, &revive);
        Encoding e = encode(v, x);
        run_value(&run, "revived", codebooks_update(v, &e, 0.1, &revive));
        Tensor *loss = vqvae2_loss(&e, x, decode(v, e.top.codes, e.bottom.codes), variance);
        double commitment = (double)e.bottom.commitment_loss->x[0];
        if (o.levels == 2) commitment += (double)e.top.commitment_loss->x[0];
        run_value(&run, "loss", (double)loss->x[0]);
        run_value(&run, "commitment", commitment);
        run_value(&run, "error", (double)loss->x[0] - 0.25 * commitment);
        params_zero_grad(params);
        backward(loss);
        adam_step(&adam, params, o.common.lr * lr_warmup(run.step, 100), 1);
        if (run_due(&run, 250)) validate_autoencoder(&run, &d, v, variance);
        run_step(&run);
        if (run_save_due(&run)) {
            checkpoint_save(run.checkpoint, &everything);
            checkpoint_save_half(run.weights, &weights);
            picture_of_reconstructions(run_path(&run, "reconstructions.png"), &d, v, d.validation);
        }
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    adam_free(&adam), batches_free(&batches), arena_free(&arena);
    models_free(&m), pictures_free(&d);
    return run_finish(&run);
}

/* ---- training a prior ------------------------------------------------------------------------ */

/* the codes that a prior is about, and those it is told */
static int *codes_of(const Coded *c, int stage) { return stage == TOP ? c->top : c->bottom; }
static int *told(const Coded *c, int stage) {
    return stage == BOTTOM && o.levels == 2 ? c->top : NULL;
}

/* mean over all positions of the nats that n pictures' codes cost */
static double mean_nats(const Snail *s, int n, const int *codes, const int *top,
                        const int *labels) {
    int N = s->c.height * s->c.width;
    double nats[POSITIONS], sum = 0;
    snail_nats(s, n, codes, top, labels, nats);
    for (int i = 0; i < N; i++) sum += nats[i] / N;
    return sum;
}

static double nats_of(const Snail *s, int stage, const Coded *c) {
    return mean_nats(s, c->n, codes_of(c, stage), told(c, stage), c->labels);
}

/* every network's weights in one file, once there are all */
static void save_together(Models *m, int stage) {
    char *all = weights_of("");
    bool complete = true;
    for (int s = TOP; s < STAGES; s++) {
        char *path = weights_of(stage_names[s]);
        if (s != stage && has_stage(s)) {
            complete = complete && access(path, F_OK) == 0;
            if (complete && !m->params[s].count) {
                build(m, s);
                checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", &m->params[s]}}});
            }
        }
        free(path);
    }
    Checkpoint c = together(m);
    if (complete) checkpoint_save_half(all, &c);
    free(all);
}

/* the next batch's codes, and the cross-entropy of the prior's guesses */
static Tensor *prior_loss(const Snail *s, int stage, Tape *t, const Coded *c, int B,
                          const int *index, Rng *dropout) {
    int H = s->c.height, W = s->c.width, N = H * W;
    int *z = new_ints(&t->arena, B * N), *top = new_ints(&t->arena, B * N / 4);
    int *labels = new_ints(&t->arena, B);
    const int *above = told(c, stage);
    for (int b = 0; b < B; b++) {
        size_t i = (size_t)index[b];
        memcpy(z + b * N, codes_of(c, stage) + i * (size_t)N, (size_t)N * sizeof *z);
        if (above)
            memcpy(top + b * N / 4, above + i * (size_t)(N / 4), (size_t)(N / 4) * sizeof *top);
        labels[b] = c->labels[i];
    }
    Tensor *given = above ? one_hot(t, B, H / 2, W / 2, o.codes, top) : NULL;
    Tensor *condition = snail_condition(s, t, B, given, labels);
    Tensor *logits = snail(s, one_hot(t, B, H, W, o.codes, z), condition, dropout);
    return t_cross_entropy(logits, z);
}

/* what a prior in training writes: the top's with the bottom left out, the bottom's for the tops of
 * validation pictures */
static void picture_of_prior(char *path, const Pictures *d, Models *m, int stage, const Coded *c) {
    Arena arena = {0};
    int n = c->n < 4 * COLUMNS ? c->n / COLUMNS * COLUMNS : 4 * COLUMNS, N = bottom_codes(d);
    int *z = new_ints(&arena, n * N);
    real *x = new_pictures(&arena, d, n);
    Rng rng = rng_new(o.common.seed, "samples");
    snail_sample(&m->prior[stage], n, told(c, stage), c->labels, 1, &rng, z);
    if (stage == TOP) rebuild(d, &m->autoencoder, 1, n, z, NULL, x);
    else rebuild(d, &m->autoencoder, 0, n, c->top, z, x);
    save_grid(path, d, x, n / COLUMNS, COLUMNS);
    arena_free(&arena);
}

static int train_prior(int stage) {
    Run run = {.name = stage_names[stage], .steps = stage == TOP ? &o.top_steps : &o.bottom_steps,
               .log_every = 10, .columns = "loss,training,validation"};
    run_start(&run, &cli, &o.common);
    Models m = {.params = {[TOP] = {.seed = o.common.seed}, [BOTTOM] = {.seed = o.common.seed}}};
    load_autoencoder(&m, o.autoencoder);
    Pictures d;
    load_data(&d);
    pictures_record(&d, &run);
    build(&m, stage);
    Params *params = &m.params[stage];
    Arena arena = {0};
    int B = o.prior_batch, *index = new_ints(&arena, B);
    Coded codes = code_first(&arena, &d, &m.autoencoder, d.train, d.train->count);
    Coded held_out = code_first(&arena, &d, &m.autoencoder, d.validation, HELD_OUT);
    Coded learned = codes;
    learned.n = codes.n < HELD_OUT ? codes.n : HELD_OUT;
    Batches batches = batches_new(codes.n, o.common.seed);
    Rng dropout = rng_new(o.common.seed, "dropout");
    Adam adam = {ADAM_DEFAULTS};
    Ema ema = {.decay = 0.999};
    run_record_number(&run, "parameters", (double)params_count(params));

    Checkpoint everything = {.cli = &cli,
                             .params = {{"", params},
                                        {"ema.", &ema.average, .like = params},
                                        {"adam.m.", &adam.m, .like = params},
                                        {"adam.v.", &adam.v, .like = params}},
                             .numbers = {{"step", .i = &run.step},
                                         {"ema.step", .i = &ema.step},
                                         {"adam.step", .i = &adam.step},
                                         {"dropout", .u = &dropout.next},
                                         {"batches", .u = &batches.next}}};
    Checkpoint weights = {.cli = &cli, .params = {{"", &ema.average}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {0};
    while (run_next(&run)) {
        tape_reset(&tape);
        batches_next(&batches, B, index);
        Tensor *loss = prior_loss(&m.prior[stage], stage, &tape, &codes, B, index, &dropout);
        run_value(&run, "loss", (double)loss->x[0]);
        params_zero_grad(params);
        backward(loss);
        double rate = o.prior_lr * lr_warmup(run.step, 100);
        adam_step(&adam, params, rate, clip_scale(grad_norm(params), 1));
        ema_update(&ema, params);
        bool validate = run_due(&run, 250), save;
        if (validate) {
            ema_swap(&ema, params);
            run_value(&run, "training", nats_of(&m.prior[stage], stage, &learned));
            run_value(&run, "validation", nats_of(&m.prior[stage], stage, &held_out));
            ema_swap(&ema, params);
        }
        run_step(&run);
        save = run_save_due(&run);
        if (!save) continue;
        checkpoint_save(run.checkpoint, &everything);
        checkpoint_save_half(run.weights, &weights);
        ema_swap(&ema, params);
        picture_of_prior(run_path(&run, "samples.png"), &d, &m, stage, &held_out);
        save_together(&m, stage);
        ema_swap(&ema, params);
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    ema_free(&ema), adam_free(&adam), batches_free(&batches), arena_free(&arena);
    models_free(&m), pictures_free(&d);
    return run_finish(&run);
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

/* ---- pictures from the priors ---------------------------------------------------------------- */

/* n pictures, classes 0, 1, ..., 0, 1, ... or as given: top, then bottom, then pixels */
static void draw(const Pictures *d, const Models *m, int n, const int *labels, Rng *rng, real *x) {
    Arena arena = {0};
    int N = bottom_codes(d), *top = NULL, *bottom = new_ints(&arena, n * N);
    if (o.levels == 2) {
        top = new_ints(&arena, n * N / 4);
        snail_sample(&m->prior[TOP], n, NULL, labels, o.temperature, rng, top);
    }
    snail_sample(&m->prior[BOTTOM], n, top, labels, o.temperature, rng, bottom);
    rebuild(d, &m->autoencoder, 0, n, top, bottom, x);
    arena_free(&arena);
}

/* Rejection (Razavi et al. 2019, section 3.3): of the pictures drawn for a class, 1 / keep times as
 * many as are wanted, those whose class the classifier is surest of. x (n, ...), in the order of
 * `labels`. */
static void draw_best(const Pictures *d, const Models *m, const Judge *judge, int n,
                      const int *labels, Rng *rng, real *x) {
    int tries = (int)ceil(1 / o.keep);
    size_t len = (size_t)picture_len(d);
    Arena arena = {0};
    real *all = new_pictures(&arena, d, n * tries), *p;
    real *grey = arena_get(&arena, (size_t)(n * tries) * SCORE_PIXELS * sizeof *grey);
    real *features = arena_get(&arena, (size_t)(n * tries) * SCORE_FEATURES * sizeof *features);
    int *asked = new_ints(&arena, n * tries), *taken = new_ints(&arena, n * tries);
    p = arena_get(&arena, (size_t)(n * tries) * SCORE_CLASSES * sizeof *p);
    for (int i = 0; i < n * tries; i++) asked[i] = labels[i % n], taken[i] = 0;
    draw(d, m, n * tries, asked, rng, all);
    garments_of(d, n * tries, all, grey);
    judge_look(judge, n * tries, grey, features, p);
    for (int i = 0; i < n; i++) {
        int best = -1;
        for (int k = 0; k < n * tries; k++) {
            if (taken[k] || asked[k] != labels[i]) continue;
            real sure = p[k * SCORE_CLASSES + labels[i]];
            if (best < 0 || sure > p[best * SCORE_CLASSES + labels[i]]) best = k;
        }
        taken[best] = 1;
        memcpy(x + (size_t)i * len, all + (size_t)best * len, len * sizeof *x);
    }
    arena_free(&arena);
}

static void picture_of_samples(const Pictures *d, const Models *m, const Judge *judge) {
    enum { ROWS = 8 };
    Arena arena = {0};
    int columns = d->classes < COLUMNS ? d->classes : COLUMNS, n = ROWS * columns;
    int *labels = new_ints(&arena, n);
    real *x = new_pictures(&arena, d, n);
    Rng rng = rng_new(o.common.seed, "samples");
    for (int i = 0; i < n; i++) labels[i] = i % columns;
    if (judge) draw_best(d, m, judge, n, labels, &rng, x);
    else draw(d, m, n, labels, &rng, x);
    save_grid(announced(&o.common, "samples.png"), d, x, ROWS, columns);
    arena_free(&arena);
}

/* codes drawn at random, each as likely as any: why a prior is needed */
static void picture_of_uniform_codes(const Pictures *d, const Models *m) {
    Arena arena = {0};
    int n = 2 * COLUMNS, N = bottom_codes(d);
    int *top = new_ints(&arena, n * N / 4), *bottom = new_ints(&arena, n * N);
    real *x = new_pictures(&arena, d, n);
    Rng rng = rng_new(o.common.seed, "uniform");
    for (int i = 0; i < n * N / 4; i++) top[i] = (int)rng_below(&rng, (uint32_t)o.codes);
    for (int i = 0; i < n * N; i++) bottom[i] = (int)rng_below(&rng, (uint32_t)o.codes);
    rebuild(d, &m->autoencoder, 0, n, top, bottom, x);
    save_grid(announced(&o.common, "uniform.png"), d, x, 2, COLUMNS);
    arena_free(&arena);
}

/* Each row: a test picture, rebuilt, and then with bottoms that the prior draws for its top: what
 * the top has fixed stays, the rest changes. */
static void picture_of_bottoms(const Pictures *d, const Models *m) {
    enum { ROWS = 6 };
    Arena arena = {0};
    int N = bottom_codes(d), len = picture_len(d), draws = COLUMNS - 2;
    Coded c = code_first(&arena, d, &m->autoencoder, d->test, ROWS);
    real *grid = new_pictures(&arena, d, c.n * COLUMNS);
    int *top = new_ints(&arena, draws * N / 4), *bottom = new_ints(&arena, draws * N);
    int labels[COLUMNS];
    Rng rng = rng_new(o.common.seed, "bottoms");
    for (int i = 0; i < c.n; i++) {
        real *row = grid + (size_t)i * COLUMNS * (size_t)len;
        for (int k = 0; k < draws; k++) {
            memcpy(top + k * N / 4, c.top + i * N / 4, (size_t)(N / 4) * sizeof *top);
            labels[k] = c.labels[i];
        }
        snail_sample(&m->prior[BOTTOM], draws, top, labels, o.temperature, &rng, bottom);
        memcpy(row, c.x + (size_t)i * (size_t)len, (size_t)len * sizeof *row);
        rebuild(d, &m->autoencoder, 0, 1, c.top + i * N / 4, c.bottom + i * N, row + len);
        rebuild(d, &m->autoencoder, 0, draws, top, bottom, row + 2 * len);
    }
    save_grid(announced(&o.common, "bottoms.png"), d, grid, c.n, COLUMNS);
    arena_free(&arena);
}

/* a code as a colour: three numbers of its vector, so that codes near each other look alike */
static void paint_codes(const Pictures *d, const Codebook *book, const int *z, int size,
                        real *rgb) {
    int side = d->side, D = book->dim;
    for (int i = 0; i < side * side; i++) {
        int row = i / side * size / side, column = i % side * size / side;
        const real *e = book->table->x + z[row * size + column] * D;
        for (int k = 0; k < 3; k++) rgb[3 * i + k] = e[k * (D - 1) / 2];
    }
}

/* test pictures, their top codes, their bottom codes */
static void picture_of_codes(const Pictures *d, const Models *m) {
    Arena arena = {0};
    Coded c = code_first(&arena, d, &m->autoencoder, d->test, COLUMNS);
    int N = bottom_codes(d), size = d->side / 4, pixels = d->side * d->side, rows = o.levels + 1;
    real *rgb = arena_get(&arena, (size_t)(rows * c.n * pixels * 3) * sizeof *rgb);
    for (int i = 0; i < c.n; i++) {
        real *x = rgb + (size_t)(i * pixels * 3), *below = x + (size_t)(c.n * pixels * 3);
        for (int k = 0; k < 3 * pixels; k++)
            x[k] = c.x[i * picture_len(d) + (d->channels == 3 ? k : k / 3)];
        paint_codes(d, &m->autoencoder.bottom, c.bottom + i * N, size,
                    below + (size_t)((rows - 2) * c.n * pixels * 3));
        if (o.levels == 2)
            paint_codes(d, &m->autoencoder.top, c.top + i * N / 4, size / 2, below);
    }
    Pictures colour = {.side = d->side, .channels = 3};
    save_grid(announced(&o.common, "codes.png"), &colour, rgb, rows, c.n);
    arena_free(&arena);
}

static void check_keep(void) {
    if (o.keep < 1 && !garments())
        usage_error("--keep: the classifier knows garments alone; not --config %s",
                    o.common.config);
}

static int sample(void) {
    Models m = {0};
    load_all(&m);
    check_keep();
    Pictures d;
    load_data(&d);
    folder_create(o.common.out);
    Judge judge;
    bool judged = o.keep < 1;
    if (judged) judge = judge_new(&d.fashion, CLASSIFIER_WEIGHTS);
    picture_of_samples(&d, &m, judged ? &judge : NULL);
    picture_of_reconstructions(announced(&o.common, "reconstructions.png"), &d, &m.autoencoder,
                               d.test);
    picture_of_codes(&d, &m);
    picture_of_uniform_codes(&d, &m);
    if (o.levels == 2) picture_of_bottoms(&d, &m);
    if (judged) judge_free(&judge);
    models_free(&m), pictures_free(&d);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

enum { MEASURED = 2000 };    /* pictures of each part that errors and likelihoods are means of */

static const char *const part_names[] = {"train", "validation", "test"};
static const Images *part(const Pictures *d, int k) {
    return k == 0 ? d->train : k == 1 ? d->validation : d->test;
}

/* error / variance with and without levels; how many codes are in use */
static void measure_autoencoder(const Pictures *d, const Vqvae2 *v, cJSON *m) {
    double variance = pictures_variance(d);
    int N = bottom_codes(d);
    cJSON_AddNumberToObject(m, "variance", variance);
    cJSON_AddNumberToObject(m, "bits_per_picture",
                            log2(o.codes) * (o.levels == 2 ? N + N / 4 : N));
    for (int k = 0; k < 3; k++) {
        Arena arena = {0};
        Coded c = code_first(&arena, d, v, part(d, k), MEASURED);
        real *y = new_pictures(&arena, d, c.n);
        cJSON *row = cJSON_AddObjectToObject(m, part_names[k]);
        cJSON_AddNumberToObject(row, "pictures", c.n);
        for (int kind = 0; kind < (o.levels == 2 ? 3 : 1); kind++) {
            rebuild(d, v, kind, c.n, c.top, c.bottom, y);
            double error = pictures_error(d, c.n, c.x, y) / c.n / variance;
            cJSON_AddNumberToObject(row, kinds[kind], error);
            if (!o.common.quiet)
                printf("%-10s  %-11s  error / variance %.4f\n", part_names[k], kinds[kind], error);
        }
        for (int level = o.levels == 2 ? TOP : BOTTOM; level <= BOTTOM; level++) {
            int *times = new_ints(&arena, o.codes);
            for (int i = 0; i < o.codes; i++) times[i] = 0;
            codebook_count(level == TOP ? c.n * N / 4 : c.n * N, codes_of(&c, level), times);
            char name[2][32];
            snprintf(name[0], sizeof name[0], "perplexity_%s", stage_names[level]);
            snprintf(name[1], sizeof name[1], "codes_used_%s", stage_names[level]);
            cJSON_AddNumberToObject(row, name[0], codebook_perplexity(o.codes, times));
            cJSON_AddNumberToObject(row, name[1], codes_used(o.codes, times));
            if (!o.common.quiet)
                printf("%-10s  %-11s  %d of %d codes used, perplexity %.1f\n", part_names[k],
                       stage_names[level], codes_used(o.codes, times), o.codes,
                       codebook_perplexity(o.codes, times));
        }
        arena_free(&arena);
    }
}

/* the top codes of another picture of the same class, where there is one */
static void exchange_tops(const Coded *c, int N, int *top) {
    for (int i = 0; i < c->n; i++) {
        int j = (i + 1) % c->n;
        while (j != i && c->labels[j] != c->labels[i]) j = (j + 1) % c->n;
        memcpy(top + i * N / 4, c->top + j * N / 4, (size_t)(N / 4) * sizeof *top);
    }
}

/* nats a code costs; the bottom's also when it is told another picture's top */
static void measure_priors(const Pictures *d, const Models *models, cJSON *m) {
    int N = bottom_codes(d);
    cJSON_AddNumberToObject(m, "uniform_nats", log(o.codes));
    if (!o.common.quiet) printf("\nnats a code (uniform: %.3f)\n", log(o.codes));
    for (int k = 0; k < 3; k++) {
        Arena arena = {0};
        Coded c = code_first(&arena, d, &models->autoencoder, part(d, k), MEASURED);
        cJSON *row = cJSON_GetObjectItem(m, part_names[k]);
        const Snail *bottom = &models->prior[BOTTOM];
        double of_bottom = nats_of(bottom, BOTTOM, &c);
        double total = N * of_bottom;
        cJSON_AddNumberToObject(row, "nats_bottom", of_bottom);
        if (!o.common.quiet) printf("%-10s  bottom %.3f", part_names[k], of_bottom);
        if (o.levels == 2) {
            int *other = new_ints(&arena, c.n * N / 4);
            exchange_tops(&c, N, other);
            double of_top = nats_of(&models->prior[TOP], TOP, &c);
            double exchanged = mean_nats(bottom, c.n, c.bottom, other, c.labels);
            total += N / 4 * of_top;
            cJSON_AddNumberToObject(row, "nats_top", of_top);
            cJSON_AddNumberToObject(row, "nats_bottom_of_another_top", exchanged);
            if (!o.common.quiet)
                printf("  top %.3f  bottom with another picture's top %.3f", of_top, exchanged);
        }
        cJSON_AddNumberToObject(row, "code_bits_per_picture", total / log(2));
        if (!o.common.quiet) printf("  %.1f bits a picture\n", total / log(2));
        arena_free(&arena);
    }
}

static void measure_samples(const Pictures *d, const Models *models, cJSON *m) {
    Arena arena = {0};
    int n = o.samples < d->test->count ? o.samples : d->test->count, *labels = new_ints(&arena, n);
    real *x = new_pictures(&arena, d, n);
    real *grey = arena_get(&arena, (size_t)n * SCORE_PIXELS * sizeof *grey);
    Rng rng = rng_new(o.common.seed, "samples");
    for (int i = 0; i < n; i++) labels[i] = i % d->classes;
    Judge judge = judge_new(&d->fashion, CLASSIFIER_WEIGHTS);
    if (o.keep < 1) draw_best(d, models, &judge, n, labels, &rng, x);
    else draw(d, models, n, labels, &rng, x);
    garments_of(d, n, x, grey);
    ScoreSheet sheet = score_sheet(&judge, n, grey, labels, o.common.seed);
    if (!o.common.quiet) score_sheet_print(&sheet);
    cJSON_AddNumberToObject(m, "temperature", o.temperature);
    cJSON_AddNumberToObject(m, "keep", o.keep);
    cJSON_AddItemToObject(m, "scores", score_sheet_json(&sheet));
    char *path = path_join(o.common.out, "neighbours.png");
    neighbours_picture(&judge, n < 16 ? n : 16, grey, path, cli.line);
    free(path);
    judge_free(&judge), arena_free(&arena);
}

static int eval(void) {
    Models m = {0};
    bool priors = strcmp(o.stage, "autoencoder");
    if (priors) load_all(&m);
    else load_autoencoder(&m, o.common.weights);
    check_keep();
    Pictures d;
    load_data(&d);
    folder_create(o.common.out);
    cJSON *metrics = cJSON_CreateObject();
    cJSON_AddStringToObject(metrics, "command", cli.line);
    for (int s = 0; s < STAGES; s++) {
        char *name = text_format("parameters_%s", stage_names[s]);
        if (m.params[s].count)
            cJSON_AddNumberToObject(metrics, name, (double)params_count(&m.params[s]));
        free(name);
    }
    measure_autoencoder(&d, &m.autoencoder, metrics);
    if (priors) measure_priors(&d, &m, metrics);
    if (priors && garments()) measure_samples(&d, &m, metrics);
    char *path = path_join(o.common.out, "metrics.json");
    json_save(path, metrics);
    if (!o.common.quiet) printf("%s\n", path);
    cJSON_Delete(metrics);
    free(path);
    models_free(&m), pictures_free(&d);
    return 0;
}

/* ---- info ------------------------------------------------------------------------------------ */

static int info(void) {
    Models m = {0};
    for (int s = 0; s < STAGES; s++) {
        if (!has_stage(s)) continue;
        build(&m, s);
        const Params *p = &m.params[s];
        for (int i = 0; i < p->count; i++) printf("%s\n", t_describe(p->list[i]));
    }
    for (int s = 0; s < STAGES; s++)
        if (has_stage(s))
            printf("%s: %zu parameters\n", stage_names[s], params_count(&m.params[s]));
    models_free(&m);
    return 0;
}

int main(int argc, char **argv) {
    threads_sleep_when_waiting(argv);
    cli_parse(&cli, argc, argv);
    if (o.common.threads) threads_set(o.common.threads);
    if (o.prior_channels % 16)
        usage_error("--prior-channels: %d is no multiple of 16", o.prior_channels);
    if (!strcmp(cli.command, "train")) return train();
    if (!strcmp(cli.command, "sample")) return sample();
    if (!strcmp(cli.command, "eval")) return eval();
    return info();
}
