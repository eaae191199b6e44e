/* vqvae — train, sample from, evaluate a vector-quantised autoencoder and its prior on
 * Fashion-MNIST. Two stages, each a run of its own in the same folder:
 *   autoencoder   pictures to codes and back: autoencoder-log.csv, -checkpoint, -weights, ...
 *   prior         p(codes | class) on the codes of autoencoder-weights.safetensors: prior-log.csv
 * The second writes weights.safetensors, which holds both. */
#include "codes.h"
#include "data/batches.h"
#include "data/fashion.h"
#include "eval/likelihood.h"
#include "eval/scores.h"
#include "io/checkpoint.h"
#include "io/cli.h"
#include "io/file.h"
#include "io/json.h"
#include "io/picture.h"
#include "io/results.h"
#include "io/run.h"
#include "nn/optim.h"
#include "prior.h"
#include "tensor/error.h"
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
    .common = {.seed = 1, .steps = 10000, .batch = 64, .lr = 1e-3, .config = "default",
               .out = "build/runs/vqvae"},
    .hidden = 64,
    .residual = 32,
    .codes = 512,
    .dim = 32,
    .layers = 8,
    .width = 48,
    .head = 128,
    .prior_steps = 2500,
    .samples = 10000,
    .decay = 0.99,
    .beta = 0.25,
    .revive = 1,
    .prior_lr = 1e-3,
    .temperature = 1,
    .stage = "all",
    .codebook = "ema",
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default|sonnet"),
    {"stage", 0, .s = &o.stage, .choices = "all|autoencoder|prior", .keep = KEEP_NOT,
     .only = "train eval", .help = "one of the two; the prior needs the autoencoder in --out"},
    {"hidden", 0, .i = &o.hidden, .min = 2, .max = 1024, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels of the autoencoder's maps"},
    {"residual", 0, .i = &o.residual, .min = 1, .max = 1024, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels inside its residual blocks"},
    {"codes", 'k', .i = &o.codes, .min = 2, .max = 8192, .meta = "K", .keep = KEEP_MODEL,
     .help = "codes in the codebook"},
    {"dim", 0, .i = &o.dim, .min = 1, .max = 1024, .meta = "D", .keep = KEEP_MODEL,
     .help = "numbers in a code"},
    {"codebook", 0, .s = &o.codebook, .choices = "ema|gradient", .keep = KEEP_MODEL,
     .help = "codes are averages of what chose them, or learned with the rest"},
    {"decay", 0, .d = &o.decay, .min = 0.001, .max = 0.99999, .meta = "X", .only = "train",
     .help = "of these averages"},
    {"revive", 0, .d = &o.revive, .min = 0, .max = 1e6, .meta = "N", .only = "train",
     .help = "a code chosen by fewer vectors a batch starts anew; 0: never"},
    {"beta", 0, .d = &o.beta, .min = 0, .max = 1000, .meta = "X", .only = "train",
     .help = "weight of the commitment"},
    {"layers", 0, .i = &o.layers, .min = 1, .max = PRIOR_LAYERS_MOST, .meta = "N",
     .keep = KEEP_MODEL, .help = "gated layers of the prior"},
    {"width", 0, .i = &o.width, .min = 1, .max = 1024, .meta = "N", .keep = KEEP_MODEL,
     .help = "its channels"},
    {"head", 0, .i = &o.head, .min = 1, .max = 4096, .meta = "N", .keep = KEEP_MODEL,
     .help = "channels of its last hidden layer"},
    {"prior-steps", 0, .i = &o.prior_steps, .min = 0, .max = 1e9, .meta = "N",
     .keep = KEEP_DEFAULT, .only = "train", .help = "training steps of the prior"},
    {"prior-lr", 0, .d = &o.prior_lr, .min = 0, .max = 1e3, .meta = "X", .only = "train",
     .help = "its learning rate"},
    {"temperature", 0, .d = &o.temperature, .min = 0.01, .max = 100, .meta = "T", .keep = KEEP_NOT,
     .only = "sample eval", .help = "below 1: likely codes become likelier"},
    {"samples", 0, .i = &o.samples, .min = SCORE_MINIMUM, .max = 10000, .meta = "N",
     .keep = KEEP_NOT, .only = "eval", .help = "pictures to draw and score"},
    {0}};

static const Preset presets[] = {
    {"sonnet", "hidden=128 residual=32 codes=512 dim=64 batch=32 lr=0.0003"}, {0}};

static Cli cli = {.program = "vqvae",
                  .about = "Pictures as integers, and a prior that writes them.",
                  .options = options,
                  .presets = presets};

enum { COLUMNS = 10, ROWS = 6, HELD_OUT = 1000 };    /* of pictures; images looked at in training */

/* ---- what all commands use ------------------------------------------------------------------- */

static Fashion load_data(void) {
    Fashion data = fashion_load(o.common.data);
    int testing = data.test.count, validation = data.validation.count;
    if (testing < SCORE_MINIMUM || validation < COLUMNS)
        fail("%s: %d images for testing and %d for training; at least %d and %d are needed",
             o.common.data, testing, data.train.count + validation, SCORE_MINIMUM, 10 * COLUMNS);
    return data;
}

static Vqvae new_autoencoder(Params *p) {
    return vqvae_new(p, (Design){.channels = 1, .hidden = o.hidden, .residual = o.residual,
                                 .codes = o.codes, .dim = o.dim,
                                 .decay = strcmp(o.codebook, "ema") ? 0 : o.decay});
}

static Prior new_prior(Params *p) {
    return prior_new(p, (PriorDesign){.codes = o.codes, .classes = SCORE_CLASSES, .width = o.width,
                                      .layers = o.layers, .head = o.head});
}

static real *new_images(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * PIXELS * sizeof(real));
}

