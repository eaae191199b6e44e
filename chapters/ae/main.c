/* ae — train, sample from, evaluate autoencoders on Fashion-MNIST. */
#include "ae.h"
#include "base/error.h"
#include "io/csv.h"
#include "eval/pca.h"
#include "nn/interpolate.h"
#include "train/program.h"
#include "train/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct {
    CommonOptions common;
    int code;
    const char *loss;
} o = {
    .common = {COMMON_DEFAULTS("ae"), .steps = 6000, .batch = 128, .lr = 1e-3},
    .code = 32,
    .loss = "squared",
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default|hinton2006|linear"),
    {"code", 0, .i = &o.code, .min = 1, .max = 512, .meta = "N", .keep = KEEP_MODEL,
     .help = "numbers in the code"},
    {"loss", 0, .s = &o.loss, .choices = "squared|cross-entropy", .only = "train",
     .help = "reconstruction loss"},
    {0}};

static const Preset presets[] = {{"hinton2006", "code=30 lr=0.002"}, {0}};

static int train(void), sample(void), eval(void), info(void);
static Cli cli = {.program = "ae",
                  .about = "Autoencoders: images of 784 pixels are encoded in a few numbers.",
                  .common = &o.common,
                  .commands = (const Command[]){STANDARD_COMMANDS, {0}},
                  .options = options,
                  .presets = presets};

enum { COLUMNS = 12, ROWS = 6 };    /* of pictures */

static Fashion load_data(void) {
    return fashion_load_unlabelled(o.common.data, 10 * COLUMNS, COLUMNS);
}

static Autoencoder new_network(Params *p) {
    return autoencoder_new(p, architecture_named(o.common.config), o.code);
}

/* ---- train ----------------------------------------------------------------------------------- */

static Tensor *training_loss(const Autoencoder *net, Tensor *x) {
    Tensor *h = encode(net, x);
    if (!strcmp(o.loss, "cross-entropy")) return cross_entropy(decode_logits(net, h), x);
    return squared_error(decode(net, h), x);
}

/* the loss on images x (n,28,28,1) that are not trained on */
static double validation_loss(const Autoencoder *net, int n, const real *x) {
    Tape t = {.no_grad = true};
    double loss = (double)training_loss(net, t_input(&t, x, SHAPE(n, IMAGE, IMAGE, 1)))->x[0];
    tape_free(&t);
    return loss;
}

/* a row of originals above a row of their reconstructions */
static void save_samples(const Run *run, const Autoencoder *a, const real *x) {
    real pictures[2 * COLUMNS * PIXELS];
    memcpy(pictures, x, COLUMNS * PIXELS * sizeof *x);
    reconstruct_all(a, COLUMNS, x, pictures + COLUMNS * PIXELS);
    save_grid(&cli, run_path(run, "samples.png"), pictures,
              fashion_grid(2, COLUMNS, "images|reconstructions", NULL));
}

static int train(void) {
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,validation", .log_every = 10});
    if (!strcmp(o.common.config, "linear") && strcmp(o.loss, "squared"))
        usage_error("--config linear gives no probabilities; use it with --loss squared");
    Fashion data = load_data();
    run_fashion(run, &data);
    Params *params = run_params(run, "");
    Autoencoder net = new_network(params);
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    run_ema(run, adam, 0.999);
    Loader *loader = run_loader(run, &data.train);
    int held_out = data.validation.count < 1000 ? data.validation.count : 1000;
    real *validation = images_new(&run->arena, &data.validation, held_out, 0, 1, NULL);
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        Tensor *x = loader_images(loader, &run->tape, 0, 1);
        Tensor *loss = training_loss(&net, x);
        run_log(run, "loss", loss);
        minimise(adam, loss, o.common.lr * lr_warmup(run->step, 100));
        if (run_every(run, 250))
            run_value(run, "validation", validation_loss(&net, held_out, validation));
        if (run_saves(run)) save_samples(run, &net, validation);
    }
    fashion_free(&data);
    return run_finish(run);
}

