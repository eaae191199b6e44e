/* vqvae — train, sample from, evaluate a vector-quantised autoencoder and its prior on
 * Fashion-MNIST. Training has two stages, each a run of its own in the same folder:
 *   autoencoder   images to codes and back: autoencoder-log.csv, -checkpoint, -weights, ...
 *   prior         p(codes | class) on the codes of these weights: prior-log.csv, ...; it writes
 *                 weights.safetensors, which holds both networks */
#include "base/error.h"
#include "base/progress.h"
#include "eval/likelihood.h"
#include "experiments/codes.h"
#include "nn/pixelcnn.h"
#include "train/report.h"
#include "train/run.h"
#include "vqvae.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    CommonOptions common;
    int hidden, residual, codes, dim, layers, width, head, prior_steps, samples;
    double decay, beta, revive, prior_lr, temperature;
    const char *stage, *codebook;
} o = {
    .common = {COMMON_DEFAULTS("vqvae"), .steps = 10000, .batch = 64, .lr = 1e-3},
    .hidden = 64,
    .residual = 32,
    .codes = 512,
    .dim = 32,
    .layers = 8,
    .width = 48,
    .head = 128,
    .prior_steps = 8000,
    .samples = 10000,
    .decay = 0.99,
    .beta = 0.25,
    .revive = 1,
    .prior_lr = 1e-3,
    .temperature = 1,
    .stage = "all",
    .codebook = "ema",
};

