/* vae — train, sample from, evaluate variational autoencoders on Fashion-MNIST. */
#include "experiments/gradients.h"
#include "io/csv.h"
#include "nn/interpolate.h"
#include "train/report.h"
#include "train/run.h"
#include "vae.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct {
    CommonOptions common;
    int code, draws, samples, warm_up;
    double beta;
    const char *likelihood;
    bool conditional;
} o = {
    .common = {COMMON_DEFAULTS("vae"), .steps = 15000, .batch = 128, .lr = 1e-3},
    .code = 32,
    .draws = 500,
    .samples = 10000,
    .beta = 1,
    .likelihood = "bernoulli",
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default|aevb|kingma|pytorch"),
    {"code", 0, .i = &o.code, .min = 1, .max = 512, .meta = "N", .keep = KEEP_MODEL,
     .help = "dimensions of the latent z"},
    {"likelihood", 0, .s = &o.likelihood, .choices = "bernoulli|gaussian", .keep = KEEP_MODEL,
     .help = "p(x|z): Bernoulli of binarised pixels, or Gaussian with a learned sigma"},
    {"conditional", 0, .b = &o.conditional, .keep = KEEP_MODEL,
     .help = "condition encoder and decoder on the class label"},
    {"beta", 0, .d = &o.beta, .min = 0, .max = 1000, .meta = "X", .only = "train",
     .help = "weight of the KL divergence; 1 is the ELBO (Higgins et al. 2017)"},
    {"warm-up", 0, .i = &o.warm_up, .min = 0, .max = 1e9, .meta = "N", .only = "train",
     .help = "steps over which the KL's weight rises from 0 to beta, against posterior collapse"},
    {"draws", 0, .i = &o.draws, .min = 1, .max = 1e6, .meta = "K", .keep = KEEP_NOT, .only = "eval",
     .help = "samples of z per image in the importance-weighted bound"},
    {"samples", 0, .i = &o.samples, .min = SCORE_MINIMUM, .max = 10000, .meta = "N",
     .keep = KEEP_NOT, .only = "eval", .help = "number of samples to draw and score"},
    {0}};

static const Preset presets[] = {{"aevb", "code=20 batch=100"},
                                 {"kingma", "code=50 lr=0.0003 batch=1000"},
                                 {"pytorch", "code=20"},
                                 {0}};

static int train(void), sample(void), eval(void), info(void);
static Cli cli = {.program = "vae",
                  .about = "Variational autoencoders: a latent with a distribution to sample from.",
                  .common = &o.common,
                  .commands = (const Command[]){STANDARD_COMMANDS, {0}},
                  .options = options,
                  .presets = presets};

enum { COLUMNS = 10, ROWS = 6, SIDE = 20 };    /* of pictures; of the manifold */

/* ---- what all commands use ------------------------------------------------------------------- */

static Fashion load_data(void) {
    return (o.conditional ? fashion_load_least : fashion_load_unlabelled)(o.common.data, 10,
                                                                          SCORE_MINIMUM);
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

/* n images of a set, binarised or dequantised with the same noise each time, and their classes */
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
    save_grid(&cli, path, images,
              fashion_grid(ROWS, COLUMNS, NULL,
                           o.conditional && !o.common.data ? FASHION_LABELS : NULL));
}

/* ---- train ----------------------------------------------------------------------------------- */

/* beta, reached after --warm-up steps */
static double kl_weight(int64_t step) {
    return o.beta * (step < o.warm_up ? (double)step / o.warm_up : 1);
}

/* the bound on images that are not trained on, with the same noise each time */
static double validation_elbo(const Vae *net, const Observed *d) {
    Rng rng = rng_new(1, "validation");
    Elbo e = elbo_all(net, d->n, d->x, d->labels, &rng);
    return e.log_likelihood - e.kl;
}

