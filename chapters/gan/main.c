/* gan — train, sample from, evaluate generative adversarial networks on Fashion-MNIST. */
#include "data/batches.h"
#include "data/fashion.h"
#include "eval/scores.h"
#include "gan.h"
#include "train/checkpoint.h"
#include "train/cli.h"
#include "base/file.h"
#include "io/json.h"
#include "io/picture.h"
#include "train/results.h"
#include "train/run.h"
#include "nn/optim.h"
#include "parzen.h"
#include "base/error.h"
#include "theory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    CommonOptions common;
    double lr_d;
    int d_steps, samples;
    const char *loss, *norm;
    bool conditional, unconditional;
} o = {
    .common = {.seed = 1, .steps = 10000, .batch = 64, .lr = 2e-4, .config = "default",
               .out = "build/runs/gan"},
    .lr_d = 4e-4,
    .d_steps = 1,
    .samples = 10000,
    .loss = "hinge",
    .norm = "spectral",
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default|goodfellow|dcgan28|dcgan64|collapse"),
    {"lr-d", 0, .d = &o.lr_d, .min = 0, .max = 1e3, .meta = "X", .only = "train",
     .help = "learning rate of the discriminator; --lr is the generator's"},
    {"d-steps", 'k', .i = &o.d_steps, .min = 1, .max = 100, .meta = "K", .only = "train",
     .help = "steps of the discriminator for one of the generator"},
    {"loss", 0, .s = &o.loss, .choices = "hinge|non-saturating|minimax", .only = "train",
     .help = "the game that is played"},
    {"norm", 0, .s = &o.norm, .choices = "spectral|none", .only = "train info",
     .help = "the default D's weights: divided by their largest singular value, or not"},
    {"conditional", 0, .b = &o.conditional, .keep = KEEP_MODEL,
     .help = "tell both networks the class (default and dcgan28)"},
    {"unconditional", 0, .b = &o.unconditional, .keep = KEEP_MODEL,
     .help = "do not, where the configuration does (dcgan28)"},
    {"samples", 0, .i = &o.samples, .min = SCORE_MINIMUM, .max = 10000, .meta = "N",
     .keep = KEEP_NOT, .only = "eval", .help = "pictures to draw and score"},
    {0}};

static const Preset presets[] = {
    {"goodfellow", "loss=non-saturating batch=100 lr=0.1 lr-d=0.05 norm=none"},
    {"dcgan28", "loss=non-saturating batch=128 lr=0.0002 lr-d=0.0002 norm=none conditional=true"},
    {"dcgan64", "loss=non-saturating batch=128 lr=0.0002 lr-d=0.0002 norm=none"},
    {"collapse", "loss=non-saturating norm=none lr=0.005 lr-d=0.00002 steps=300"},
    {0}};

static const Command commands[] = {
    {"train", "train both networks, write log, checkpoints and samples to --out"},
    {"sample", "draw pictures with trained weights"},
    {"eval", "score trained weights"},
    {"info", "list the networks' parameters"},
    {"toy", "check the theory on points in the plane, write its numbers to --out"},
    {0}};

static Cli cli = {.program = "gan",
                  .about = "Generative adversarial networks: one draws, the other finds fault.",
                  .commands = commands,
                  .options = options,
                  .presets = presets};

enum { COLUMNS = 12, ROWS = 6, MOMENTS = 11 };    /* of pictures; rows of progress.png */

/* ---- what all commands use ------------------------------------------------------------------- */

static Design chosen_design(void) {
    const char *config = o.common.config;
    bool conditional = o.conditional && !o.unconditional;
    if (conditional && strcmp(config, "dcgan28") && strcmp(config, "default"))
        usage_error("--conditional: --config %s has no network that is told the class", config);
    return design_named(config, conditional, !strcmp(o.norm, "spectral"));
}

static Fashion load_data(void) {
    Fashion data = fashion_load(o.common.data);
    if (data.validation.count < COLUMNS || data.test.count < COLUMNS)
        fail("%s: %d images for training and %d for testing; at least %d and %d are needed",
             o.common.data, data.train.count + data.validation.count, data.test.count, 10 * COLUMNS,
             COLUMNS);
    return data;
}

static real *new_images(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * PIXELS * sizeof(real));
}

