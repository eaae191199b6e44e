/* vae — train, sample from, evaluate variational autoencoders on Fashion-MNIST. */
#include "data/batches.h"
#include "data/fashion.h"
#include "eval/scores.h"
#include "train/checkpoint.h"
#include "train/cli.h"
#include "base/file.h"
#include "io/json.h"
#include "io/picture.h"
#include "train/results.h"
#include "train/run.h"
#include "nn/optim.h"
#include "base/error.h"
#include "vae.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    CommonOptions common;
    int code, draws, samples;
    double beta;
    const char *likelihood;
    bool conditional;
} o = {
    .common = {.seed = 1, .steps = 15000, .batch = 128, .lr = 1e-3, .config = "default",
               .out = "build/runs/vae"},
    .code = 32,
    .draws = 500,
    .samples = 10000,
    .beta = 1,
    .likelihood = "bernoulli",
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default|kingma|pytorch"),
    {"code", 0, .i = &o.code, .min = 1, .max = 512, .meta = "N", .keep = KEEP_MODEL,
     .help = "dimensions of z"},
    {"likelihood", 0, .s = &o.likelihood, .choices = "bernoulli|gaussian", .keep = KEEP_MODEL,
     .help = "p(x|z): coins for binarised pixels, or normals with a learned sigma"},
    {"conditional", 0, .b = &o.conditional, .keep = KEEP_MODEL,
     .help = "tell both halves the class"},
    {"beta", 0, .d = &o.beta, .min = 0, .max = 1000, .meta = "X", .only = "train",
     .help = "weight of the KL; 1 is the ELBO (Higgins et al. 2017)"},
    {"draws", 0, .i = &o.draws, .min = 1, .max = 1e6, .meta = "K", .keep = KEEP_NOT, .only = "eval",
     .help = "samples of z an image in the importance-weighted bound"},
    {"samples", 0, .i = &o.samples, .min = SCORE_MINIMUM, .max = 10000, .meta = "N",
     .keep = KEEP_NOT, .only = "eval", .help = "pictures to draw and score"},
    {0}};

static const Preset presets[] = {{"kingma", "code=50 lr=0.0003 batch=1000"},
                                 {"pytorch", "code=20"},
                                 {0}};

static Cli cli = {.program = "vae",
                  .about = "Variational autoencoders: a code that can be drawn at random.",
                  .options = options,
                  .presets = presets};

enum { COLUMNS = 10, ROWS = 6, SIDE = 20 };    /* of pictures; of the manifold */

/* ---- what all commands use ------------------------------------------------------------------- */

static Fashion load_data(void) {
    Fashion data = fashion_load(o.common.data);
    if (data.test.count < SCORE_MINIMUM)
        fail("%s: %d images for testing; at least %d are needed", o.common.data, data.test.count,
             SCORE_MINIMUM);
    return data;
}

static Vae new_network(Params *p) {
    return vae_new(p, architecture_named(o.common.config), likelihood_named(o.likelihood), o.code,
                   o.conditional ? 10 : 0);
}

static real *new_images(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * PIXELS * sizeof(real));
}

static real *new_codes(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * (size_t)o.code * sizeof(real));
}

/* n images of a set as the likelihood sees them, always drawn alike, and their classes */
typedef struct {
    int n, *labels;
    real *grey, *x;
} Observed;

static Observed observe_first(Arena *arena, const Vae *v, const Images *set, int n) {
    if (n > set->count) n = set->count;
    Observed d = {n, arena_get(arena, (size_t)n * sizeof(int)), new_images(arena, n),
                  new_images(arena, n)};
    Rng rng = rng_new(1, "held-out observations");
    images_get(set, n, NULL, 0, 1, d.grey, d.labels);
    observe(v, (size_t)n * PIXELS, d.grey, &rng, d.x);
    return d;
}

/* rows of `columns` images; `path` is freed */
static void save_grid(char *path, const real *images, int rows, int columns) {
    picture_save(path, images,
                 (Grid){.count = rows * columns, .height = IMAGE, .width = IMAGE, .channels = 1,
                        .columns = columns, .enlarge = columns > COLUMNS ? 1 : 2, .low = 0,
                        .high = 1},
                 cli.line);
    free(path);
}