static int train(void) {
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,log_likelihood,kl,validation_elbo",
                                             .log_every = 10});
    Fashion data = load_data();
    run_fashion(run, &data);
    Params *params = run_params(run, "");
    Vae net = new_network(params);
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    run_ema(run, adam, 0.999);
    Loader *loader = run_loader(run, &data.train);
    Rng *noise = run_rng(run, "noise"), *coins = run_rng_as(run, "observations", "coins");
    Observed validation = observe_first(&run->arena, &net, &data.validation, 1000);
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        Tensor *grey = loader_images(loader, &run->tape, 0, 1);
        Tensor *x = t_input(&run->tape, NULL, grey->rank, grey->shape);
        observe(&net, x->len, grey->x, coins, x->x);
        Posterior q = encode(&net, x, loader->labels);
        Tensor *kl = kl_divergence(q);
        Tensor *logits = decode(&net, reparameterize(q, noise), loader->labels);
        Tensor *log_px = log_likelihood(&net, logits, x);
        Tensor *loss = t_sub(t_scale(kl, kl_weight(run->step)), log_px);
        run_log(run, "loss", loss), run_log(run, "kl", kl);
        run_log(run, "log_likelihood", log_px);
        minimise(adam, loss, o.common.lr * lr_warmup(run->step, 100));
        if (run_every(run, 250))
            run_value(run, "validation_elbo", validation_elbo(&net, &validation));
        if (run_saves(run)) picture_of_samples(&net, run_path(run, "samples.png"));
    }
    fashion_free(&data);
    return run_finish(run);
}

/* the network that --weights (or the run in --out) holds */
static Vae load_network(Params *params) {
    weights_options(&cli);
    Vae v = new_network(params);
    weights_load_one(&cli, params);
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
    save_grid(&cli, output_path(&cli, "reconstructions.png"), grid,
              fashion_grid(3, COLUMNS, "test images|binarised|reconstructions", NULL));
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
    save_grid(&cli, output_path(&cli, "interpolation.png"), grid,
              fashion_grid(ROWS, COLUMNS, NULL, "image A|||||||||image B"));
}

/* "z1 -2.0|z1 -1.4|...": one number of SIDE latents, `stride` numbers apart */
static const char *latent_labels(Arena *arena, const char *name, const real *z, int stride) {
    char *text = arena_text(arena, "%s", "");
    for (int i = 0; i < SIDE; i++)
        text = arena_text(arena, "%s%s%s %.1f", text, i ? "|" : "", name, (double)z[i * stride]);
    return text;
}

/* two dimensions: all of the latent space at once */
static void picture_of_manifold(Arena *arena, const Vae *v) {
    real *z = new_codes(arena, SIDE * SIDE), *grid = new_images(arena, SIDE * SIDE);
    manifold_codes(SIDE, z);
    int labels[SIDE * SIDE] = {0};
    decode_all(v, SIDE * SIDE, z, labels, grid);
    Grid g = fashion_grid(SIDE, SIDE, latent_labels(arena, "z2", z + 1, 2 * SIDE),
                          latent_labels(arena, "z1", z, 2));
    g.enlarge = 1;
    save_grid(&cli, output_path(&cli, "manifold.png"), grid, g);
}