static double variance_of(const Images *set) {
    double variance = pixel_variance((size_t)set->count * PIXELS, set->pixels);
    if (variance == 0) fail("%s: all pixels are the same", o.common.data);
    return variance;
}

/* the first n pictures of a set, and what the autoencoder makes of them */
typedef struct {
    int n, *labels, *codes;              /* (n), (n,49) */
    real *x, *rebuilt;                   /* (n,28,28) */
} Coded;

static Coded code_first(Arena *arena, const Vqvae *v, const Images *set, int n) {
    if (n > set->count) n = set->count;
    Coded c = {n, arena_get(arena, (size_t)n * sizeof(int)),
               arena_get(arena, (size_t)n * POSITIONS * sizeof(int)), new_images(arena, n),
               new_images(arena, n)};
    images_get(set, n, NULL, 0, 1, c.x, c.labels);
    encode_all(v, n, c.x, c.codes);
    decode_all(v, n, c.codes, c.rebuilt);
    return c;
}

static double squared_error(const Coded *c) {
    size_t n = (size_t)c->n * PIXELS;
    return k_sum_squared_difference(n, c->x, c->rebuilt) / (double)n;
}

/* rows of ten images; `path` is freed */
static void save_grid(char *path, const real *images, int rows, int channels) {
    picture_save(path, images,
                 (Grid){.count = rows * COLUMNS, .height = IMAGE, .width = IMAGE,
                        .channels = channels, .columns = COLUMNS, .enlarge = 2, .low = 0,
                        .high = 1},
                 cli.line);
    free(path);
}

/* the first ten of a set, and what is rebuilt from their codes */
static void picture_of_reconstructions(const Vqvae *v, const Images *set, char *path) {
    Arena arena = {0};
    Coded c = code_first(&arena, v, set, COLUMNS);
    real *grid = new_images(&arena, 2 * COLUMNS);
    memcpy(grid, c.x, COLUMNS * PIXELS * sizeof *grid);
    memcpy(grid + COLUMNS * PIXELS, c.rebuilt, COLUMNS * PIXELS * sizeof *grid);
    save_grid(path, grid, 2, 1);
    arena_free(&arena);
}