/* rows of `columns` garments; `path` is freed */
static void save_grid(char *path, const real *garments, int rows, int columns) {
    picture_save(path, garments,
                 (Grid){.count = rows * columns, .height = SIDE, .width = SIDE, .channels = 1,
                        .columns = columns, .enlarge = 2, .low = 0, .high = 1},
                 cli.line);
    free(path);
}

/* n noises that depend on the seed alone, and their classes: 0, 1, ..., 9, 0, ... along a row of
 * `columns` */
typedef struct {
    int n, columns, *labels;
    real *z;
} Noise;

static Noise fixed_noise(Arena *arena, const Design *d, int n, int columns) {
    Noise f = {n, columns, arena_get(arena, (size_t)n * sizeof(int)),
               arena_get(arena, (size_t)n * (size_t)d->code * sizeof(real))};
    Rng rng = rng_new(o.common.seed, "samples");
    draw_noise(d, n, &rng, f.z);
    for (int i = 0; i < n; i++) f.labels[i] = i % columns % CLASSES;
    return f;
}

/* ---- train ----------------------------------------------------------------------------------- */

/* One network and what trains it: Adam, or for that of 2014 gradient descent with momentum */
typedef struct {
    Params params;
    Adam adam;
    Sgd sgd;
    bool plain;
} Trained;

static void trained_start(Trained *t, const Design *d) {
    *t = (Trained){.params = {.seed = o.common.seed},
                   .adam = {.beta1 = 0.5, .beta2 = 0.999, .eps = 1e-8},
                   .plain = d->architecture == GOODFELLOW};
}

static void trained_free(Trained *t) {
    adam_free(&t->adam), sgd_free(&t->sgd), params_free(&t->params);
}

/* Goodfellow et al.'s mnist.yaml: momentum from 0.5 in epoch 1 to 0.7 in epoch 250, learning rate
 * divided by 1.000004 after each step */
static void descend(Trained *t, Tensor *loss, double lr, int64_t step, double epoch) {
    params_zero_grad(&t->params);
    backward(loss);
    if (t->plain) {
        t->sgd.momentum = 0.5 + 0.2 * fmin(epoch / 249, 1);
        sgd_step(&t->sgd, &t->params, fmax(lr * pow(1.000004, -(double)step), 1e-6), 1);
    } else {
        adam_step(&t->adam, &t->params, lr, 1);
    }
}

/* everything that changes while training, but for the run's own state */
typedef struct {
    Design design;
    Trained of_g, of_d;
    Generator g;
    Discriminator d;
    Ema ema;
    Rng noise, dropout;
    Batches batches;
    Params history;              /* one buffer: rows of pictures of the same noise over time */
    const Images *set;
    /* space for one batch */
    int *index, *labels;
    real *garments;
} Training;

static void start_at_mean(const Training *t, Arena *arena) {
    int n = t->set->count;
    real *x = new_images(arena, n), *mean = new_images(arena, 1);
    images_get(t->set, n, NULL, 0, 1, x, NULL);
    k_sum_axis(1, n, PIXELS, x, mean, false);
    k_axpy(PIXELS, (real)1 / (real)n, mean, mean, false);
    generator_start_at(&t->g, mean);
}

static void training_start(Training *t, Arena *arena, const Images *set) {
    uint64_t seed = o.common.seed;
    int B = o.common.batch;
    t->set = set;
    t->design = chosen_design();
    trained_start(&t->of_g, &t->design), trained_start(&t->of_d, &t->design);
    t->g = generator_new(&t->of_g.params, t->design);
    t->d = discriminator_new(&t->of_d.params, t->design);
    t->ema.decay = 0.999;
    t->noise = rng_new(seed, "noise"), t->dropout = rng_new(seed, "dropout");
    t->d.dropout = &t->dropout;
    t->batches = batches_new(set->count, seed);
    buffer(scope(&t->history, "%s", ""), "pictures", 0, SHAPE(MOMENTS, COLUMNS * PIXELS));
    t->index = arena_get(arena, (size_t)B * sizeof *t->index);
    t->labels = arena_get(arena, (size_t)B * sizeof *t->labels);
    t->garments = new_images(arena, B);
    if (t->design.architecture == GOODFELLOW) {
        Arena all = {0};
        start_at_mean(t, &all);
        arena_free(&all);
    }
}

