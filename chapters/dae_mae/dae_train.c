/* dae_train.c — the commands of part 1: denoising autoencoders are trained, looked at, measured. */
#include "dae.h"

#include "data/batches.h"
#include "train/checkpoint.h"
#include "base/file.h"
#include "io/json.h"
#include "io/picture.h"
#include "train/results.h"
#include "train/run.h"
#include "nn/optim.h"
#include "probe.h"
#include "settings.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 12, HELD_OUT = 1000 };

/* ---- what the commands use ------------------------------------------------------------------- */

static Corruption chosen_corruption(void) {
    Corruption c = {corruption_named(o.corruption), o.level};
    bool emphasis = o.alpha != 1 || o.beta != 1;
    if ((c.kind == MASKING || c.kind == SALT_PEPPER) && c.level > 1)
        usage_error("--level %g: --corruption %s needs a probability", c.level, o.corruption);
    if (emphasis && (c.kind == CORRUPT_NONE || c.kind == GAUSSIAN))
        usage_error("--alpha, --beta: --corruption %s spoils %s pixel, so there is nothing to tell "
                    "apart", o.corruption, c.kind == GAUSSIAN ? "every" : "no");
    return c;
}

static real *new_garments(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * GARMENT_PIXELS * sizeof(real));
}

static int at_most(int n, int limit) { return n < limit ? n : limit; }

/* spoilt copies that depend on (seed, purpose) alone */
static void spoil_all(Corruption c, int n, const real *x, const char *purpose, real *spoilt) {
    Rng rng = rng_new(o.common.seed, purpose);
    corrupt(c, (size_t)n * GARMENT_PIXELS, x, &rng, spoilt, NULL);
}

/* squared error per image of r(x~) */
static double denoising_error(const Dae *d, Corruption c, int n, const real *x) {
    Arena arena = {0};
    real *r = new_garments(&arena, n);
    spoil_all(c, n, x, "measure", r);
    dae_reconstruct_all(d, n, r, r);
    double error = squared_error_per_image(n, r, x);
    arena_free(&arena);
    return error;
}

/* The first hundred hidden units' weights (2008, figure 3): grey is 0, each unit by itself is
 * scaled to its largest weight. */
static void save_filters(const Dae *d, char *path) {
    enum { SHOWN = 100 };
    static real filters[SHOWN * GARMENT_PIXELS];
    for (int u = 0; u < SHOWN; u++) {
        real largest = 0;
        for (int i = 0; i < GARMENT_PIXELS; i++)
            largest = (real)fmax((double)largest, fabs((double)d->w->x[i * d->code + u]));
        for (int i = 0; i < GARMENT_PIXELS; i++)
            filters[u * GARMENT_PIXELS + i] = d->w->x[i * d->code + u] / (2 * largest) + (real)0.5;
    }
    save_grid(path, filters, 10, 10);
}

/* ---- train ----------------------------------------------------------------------------------- */

/* everything that changes while training, but for the run's own state */
typedef struct {
    Dae net;
    Params params;
    Adam adam;                   /* of the convolutional network, and the average of its weights */
    Ema ema;
    Sgd sgd;                     /* of the paper's */
    Rng noise;
    Batches batches;
    Corruption corruption;
    int *index;                  /* space for one batch */
} Training;

static void training_step(Training *t, Tape *tape, const Images *set, Run *run) {
    int B = o.common.batch;
    tape_reset(tape);
    batches_next(&t->batches, B, t->index);
    Tensor *x = t_input(tape, NULL, SHAPE(B, GARMENT_SIDE, GARMENT_SIDE, 1));
    images_get(set, B, t->index, 0, 1, x->x, NULL);

    Tensor *loss = denoising_loss(&t->net, t->corruption, x, o.alpha, o.beta, &t->noise);
    params_zero_grad(&t->params);
    backward(loss);
    run_value(run, "loss", (double)loss->x[0]);
    if (t->net.architecture == VINCENT_2008) {
        sgd_step(&t->sgd, &t->params, o.common.lr, 1);
    } else {
        adam_step(&t->adam, &t->params, o.common.lr * lr_warmup(run->step, 100), 1);
        ema_update(&t->ema, &t->params);
    }
}

