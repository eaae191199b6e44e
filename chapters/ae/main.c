/* ae — train, sample from, evaluate autoencoders on Fashion-MNIST. */
#include "ae.h"
#include "data/batches.h"
#include "data/fashion.h"
#include "train/checkpoint.h"
#include "train/cli.h"
#include "base/file.h"
#include "io/json.h"
#include "io/picture.h"
#include "train/results.h"
#include "train/run.h"
#include "nn/optim.h"
#include "pca.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    CommonOptions common;
    int code;
    const char *loss;
} o = {
    .common = {.seed = 1, .steps = 6000, .batch = 128, .lr = 1e-3, .config = "default",
               .out = "build/runs/ae"},
    .code = 32,
    .loss = "squared",
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default|hinton2006|linear"),
    {"code", 0, .i = &o.code, .min = 1, .max = 512, .meta = "N", .keep = KEEP_MODEL,
     .help = "numbers in a code"},
    {"loss", 0, .s = &o.loss, .choices = "squared|cross-entropy", .only = "train",
     .help = "what is minimised"},
    {0}};

static const Preset presets[] = {{"hinton2006", "code=30 lr=0.002"}, {0}};

static Cli cli = {.program = "ae",
                  .about = "Autoencoders: 784 pixels through a code of a few numbers and back.",
                  .options = options,
                  .presets = presets};

enum { COLUMNS = 12, ROWS = 6 };    /* of pictures */

/* ---- what all commands use ------------------------------------------------------------------- */

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

/* the first n images of a set, in [0,1]; their classes too unless labels is NULL */
static real *load_images(Arena *arena, const Images *set, int n, int *labels) {
    real *x = new_images(arena, n);
    images_get(set, n, NULL, 0, 1, x, labels);
    return x;
}

static void reconstruct(const Autoencoder *a, int n, const real *x, real *y) {
    Arena arena = {0};
    real *codes = arena_get(&arena, (size_t)n * (size_t)a->code * sizeof *codes);
    encode_all(a, n, x, codes);
    decode_all(a, n, codes, y);
    arena_free(&arena);
}

static double reconstruction_error(const Autoencoder *a, int n, const real *x) {
    Arena arena = {0};
    real *y = new_images(&arena, n);
    reconstruct(a, n, x, y);
    double error = mean_squared_error_per_image(n, x, y);
    arena_free(&arena);
    return error;
}

/* rows of COLUMNS images; `path` is freed */
static void save_grid(char *path, const real *images, int rows) {
    picture_save(path, images,
                 (Grid){.count = rows * COLUMNS, .height = IMAGE, .width = IMAGE, .channels = 1,
                        .columns = COLUMNS, .enlarge = 2, .low = 0, .high = 1},
                 cli.line);
    free(path);
}

/* ---- train ----------------------------------------------------------------------------------- */

static Tensor *training_loss(const Autoencoder *net, Tensor *x) {
    Tensor *h = encode(net, x);
    if (!strcmp(o.loss, "cross-entropy")) return cross_entropy(decode_logits(net, h), x);
    return squared_error(decode(net, h), x);
}

/* the loss on n images that are not trained on */
static double validation_loss(const Autoencoder *net, int n, const real *x) {
    Tape t = {.no_grad = true};
    double loss = (double)training_loss(net, t_input(&t, x, SHAPE(n, IMAGE, IMAGE, 1)))->x[0];
    tape_free(&t);
    return loss;
}

/* a row of originals above a row of their reconstructions */
static void save_samples(const Run *run, const Autoencoder *a, const real *x) {
    static real pictures[2 * COLUMNS * PIXELS];
    memcpy(pictures, x, COLUMNS * PIXELS * sizeof *x);
    reconstruct(a, COLUMNS, x, pictures + COLUMNS * PIXELS);
    save_grid(run_path(run, "samples.png"), pictures, 2);
}