static void training_free(Training *t) {
    trained_free(&t->of_g), trained_free(&t->of_d);
    params_free(&t->history);
    ema_free(&t->ema);
    batches_free(&t->batches);
}

/* the next real pictures, and a tensor of their classes if the networks are told them */
static Tensor *next_pictures(Training *t, Tape *tape, Tensor **y) {
    const Design *d = &t->design;
    int B = o.common.batch;
    batches_next(&t->batches, B, t->index);
    images_get(t->set, B, t->index, 0, 1, t->garments, t->labels);
    Tensor *x = t_input(tape, NULL, SHAPE(B, d->side, d->side, d->channels));
    picture_of(d, B, t->garments, x->x);
    *y = d->classes ? one_hot(tape, B, t->labels, d->classes) : NULL;
    return x;
}

/* Algorithm 1 of the paper: k steps of D, then one of G. D sees real and made pictures in batches
 * of their own, since batch normalisation would mix them, and no gradient of its loss reaches G
 * (t_detach). G's step goes through a D that is frozen. */
static void training_step(Training *t, Tape *tape, Run *run) {
    Loss loss = loss_named(o.loss);
    double epoch = (double)t->batches.next / t->set->count;
    Tensor *made = NULL, *y = NULL;
    for (int k = 0; k < o.d_steps; k++) {
        tape_reset(tape);
        Tensor *x = next_pictures(t, tape, &y);
        Tensor *z = t_input(tape, NULL, SHAPE(o.common.batch, t->design.code));
        draw_noise(&t->design, o.common.batch, &t->noise, z->x);
        made = generator(&t->g, z, y, true);
        Tensor *on_real = discriminator(&t->d, x, y, true);
        Tensor *on_fake = discriminator(&t->d, t_detach(made), y, true);
        Tensor *loss_d = discriminator_loss(loss, on_real, on_fake);
        run_value(run, "loss_d", (double)loss_d->x[0]);
        run_value(run, "d_real", mean_probability(on_real));
        run_value(run, "d_fake", mean_probability(on_fake));
        descend(&t->of_d, loss_d, o.lr_d, run->step, epoch);
    }
    params_freeze(&t->of_d.params, true);
    Tensor *loss_g = generator_loss(loss, discriminator(&t->d, made, y, true));
    descend(&t->of_g, loss_g, o.common.lr, run->step, epoch);
    params_freeze(&t->of_d.params, false);
    ema_update(&t->ema, &t->of_g.params);
    run_value(run, "loss_g", (double)loss_g->x[0]);
}

/* Pictures and weights to pass on are the averaged generator's, with statistics of its own */
static void with_averages(Training *t) {
    ema_swap(&t->ema, &t->of_g.params);
    settle_statistics(&t->g, 32, o.common.batch, o.common.seed);
}

/* the row of progress.png that belongs to this step: the start, a tenth, two tenths, ... */
static int moment_of(const Run *run) {
    return o.common.steps ? (int)(run->step * (MOMENTS - 1) / o.common.steps) : 0;
}

/* the first COLUMNS noises at this moment */
static void save_moment(Training *t, const Run *run, const Noise *f) {
    real *row = t->history.list[0]->x + moment_of(run) * COLUMNS * PIXELS;
    generate(&t->g, COLUMNS, f->z, f->labels, row);
}

static void save_samples(Training *t, const Run *run, const Noise *f) {
    static real pictures[ROWS * COLUMNS * PIXELS];
    generate(&t->g, f->n, f->z, f->labels, pictures);
    save_grid(run_path(run, "samples.png"), pictures, ROWS, COLUMNS);
    save_grid(run_path(run, "progress.png"), t->history.list[0]->x, moment_of(run) + 1, COLUMNS);
}