static int sample(void) {
    Params params = {0};
    Vae v = load_network(&params);
    Arena arena = {0};
    Fashion data = load_data();
    Observed test = observe_first(&arena, &v, &data.test, 2 * ROWS);
    picture_of_samples(&v, output_path(&cli, "samples.png"));
    picture_of_reconstructions(&arena, &v, &test);
    picture_of_interpolation(&arena, &v, &test);
    if (v.code == 2) picture_of_manifold(&arena, &v);
    fashion_free(&data);
    arena_free(&arena);
    params_free(&params);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* KL and variance of the mean for each dimension, the largest KL first: kl.csv */
static int save_code_use(Arena *arena, const Vae *v, const Observed *d) {
    int D = v->code;
    real *mu = new_codes(arena, d->n), *logvar = new_codes(arena, d->n);
    double *kl = arena_get(arena, 2 * (size_t)D * sizeof *kl), *variance = kl + D;
    encode_all(v, d->n, d->x, d->labels, mu, logvar);
    code_use(d->n, D, mu, logvar, kl, variance);
    AtomicFile f = csv_create(o.common.out, "kl.csv", "rank,dimension,kl,variance");
    for (int rank = 1; rank <= D; rank++) {
        int best = 0;
        for (int j = 1; j < D; j++)
            if (kl[j] > kl[best]) best = j;
        fprintf(f.stream, "%d,%d,%.5g,%.5g\n", rank, best, kl[best], variance[best]);
        kl[best] = -INFINITY;
    }
    file_commit(&f);
    return active_units(D, variance);
}

/* the class and the posterior's mean of up to 3,000 images: codes.csv */
static void save_codes(Arena *arena, const Vae *v, const Observed *d) {
    real *mu = new_codes(arena, d->n);
    encode_all(v, d->n, d->x, d->labels, mu, NULL);
    AtomicFile f = csv_create(o.common.out, "codes.csv", "class,z1,z2");
    for (int i = 0; i < d->n && i < 3000; i++)
        fprintf(f.stream, "%d,%.5g,%.5g\n", d->labels[i], (double)mu[2 * i],
                (double)mu[2 * i + 1]);
    file_commit(&f);
}

/* the bounds on log p(x), nats per image */
static void report_bounds(Arena *arena, const Vae *v, const Images *set, cJSON *m) {
    Observed test = observe_first(arena, v, set, set->count);
    int weighted = test.n < 1000 ? test.n : 1000;
    Rng rng = rng_new(o.common.seed, "eval");
    Elbo e = elbo_all(v, test.n, test.x, test.labels, &rng);
    Elbo few = elbo_all(v, weighted, test.x, test.labels, &rng);
    double bound = importance_weighted(v, weighted, test.x, test.labels, o.draws, &rng);
    int active = save_code_use(arena, v, &test);
    if (v->code == 2) save_codes(arena, v, &test);
    save_gradients(o.common.out, v, test.n < 20 ? test.n : 20, test.x, test.labels,
                   o.common.quiet);
    json_number(m, "test_images", test.n);
    json_number(m, "elbo", e.log_likelihood - e.kl);
    json_number(m, "log_likelihood", e.log_likelihood);
    json_number(m, "kl", e.kl);
    json_number(m, "active_units", active);
    json_number(m, "weighted_images", weighted);
    json_number(m, "weighted_draws", o.draws);
    json_number(m, "weighted_images_elbo", few.log_likelihood - few.kl);
    json_number(m, "importance_weighted", bound);
    if (v->likelihood == GAUSSIAN) json_number(m, "sigma", exp((double)v->log_sigma->x[0]));
    if (o.common.quiet) return;
    printf("nats per image, %d test images\n  log p(x|z) %9.3f\n  KL         %9.3f   %d of %d "
           "dimensions active\n  ELBO       %9.3f\n",
           test.n, e.log_likelihood, e.kl, active, v->code, e.log_likelihood - e.kl);
    printf("the first %d: ELBO %.3f, importance-weighted with %d draws %.3f\n", weighted,
           few.log_likelihood - few.kl, o.draws, bound);
}

static int eval(void) {
    Params params = {0};
    Vae v = load_network(&params);
    Arena arena = {0};
    Fashion data = load_data();
    Evaluator evaluator = report_evaluator(&data);
    cJSON *m = metrics_new(&cli);
    json_number(m, "parameters", (double)params_count(&params));
    report_bounds(&arena, &v, &data.test, m);
    int n = score_count(&data, o.samples), *labels = arena_get(&arena, (size_t)n * sizeof *labels);
    real *x = new_images(&arena, n);
    draw_samples(&v, o.common.seed, n, x, labels);
    report_samples(&cli, &evaluator, (Samples){n, x, v.classes ? labels : NULL, 16}, m);
    metrics_save(&cli, m);
    evaluator_free(&evaluator);
    fashion_free(&data);
    arena_free(&arena);
    params_free(&params);
    return 0;
}

static int info(void) {
    Params params = {0};
    new_network(&params);
    return info_network(&params);
}

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