/* scores, pictures and weights to pass on are the averaged weights', where there are averages */
static void swap_averages(Training *t) {
    if (t->ema.step) ema_swap(&t->ema, &t->params);
}

/* rows of originals, what was made of them, and what the network makes of that */
static void save_samples(const Training *t, const Run *run, const real *x) {
    static real pictures[3 * COLUMNS * GARMENT_PIXELS];
    real *spoilt = pictures + COLUMNS * GARMENT_PIXELS, *r = spoilt + COLUMNS * GARMENT_PIXELS;
    memcpy(pictures, x, COLUMNS * GARMENT_PIXELS * sizeof *x);
    spoil_all(t->corruption, COLUMNS, x, "samples", spoilt);
    dae_reconstruct_all(&t->net, COLUMNS, spoilt, r);
    save_grid(run_path(run, "samples.png"), pictures, 3, COLUMNS);
}

static void training_start(Training *t, Arena *arena, int count) {
    t->params.seed = o.common.seed;
    t->net = dae_new(&t->params, dae_named(o.common.config));
    t->ema.decay = 0.999;
    t->noise = rng_new(o.common.seed, "corruption");
    t->batches = batches_new(count, o.common.seed);
    t->index = arena_get(arena, (size_t)o.common.batch * sizeof *t->index);
}

static void training_free(Training *t) {
    ema_free(&t->ema), adam_free(&t->adam), sgd_free(&t->sgd), params_free(&t->params);
    batches_free(&t->batches);
}

