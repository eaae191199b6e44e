/* gan — train, sample from, evaluate generative adversarial networks on Fashion-MNIST. */
#include "base/error.h"
#include "experiments/modes.h"
#include "experiments/parzen.h"
#include "experiments/theory.h"
#include "gan.h"
#include "train/report.h"
#include "train/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct {
    CommonOptions common;
    double lr_d, r1;
    int d_steps, samples, seeds, toy_steps, mode_steps;
    const char *loss, *norm;
    bool conditional, unconditional;
} o = {
    .common = {COMMON_DEFAULTS("gan"), .steps = 10000, .batch = 64, .lr = 2e-4},
    .lr_d = 4e-4,
    .d_steps = 1,
    .samples = 10000,
    .seeds = 10,
    .toy_steps = 3000,
    .mode_steps = 4000,
    .loss = "hinge",
    .norm = "spectral",
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default|goodfellow|dcgan28|dcgan64"),
    {"lr-d", 0, .d = &o.lr_d, .min = 0, .max = 1e3, .meta = "X", .only = "train",
     .help = "learning rate of the discriminator; --lr is that of the generator"},
    {"d-steps", 'k', .i = &o.d_steps, .min = 1, .max = 100, .meta = "K", .only = "train",
     .help = "discriminator steps per generator step"},
    {"loss", 0, .s = &o.loss, .choices = "hinge|non-saturating|minimax", .only = "train",
     .help = "adversarial loss"},
    {"norm", 0, .s = &o.norm, .choices = "spectral|none", .only = "train info",
     .help = "spectral normalisation of the default discriminator, or none"},
    {"r1", 0, .d = &o.r1, .min = 0, .max = 1e6, .meta = "GAMMA", .only = "train",
     .help = "weight of the default discriminator's R1 regularisation; 0: none"},
    {"conditional", 0, .b = &o.conditional, .keep = KEEP_MODEL,
     .help = "condition both networks on the class (default and dcgan28)"},
    {"unconditional", 0, .b = &o.unconditional, .keep = KEEP_MODEL,
     .help = "without classes, where --config has them (dcgan28)"},
    {"samples", 0, .i = &o.samples, .min = SCORE_MINIMUM, .max = 10000, .meta = "N",
     .keep = KEEP_NOT, .only = "eval", .help = "number of samples to draw and score"},
    {"seeds", 0, .i = &o.seeds, .min = 1, .max = 1000, .meta = "N", .keep = KEEP_NOT,
     .only = "modes", .help = "trainings of each loss, from --seed on"},
    {"steps", 0, .i = &o.toy_steps, .min = 1, .max = 1e6, .meta = "N", .keep = KEEP_NOT,
     .only = "toy", .help = "steps of each game"},
    {"steps", 0, .i = &o.mode_steps, .min = 1, .max = 1e6, .meta = "N", .keep = KEEP_NOT,
     .only = "modes", .help = "steps of each training"},
    {0}};

static const Preset presets[] = {
    {"goodfellow", "loss=non-saturating batch=100 lr=0.1 lr-d=0.05 norm=none"},
    {"dcgan28", "loss=non-saturating batch=128 lr=0.0002 lr-d=0.0002 norm=none conditional=true"},
    {"dcgan64", "loss=non-saturating batch=128 lr=0.0002 lr-d=0.0002 norm=none"},
    {0}};

static int train(void), sample(void), eval(void), info(void), toy(void), run_modes(void);
static const Command commands[] = {
    STANDARD_COMMANDS,
    {"toy", "check the theory on points in the plane; CSV files are written to --out", toy},
    {"modes", "count the modes that each loss generates, on points in the plane", run_modes},
    {0}};

static Cli cli = {.program = "gan",
                  .about = "Generative adversarial networks: a generator and a discriminator.",
                  .common = &o.common,
                  .commands = commands,
                  .options = options,
                  .presets = presets};

enum { COLUMNS = 12, ROWS = 6, MOMENTS = 11 };    /* of pictures; rows of progress.png */

/* ---- what all commands use ------------------------------------------------------------------- */