/* ---- sample ---------------------------------------------------------------------------------- */

/* what sample and eval need: the network that --weights (or the run in --out) holds, data, and PCA
 * with a code of the same size */
typedef struct {
    Params params;
    Autoencoder net;
    Fashion data;
    Pca pca;
    Arena arena;
} Trained;

static void load(Trained *t) {
    *t = (Trained){0};
    weights_options(&cli);
    t->net = new_network(&t->params);
    weights_load_one(&cli, &t->params);
    t->data = load_data();
    images_variance(&t->data.train);      /* images all alike have no principal components */
    Arena training = {0};
    int n = t->data.train.count;
    t->pca = pca_fit(n, PIXELS, images_new(&training, &t->data.train, n, 0, 1, NULL), o.code);
    arena_free(&training);
}

static void unload(Trained *t) {
    pca_free(&t->pca);
    fashion_free(&t->data);
    params_free(&t->params);
    arena_free(&t->arena);
}

static real *new_images(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * PIXELS * sizeof(real));
}

static real *codes_of(Arena *arena, const Autoencoder *a, int n, const real *x) {
    real *codes = arena_get(arena, (size_t)n * (size_t)a->code * sizeof *codes);
    encode_all(a, n, x, codes);
    return codes;
}

/* originals, the network's reconstructions, PCA's with a code of the same size */
static void picture_of_reconstructions(Arena *arena, const Autoencoder *a, const Pca *pca,
                                       const real *x) {
    real *grid = new_images(arena, 3 * COLUMNS);
    memcpy(grid, x, COLUMNS * PIXELS * sizeof *x);
    reconstruct_all(a, COLUMNS, x, grid + COLUMNS * PIXELS);
    pca_reconstruct(pca, COLUMNS, x, grid + 2 * COLUMNS * PIXELS);
    save_grid(&cli, output_path(&cli, "reconstructions.png"), grid,
              fashion_grid(3, COLUMNS, "test images|autoencoder|PCA", NULL));
}

/* each row: along the straight line from one test image's code to the next one's; codes holds those
 * of COLUMNS = 2 ROWS images */
static void picture_of_interpolation(Arena *arena, const Autoencoder *a, const real *codes) {
    size_t row = (size_t)COLUMNS * (size_t)a->code;
    real *path = arena_get(arena, ROWS * row * sizeof *path),
         *grid = new_images(arena, ROWS * COLUMNS);
    for (int i = 0; i < ROWS; i++)
        interpolate_codes(a->code, codes + 2 * i * a->code, codes + (2 * i + 1) * a->code, COLUMNS,
                          path + (size_t)i * row);
    decode_all(a, ROWS * COLUMNS, path, grid);
    save_grid(&cli, output_path(&cli, "interpolation.png"), grid,
              fashion_grid(ROWS, COLUMNS, NULL, "image A|||||||||||image B"));
}

/* codes of a Gaussian with the mean and the whole covariance of real ones, from their principal
 * components: h = m + U sqrt(variance) N(0,1) */
static void codes_of_fitted_gaussian(int n, int code, const real *codes, int count, Rng *rng,
                                     real *random) {
    Pca fit = pca_fit(n, code, codes, code);
    Arena arena = {0};
    real *z = arena_get(&arena, (size_t)count * (size_t)code * sizeof *z);
    rng_normal(rng, (size_t)count * (size_t)code, z);
    for (int i = 0; i < count * code; i++)
        z[i] *= (real)sqrt(fmax(fit.variance[i % code], 0));
    pca_decode(&fit, count, z, random);
    arena_free(&arena), pca_free(&fit);
}

/* Decoding codes that no image was encoded to, two rows each: of N(0,I), of independent Gaussians
 * with each number's mean and deviation over real codes, of a Gaussian with their mean and
 * covariance. */