/* n pictures of z ~ N(0,I), classes in turn: a grid's columns are classes */
static void draw_samples(const Vae *v, uint64_t seed, int n, real *images, int *labels) {
    Arena arena = {0};
    real *z = new_codes(&arena, n);
    Rng rng = rng_new(seed, "samples");
    rng_normal(&rng, (size_t)n * (size_t)v->code, z);
    for (int i = 0; i < n; i++) labels[i] = i % 10;
    decode_all(v, n, z, labels, images);
    arena_free(&arena);
}

static void picture_of_samples(const Vae *v, char *path) {
    static real images[ROWS * COLUMNS * PIXELS];
    int labels[ROWS * COLUMNS];
    draw_samples(v, o.common.seed, ROWS * COLUMNS, images, labels);
    save_grid(path, images, ROWS, COLUMNS);
}

/* ---- train ----------------------------------------------------------------------------------- */

static int train(void) {
    Run run = {.columns = "loss,log_likelihood,kl,validation_elbo", .log_every = 10};
    run_start(&run, &cli, &o.common);
    Arena arena = {0};
    Fashion data = load_data();
    for (int i = 0; i < 4; i++) run_record(&run, fashion_files[i], data.file[i].sha256);
    int B = o.common.batch;
    Batches batches = batches_new(data.train.count, o.common.seed);
    int *batch = arena_get(&arena, (size_t)B * sizeof *batch);
    int *labels = arena_get(&arena, (size_t)B * sizeof *labels);
    real *grey = new_images(&arena, B);

    Params params = {.seed = o.common.seed};
    Vae net = new_network(&params);
    Observed validation = observe_first(&arena, &net, &data.validation, 1000);
    Adam adam = {ADAM_DEFAULTS};
    Ema ema = {.decay = 0.999};
    Rng coins = rng_new(o.common.seed, "observations"), noise = rng_new(o.common.seed, "noise");
    run_record_number(&run, "parameters", (double)params_count(&params));

    Checkpoint everything = {.cli = &cli,
                             .params = {{"", &params},
                                        {"ema.", &ema.average, .like = &params},
                                        {"adam.m.", &adam.m, .like = &params},
                                        {"adam.v.", &adam.v, .like = &params}},
                             .numbers = {{"step", .i = &run.step},
                                         {"ema.step", .i = &ema.step},
                                         {"adam.step", .i = &adam.step},
                                         {"coins", .u = &coins.next},
                                         {"noise", .u = &noise.next},
                                         {"batches", .u = &batches.next}}};
    Checkpoint weights = {.cli = &cli, .params = {{"", &ema.average}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {0};
    while (run_next(&run)) {
        tape_reset(&tape);
        batches_next(&batches, B, batch);
        images_get(&data.train, B, batch, 0, 1, grey, labels);
        Tensor *x = t_input(&tape, NULL, SHAPE(B, IMAGE, IMAGE, 1));
        observe(&net, x->len, grey, &coins, x->x);

        Posterior q = encode(&net, x, labels);
        Tensor *kl = kl_divergence(q);
        Tensor *logits = decode(&net, reparameterize(q, &noise), labels);
        Tensor *likelihood = log_likelihood(&net, logits, x);
        run_value(&run, "log_likelihood", (double)likelihood->x[0]);
        run_value(&run, "kl", (double)kl->x[0]);
        Tensor *loss = t_sub(t_scale(kl, o.beta), likelihood);
        run_value(&run, "loss", (double)loss->x[0]);
        params_zero_grad(&params);
        backward(loss);
        adam_step(&adam, &params, o.common.lr * lr_warmup(run.step, 100), 1);
        ema_update(&ema, &params);

        if (run_due(&run, 250)) {
            ema_swap(&ema, &params);     /* scores and pictures are the averaged weights' */
            Rng rng = rng_new(1, "validation");
            Elbo e = elbo_all(&net, validation.n, validation.x, validation.labels, &rng);
            run_value(&run, "validation_elbo", e.log_likelihood - e.kl);
            ema_swap(&ema, &params);
        }
        run_step(&run);
        if (run_save_due(&run)) {
            checkpoint_save_half(run.weights, &weights);
            checkpoint_save(run.checkpoint, &everything);
            ema_swap(&ema, &params);
            picture_of_samples(&net, run_path(&run, "samples.png"));
            ema_swap(&ema, &params);
        }
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    ema_free(&ema), adam_free(&adam), params_free(&params);
    batches_free(&batches);
    fashion_free(&data);
    arena_free(&arena);
    return run_finish(&run);
}

/* ---- a trained network ----------------------------------------------------------------------- */

/* the network that --weights (or the run in --out) holds */
static Vae load_network(Params *params) {
    char *path = weights_path(&o.common);
    checkpoint_options(path, &cli, false);
    Vae v = new_network(params);
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", params}}});
    free(path);
    return v;
}

/* ---- sample ---------------------------------------------------------------------------------- */

/* test images; what the network sees of them; decoded from the mean of their posterior */
static void picture_of_reconstructions(Arena *arena, const Vae *v, const Observed *d) {
    real *grid = new_images(arena, 3 * COLUMNS), *mu = new_codes(arena, COLUMNS);
    memcpy(grid, d->grey, COLUMNS * PIXELS * sizeof *grid);
    memcpy(grid + COLUMNS * PIXELS, d->x, COLUMNS * PIXELS * sizeof *grid);
    encode_all(v, COLUMNS, d->x, d->labels, mu, NULL);
    decode_all(v, COLUMNS, mu, d->labels, grid + 2 * COLUMNS * PIXELS);
    save_grid(announced(&o.common, "reconstructions.png"), grid, 3, COLUMNS);
}

/* each row: from one test image's mean code to the next one's in a straight line */
static void picture_of_interpolation(Arena *arena, const Vae *v, const Observed *d) {
    int row = COLUMNS * v->code, labels[ROWS * COLUMNS];
    real *mu = new_codes(arena, 2 * ROWS), *path = new_codes(arena, ROWS * COLUMNS);
    real *grid = new_images(arena, ROWS * COLUMNS);
    encode_all(v, 2 * ROWS, d->x, d->labels, mu, NULL);
    for (int i = 0; i < ROWS; i++) {
        const real *a = mu + 2 * i * v->code, *b = a + v->code;
        interpolate_codes(v->code, a, b, COLUMNS, path + i * row);
        for (int j = 0; j < COLUMNS; j++)
            labels[i * COLUMNS + j] = d->labels[2 * i + (2 * j >= COLUMNS)];
    }
    decode_all(v, ROWS * COLUMNS, path, labels, grid);
    save_grid(announced(&o.common, "interpolation.png"), grid, ROWS, COLUMNS);
}

/* two dimensions: all of the latent space at once */
static void picture_of_manifold(Arena *arena, const Vae *v) {
    real *z = new_codes(arena, SIDE * SIDE), *grid = new_images(arena, SIDE * SIDE);
    manifold_codes(SIDE, z);
    int labels[SIDE * SIDE] = {0};
    decode_all(v, SIDE * SIDE, z, labels, grid);
    save_grid(announced(&o.common, "manifold.png"), grid, SIDE, SIDE);
}

static int sample(void) {
    Params params = {0};
    Vae v = load_network(&params);
    Arena arena = {0};
    Fashion data = load_data();
    folder_create(o.common.out);
    Observed test = observe_first(&arena, &v, &data.test, 2 * ROWS);
    picture_of_samples(&v, announced(&o.common, "samples.png"));
    picture_of_reconstructions(&arena, &v, &test);
    picture_of_interpolation(&arena, &v, &test);
    if (v.code == 2) picture_of_manifold(&arena, &v);
    fashion_free(&data);
    arena_free(&arena);
    params_free(&params);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* KL and variance of the mean for each dimension, the busiest first: kl.csv */
static int save_code_use(Arena *arena, const Vae *v, const Observed *d) {
    int D = v->code;
    real *mu = new_codes(arena, d->n), *logvar = new_codes(arena, d->n);
    double *kl = arena_get(arena, 2 * (size_t)D * sizeof *kl), *variance = kl + D;
    encode_all(v, d->n, d->x, d->labels, mu, logvar);
    code_use(d->n, D, mu, logvar, kl, variance);
    char *path = path_join(o.common.out, "kl.csv");
    AtomicFile f = file_create(path);
    fprintf(f.stream, "rank,dimension,kl,variance\n");
    for (int rank = 1; rank <= D; rank++) {
        int best = 0;
        for (int j = 1; j < D; j++)
            if (kl[j] > kl[best]) best = j;
        fprintf(f.stream, "%d,%d,%.5g,%.5g\n", rank, best, kl[best], variance[best]);
        kl[best] = -INFINITY;
    }
    file_commit(&f);
    free(path);
    return active_units(D, variance);
}

/* the scores of `n` pictures drawn from the prior, into m */
static void score_samples(Arena *arena, const Vae *v, const Fashion *data, int n, cJSON *m) {
    real *x = new_images(arena, n);
    int *labels = arena_get(arena, (size_t)n * sizeof *labels);
    Judge judge = judge_new(data, CLASSIFIER_WEIGHTS);
    draw_samples(v, o.common.seed, n, x, labels);
    ScoreSheet sheet = score_sheet(&judge, n, x, v->classes ? labels : NULL, o.common.seed);
    if (!o.common.quiet) score_sheet_print(&sheet);
    cJSON_AddItemToObject(m, "scores", score_sheet_json(&sheet));
    char *path = path_join(o.common.out, "classes.csv");
    score_sheet_classes(&sheet, path);
    free(path);
    path = path_join(o.common.out, "neighbours.png");
    neighbours_picture(&judge, 16, x, path, cli.line);
    free(path);
    judge_free(&judge);
}

static int eval(void) {
    Params params = {0};
    Vae v = load_network(&params);
    Arena arena = {0};
    Fashion data = load_data();
    folder_create(o.common.out);
    Observed test = observe_first(&arena, &v, &data.test, data.test.count);
    int weighted = test.n < 1000 ? test.n : 1000;
    Rng rng = rng_new(o.common.seed, "eval");
    Elbo e = elbo_all(&v, test.n, test.x, test.labels, &rng);
    Elbo few = elbo_all(&v, weighted, test.x, test.labels, &rng);
    double bound = importance_weighted(&v, weighted, test.x, test.labels, o.draws, &rng);
    int active = save_code_use(&arena, &v, &test);

    cJSON *m = cJSON_CreateObject();
    cJSON_AddStringToObject(m, "command", cli.line);
    cJSON_AddNumberToObject(m, "parameters", (double)params_count(&params));
    cJSON_AddNumberToObject(m, "test_images", test.n);
    cJSON_AddNumberToObject(m, "elbo", e.log_likelihood - e.kl);
    cJSON_AddNumberToObject(m, "log_likelihood", e.log_likelihood);
    cJSON_AddNumberToObject(m, "kl", e.kl);
    cJSON_AddNumberToObject(m, "active_units", active);
    cJSON_AddNumberToObject(m, "weighted_images", weighted);
    cJSON_AddNumberToObject(m, "weighted_draws", o.draws);
    cJSON_AddNumberToObject(m, "weighted_images_elbo", few.log_likelihood - few.kl);
    cJSON_AddNumberToObject(m, "importance_weighted", bound);
    if (v.likelihood == GAUSSIAN)
        cJSON_AddNumberToObject(m, "sigma", exp((double)v.log_sigma->x[0]));
    score_samples(&arena, &v, &data, score_count(&data, o.samples), m);
    char *path = path_join(o.common.out, "metrics.json");
    json_save(path, m);
    if (!o.common.quiet) {
        printf("nats per image, %d test images\n", test.n);
        printf("  log p(x|z) %9.3f\n  KL         %9.3f   %d of %d dimensions active\n"
               "  ELBO       %9.3f\n",
               e.log_likelihood, e.kl, active, v.code, e.log_likelihood - e.kl);
        printf("the first %d: ELBO %.3f, importance-weighted with %d draws %.3f\n", weighted,
               few.log_likelihood - few.kl, o.draws, bound);
        printf("%s\n", path);
    }
    cJSON_Delete(m);
    free(path);
    fashion_free(&data);
    arena_free(&arena);
    params_free(&params);
    return 0;
}

/* ---- info ------------------------------------------------------------------------------------ */

static int info(void) {
    Params params = {0};
    new_network(&params);
    for (int i = 0; i < params.count; i++) printf("%s\n", t_describe(params.list[i]));
    printf("%zu parameters, code of %d numbers\n", params_count(&params), o.code);
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