static Design chosen_design(void) {
    const char *config = o.common.config;
    bool conditional = o.conditional && !o.unconditional;
    if (conditional && strcmp(config, "dcgan28") && strcmp(config, "default"))
        usage_error("--conditional: --config %s has no network for that", config);
    if (o.r1 > 0 && strcmp(config, "default"))
        usage_error("--r1: the discriminator of --config %s has %s", config,
                    strcmp(config, "goodfellow") ? "batch normalisation" : "dropout");
    if (strcmp(config, "default")) cli_refuse(&cli, "norm", "--config default");
    return design_named(config, conditional, !strcmp(o.norm, "spectral"));
}

static Fashion load_data(void) {
    bool labelled = chosen_design().classes > 0;
    return (labelled ? fashion_load_least : fashion_load_unlabelled)(o.common.data, 10 * COLUMNS,
                                                                     COLUMNS);
}

static real *new_images(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * PIXELS * sizeof(real));
}

/* n noises that depend on the seed alone, and their classes: 0, 1, ..., 9, 0, ... along a row of
 * `columns` */
typedef struct {
    int *labels;
    real *z;
} Noise;

static Noise fixed_noise(Arena *arena, const Design *d, int n, int columns) {
    Noise f = {arena_get(arena, (size_t)n * sizeof(int)),
               arena_get(arena, (size_t)n * (size_t)d->code * sizeof(real))};
    Rng rng = rng_new(o.common.seed, "samples");
    draw_noise(d, n, &rng, f.z);
    for (int i = 0; i < n; i++) f.labels[i] = i % columns % CLASSES;
    return f;
}

/* A picture of the images that G makes of these noises; those of DCGAN64 in their own size and
 * colours. `path` is freed. */
static void save_generated(char *path, const Generator *g, const Noise *f, Grid t) {
    const Design *d = &g->design;
    Arena arena = {0};
    real *x = arena_get(&arena, (size_t)(t.count * d->side * d->side * d->channels) * sizeof *x);
    if (d->side == IMAGE) generate(g, t.count, f->z, f->labels, x);
    else {
        generate_scaled(g, t.count, f->z, f->labels, x);
        t.height = t.width = d->side, t.channels = d->channels, t.low = d->low, t.enlarge = 1;
    }
    save_grid(&cli, path, x, t);
    arena_free(&arena);
}

/* ---- train ----------------------------------------------------------------------------------- */

/* Adam, or for the networks of 2014 gradient descent with momentum */
static Optimizer *new_optimizer(Run *run, const Design *d, const char *name, Params *p) {
    char *full = arena_text(&run->arena, "%s.%s", d->architecture == GOODFELLOW ? "sgd" : "adam",
                            name);
    if (d->architecture == GOODFELLOW) return run_sgd(run, full, p, (Sgd){0});
    return run_adam(run, full, p, (Adam){.beta1 = 0.5, .beta2 = 0.999, .eps = 1e-8});
}

/* One step. Gradient descent is that of Goodfellow et al.'s mnist.yaml: momentum from 0.5 in epoch 1
 * to 0.7 in epoch 250, learning rate divided by 1.000004 after each step. */
static void update(Optimizer *opt, Tensor *loss, double lr, int64_t step, double epoch) {
    if (opt->plain) {
        opt->sgd.momentum = 0.5 + 0.2 * fmin(epoch / 249, 1);
        lr = fmax(lr * pow(1.000004, -(double)step), 1e-6);
    }
    minimise(opt, loss, lr);
}

static void start_at_mean(const Generator *g, const Images *set) {
    Arena arena = {0};
    real *x = images_new(&arena, set, set->count, 0, 1, NULL), *mean = new_images(&arena, 1);
    k_sum_axis(1, set->count, PIXELS, x, mean, false);
    k_axpy(PIXELS, (real)1 / (real)set->count, mean, mean, false);
    generator_start_at(g, mean);
    arena_free(&arena);
}

/* the next real images as the networks see them, (B,side,side,channels) */
static Tensor *real_images(Loader *loader, Tape *t, const Design *d) {
    Tensor *images = loader_images(loader, t, 0, 1);
    Tensor *x = t_input(t, NULL, SHAPE(loader->size, d->side, d->side, d->channels));
    scale_images(d, loader->size, images->x, x->x);
    return x;
}

/* The row of progress.png that belongs to a step: images of the same noises at the start and after
 * each tenth of the run. `history` holds all rows, and is part of the checkpoint. */
static int row_of(int64_t steps) {
    return o.common.steps ? (int)(steps * (MOMENTS - 1) / o.common.steps) : 0;
}