static int train(void) {
    Run run = {.columns = "loss,validation", .log_every = 10};
    run_start(&run, &cli, &o.common);
    Architecture architecture = architecture_named(o.common.config);
    if (architecture == LINEAR && strcmp(o.loss, "squared"))
        usage_error("--config linear gives no probabilities; use it with --loss squared");

    Arena arena = {0};
    Fashion data = load_data();
    for (int i = 0; i < 4; i++) run_record(&run, fashion_files[i], data.file[i].sha256);
    Batches batches = batches_new(data.train.count, o.common.seed);
    int *batch = arena_get(&arena, (size_t)o.common.batch * sizeof *batch);
    int held_out = data.validation.count < 1000 ? data.validation.count : 1000;
    real *validation = load_images(&arena, &data.validation, held_out, NULL);

    Params params = {.seed = o.common.seed};
    Autoencoder net = autoencoder_new(&params, architecture, o.code);
    Adam adam = {ADAM_DEFAULTS};
    Ema ema = {.decay = 0.999};
    run_record_number(&run, "parameters", (double)params_count(&params));

    Checkpoint everything = {.cli = &cli,
                             .params = {{"", &params},
                                        {"ema.", &ema.average, .like = &params},
                                        {"adam.m.", &adam.m, .like = &params},
                                        {"adam.v.", &adam.v, .like = &params}},
                             .numbers = {{"step", .i = &run.step},
                                         {"ema.step", .i = &ema.step},
                                         {"adam.step", .i = &adam.step},
                                         {"batches", .u = &batches.next}}};
    Checkpoint weights = {.cli = &cli, .params = {{"", &ema.average}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {0};
    while (run_next(&run)) {
        tape_reset(&tape);
        batches_next(&batches, o.common.batch, batch);
        Tensor *x = t_input(&tape, NULL, SHAPE(o.common.batch, IMAGE, IMAGE, 1));
        images_get(&data.train, o.common.batch, batch, 0, 1, x->x, NULL);

        Tensor *loss = training_loss(&net, x);
        params_zero_grad(&params);
        backward(loss);
        adam_step(&adam, &params, o.common.lr * lr_warmup(run.step, 100), 1);
        ema_update(&ema, &params);

        run_value(&run, "loss", (double)loss->x[0]);
        if (run_due(&run, 250)) {
            ema_swap(&ema, &params);     /* scores and pictures are the averaged weights' */
            run_value(&run, "validation", validation_loss(&net, held_out, validation));
            ema_swap(&ema, &params);
        }
        run_step(&run);
        if (run_save_due(&run)) {
            checkpoint_save_half(run.weights, &weights);
            checkpoint_save(run.checkpoint, &everything);
            ema_swap(&ema, &params);
            save_samples(&run, &net, validation);
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
static Autoencoder load_network(Params *params) {
    char *path = weights_path(&o.common);
    checkpoint_options(path, &cli, false);
    Autoencoder a = autoencoder_new(params, architecture_named(o.common.config), o.code);
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", params}}});
    free(path);
    return a;
}

static real *codes_of(Arena *arena, const Autoencoder *a, int n, const real *x) {
    real *codes = arena_get(arena, (size_t)n * (size_t)a->code * sizeof *codes);
    encode_all(a, n, x, codes);
    return codes;
}

/* ---- sample ---------------------------------------------------------------------------------- */

static void save_picture(const char *name, const real *images, int rows) {
    char *path = announced(&o.common, name);
    save_grid(path, images, rows);
}

/* originals, the network's reconstructions, PCA's with a code of the same size */
static void picture_of_reconstructions(Arena *arena, const Autoencoder *a, const Pca *pca,
                                       const real *x) {
    real *grid = new_images(arena, 3 * COLUMNS);
    real *pca_codes = arena_get(arena, (size_t)COLUMNS * (size_t)a->code * sizeof *pca_codes);
    memcpy(grid, x, COLUMNS * PIXELS * sizeof *x);
    reconstruct(a, COLUMNS, x, grid + COLUMNS * PIXELS);
    pca_encode(pca, COLUMNS, x, pca_codes);
    pca_decode(pca, COLUMNS, pca_codes, grid + 2 * COLUMNS * PIXELS);
    save_picture("reconstructions.png", grid, 3);
}

/* each row: from one test image's code to the next one's in a straight line; COLUMNS = 2 ROWS images */
static void picture_of_interpolation(Arena *arena, const Autoencoder *a, const real *codes) {
    size_t row = (size_t)COLUMNS * (size_t)a->code;
    real *path = arena_get(arena, ROWS * row * sizeof *path),
         *grid = new_images(arena, ROWS * COLUMNS);
    for (int i = 0; i < ROWS; i++)
        interpolate_codes(a->code, codes + 2 * i * a->code, codes + (2 * i + 1) * a->code, COLUMNS,
                          path + (size_t)i * row);
    decode_all(a, ROWS * COLUMNS, path, grid);
    save_picture("interpolation.png", grid, ROWS);
}

/* Decoding codes that no image was encoded to: three rows of N(0,I), three of a Gaussian with the
 * mean and deviation of real codes. An autoencoder knows nothing of how its codes are distributed. */
static void picture_of_random_codes(Arena *arena, const Autoencoder *a, int n, const real *codes) {
    int code = a->code, half = ROWS / 2 * COLUMNS;
    real *mean = arena_get(arena, (size_t)code * sizeof *mean);
    real *deviation = arena_get(arena, (size_t)code * sizeof *deviation);
    real *random = arena_get(arena, 2 * (size_t)half * (size_t)code * sizeof *random);
    real *grid = new_images(arena, 2 * half);
    Rng rng = rng_new(o.common.seed, "codes");
    code_statistics(n, code, codes, mean, deviation);
    random_codes(half, code, NULL, NULL, &rng, random);
    random_codes(half, code, mean, deviation, &rng, random + half * code);
    decode_all(a, 2 * half, random, grid);
    save_picture("random_codes.png", grid, ROWS);
}

static int sample(void) {
    Params params = {0};
    Autoencoder a = load_network(&params);
    Arena arena = {0};
    Fashion data = load_data();
    folder_create(o.common.out);
    real *x = load_images(&arena, &data.train, data.train.count, NULL);
    real *test = load_images(&arena, &data.test, COLUMNS, NULL);
    Pca pca = pca_fit(data.train.count, PIXELS, x, a.code);
    picture_of_reconstructions(&arena, &a, &pca, test);
    picture_of_interpolation(&arena, &a, codes_of(&arena, &a, COLUMNS, test));
    int some = data.train.count < 5000 ? data.train.count : 5000;
    picture_of_random_codes(&arena, &a, some, codes_of(&arena, &a, some, x));
    pca_free(&pca);
    fashion_free(&data);
    arena_free(&arena);
    params_free(&params);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* class and the first two numbers of the code, for a scatter plot */
static void save_codes(const Autoencoder *a, int n, const real *codes, const int *labels) {
    char *path = path_join(o.common.out, "codes.csv");
    AtomicFile f = file_create(path);
    fprintf(f.stream, "class,h1,h2\n");
    for (int i = 0; i < n; i++)
        fprintf(f.stream, "%d,%.5g,%.5g\n", labels[i], (double)codes[i * a->code],
                (double)codes[i * a->code + 1]);
    file_commit(&f);
    free(path);
}

static void save_metrics(const Params *params, int n, double error, double pca_error,
                         double variance) {
    cJSON *m = cJSON_CreateObject();
    cJSON_AddStringToObject(m, "command", cli.line);
    cJSON_AddStringToObject(m, "config", o.common.config);
    cJSON_AddNumberToObject(m, "code", o.code);
    cJSON_AddNumberToObject(m, "parameters", (double)params_count(params));
    cJSON_AddNumberToObject(m, "test_images", n);
    cJSON_AddNumberToObject(m, "squared_error_per_image", error);
    cJSON_AddNumberToObject(m, "pca_squared_error_per_image", pca_error);
    cJSON_AddNumberToObject(m, "mean_image_squared_error_per_image", variance);
    char *path = path_join(o.common.out, "metrics.json");
    json_save(path, m);
    if (!o.common.quiet) printf("%s\n", path);
    cJSON_Delete(m);
    free(path);
}

static double pca_error(Arena *arena, const Pca *p, int n, const real *x) {
    real *codes = arena_get(arena, (size_t)n * (size_t)p->components * sizeof *codes);
    real *y = new_images(arena, n);
    pca_encode(p, n, x, codes);
    pca_decode(p, n, codes, y);
    return mean_squared_error_per_image(n, x, y);
}

static double mean_image_error(const Pca *p, int n, const real *x) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += k_sum_squared_difference(PIXELS, x + (size_t)i * PIXELS, p->mean);
    return sum / n;
}

static int eval(void) {
    Params params = {0};
    Autoencoder a = load_network(&params);
    Arena arena = {0};
    Fashion data = load_data();
    folder_create(o.common.out);
    int n = data.test.count;
    int *labels = arena_get(&arena, (size_t)n * sizeof *labels);
    real *x = load_images(&arena, &data.train, data.train.count, NULL);
    real *test = load_images(&arena, &data.test, n, labels);
    Pca pca = pca_fit(data.train.count, PIXELS, x, a.code);
    double error = reconstruction_error(&a, n, test),
           linear_error = pca_error(&arena, &pca, n, test);
    double no_code_error = mean_image_error(&pca, n, test);
    if (!o.common.quiet) {
        printf("squared error per image, %d test images, code of %d numbers\n", n, a.code);
        printf("  %-22s %8.3f\n", "this network", error);
        printf("  %-22s %8.3f\n", "PCA", linear_error);
        printf("  %-22s %8.3f\n", "the mean image", no_code_error);
    }
    save_metrics(&params, n, error, linear_error, no_code_error);
    if (a.code == 2) save_codes(&a, n < 3000 ? n : 3000, codes_of(&arena, &a, n, test), labels);
    pca_free(&pca);
    fashion_free(&data);
    arena_free(&arena);
    params_free(&params);
    return 0;
}

/* ---- info ------------------------------------------------------------------------------------ */

static int info(void) {
    Params params = {0};
    autoencoder_new(&params, architecture_named(o.common.config), o.code);
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