int dae_train(void) {
    Run run = {.columns = "loss,validation_error", .log_every = 10};
    run_start(&run, &cli, &o.common);
    Training t = {.corruption = chosen_corruption(), .adam = {ADAM_DEFAULTS}};
    Arena arena = {0};
    Fashion data = load_data();
    for (int i = 0; i < 4; i++) run_record(&run, fashion_files[i], data.file[i].sha256);
    int held_out = at_most(data.validation.count, HELD_OUT);
    real *validation = new_garments(&arena, held_out);
    images_get(&data.validation, held_out, NULL, 0, 1, validation, NULL);
    training_start(&t, &arena, data.train.count);
    run_record_number(&run, "parameters", (double)params_count(&t.params));

    Params *p = &t.params;
    bool averaged = t.net.architecture != VINCENT_2008;
    Checkpoint everything = {.cli = &cli,
                             .params = {{"", p},
                                        {"ema.", &t.ema.average, .like = p},
                                        {"adam.m.", &t.adam.m, .like = p},
                                        {"adam.v.", &t.adam.v, .like = p}},
                             .numbers = {{"step", .i = &run.step},
                                         {"ema.step", .i = &t.ema.step},
                                         {"adam.step", .i = &t.adam.step},
                                         {"noise", .u = &t.noise.next},
                                         {"batches", .u = &t.batches.next}}};
    Checkpoint weights = {.cli = &cli, .params = {{"", averaged ? &t.ema.average : p}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {0};
    while (run_next(&run)) {
        training_step(&t, &tape, &data.train, &run);
        if (run_due(&run, 250)) {
            swap_averages(&t);
            double error = denoising_error(&t.net, t.corruption, held_out, validation);
            run_value(&run, "validation_error", error);
            swap_averages(&t);
        }
        run_step(&run);
        if (run_save_due(&run)) {
            checkpoint_save_half(run.weights, &weights);
            checkpoint_save(run.checkpoint, &everything);
            swap_averages(&t);
            save_samples(&t, &run, validation);
            if (!averaged) save_filters(&t.net, run_path(&run, "filters.png"));
            swap_averages(&t);
        }
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    training_free(&t);
    fashion_free(&data);
    arena_free(&arena);
    return run_finish(&run);
}

/* ---- trained networks ------------------------------------------------------------------------ */

/* The network of --weights (its options were taken over by settle_settings) and, with --plain,
 * the plain one beside it. */
typedef struct {
    Params params[2];
    Dae net[2];
    int count;
} Trained;

static void trained_load(Trained *t) {
    char *own = weights_path(&o.common);
    const char *paths[2] = {own, o.plain};
    for (t->count = 0; t->count < 2 && paths[t->count]; t->count++) {
        Params *p = &t->params[t->count];
        t->net[t->count] = dae_new(p, dae_named(o.common.config));
        checkpoint_load(paths[t->count], &(Checkpoint){.cli = &cli, .params = {{"", p}}});
    }
    free(own);
}

static void trained_free(Trained *t) {
    for (int k = 0; k < t->count; k++) params_free(&t->params[k]);
}

/* ---- sample ---------------------------------------------------------------------------------- */

typedef struct {
    Corruption corruption;
    const char *caption;
} Spoiling;

static const Spoiling spoilings[] = {
    {{CORRUPT_NONE, 0}, "clean"},          {{GAUSSIAN, 0.1}, "gaussian 0.1"},
    {{GAUSSIAN, 0.25}, "gauss. 0.25"},     {{GAUSSIAN, 0.5}, "gaussian 0.5"},
    {{GAUSSIAN, 0.75}, "gauss. 0.75"},     {{GAUSSIAN, 1}, "gaussian 1"},
    {{MASKING, 0.25}, "mask 25 %"},        {{MASKING, 0.5}, "mask 50 %"},
    {{MASKING, 0.75}, "mask 75 %"},        {{SALT_PEPPER, 0.1}, "s.+p. 10 %"},
    {{SALT_PEPPER, 0.25}, "s.+p. 25 %"},   {{SALT_PEPPER, 0.5}, "s.+p. 50 %"},
};
enum { SPOILINGS = sizeof spoilings / sizeof *spoilings, GARMENTS_SHOWN = 3 };

/* For each of three garments: a row of it spoilt in twelve ways, a row of what the plain network
 * (if there is one) makes of them, a row of what this one does. */
static void picture_of_denoising(const Trained *t, const real *x) {
    enum { MOST = 3 * GARMENTS_SHOWN * SPOILINGS };
    static real pictures[MOST * GARMENT_PIXELS];
    static const char *captions[MOST];
    int cell = 0;
    for (int g = 0; g < GARMENTS_SHOWN; g++) {
        real *spoilt = pictures + cell * GARMENT_PIXELS;
        for (int s = 0; s < SPOILINGS; s++, cell++) {
            spoil_all(spoilings[s].corruption, 1, x + g * GARMENT_PIXELS, "denoising",
                      pictures + cell * GARMENT_PIXELS);
            captions[cell] = spoilings[s].caption;
        }
        for (int k = t->count; k-- > 0; cell += SPOILINGS) {
            dae_reconstruct_all(&t->net[k], SPOILINGS, spoilt, pictures + cell * GARMENT_PIXELS);
            for (int s = 0; s < SPOILINGS; s++) captions[cell + s] = k ? "plain" : "denoising";
        }
    }
    char *path = announced(&o.common, "denoising.png");
    picture_save(path, pictures,
                 (Grid){.count = cell, .height = GARMENT_SIDE, .width = GARMENT_SIDE, .channels = 1,
                        .columns = SPOILINGS, .enlarge = 3, .low = 0, .high = 1,
                        .captions = captions},
                 cli.line);
    free(path);
}

/* Six chains in rows, three from test images and three from noise: r(x~) after 1, 1 + EVERY, ...
 * steps. The spread of P(x|x~) is the root mean square of what the network leaves over. */
static void picture_of_chains(const Dae *d, Corruption c, int n, const real *x) {
    enum { CHAINS = 6, EVERY = 10 };
    static real state[CHAINS * GARMENT_PIXELS], r[CHAINS * GARMENT_PIXELS];
    static real film[CHAINS * COLUMNS * GARMENT_PIXELS];
    size_t bytes = GARMENT_PIXELS * sizeof *x;
    Rng rng = rng_new(o.common.seed, "chain");
    double spread = sqrt(denoising_error(d, c, n, x) / GARMENT_PIXELS);
    rng_uniform(&rng, CHAINS * GARMENT_PIXELS, state);
    memcpy(state, x, CHAINS / 2 * bytes);
    for (int step = 0; step <= (COLUMNS - 1) * EVERY; step++) {
        dae_chain_step(d, c, spread, CHAINS, state, r, &rng);
        for (int i = 0; i < CHAINS && step % EVERY == 0; i++)
            memcpy(film + (i * COLUMNS + step / EVERY) * GARMENT_PIXELS, r + i * GARMENT_PIXELS,
                   bytes);
    }
    save_grid(announced(&o.common, "chain.png"), film, CHAINS, COLUMNS);
}

int dae_sample(void) {
    Trained t = {0};
    trained_load(&t);
    Arena arena = {0};
    Fashion data = load_data();
    folder_create(o.common.out);
    int n = at_most(data.test.count, HELD_OUT);
    real *x = new_garments(&arena, n);
    images_get(&data.test, n, NULL, 0, 1, x, NULL);
    picture_of_denoising(&t, x);
    Corruption c = chosen_corruption();
    if (c.kind != CORRUPT_NONE) picture_of_chains(&t.net[0], c, n, x);
    if (t.net[0].architecture == VINCENT_2008)
        save_filters(&t.net[0], announced(&o.common, "filters.png"));
    fashion_free(&data);
    arena_free(&arena);
    trained_free(&t);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* squared error per test image over kind and level; `plain` is empty without --plain */
static void save_denoising_errors(const Trained *t, int n, const real *x) {
    static const char *const kinds[] = {"gaussian", "masking", "salt-pepper"};
    static const double levels[] = {0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1};
    char *path = announced(&o.common, "denoising.csv");
    AtomicFile f = file_create(path);
    fprintf(f.stream, "corruption,level,untouched,denoising,plain\n");
    Arena arena = {0};
    real *spoilt = new_garments(&arena, n);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
            Corruption c = {corruption_named(kinds[k]), levels[l]};
            spoil_all(c, n, x, "measure", spoilt);
            fprintf(f.stream, "%s,%g,%.4f,%.4f,", kinds[k], levels[l],
                    squared_error_per_image(n, spoilt, x), denoising_error(&t->net[0], c, n, x));
            if (t->count > 1) fprintf(f.stream, "%.4f", denoising_error(&t->net[1], c, n, x));
            fprintf(f.stream, "\n");
        }
    file_commit(&f);
    arena_free(&arena);
    free(path);
}

/* a set's clean pictures and what the network calls them; NULL: the pixels themselves */
static Features features_of(Arena *arena, const Dae *d, const Images *set, int *labels) {
    real *x = new_garments(arena, set->count);
    images_get(set, set->count, NULL, 0, 1, x, labels);
    if (!d) return (Features){set->count, GARMENT_PIXELS, x, labels};
    real *h = arena_get(arena, (size_t)set->count * (size_t)d->code * sizeof *h);
    dae_encode_all(d, set->count, x, h);
    return (Features){set->count, d->code, h, labels};
}

/* rows first to first + n - 1 */
static Features part(Features f, int first, int n) {
    const real *x = f.x + (size_t)first * (size_t)f.dimensions;
    return (Features){n, f.dimensions, x, f.labels + first};
}

/* Share of test images that a linear classifier on the features names rightly: trained on all
 * labels, and on 1,000 (mean and deviation over three lots of them) */
static cJSON *probe(const char *what, const Dae *d, const Fashion *data) {
    enum { LOTS = 3, FEW = 1000 };
    Arena arena = {0};
    int *labels = arena_get(&arena, (size_t)data->train.count * sizeof *labels);
    int *test_labels = arena_get(&arena, (size_t)data->test.count * sizeof *test_labels);
    Features train = features_of(&arena, d, &data->train, labels);
    Features test = features_of(&arena, d, &data->test, test_labels);
    double all = probe_accuracy(train, test, o.common.seed), sum = 0, squares = 0;
    int few = at_most(train.n / LOTS, FEW);
    for (int k = 0; k < LOTS; k++) {
        double accuracy = probe_accuracy(part(train, k * few, few), test, o.common.seed);
        sum += accuracy, squares += accuracy * accuracy;
    }
    double mean = sum / LOTS, deviation = sqrt(fmax(0, (squares - sum * mean) / (LOTS - 1)));
    if (!o.common.quiet)
        printf("  %-22s %5d numbers  %d labels %.4f   %d labels %.4f +- %.4f\n", what,
               train.dimensions, train.n, all, few, mean, deviation);
    cJSON *j = cJSON_CreateObject();
    cJSON_AddNumberToObject(j, "dimensions", train.dimensions);
    cJSON_AddNumberToObject(j, "all_labels", all);
    cJSON_AddNumberToObject(j, "few", few);
    cJSON_AddNumberToObject(j, "few_labels", mean);
    cJSON_AddNumberToObject(j, "few_labels_deviation", deviation);
    arena_free(&arena);
    return j;
}

/* the same network before any training: what its shape alone is worth */
static cJSON *probe_untrained(const Fashion *data) {
    Params p = {.seed = o.common.seed};
    Dae d = dae_new(&p, dae_named(o.common.config));
    cJSON *j = probe("untrained network", &d, data);
    params_free(&p);
    return j;
}

int dae_eval(void) {
    Trained t = {0};
    trained_load(&t);
    Arena arena = {0};
    Fashion data = load_data();
    folder_create(o.common.out);
    int n = at_most(data.test.count, 2000);
    real *x = new_garments(&arena, n);
    images_get(&data.test, n, NULL, 0, 1, x, NULL);
    save_denoising_errors(&t, n, x);
    arena_free(&arena);

    cJSON *m = cJSON_CreateObject();
    cJSON_AddStringToObject(m, "command", cli.line);
    cJSON_AddStringToObject(m, "config", o.common.config);
    cJSON_AddStringToObject(m, "corruption", o.corruption);
    cJSON_AddNumberToObject(m, "level", o.level);
    cJSON_AddNumberToObject(m, "parameters", (double)params_count(&t.params[0]));
    if (!o.common.quiet) printf("share of %d test images named rightly\n", data.test.count);
    cJSON_AddItemToObject(m, "probe", probe("denoising autoencoder", &t.net[0], &data));
    if (t.count > 1)
        cJSON_AddItemToObject(m, "probe_plain", probe("plain autoencoder", &t.net[1], &data));
    cJSON_AddItemToObject(m, "probe_untrained", probe_untrained(&data));
    cJSON_AddItemToObject(m, "probe_pixels", probe("pixels", NULL, &data));
    char *path = announced(&o.common, "metrics.json");
    json_save(path, m);
    free(path);
    cJSON_Delete(m);
    fashion_free(&data);
    trained_free(&t);
    return 0;
}

/* ---- info ------------------------------------------------------------------------------------ */

int dae_info(void) {
    Params params = {0};
    Dae d = dae_new(&params, dae_named(o.common.config));
    for (int i = 0; i < params.count; i++) printf("%s\n", t_describe(params.list[i]));
    printf("%zu parameters, code of %d numbers\n", params_count(&params), d.code);
    params_free(&params);
    return 0;
}