/* The autoencoder's weights file keeps the options before "stage". */
static Option options[] = {
    COMMON_OPTIONS(o.common, "default|sonnet"),
    {"hidden", 0, .i = &o.hidden, .min = 2, .max = 1024, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels of the autoencoder's feature maps"},
    {"residual", 0, .i = &o.residual, .min = 1, .max = 1024, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels inside its residual blocks"},
    {"codes", 'k', .i = &o.codes, .min = 2, .max = 8192, .meta = "K", .keep = KEEP_MODEL,
     .help = "number of codes in the codebook"},
    {"dim", 0, .i = &o.dim, .min = 1, .max = 1024, .meta = "D", .keep = KEEP_MODEL,
     .help = "dimensions of a code's vector"},
    {"codebook", 0, .s = &o.codebook, .choices = "ema|gradient", .keep = KEEP_MODEL,
     .help = "codebook trained by moving averages or by gradients"},
    {"decay", 0, .d = &o.decay, .min = 0.001, .max = 0.99999, .meta = "X", .only = "train",
     .help = "decay of these averages"},
    {"revive", 0, .d = &o.revive, .min = 0, .max = 1e6, .meta = "N", .only = "train",
     .help = "restart codes that fewer than N vectors per batch choose; 0: never"},
    {"beta", 0, .d = &o.beta, .min = 0, .max = 1000, .meta = "X", .only = "train",
     .help = "weight of the commitment loss"},
    {"stage", 0, .s = &o.stage, .choices = "all|autoencoder|prior", .keep = KEEP_NOT,
     .only = "train eval",
     .help = "stage to train, the prior after the autoencoder in --out; eval: all or autoencoder"},
    {"layers", 0, .i = &o.layers, .min = 1, .max = PIXELCNN_LAYERS_MOST, .meta = "N",
     .keep = KEEP_MODEL, .help = "gated layers of the prior"},
    {"width", 0, .i = &o.width, .min = 1, .max = 1024, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels of these layers"},
    {"head", 0, .i = &o.head, .min = 1, .max = 4096, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels of the prior's last hidden layer"},
    STAGE_STEPS("prior-steps", o.prior_steps, "training steps of the prior"),
    STAGE_LR("prior-lr", o.prior_lr, "learning rate of the prior"),
    {"temperature", 0, .d = &o.temperature, .min = 0.01, .max = 100, .meta = "T", .keep = KEEP_NOT,
     .only = "sample eval", .help = "sampling temperature; below 1, likely codes are preferred"},
    {"samples", 0, .i = &o.samples, .min = SCORE_MINIMUM, .max = 10000, .meta = "N",
     .keep = KEEP_NOT, .only = "eval", .help = "number of samples to draw and score"},
    {0}};

static const Preset presets[] = {
    {"sonnet", "hidden=128 residual=32 codes=512 dim=64 batch=32 lr=0.0003"}, {0}};

static int train(void), sample(void), eval(void), info(void);
static Cli cli = {.program = "vqvae",
                  .about = "VQ-VAE: images as discrete codes, and a prior over the codes.",
                  .common = &o.common,
                  .commands = (const Command[]){STANDARD_COMMANDS, {0}},
                  .options = options,
                  .presets = presets};

enum { COLUMNS = 10, ROWS = 6, HELD_OUT = 1000 };    /* of pictures; images looked at in training */
#define AUTOENCODER "autoencoder-weights.safetensors"

/* ---- what all commands use ------------------------------------------------------------------- */

/* the prior alone sees labels */
static Fashion load_data(void) {
    bool labelled = strcmp(o.stage, "autoencoder");
    return (labelled ? fashion_load_least
                     : fashion_load_unlabelled)(o.common.data, 10 * COLUMNS, SCORE_MINIMUM);
}

static Vqvae new_autoencoder(Params *p) {
    return vqvae_new(p, (Design){.channels = 1, .hidden = o.hidden, .residual = o.residual,
                                 .codes = o.codes, .dim = o.dim,
                                 .decay = strcmp(o.codebook, "ema") ? 0 : o.decay});
}

static PixelCnn new_prior(Params *p) {
    return pixelcnn_new(p, (PixelCnnConfig){.codes = o.codes, .classes = FASHION_CLASSES,
                                            .width = o.width, .layers = o.layers, .head = o.head});
}

/* the first stage's, as the weights that are passed on keep it: in half precision */
static Vqvae load_autoencoder(Params *p) {
    char *path = path_join(o.common.out, AUTOENCODER);
    checkpoint_options(path, &cli, false);
    Vqvae v = new_autoencoder(p);
    checkpoint_load_stage(path, &cli, "autoencoder.", p);
    free(path);
    return v;
}

typedef struct {
    Params of_autoencoder, of_prior;
    Vqvae autoencoder;
    PixelCnn prior;
} Model;

/* the one that --weights (or the run in --out) holds */
static void load_model(Model *m) {
    weights_options(&cli);
    m->autoencoder = new_autoencoder(&m->of_autoencoder);
    m->prior = new_prior(&m->of_prior);
    weights_load(&cli, (CheckpointParams[]){{"autoencoder.", &m->of_autoencoder},
                                            {"prior.", &m->of_prior}, {0}});
}

static real *new_images(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * PIXELS * sizeof(real));
}

/* images of a set as maps of codes, and their classes */
typedef struct {
    int n, *codes, *labels;              /* (n,49), (n) */
} Maps;

/* of the first n images; or of all, if there are fewer */
static Maps encode_set(Arena *arena, const Vqvae *v, const Images *set, int n) {
    enum { AT_ONCE = 1024 };
    if (n > set->count) n = set->count;
    Maps m = {n, arena_get(arena, (size_t)n * POSITIONS * sizeof(int)),
              arena_get(arena, (size_t)n * sizeof(int))};
    Arena images = {0};
    real *x = new_images(&images, AT_ONCE);
    for (int i = 0; i < n; i += AT_ONCE) {
        int count = n - i < AT_ONCE ? n - i : AT_ONCE;
        Images part = images_part(set, i, count);
        images_get(&part, count, NULL, 0, 1, x, m.labels + i);
        encode_all(v, count, x, m.codes + (size_t)i * POSITIONS);
    }
    arena_free(&images);
    return m;
}

static real *decode_maps(Arena *arena, const Vqvae *v, const Maps *m) {
    real *x = new_images(arena, m->n);
    decode_all(v, m->n, m->codes, x);
    return x;
}

/* mean over all pixels of m->n images x and what their codes decode to */
static double mean_squared_error(const Vqvae *v, const Maps *m, const real *x) {
    Arena arena = {0};
    size_t n = (size_t)m->n * PIXELS;
    double error = k_sum_squared_difference(n, x, decode_maps(&arena, v, m)) / (double)n;
    arena_free(&arena);
    return error;
}

/* the prior's mean -ln p of a code, over the first n maps */
static double nats_per_code(const PixelCnn *p, const Maps *m, int n) {
    return pixelcnn_nats(p, n < m->n ? n : m->n, MAP, MAP, m->codes, m->labels);
}

/* n pictures of n maps, classes in turn: the prior's, or (NULL) of uniform codes */
static void draw(const Vqvae *v, const PixelCnn *p, int n, int *labels, real *images) {
    Arena arena = {0};
    int *codes = arena_get(&arena, (size_t)n * POSITIONS * sizeof *codes);
    Rng rng = rng_new(o.common.seed, "samples");
    for (int i = 0; i < n; i++) labels[i] = i % FASHION_CLASSES;
    if (p) pixelcnn_sample(p, n, MAP, MAP, labels, o.temperature, &rng, codes);
    else
        for (int i = 0; i < n * POSITIONS; i++) codes[i] = (int)rng_below(&rng, (uint32_t)o.codes);
    decode_all(v, n, codes, images);
    arena_free(&arena);
}

/* rows labelled "first|second"; NULL: columns are classes */
static void save_rows(char *path, const real *images, int rows, int channels, const char *labels) {
    bool classes = !labels && !o.common.data;
    Grid g = fashion_grid(rows, COLUMNS, labels, classes ? FASHION_LABELS : NULL);
    g.channels = channels;
    save_grid(&cli, path, images, g);
}

/* columns are classes */
static void picture_of_samples(char *path, const Vqvae *v, const PixelCnn *p) {
    static real images[ROWS * COLUMNS * PIXELS];
    int labels[ROWS * COLUMNS];
    draw(v, p, ROWS * COLUMNS, labels, images);
    save_rows(path, images, ROWS, 1, p ? NULL : "uniform codes");
}

/* the first images of a set, and what is decoded from their codes */
static void picture_of_reconstructions(char *path, const Vqvae *v, const Images *set) {
    real images[2 * COLUMNS * PIXELS];
    int codes[COLUMNS * POSITIONS];
    images_get(set, COLUMNS, NULL, 0, 1, images, NULL);
    encode_all(v, COLUMNS, images, codes);
    decode_all(v, COLUMNS, codes, images + COLUMNS * PIXELS);
    save_rows(path, images, 2, 1, "images|reconstructions");
}

/* ---- train: the autoencoder ------------------------------------------------------------------ */

/* At the end of an epoch: how many codes were chosen in it, and how evenly? A single batch has too
 * few vectors to tell. `times` (K) counts choices and is then reset. */
static void log_code_use(Run *run, const Loader *l, const Quantised *q, Tensor *times) {
    uint64_t next = l->order.next, count = (uint64_t)l->order.count;
    for (int i = 0; i < q->n; i++) times->x[q->index[i]] += 1;
    if (next / count == (next - (uint64_t)l->size) / count) return;
    int *whole = arena_get(&run->tape.arena, times->len * sizeof *whole);
    for (size_t k = 0; k < times->len; k++) whole[k] = (int)times->x[k];
    run_value(run, "perplexity", codebook_perplexity(o.codes, whole));
    run_value(run, "codes_used", codes_used(o.codes, whole));
    k_fill(times->len, 0, times->x);
}

static int train_autoencoder(void) {
    Run *run = run_start(&cli, (RunSettings){
        .columns = "loss,nmse,commitment,validation_nmse,perplexity,codes_used", .log_every = 10,
        .stage = "autoencoder", .later = "prior",
        .whole_batch = "the codebook follows the whole batch"});
    Fashion data = load_data();
    run_fashion(run, &data);
    Params *params = run_params(run, ""), *epoch = run_params(run, "epoch.");
    Vqvae net = new_autoencoder(params);
    Tensor *times = buffer(scope(epoch, "%s", ""), "times", 0, SHAPE(o.codes));
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    Rng *codebook = run_rng(run, "codebook");
    Loader *loader = run_loader(run, &data.train);
    Cli remembered = cli_before(&cli, "stage");
    run_weights(run, (Weights){.cli = &remembered, .params = {{"", params}}});
    double variance = images_variance(&data.train);
    real *x_val = images_new(&run->arena, &data.validation, HELD_OUT, 0, 1, NULL);
    run_record(run, "parameters", (double)vqvae_count(&net, params));
    run_record(run, "pixel_variance", variance);

    while (run_next(run)) {
        Tensor *x = loader_images(loader, &run->tape, 0, 1), *z_e = encode(&net, x);
        if (run->random && run->step == 0) codebook_start(&net.book, z_e, codebook);
        Quantised q = quantise(&net.book, z_e);
        codebook_update(&net.book, &q);
        codebook_revive(&net.book, &q, o.revive, codebook);
        Tensor *rebuilt = decode(&net, q.codes);
        Tensor *loss = vqvae_loss(x, rebuilt, &q, variance, o.beta);
        run_log(run, "loss", loss), run_log(run, "commitment", q.commitment_loss);
        run_value(run, "nmse", (double)t_mse(rebuilt, x)->x[0] / variance);
        log_code_use(run, loader, &q, times);
        minimise(adam, loss, o.common.lr * lr_warmup(run->step, 100));
        if (run_every(run, 250)) {
            Maps held_out = encode_set(&run->tape.arena, &net, &data.validation, HELD_OUT);
            double mse = mean_squared_error(&net, &held_out, x_val);
            run_value(run, "validation_nmse", mse / variance);
        }
        if (run_saves(run))
            picture_of_reconstructions(run_path(run, "reconstructions.png"), &net,
                                       &data.validation);
    }
    fashion_free(&data);
    return run_finish(run);
}

/* ---- train: the prior ------------------------------------------------------------------------ */

static int train_prior(void) {
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,train_nats,validation_nats",
                                             .log_every = 10, .stage = "prior",
                                             .steps = &o.prior_steps});
    char *autoencoder_file = path_join(o.common.out, AUTOENCODER);
    run_trained_on(run, autoencoder_file);
    Params of_autoencoder = {0}, *params = run_params(run, "");
    Vqvae autoencoder = load_autoencoder(&of_autoencoder);
    PixelCnn prior = new_prior(params);
    Fashion data = load_data();
    run_fashion(run, &data);
    Maps train_set = encode_set(&run->arena, &autoencoder, &data.train, data.train.count);
    Maps validation = encode_set(&run->arena, &autoencoder, &data.validation, HELD_OUT);
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS});
    run_ema(run, adam, 0.999);
    Loader *loader = run_order(run, train_set.n, run_part(run, o.common.batch));
    run_weights(run, (Weights){.file = "weights.safetensors",
                               .params = {{"autoencoder.", &of_autoencoder}, {"prior.", params}}});
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        loader_next(loader);
        int *codes = loader_rows(loader, &run->tape, POSITIONS, train_set.codes);
        int *labels = loader_rows(loader, &run->tape, 1, train_set.labels);
        Tensor *embedded = pixelcnn_embed(&prior, &run->tape, codes, loader->size, MAP, MAP);
        Tensor *loss = pixelcnn_loss(pixelcnn_logits(&prior, embedded, labels), codes);
        run_log(run, "loss", loss);
        minimise(adam, loss, o.prior_lr * lr_cooldown(run->step, 100, o.prior_steps));
        if (run_every(run, 250)) {       /* equally many training and validation images */
            run_value(run, "train_nats", nats_per_code(&prior, &train_set, HELD_OUT));
            run_value(run, "validation_nats", nats_per_code(&prior, &validation, HELD_OUT));
        }
        if (run_saves(run))
            picture_of_samples(run_path(run, "samples.png"), &autoencoder, &prior);
    }
    int status = run_finish(run);
    fashion_free(&data), params_free(&of_autoencoder);
    free(autoencoder_file);
    return status;
}