static void add_to_history(real *history, const Generator *g, const Noise *f, int64_t steps) {
    generate(g, COLUMNS, f->z, f->labels, history + row_of(steps) * COLUMNS * PIXELS);
}

static void save_samples(const Run *run, const real *history, const Generator *g, const Noise *f) {
    save_generated(run_path(run, "samples.png"), g, f, fashion_grid(ROWS, COLUMNS, NULL, NULL));
    save_grid(&cli, run_path(run, "progress.png"), history,
              fashion_grid(row_of(run->step + 1) + 1, COLUMNS,
                           "untrained|10 %|20 %|30 %|40 %|50 %|60 %|70 %|80 %|90 %|end", NULL));
}

/* both networks, and what either is trained with */
typedef struct {
    Loss loss;
    Params *params_g, *params_d;
    Generator g;
    Discriminator d;
    Optimizer *opt_g, *opt_d;
    Rng *noise;
    Loader *loader;
} Game;

static Game game_new(Run *run, const Images *set) {
    Design design = chosen_design();
    Game m = {.loss = loss_named(o.loss), .params_g = run_params(run, "g."),
              .params_d = run_params(run, "d.")};
    m.g = generator_new(m.params_g, design);
    m.d = discriminator_new(m.params_d, design);
    if (design.architecture == GOODFELLOW) start_at_mean(&m.g, set);
    m.opt_g = new_optimizer(run, &design, "g", m.params_g);
    m.opt_d = new_optimizer(run, &design, "d", m.params_d);
    run_ema(run, m.opt_g, 0.999);
    m.noise = run_rng(run, "noise");
    run->tape.dropout = run_rng(run, "dropout");
    m.loader = run_loader(run, set);
    return m;
}

/* generated images and their classes, one-hot; NULL without classes */
typedef struct {
    Tensor *x, *y;
} Generated;

/* D gets real and generated images in separate batches, since batch normalisation would mix them,
 * and no gradient of its loss reaches G (t_detach). Returns the generated ones, for G's step. */
static Generated discriminator_step(Run *run, Game *m, double epoch) {
    const Design *design = &m->g.design;
    int B = m->loader->size;
    tape_reset(&run->tape);
    Tensor *x = real_images(m->loader, &run->tape, design), *y = NULL;
    if (design->classes) y = one_hot(&run->tape, B, m->loader->labels, design->classes);
    Tensor *fake = generator(&m->g, noise_tensor(&run->tape, design, B, m->noise), y, true);
    Tensor *on_real = discriminator(&m->d, x, y, true);
    Tensor *on_fake = discriminator(&m->d, t_detach(fake), y, true);
    Tensor *loss = discriminator_loss(m->loss, on_real, on_fake);
    run_log(run, "loss_d", loss);
    if (o.r1 > 0) {
        Tensor *r1 = r1_penalty(&m->d, x, y, R1_STEP, m->noise);
        run_log(run, "r1", r1);
        loss = t_add(loss, t_scale(r1, o.r1 / 2));
    }
    run_value(run, "d_real", mean_probability(on_real));
    run_value(run, "d_fake", mean_probability(on_fake));
    update(m->opt_d, loss, o.lr_d, run->step, epoch);
    return (Generated){fake, y};
}

/* G's step goes through a D that is frozen. */
static void generator_step(Run *run, Game *m, Generated fake, double epoch) {
    params_freeze(m->params_d, true);
    Tensor *loss = generator_loss(m->loss, discriminator(&m->d, fake.x, fake.y, true));
    run_log(run, "loss_g", loss);
    update(m->opt_g, loss, o.common.lr, run->step, epoch);
    params_freeze(m->params_d, false);
}