/* ---- train: the autoencoder ------------------------------------------------------------------ */

/* everything that changes while training, but for the run's own state */
typedef struct {
    Params params;
    Params times;                /* one buffer: how often each code was chosen in this epoch */
    Vqvae net;
    Adam adam;
    Rng codebook;
    Batches batches;
    double variance;
} Stage1;

static void stage1_start(Stage1 *s, const Images *train_set) {
    *s = (Stage1){.params = {.seed = o.common.seed}, .adam = {ADAM_DEFAULTS}};
    s->net = new_autoencoder(&s->params);
    buffer(scope(&s->times, "%s", ""), "times", 0, SHAPE(o.codes));
    s->codebook = rng_new(o.common.seed, "codebook");
    s->batches = batches_new(train_set->count, o.common.seed);
    s->variance = variance_of(train_set);
}

static void stage1_free(Stage1 *s) {
    adam_free(&s->adam), params_free(&s->params), params_free(&s->times);
    batches_free(&s->batches);
}

/* The first batch's vectors are where codes start. Averages move, and codes that nobody uses start
 * anew, here and nowhere else: evaluation leaves the codebook alone. */
static Quantised quantise_and_learn(Stage1 *s, Tensor *z, int64_t step) {
    Codebook *book = &s->net.book;
    if (step == 0) codebook_start(book, z, &s->codebook);
    Quantised q = quantise(book, z);
    codebook_update(book, &q);
    codebook_revive(book, &q, o.revive, &s->codebook);
    for (int i = 0; i < q.n; i++) s->times.list[0]->x[q.index[i]] += 1;
    return q;
}

static void stage1_step(Stage1 *s, Tape *tape, Run *run, const Images *set, int *index) {
    int B = o.common.batch;
    tape_reset(tape);
    batches_next(&s->batches, B, index);
    Tensor *x = t_input(tape, NULL, SHAPE(B, IMAGE, IMAGE, 1));
    images_get(set, B, index, 0, 1, x->x, NULL);

    Quantised q = quantise_and_learn(s, encode(&s->net, x), run->step);
    Tensor *rebuilt = decode(&s->net, q.codes);
    Tensor *loss = vqvae_loss(x, rebuilt, &q, s->variance, o.beta);
    run_value(run, "loss", (double)loss->x[0]);
    run_value(run, "nmse", (double)t_mse(rebuilt, x)->x[0] / s->variance);
    run_value(run, "commitment", (double)q.commitment_loss->x[0]);
    params_zero_grad(&s->params);
    backward(loss);
    adam_step(&s->adam, &s->params, o.common.lr * lr_warmup(run->step, 100), 1);
}

/* An epoch is over (or the run): how many of the codes did its millions of vectors choose? A single
 * batch has too few vectors to tell. */
static void close_epoch(Stage1 *s, Run *run) {
    uint64_t B = (uint64_t)o.common.batch, count = (uint64_t)s->batches.count;
    bool over = s->batches.next / count != (s->batches.next - B) / count;
    Tensor *times = s->times.list[0];
    if (!over) return;
    int *whole = calloc((size_t)o.codes, sizeof *whole);
    if (!whole) fail("out of memory");
    for (int k = 0; k < o.codes; k++) whole[k] = (int)times->x[k];
    run_value(run, "perplexity", codebook_perplexity(o.codes, whole));
    run_value(run, "codes_used", codes_used(o.codes, whole));
    k_fill(times->len, 0, times->x);
    free(whole);
}

static double held_out_nmse(const Stage1 *s, const Fashion *data) {
    Arena arena = {0};
    Coded c = code_first(&arena, &s->net, &data->validation, HELD_OUT);
    double nmse = squared_error(&c) / s->variance;
    arena_free(&arena);
    return nmse;
}