static int train(void) {
    int status = 0;
    if (strcmp(o.codebook, "ema")) cli_refuse(&cli, "decay revive", "--codebook ema");
    if (strcmp(o.stage, "prior")) status = train_autoencoder();
    if (!status && strcmp(o.stage, "autoencoder")) status = train_prior();
    return status;
}

/* ---- sample ---------------------------------------------------------------------------------- */

/* test images, their codes as colours, what is decoded from them */
static void picture_of_codes(Arena *arena, const Vqvae *v, const Images *test) {
    size_t row = COLUMNS * PIXELS * 3;
    real *grid = arena_get(arena, 3 * row * sizeof *grid);
    Maps m = encode_set(arena, v, test, HELD_OUT);
    real *colours = code_colours(arena, &v->book, times_chosen(arena, &v->book, m.n, m.codes));
    in_colour(COLUMNS * PIXELS, images_new(arena, test, COLUMNS, 0, 1, NULL), grid);
    draw_maps(COLUMNS, m.codes, colours, grid + row);
    in_colour(COLUMNS * PIXELS, decode_maps(arena, v, &m), grid + 2 * row);
    save_rows(output_path(&cli, "codes.png"), grid, 3, 3, "test images|codes|reconstructions");
}

static int sample(void) {
    Model m = {0};
    load_model(&m);
    Arena arena = {0};
    Fashion data = load_data();
    picture_of_samples(output_path(&cli, "samples.png"), &m.autoencoder, &m.prior);
    picture_of_samples(output_path(&cli, "uniform.png"), &m.autoencoder, NULL);
    picture_of_reconstructions(output_path(&cli, "reconstructions.png"), &m.autoencoder,
                               &data.test);
    picture_of_codes(&arena, &m.autoencoder, &data.test);
    fashion_free(&data);
    arena_free(&arena);
    params_free(&m.of_autoencoder), params_free(&m.of_prior);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* the first stage alone, of test images x */
static void report_autoencoder(Arena *arena, const Vqvae *v, const Fashion *data, const Maps *test,
                               const real *x, cJSON *m) {
    int *times = times_chosen(arena, &v->book, test->n, test->codes);
    double variance = images_variance(&data->train), mse = mean_squared_error(v, test, x);
    json_number(m, "test_images", test->n);
    json_number(m, "nmse", mse / variance);
    json_number(m, "mse", mse);
    json_number(m, "pixel_variance", variance);
    json_number(m, "codes", o.codes);
    json_number(m, "codes_used", codes_used(o.codes, times));
    json_number(m, "perplexity", codebook_perplexity(o.codes, times));
    json_number(m, "variance_in_plane", save_codebook(o.common.out, &v->book, times));
}

/* -ln p(x|class) <= -ln P(x|z_q) - ln p(z_q|class), on test images x; the observations' scale is
 * fitted to validation images */
static void report_likelihood(Arena *arena, const Model *model, const Fashion *data,
                              const Maps *test, const real *x, cJSON *m) {
    const Vqvae *v = &model->autoencoder;
    Maps fit = encode_set(arena, v, &data->validation, HELD_OUT);
    Maps train_set = encode_set(arena, v, &data->train, test->n);
    real *x_fit = images_new(arena, &data->validation, HELD_OUT, 0, 1, NULL);
    double scale = fit_scale((size_t)fit.n * PIXELS, x_fit, decode_maps(arena, v, &fit));
    size_t all = (size_t)test->n * PIXELS;
    double pixels = observation_nats(all, x, decode_maps(arena, v, test), scale) / test->n;
    double nats = nats_per_code(&model->prior, test, test->n);
    json_number(m, "observation_scale", scale);
    json_number(m, "observation_nats", pixels);
    json_number(m, "prior_nats_per_code", nats);
    json_number(m, "prior_nats_per_code_train", nats_per_code(&model->prior, &train_set, test->n));
    json_number(m, "uniform_nats_per_code", log(o.codes));
    json_number(m, "bits_per_dimension", bits_per_dimension(pixels + POSITIONS * nats, PIXELS));
    json_number(m, "bits_per_dimension_uniform_prior",
                bits_per_dimension(pixels + POSITIONS * log(o.codes), PIXELS));
}

static void score_samples(Arena *arena, const Model *model, const Evaluator *evaluator, int n,
                          cJSON *m) {
    int most = n < 64 ? 64 : n, *labels = arena_get(arena, (size_t)most * sizeof *labels);
    real *x = new_images(arena, most);
    double start = seconds_now();
    draw(&model->autoencoder, &model->prior, 64, labels, x);
    json_number(m, "seconds_for_64", seconds_now() - start);
    draw(&model->autoencoder, &model->prior, n, labels, x);
    json_number(m, "temperature", o.temperature);
    report_samples(&cli, evaluator, (Samples){n, x, labels, 16}, m);
}

static int eval(void) {
    bool both = strcmp(o.stage, "autoencoder");
    if (both && strcmp(o.stage, "all"))
        usage_error("--stage %s: eval takes all or autoencoder", o.stage);
    if (!both && o.common.weights)
        usage_error("--weights: --stage autoencoder reads autoencoder-weights in --out");
    Model model = {0};
    if (both) load_model(&model);
    else model.autoencoder = load_autoencoder(&model.of_autoencoder);
    Arena arena = {0};
    Fashion data = load_data();
    Evaluator evaluator;
    if (both) evaluator = report_evaluator(&data);
    Maps test = encode_set(&arena, &model.autoencoder, &data.test, data.test.count);
    real *x = images_new(&arena, &data.test, test.n, 0, 1, NULL);
    cJSON *m = metrics_new(&cli), *item;
    json_number(m, "autoencoder_parameters",
                (double)vqvae_count(&model.autoencoder, &model.of_autoencoder));
    report_autoencoder(&arena, &model.autoencoder, &data, &test, x, m);
    if (both) {
        json_number(m, "prior_parameters", (double)params_count(&model.of_prior));
        report_likelihood(&arena, &model, &data, &test, x, m);
        score_samples(&arena, &model, &evaluator, score_count(&data, o.samples), m);
        evaluator_free(&evaluator);
    }
    cJSON_ArrayForEach(item, m)
        if (cJSON_IsNumber(item) && !o.common.quiet)
            printf("%-34s %.5g\n", item->string, item->valuedouble);
    metrics_save(&cli, m);
    fashion_free(&data);
    arena_free(&arena);
    params_free(&model.of_autoencoder), params_free(&model.of_prior);
    return 0;
}

static int info(void) {
    Params autoencoder = {0}, prior = {0};
    Vqvae v = new_autoencoder(&autoencoder);
    new_prior(&prior);
    for (int i = 0; i < autoencoder.count; i++) printf("%s\n", t_describe(autoencoder.list[i]));
    printf("autoencoder: %zu parameters, %d codes of %d numbers among them\n\n",
           vqvae_count(&v, &autoencoder), o.codes, o.dim);
    print_parameters("prior", &prior);
    params_free(&autoencoder), params_free(&prior);
    return 0;
}

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