static int train(void) {
    Run run = {.columns = "loss_d,loss_g,d_real,d_fake", .log_every = 10};
    run_start(&run, &cli, &o.common);
    Arena arena = {0};
    Fashion data = load_data();
    for (int i = 0; i < 4; i++) run_record(&run, fashion_files[i], data.file[i].sha256);
    Training t = {0};
    training_start(&t, &arena, &data.train);
    Noise fixed = fixed_noise(&arena, &t.design, ROWS * COLUMNS, COLUMNS);
    run_record_number(&run, "generator_parameters", (double)params_count(&t.of_g.params));
    run_record_number(&run, "discriminator_parameters", (double)params_count(&t.of_d.params));

    Params *g = &t.of_g.params, *d = &t.of_d.params;
    Checkpoint everything = {.cli = &cli,
                             .params = {{"g.", g},
                                        {"d.", d},
                                        {"ema.", &t.ema.average, .like = g},
                                        {"adam.g.m.", &t.of_g.adam.m, .like = g},
                                        {"adam.g.v.", &t.of_g.adam.v, .like = g},
                                        {"adam.d.m.", &t.of_d.adam.m, .like = d},
                                        {"adam.d.v.", &t.of_d.adam.v, .like = d},
                                        {"sgd.g.", &t.of_g.sgd.velocity, .like = g},
                                        {"sgd.d.", &t.of_d.sgd.velocity, .like = d},
                                        {"history.", &t.history}},
                             .numbers = {{"step", .i = &run.step},
                                         {"ema.step", .i = &t.ema.step},
                                         {"adam.g.step", .i = &t.of_g.adam.step},
                                         {"adam.d.step", .i = &t.of_d.adam.step},
                                         {"noise", .u = &t.noise.next},
                                         {"dropout", .u = &t.dropout.next},
                                         {"batches", .u = &t.batches.next}}};
    Checkpoint weights = {.cli = &cli, .params = {{"", &t.ema.average}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);
    else with_averages(&t), save_moment(&t, &run, &fixed), ema_swap(&t.ema, g);

    Tape tape = {0};
    while (run_next(&run)) {
        training_step(&t, &tape, &run);
        run_step(&run);
        int tenth = (o.common.steps + MOMENTS - 2) / (MOMENTS - 1);
        bool moment = run_due(&run, tenth);
        bool save = run_save_due(&run);
        if (!moment && !save) continue;
        with_averages(&t);
        if (moment) save_moment(&t, &run, &fixed);
        if (save) save_samples(&t, &run, &fixed);
        ema_swap(&t.ema, g);
        if (save) checkpoint_save_half(run.weights, &weights);
        if (save) checkpoint_save(run.checkpoint, &everything);
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    training_free(&t);
    fashion_free(&data);
    arena_free(&arena);
    return run_finish(&run);
}

/* ---- a trained generator --------------------------------------------------------------------- */

/* the one that --weights (or the run in --out) holds */
static Generator load_generator(Params *params) {
    char *path = weights_path(&o.common);
    checkpoint_options(path, &cli, false);
    Generator g = generator_new(params, chosen_design());
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", params}}});
    free(path);
    return g;
}

/* ---- sample ---------------------------------------------------------------------------------- */

static void save_picture(const char *name, const real *garments, int rows, int columns) {
    char *path = announced(&o.common, name);
    save_grid(path, garments, rows, columns);
}

/* with classes each column is one */
static void picture_of_samples(Arena *arena, const Generator *g) {
    int columns = g->design.classes ? CLASSES : COLUMNS, n = ROWS * columns;
    Noise f = fixed_noise(arena, &g->design, n, columns);
    real *grid = new_images(arena, n);
    generate(g, n, f.z, f.labels, grid);
    save_picture("samples.png", grid, ROWS, columns);
}

/* each row: from one noise to the next one's */
static void picture_of_interpolation(Arena *arena, const Generator *g) {
    int n = ROWS * COLUMNS, code = g->design.code, labels[ROWS * COLUMNS];
    Noise ends = fixed_noise(arena, &g->design, 2 * ROWS, CLASSES);
    real *path = arena_get(arena, (size_t)n * (size_t)code * sizeof *path);
    real *grid = new_images(arena, n);
    for (int i = 0; i < ROWS; i++) {
        const real *a = ends.z + 2 * i * code;
        interpolate_noise(&g->design, a, a + code, COLUMNS, path + i * COLUMNS * code);
        for (int j = 0; j < COLUMNS; j++) labels[i * COLUMNS + j] = i;
    }
    generate(g, n, path, labels, grid);
    save_picture("interpolation.png", grid, ROWS, COLUMNS);
}

static int sample(void) {
    Params params = {0};
    Generator g = load_generator(&params);
    Arena arena = {0};
    folder_create(o.common.out);
    picture_of_samples(&arena, &g);
    picture_of_interpolation(&arena, &g);
    arena_free(&arena);
    params_free(&params);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

static Parzen parzen_of(Arena *arena, const Fashion *data, int n, const real *samples) {
    int nv = data->validation.count < 1000 ? data->validation.count : 1000, nt = data->test.count;
    real *validation = new_images(arena, nv), *test = new_images(arena, nt);
    images_get(&data->validation, nv, NULL, 0, 1, validation, NULL);
    images_get(&data->test, nt, NULL, 0, 1, test, NULL);
    return parzen_estimate(PIXELS, n, samples, nv, validation, nt, test);
}

static void save_metrics(const Params *p, const ScoreSheet *sheet, Parzen parzen) {
    cJSON *m = cJSON_CreateObject();
    cJSON_AddStringToObject(m, "command", cli.line);
    cJSON_AddStringToObject(m, "config", o.common.config);
    cJSON_AddNumberToObject(m, "generator_parameters", (double)params_count(p));
    cJSON_AddItemToObject(m, "scores", score_sheet_json(sheet));
    cJSON_AddNumberToObject(m, "parzen_sigma", parzen.sigma);
    cJSON_AddNumberToObject(m, "parzen_nats_per_image", parzen.mean);
    cJSON_AddNumberToObject(m, "parzen_standard_error", parzen.standard_error);
    char *path = path_join(o.common.out, "metrics.json");
    json_save(path, m);
    if (!o.common.quiet) printf("%s\n", path);
    cJSON_Delete(m);
    free(path);
}

static int eval(void) {
    Params params = {0};
    Generator g = load_generator(&params);
    Arena arena = {0};
    Fashion data = load_data();
    folder_create(o.common.out);
    int n = score_count(&data, o.samples);
    Noise f = fixed_noise(&arena, &g.design, n, CLASSES);
    real *samples = new_images(&arena, n);
    generate(&g, n, f.z, f.labels, samples);
    Judge judge = judge_new(&data, CLASSIFIER_WEIGHTS);
    const int *labels = g.design.classes ? f.labels : NULL;
    ScoreSheet sheet = score_sheet(&judge, n, samples, labels, o.common.seed);
    Parzen parzen = parzen_of(&arena, &data, n, samples);
    if (!o.common.quiet) {
        score_sheet_print(&sheet);
        printf("\nParzen windows of width %.3f: %.1f +- %.1f nats per test image\n", parzen.sigma,
               parzen.mean, parzen.standard_error);
    }
    save_metrics(&params, &sheet, parzen);
    char *path = path_join(o.common.out, "classes.csv");
    score_sheet_classes(&sheet, path);
    free(path);
    path = path_join(o.common.out, "neighbours.png");
    neighbours_picture(&judge, 10, samples, path, cli.line);
    free(path);
    judge_free(&judge);
    fashion_free(&data);
    arena_free(&arena);
    params_free(&params);
    return 0;
}

/* ---- info ------------------------------------------------------------------------------------ */

static void print_parameters(const char *who, const Params *p) {
    for (int i = 0; i < p->count; i++) printf("%s\n", t_describe(p->list[i]));
    printf("%s: %zu parameters\n", who, params_count(p));
}

static int info(void) {
    Params g = {0}, d = {0};
    Design design = chosen_design();
    generator_new(&g, design);
    discriminator_new(&d, design);
    print_parameters("generator", &g);
    print_parameters("discriminator", &d);
    params_free(&g), params_free(&d);
    return 0;
}

int main(int argc, char **argv) {
    threads_sleep_when_waiting(argv);
    cli_parse(&cli, argc, argv);
    if (o.common.threads) threads_set(o.common.threads);
    if (!strcmp(cli.command, "train")) return train();
    if (!strcmp(cli.command, "sample")) return sample();
    if (!strcmp(cli.command, "eval")) return eval();
    if (!strcmp(cli.command, "toy")) return theory(o.common.out, o.common.seed, o.common.quiet);
    return info();
}