static int train_autoencoder(void) {
    Run run = {.columns = "loss,nmse,commitment,validation_nmse,perplexity,codes_used",
               .log_every = 10, .name = "autoencoder"};
    run_start(&run, &cli, &o.common);
    Arena arena = {0};
    Fashion data = load_data();
    for (int i = 0; i < 4; i++) run_record(&run, fashion_files[i], data.file[i].sha256);
    int *index = arena_get(&arena, (size_t)o.common.batch * sizeof *index);
    Stage1 s;
    stage1_start(&s, &data.train);
    run_record_number(&run, "parameters", (double)vqvae_count(&s.net, &s.params));
    run_record_number(&run, "pixel_variance", s.variance);

    Checkpoint everything = {.cli = &cli,
                             .params = {{"", &s.params},
                                        {"epoch.", &s.times},
                                        {"adam.m.", &s.adam.m, .like = &s.params},
                                        {"adam.v.", &s.adam.v, .like = &s.params}},
                             .numbers = {{"step", .i = &run.step},
                                         {"adam.step", .i = &s.adam.step},
                                         {"codebook", .u = &s.codebook.next},
                                         {"batches", .u = &s.batches.next}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {0};
    while (run_next(&run)) {
        stage1_step(&s, &tape, &run, &data.train, index);
        close_epoch(&s, &run);
        if (run_due(&run, 250)) run_value(&run, "validation_nmse", held_out_nmse(&s, &data));
        run_step(&run);
        if (!run_save_due(&run)) continue;
        checkpoint_save(run.checkpoint, &everything);
        checkpoint_save_half(run.weights, &(Checkpoint){.cli = &cli, .params = {{"", &s.params}}});
        picture_of_reconstructions(&s.net, &data.validation,
                                   run_path(&run, "reconstructions.png"));
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    stage1_free(&s);
    fashion_free(&data);
    arena_free(&arena);
    return run_finish(&run);
}

/* ---- train: the prior ------------------------------------------------------------------------ */

/* the codes and classes of a set's pictures */
typedef struct {
    int n, *codes, *labels;
} Maps;

static Maps maps_of(Arena *arena, const Vqvae *v, const Images *set) {
    enum { AT_ONCE = 1000 };
    size_t n = (size_t)set->count;
    Maps m = {set->count, arena_get(arena, n * POSITIONS * sizeof(int)),
              arena_get(arena, n * sizeof(int))};
    Arena piece = {0};
    real *x = new_images(&piece, AT_ONCE);
    for (int i = 0; i < m.n; i += AT_ONCE) {
        int count = m.n - i < AT_ONCE ? m.n - i : AT_ONCE;
        Images part = images_part(set, i, count);
        images_get(&part, count, NULL, 0, 1, x, m.labels + i);
        encode_all(v, count, x, m.codes + (size_t)i * POSITIONS);
    }
    arena_free(&piece);
    return m;
}

/* n pictures in [0,1] of n maps: the prior's, or with uniform codes in every place */
static void draw_pictures(const Vqvae *v, const Prior *p, uint64_t seed, int n, int *labels,
                          real *images) {
    Arena arena = {0};
    int *codes = arena_get(&arena, (size_t)n * POSITIONS * sizeof *codes);
    Rng rng = rng_new(seed, "samples");
    for (int i = 0; i < n; i++) labels[i] = i % SCORE_CLASSES;
    if (p) prior_sample(p, n, MAP, MAP, labels, o.temperature, &rng, codes);
    else
        for (int i = 0; i < n * POSITIONS; i++) codes[i] = (int)rng_below(&rng, (uint32_t)o.codes);
    decode_all(v, n, codes, images);
    arena_free(&arena);
}

/* columns are classes; p NULL: uniform codes */
static void picture_of_samples(const Vqvae *v, const Prior *p, char *path) {
    static real images[ROWS * COLUMNS * PIXELS];
    int labels[ROWS * COLUMNS];
    draw_pictures(v, p, o.common.seed, ROWS * COLUMNS, labels, images);
    save_grid(path, images, ROWS, 1);
}

typedef struct {
    Params of_autoencoder, params;
    Vqvae autoencoder;
    Prior prior;
    Adam adam;
    Ema ema;
    Batches batches;
    Maps train, validation;
    int *index, *codes, *labels;         /* of one batch */
} Stage2;

static void stage2_start(Stage2 *s, Arena *arena, const Fashion *data) {
    size_t B = (size_t)o.common.batch;
    s->params.seed = o.common.seed;
    s->prior = new_prior(&s->params);
    s->adam = (Adam){ADAM_DEFAULTS};
    s->ema.decay = 0.999;
    s->batches = batches_new(data->train.count, o.common.seed);
    s->train = maps_of(arena, &s->autoencoder, &data->train);
    s->validation = maps_of(arena, &s->autoencoder, &data->validation);
    s->index = arena_get(arena, B * sizeof(int));
    s->codes = arena_get(arena, B * POSITIONS * sizeof(int));
    s->labels = arena_get(arena, B * sizeof(int));
}

static void stage2_free(Stage2 *s) {
    ema_free(&s->ema), adam_free(&s->adam), batches_free(&s->batches);
    params_free(&s->params), params_free(&s->of_autoencoder);
}

static void stage2_step(Stage2 *s, Tape *tape, Run *run) {
    int B = o.common.batch;
    tape_reset(tape);
    batches_next(&s->batches, B, s->index);
    for (int i = 0; i < B; i++) {
        size_t from = (size_t)s->index[i] * POSITIONS;
        memcpy(s->codes + i * POSITIONS, s->train.codes + from, POSITIONS * sizeof *s->codes);
        s->labels[i] = s->train.labels[s->index[i]];
    }
    Tensor *embedded = prior_embed(&s->prior, tape, s->codes, B, MAP, MAP);
    Tensor *loss = prior_loss(prior_logits(&s->prior, embedded, s->labels), s->codes);
    run_value(run, "loss", (double)loss->x[0]);
    params_zero_grad(&s->params);
    backward(loss);
    adam_step(&s->adam, &s->params, o.prior_lr * lr_warmup(run->step, 100), 1);
    ema_update(&s->ema, &s->params);
}

static double first_nats(const Prior *p, const Maps *m, int n) {
    return prior_nats(p, n < m->n ? n : m->n, MAP, MAP, m->codes, m->labels);
}

/* The same number of images that it trains on and that it does not: the gap is what it learned by
 * heart. */
static void compare_likelihoods(Stage2 *s, Run *run) {
    ema_swap(&s->ema, &s->params);
    run_value(run, "train_nats", first_nats(&s->prior, &s->train, HELD_OUT));
    run_value(run, "validation_nats", first_nats(&s->prior, &s->validation, HELD_OUT));
    ema_swap(&s->ema, &s->params);
}

static void save_prior(Stage2 *s, const Run *run) {
    char *path = path_join(o.common.out, "weights.safetensors");
    checkpoint_save_half(path, &(Checkpoint){.cli = &cli,
                                             .params = {{"autoencoder.", &s->of_autoencoder},
                                                        {"prior.", &s->ema.average}}});
    ema_swap(&s->ema, &s->params);
    picture_of_samples(&s->autoencoder, &s->prior, run_path(run, "samples.png"));
    ema_swap(&s->ema, &s->params);
    free(path);
}

/* the first stage's, as the weights that are passed on keep it: in half precision */
static Vqvae load_autoencoder(Params *params) {
    char *path = path_join(o.common.out, "autoencoder-weights.safetensors");
    checkpoint_options(path, &cli, false);
    Vqvae v = new_autoencoder(params);
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", params}}});
    free(path);
    return v;
}

static int train_prior(void) {
    Run run = {.columns = "loss,train_nats,validation_nats", .log_every = 10,
               .steps = &o.prior_steps, .name = "prior"};
    Stage2 s = {0};
    s.autoencoder = load_autoencoder(&s.of_autoencoder);
    run_start(&run, &cli, &o.common);
    Arena arena = {0};
    Fashion data = load_data();
    for (int i = 0; i < 4; i++) run_record(&run, fashion_files[i], data.file[i].sha256);
    stage2_start(&s, &arena, &data);
    run_record_number(&run, "parameters", (double)params_count(&s.params));

    Checkpoint everything = {.cli = &cli,
                             .params = {{"", &s.params},
                                        {"ema.", &s.ema.average, .like = &s.params},
                                        {"adam.m.", &s.adam.m, .like = &s.params},
                                        {"adam.v.", &s.adam.v, .like = &s.params}},
                             .numbers = {{"step", .i = &run.step},
                                         {"ema.step", .i = &s.ema.step},
                                         {"adam.step", .i = &s.adam.step},
                                         {"batches", .u = &s.batches.next}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {0};
    while (run_next(&run)) {
        stage2_step(&s, &tape, &run);
        if (run_due(&run, 250)) compare_likelihoods(&s, &run);
        run_step(&run);
        if (!run_save_due(&run)) continue;
        checkpoint_save(run.checkpoint, &everything);
        save_prior(&s, &run);
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    stage2_free(&s);
    fashion_free(&data);
    arena_free(&arena);
    return run_finish(&run);
}

static int train(void) {
    int status = 0;
    if (strcmp(o.stage, "prior")) status = train_autoencoder();
    if (!status && strcmp(o.stage, "autoencoder")) status = train_prior();
    return status;
}

/* ---- a trained model ------------------------------------------------------------------------- */

typedef struct {
    Params of_autoencoder, of_prior;
    Vqvae autoencoder;
    Prior prior;
} Model;

/* the one that --weights (or the run in --out) holds */
static Model load_model(void) {
    Model m = {0};
    char *path = weights_path(&o.common);
    checkpoint_options(path, &cli, false);
    m.autoencoder = new_autoencoder(&m.of_autoencoder);
    m.prior = new_prior(&m.of_prior);
    checkpoint_load(path, &(Checkpoint){.cli = &cli,
                                        .params = {{"autoencoder.", &m.of_autoencoder},
                                                   {"prior.", &m.of_prior}}});
    free(path);
    return m;
}

static void model_free(Model *m) {
    params_free(&m->of_autoencoder), params_free(&m->of_prior);
}

/* how often the n pictures' codes were chosen: (K) */
static int *times_chosen(Arena *arena, const Coded *c) {
    int *times = arena_get(arena, (size_t)o.codes * sizeof *times);
    memset(times, 0, (size_t)o.codes * sizeof *times);
    codebook_count(c->n * POSITIONS, c->codes, times);
    return times;
}

/* ---- sample ---------------------------------------------------------------------------------- */

/* test pictures, their codes as colours, what is rebuilt from them */
static void picture_of_codes(Arena *arena, const Vqvae *v, const Coded *c) {
    size_t row = (size_t)COLUMNS * PIXELS * 3;
    real *grid = arena_get(arena, 3 * row * sizeof *grid);
    real *colours = arena_get(arena, (size_t)o.codes * 3 * sizeof *colours);
    code_colours(&v->book, times_chosen(arena, c), colours);
    in_colour(COLUMNS * PIXELS, c->x, grid);
    draw_maps(COLUMNS, c->codes, colours, grid + row);
    in_colour(COLUMNS * PIXELS, c->rebuilt, grid + 2 * row);
    save_grid(announced(&o.common, "codes.png"), grid, 3, 3);
}

static int sample(void) {
    Model m = load_model();
    Arena arena = {0};
    Fashion data = load_data();
    folder_create(o.common.out);
    Coded test = code_first(&arena, &m.autoencoder, &data.test, HELD_OUT);
    picture_of_samples(&m.autoencoder, &m.prior, announced(&o.common, "samples.png"));
    picture_of_samples(&m.autoencoder, NULL, announced(&o.common, "uniform.png"));
    picture_of_reconstructions(&m.autoencoder, &data.test,
                               announced(&o.common, "reconstructions.png"));
    picture_of_codes(&arena, &m.autoencoder, &test);
    fashion_free(&data);
    arena_free(&arena);
    model_free(&m);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* codebook.csv: where each code lies on the plane in which they vary most, how often the test
 * pictures chose it, and its colour in codes.png */
static void save_codebook(Arena *arena, const Vqvae *v, const int *times, cJSON *m) {
    size_t K = (size_t)o.codes;
    double *plane = arena_get(arena, 2 * K * sizeof *plane);
    real *rgb = arena_get(arena, 3 * K * sizeof *rgb);
    cJSON_AddNumberToObject(m, "variance_in_plane", project_codes(&v->book, times, 2, plane));
    code_colours(&v->book, times, rgb);
    char *path = path_join(o.common.out, "codebook.csv");
    AtomicFile f = file_create(path);
    fprintf(f.stream, "code,x,y,times,colour\n");
    for (size_t k = 0; k < K; k++) {
        int colour = 0;
        for (size_t i = 0; i < 3; i++)
            colour = colour * 256 + (int)lround(255 * (double)rgb[3 * k + i]);
        fprintf(f.stream, "%zu,%.5g,%.5g,%d,%d\n", k, plane[2 * k], plane[2 * k + 1], times[k],
                colour);
    }
    file_commit(&f);
    free(path);
}

/* the first stage alone, into m */
static void judge_autoencoder(Arena *arena, const Vqvae *v, const Fashion *data, const Coded *test,
                              cJSON *m) {
    int *times = times_chosen(arena, test);
    double variance = variance_of(&data->train);
    cJSON_AddNumberToObject(m, "test_images", test->n);
    cJSON_AddNumberToObject(m, "nmse", squared_error(test) / variance);
    cJSON_AddNumberToObject(m, "mse", squared_error(test));
    cJSON_AddNumberToObject(m, "pixel_variance", variance);
    cJSON_AddNumberToObject(m, "codes", o.codes);
    cJSON_AddNumberToObject(m, "codes_used", codes_used(o.codes, times));
    cJSON_AddNumberToObject(m, "perplexity", codebook_perplexity(o.codes, times));
    save_codebook(arena, v, times, m);
}

/* -ln p(x) <= -ln P(x|z_q) - ln p(z_q|class), on test pictures; the observations' scale is fitted
 * to validation pictures */
static void judge_likelihood(Arena *arena, const Model *model, const Fashion *data,
                             const Coded *test, cJSON *m) {
    Coded fit = code_first(arena, &model->autoencoder, &data->validation, HELD_OUT);
    Maps train = maps_of(arena, &model->autoencoder, &data->train);
    double scale = fit_scale((size_t)fit.n * PIXELS, fit.x, fit.rebuilt);
    size_t all = (size_t)test->n * PIXELS;
    double pixels = observation_nats(all, test->x, test->rebuilt, scale) / test->n;
    double nats = prior_nats(&model->prior, test->n, MAP, MAP, test->codes, test->labels);
    cJSON_AddNumberToObject(m, "observation_scale", scale);
    cJSON_AddNumberToObject(m, "observation_nats", pixels);
    cJSON_AddNumberToObject(m, "prior_nats_per_code", nats);
    cJSON_AddNumberToObject(m, "prior_nats_per_code_train",
                            first_nats(&model->prior, &train, test->n));
    cJSON_AddNumberToObject(m, "uniform_nats_per_code", log(o.codes));
    cJSON_AddNumberToObject(m, "bits_per_dimension",
                            bits_per_dimension(pixels + POSITIONS * nats, PIXELS));
    cJSON_AddNumberToObject(m, "bits_per_dimension_uniform_prior",
                            bits_per_dimension(pixels + POSITIONS * log(o.codes), PIXELS));
}

static void judge_samples(Arena *arena, const Model *model, const Fashion *data, int n, cJSON *m) {
    int most = n < 64 ? 64 : n;
    real *x = new_images(arena, most);
    int *labels = arena_get(arena, (size_t)most * sizeof *labels);
    double start = seconds_now();
    draw_pictures(&model->autoencoder, &model->prior, o.common.seed, 64, labels, x);
    cJSON_AddNumberToObject(m, "seconds_for_64", seconds_now() - start);
    draw_pictures(&model->autoencoder, &model->prior, o.common.seed, n, labels, x);
    Judge judge = judge_new(data, CLASSIFIER_WEIGHTS);
    ScoreSheet sheet = score_sheet(&judge, n, x, labels, o.common.seed);
    if (!o.common.quiet) score_sheet_print(&sheet);
    cJSON_AddNumberToObject(m, "temperature", o.temperature);
    cJSON_AddItemToObject(m, "scores", score_sheet_json(&sheet));
    char *path = path_join(o.common.out, "neighbours.png");
    neighbours_picture(&judge, 16, x, path, cli.line);
    free(path);
    judge_free(&judge);
}

/* numbers of metrics.json, one a line */
static void print_numbers(const cJSON *m) {
    const cJSON *item;
    cJSON_ArrayForEach(item, m)
        if (cJSON_IsNumber(item)) printf("%-34s %.5g\n", item->string, item->valuedouble);
}

static int eval(void) {
    bool both = strcmp(o.stage, "autoencoder");
    if (!both && o.common.weights)
        usage_error("--weights: --stage autoencoder reads autoencoder-weights in --out");
    Model model = {0};
    if (both) model = load_model();
    else model.autoencoder = load_autoencoder(&model.of_autoencoder);
    Arena arena = {0};
    Fashion data = load_data();
    folder_create(o.common.out);
    Coded test = code_first(&arena, &model.autoencoder, &data.test, data.test.count);
    cJSON *m = cJSON_CreateObject();
    cJSON_AddStringToObject(m, "command", cli.line);
    cJSON_AddNumberToObject(m, "autoencoder_parameters",
                            (double)vqvae_count(&model.autoencoder, &model.of_autoencoder));
    judge_autoencoder(&arena, &model.autoencoder, &data, &test, m);
    if (both) {
        cJSON_AddNumberToObject(m, "prior_parameters", (double)params_count(&model.of_prior));
        judge_likelihood(&arena, &model, &data, &test, m);
        judge_samples(&arena, &model, &data, o.samples < test.n ? o.samples : test.n, m);
    }
    char *path = path_join(o.common.out, "metrics.json");
    json_save(path, m);
    if (!o.common.quiet) print_numbers(m), printf("%s\n", path);
    cJSON_Delete(m);
    free(path);
    fashion_free(&data);
    arena_free(&arena);
    model_free(&model);
    return 0;
}

/* ---- info ------------------------------------------------------------------------------------ */

static int info(void) {
    Params autoencoder = {0}, prior = {0};
    Vqvae v = new_autoencoder(&autoencoder);
    new_prior(&prior);
    for (int i = 0; i < autoencoder.count; i++) printf("%s\n", t_describe(autoencoder.list[i]));
    printf("autoencoder: %zu parameters, %d codes of %d numbers among them\n\n",
           vqvae_count(&v, &autoencoder), o.codes, o.dim);
    for (int i = 0; i < prior.count; i++) printf("%s\n", t_describe(prior.list[i]));
    printf("prior: %zu parameters\n", params_count(&prior));
    params_free(&autoencoder), params_free(&prior);
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