/* Algorithm 1 of the paper: k steps of D, then one of G. */
static int train(void) {
    Run *run = run_start(&cli, (RunSettings){.columns = "loss_d,loss_g,d_real,d_fake,r1",
                                             .log_every = 10,
        .whole_batch = "the discriminator steps before the generator's gradient is taken"});
    Fashion data = load_data();
    run_fashion(run, &data);
    Game m = game_new(run, &data.train);
    Noise fixed = fixed_noise(&run->arena, &m.g.design, ROWS * COLUMNS, COLUMNS);
    Scope top = scope(run_params(run, "history."), "%s", "");
    real *history = buffer(top, "pictures", 0, SHAPE(MOMENTS, COLUMNS * PIXELS))->x;
    run_record(run, "generator_parameters", (double)params_count(m.params_g));
    run_record(run, "discriminator_parameters", (double)params_count(m.params_d));
    standing_statistics(&m.g, 32, o.common.batch, o.common.seed);
    add_to_history(history, &m.g, &fixed, 0);

    while (run_next(run)) {
        Generated fake = {NULL, NULL};
        double epoch = (double)m.loader->order.next / data.train.count;
        for (int k = 0; k < o.d_steps; k++) fake = discriminator_step(run, &m, epoch);
        generator_step(run, &m, fake, epoch);

        bool tenth = run_every(run, (o.common.steps + MOMENTS - 2) / (MOMENTS - 1));
        bool saved = run_saves(run);
        if (tenth || saved) standing_statistics(&m.g, 32, o.common.batch, o.common.seed);
        if (tenth) add_to_history(history, &m.g, &fixed, run->step + 1);
        if (saved) save_samples(run, history, &m.g, &fixed);
    }
    fashion_free(&data);
    return run_finish(run);
}

/* ---- sample ---------------------------------------------------------------------------------- */

/* the generator that --weights (or the run in --out) holds, DCGAN64's also under official names */
static Generator load_generator(Params *params) {
    weights_options(&cli);
    Generator g = generator_new(params, chosen_design());
    weights_load_any(&cli, &generator_official, params);
    return g;
}

/* with classes each column is one */
static void picture_of_samples(Arena *arena, const Generator *g) {
    int columns = g->design.classes ? CLASSES : COLUMNS;
    Noise f = fixed_noise(arena, &g->design, ROWS * columns, columns);
    const char *labels = g->design.classes && !o.common.data ? FASHION_LABELS : NULL;
    save_generated(output_path(&cli, "samples.png"), g, &f,
                   fashion_grid(ROWS, columns, NULL, labels));
}

/* each row: from one noise to the next one's */
static void picture_of_interpolation(Arena *arena, const Generator *g) {
    int code = g->design.code;
    Noise ends = fixed_noise(arena, &g->design, 2 * ROWS, CLASSES);
    Noise path = fixed_noise(arena, &g->design, ROWS * COLUMNS, COLUMNS);
    for (int i = 0; i < ROWS; i++) {
        const real *a = ends.z + 2 * i * code;
        interpolate_noise(&g->design, a, a + code, COLUMNS, path.z + i * COLUMNS * code);
        for (int j = 0; j < COLUMNS; j++) path.labels[i * COLUMNS + j] = i;
    }
    save_generated(output_path(&cli, "interpolation.png"), g, &path,
                   fashion_grid(ROWS, COLUMNS, NULL, "first noise|||||between||||||second noise"));
}

static int sample(void) {
    Params params = {0};
    Generator g = load_generator(&params);
    Arena arena = {0};
    picture_of_samples(&arena, &g);
    picture_of_interpolation(&arena, &g);
    arena_free(&arena);
    params_free(&params);
    return 0;
}

/* ---- eval, info, toy ------------------------------------------------------------------------- */

static int eval(void) {
    Params params = {0};
    Generator g = load_generator(&params);
    Arena arena = {0};
    Fashion data = load_data();
    Evaluator evaluator = report_evaluator(&data);
    int n = score_count(&data, o.samples);
    Noise f = fixed_noise(&arena, &g.design, n, CLASSES);
    real *x = new_images(&arena, n);
    generate(&g, n, f.z, f.labels, x);
    cJSON *m = metrics_new(&cli);
    json_text(m, "config", o.common.config);
    json_number(m, "generator_parameters", (double)params_count(&params));
    report_samples(&cli, &evaluator, (Samples){n, x, g.design.classes ? f.labels : NULL, 10}, m);
    report_parzen(&data, n, x, o.common.quiet, m);
    metrics_save(&cli, m);
    evaluator_free(&evaluator);
    fashion_free(&data);
    arena_free(&arena);
    params_free(&params);
    return 0;
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

static int toy(void) {
    return theory(o.common.out, o.common.seed, o.toy_steps, o.common.quiet);
}

static int run_modes(void) {
    Dropping d = {.seed = o.common.seed, .seeds = o.seeds, .steps = o.mode_steps};
    return modes(o.common.out, d, o.common.quiet);
}

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