static void picture_of_random_codes(Arena *arena, const Autoencoder *a, int n, const real *codes) {
    int code = a->code, third = ROWS / 3 * COLUMNS;
    real *mean = arena_get(arena, (size_t)code * sizeof *mean);
    real *deviation = arena_get(arena, (size_t)code * sizeof *deviation);
    real *random = arena_get(arena, 3 * (size_t)third * (size_t)code * sizeof *random);
    real *grid = new_images(arena, 3 * third);
    Rng rng = rng_new(o.common.seed, "codes");
    code_statistics(n, code, codes, mean, deviation);
    random_codes(third, code, NULL, NULL, &rng, random);
    random_codes(third, code, mean, deviation, &rng, random + third * code);
    codes_of_fitted_gaussian(n, code, codes, third, &rng, random + 2 * third * code);
    decode_all(a, 3 * third, random, grid);
    save_grid(&cli, output_path(&cli, "random_codes.png"), grid,
              fashion_grid(ROWS, COLUMNS, "N(0, I)||mean and deviation||mean and covariance|",
                           NULL));
}

static int sample(void) {
    Trained t;
    load(&t);
    int some = t.data.train.count < 5000 ? t.data.train.count : 5000;
    real *x = images_new(&t.arena, &t.data.train, some, 0, 1, NULL);
    real *test = images_new(&t.arena, &t.data.test, COLUMNS, 0, 1, NULL);
    picture_of_reconstructions(&t.arena, &t.net, &t.pca, test);
    picture_of_interpolation(&t.arena, &t.net, codes_of(&t.arena, &t.net, COLUMNS, test));
    picture_of_random_codes(&t.arena, &t.net, some, codes_of(&t.arena, &t.net, some, x));
    unload(&t);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* class and the first two numbers of the code, for a scatter plot */
static void save_codes(const Autoencoder *a, int n, const real *codes, const int *labels) {
    AtomicFile f = csv_create(o.common.out, "codes.csv", "class,h1,h2");
    for (int i = 0; i < n; i++)
        fprintf(f.stream, "%d,%.5g,%.5g\n", labels[i], (double)codes[i * a->code],
                (double)codes[i * a->code + 1]);
    file_commit(&f);
}

/* squared errors per image of n images x: the network's, PCA's, and the mean image's */
static void evaluate(Trained *t, int n, const real *x, double error[3]) {
    real *y = new_images(&t->arena, n);
    reconstruct_all(&t->net, n, x, y);
    error[0] = mean_squared_error_per_image(n, x, y);
    pca_reconstruct(&t->pca, n, x, y);
    error[1] = mean_squared_error_per_image(n, x, y);
    for (int i = 0; i < n; i++) memcpy(y + i * PIXELS, t->pca.mean, PIXELS * sizeof *y);
    error[2] = mean_squared_error_per_image(n, x, y);
}

static int eval(void) {
    Trained t;
    load(&t);
    int n = t.data.test.count, *labels = arena_get(&t.arena, (size_t)n * sizeof *labels);
    real *test = images_new(&t.arena, &t.data.test, n, 0, 1, labels);
    double error[3];
    evaluate(&t, n, test, error);
    if (!o.common.quiet)
        printf("squared error per image, %d test images, code of %d numbers\n"
               "  this network   %8.3f\n  PCA            %8.3f\n  the mean image %8.3f\n", n,
               t.net.code, error[0], error[1], error[2]);
    cJSON *m = metrics_new(&cli);
    json_text(m, "config", o.common.config);
    json_number(m, "code", o.code);
    json_number(m, "parameters", (double)params_count(&t.params));
    json_number(m, "test_images", n);
    json_number(m, "squared_error_per_image", error[0]);
    json_number(m, "pca_squared_error_per_image", error[1]);
    json_number(m, "mean_image_squared_error_per_image", error[2]);
    metrics_save(&cli, m);
    if (t.net.code == 2)
        save_codes(&t.net, n < 3000 ? n : 3000, codes_of(&t.arena, &t.net, n, test), labels);
    unload(&t);
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
