/* mae_train.c — the masked autoencoder's train, sample, eval and info. */
#include "augment.h"
#include "data/batches.h"
#include "train/checkpoint.h"
#include "base/file.h"
#include "io/json.h"
#include "train/results.h"
#include "train/run.h"
#include "mae.h"
#include "nn/optim.h"
#include "probe.h"
#include "settings.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 28, PIXELS = SIDE * SIDE, COLUMNS = 12, CHECKED = 1000 };

/* pictures are numbers in [-1,1] to these networks */
static void get_pictures(const Images *set, int n, const int *index, real *x, int *labels) {
    images_get(set, n, index, -1, 1, x, labels);
}

static MaeShape chosen_shape(void) {
    MaeShape s = mae_shape_named(o.common.config);
    s.mask_tokens_in_encoder = o.mask_tokens_in_encoder;
    int keep = (int)(patches_of(&s) * (1 - o.mask_ratio));
    if (keep < 1 || keep >= patches_of(&s))
        usage_error("--mask-ratio %g: of %d patches at least one must be hidden, and one be seen",
                    o.mask_ratio, patches_of(&s));
    return s;
}

MaeShape shape_for_garments(void) {
    MaeShape s = chosen_shape();
    if (s.side != SIDE)
        usage_error("--config %s: made for colour pictures of %d pixels, which are not here; only "
                    "info knows it", o.common.config, s.side);
    return s;
}

static real *new_pictures(Arena *arena, int n) {
    return arena_get(arena, (size_t)n * PIXELS * sizeof(real));
}

/* ---- train ----------------------------------------------------------------------------------- */

/* everything that changes while training, but for the run's own state */
typedef struct {
    Params params;
    Mae net;
    Adam adam;
    Rng masks, views;            /* what is hidden; how pictures are cropped and flipped */
    Batches batches;
    const Images *set;
    int *index;
    real *pictures;
} Training;

static void training_start(Training *t, Arena *arena, const Images *set) {
    uint64_t seed = o.common.seed;
    int B = o.common.batch;
    t->params.seed = seed;
    t->net = mae_new(&t->params, shape_for_garments());
    t->adam = (Adam){.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.05,
                     .decay_matrices_only = true};
    t->masks = rng_new(seed, "masks"), t->views = rng_new(seed, "views");
    t->batches = batches_new(set->count, seed);
    t->set = set;
    t->index = arena_get(arena, (size_t)B * sizeof *t->index);
    t->pictures = new_pictures(arena, B);
}

static void training_free(Training *t) {
    adam_free(&t->adam), params_free(&t->params);
    batches_free(&t->batches);
}

/* one step; returns the loss */
static double training_step(Training *t, Tape *tape, int64_t step) {
    int B = o.common.batch;
    tape_reset(tape);
    batches_next(&t->batches, B, t->index);
    get_pictures(t->set, B, t->index, t->pictures, NULL);
    Tensor *x = t_input(tape, NULL, SHAPE(B, SIDE, SIDE, 1));
    augment(B, SIDE, t->pictures, &t->views, x->x);
    Mask m = mask_random(&tape->arena, B, patches_of(&t->net.shape), o.mask_ratio, &t->masks);
    Tensor *loss = mae_forward(&t->net, x, &m, o.norm_targets).loss;
    params_zero_grad(&t->params);
    backward(loss);
    adam_step(&t->adam, &t->params, o.common.lr * lr_cosine(step, o.schedule / 20, o.schedule), 1);
    return (double)loss->x[0];
}

/* rows of test pictures: as the network sees them, as it rebuilds them, as they are */
static void picture_of_repairs(const Mae *net, const real *test, double ratio, char *path) {
    static real rows[3 * COLUMNS * PIXELS];
    reconstruct(net, COLUMNS, test, ratio, 1, o.norm_targets, rows, rows + COLUMNS * PIXELS);
    memcpy(rows + 2 * COLUMNS * PIXELS, test, COLUMNS * PIXELS * sizeof *rows);
    for (int i = 0; i < 3 * COLUMNS * PIXELS; i++) rows[i] = (rows[i] + 1) / 2;
    save_grid(path, rows, 3, COLUMNS);
}

/* the first n pictures of a set */
static real *first_pictures(Arena *arena, const Images *set, int *n) {
    if (*n > set->count) *n = set->count;
    real *x = new_pictures(arena, *n);
    get_pictures(set, *n, NULL, x, NULL);
    return x;
}

static void check_schedule(void) {
    if (o.common.steps > o.schedule)
        usage_error("--steps %d: the learning rate is 0 from step %d on; set --schedule, too",
                    o.common.steps, o.schedule);
}

int mae_train(void) {
    shape_for_garments();
    check_schedule();
    Run run = {.columns = "loss,validation_error", .log_every = 10};
    run_start(&run, &cli, &o.common);
    check_schedule();                    /* a checkpoint may have brought other numbers */
    Arena arena = {0};
    Fashion data = load_data();
    for (int i = 0; i < 4; i++) run_record(&run, fashion_files[i], data.file[i].sha256);
    Training t = {0};
    training_start(&t, &arena, &data.train);
    int checked = CHECKED, shown = COLUMNS;
    real *validation = first_pictures(&arena, &data.validation, &checked);
    real *test = first_pictures(&arena, &data.test, &shown);
    run_record_number(&run, "parameters", (double)params_count(&t.params));

    Checkpoint everything = {.cli = &cli,
                             .params = {{"", &t.params},
                                        {"adam.m.", &t.adam.m, .like = &t.params},
                                        {"adam.v.", &t.adam.v, .like = &t.params}},
                             .numbers = {{"step", .i = &run.step},
                                         {"adam.step", .i = &t.adam.step},
                                         {"masks", .u = &t.masks.next},
                                         {"views", .u = &t.views.next},
                                         {"batches", .u = &t.batches.next}}};
    Checkpoint weights = {.cli = &cli, .params = {{"", &t.params}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {0};
    while (run_next(&run)) {
        run_value(&run, "loss", training_step(&t, &tape, run.step));
        if (run_due(&run, 250))
            run_value(&run, "validation_error", reconstruct(&t.net, checked, validation,
                      o.mask_ratio, 1, o.norm_targets, NULL, NULL));
        run_step(&run);
        if (!run_save_due(&run)) continue;
        checkpoint_save_half(run.weights, &weights);
        checkpoint_save(run.checkpoint, &everything);
        picture_of_repairs(&t.net, test, o.mask_ratio, run_path(&run, "repairs.png"));
    }
    run_record_number(&run, "tape_bytes", (double)tape_peak(&tape));
    tape_free(&tape);
    training_free(&t);
    fashion_free(&data);
    arena_free(&arena);
    return run_finish(&run);
}

/* ---- a trained network ----------------------------------------------------------------------- */

static Mae load_network(Params *params) {
    char *path = weights_path(&o.common);
    Mae net = mae_new(params, shape_for_garments());
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", params}}});
    free(path);
    return net;
}

/* ---- sample ---------------------------------------------------------------------------------- */

int mae_sample(void) {
    static const int percent[] = {50, 75, 90};
    Params params = {0};
    Mae net = load_network(&params);
    Arena arena = {0};
    Fashion data = load_data();
    int shown = COLUMNS;
    real *test = first_pictures(&arena, &data.test, &shown);
    folder_create(o.common.out);
    for (int i = 0; i < 3; i++) {
        char *name = text_format("repairs-%d.png", percent[i]);
        picture_of_repairs(&net, test, percent[i] / 100.0, announced(&o.common, name));
        free(name);
    }
    fashion_free(&data);
    arena_free(&arena);
    params_free(&params);
    return 0;
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* features of every picture of a set: the mean of its patches' tokens, and its class token */
typedef struct {
    Features mean, cls;
} BothFeatures;

static BothFeatures features_of(Arena *arena, const Encoder *e, const Images *set) {
    enum { AT_ONCE = 128 };
    int n = set->count, D = e->shape.width;
    size_t size = (size_t)n * (size_t)D * sizeof(real);
    real *mean = arena_get(arena, size), *cls = arena_get(arena, size);
    int *labels = arena_get(arena, (size_t)n * sizeof *labels);
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        Images part = images_part(set, i, B);
        tape_reset(&t);
        Tensor *x = t_input(&t, NULL, SHAPE(B, SIDE, SIDE, 1));
        get_pictures(&part, B, NULL, x->x, labels + i);
        PictureFeatures f = picture_features(e, x);
        memcpy(mean + (size_t)i * (size_t)D, f.mean->x, f.mean->len * sizeof *mean);
        memcpy(cls + (size_t)i * (size_t)D, f.cls->x, f.cls->len * sizeof *cls);
    }
    tape_free(&t);
    return (BothFeatures){{n, D, mean, labels}, {n, D, cls, labels}};
}

/* the error at several ratios, into m and onto the screen */
static void measure_repairs(Arena *arena, const Mae *net, const Images *set, cJSON *m) {
    static const int percent[] = {25, 50, 75, 90};
    int n = set->count;
    real *test = first_pictures(arena, set, &n);
    double own = reconstruct(net, n, test, o.mask_ratio, 1, o.norm_targets, NULL, NULL);
    cJSON_AddNumberToObject(m, "error", own);
    if (!o.common.quiet)
        printf("mean squared error of hidden pixels on [0,1], %d test images\n"
               "  %g %% hidden, as in training: %.5f\n", n, 100 * o.mask_ratio, own);
    for (int i = 0; i < 4; i++) {
        char *key = text_format("error_%d", percent[i]);
        double e = reconstruct(net, n, test, percent[i] / 100.0, 1, o.norm_targets, NULL, NULL);
        cJSON_AddNumberToObject(m, key, e);
        if (!o.common.quiet) printf("  %d %% hidden: %.5f\n", percent[i], e);
        free(key);
    }
}

static void measure_features(Arena *arena, const Encoder *e, const Fashion *data, cJSON *m) {
    BothFeatures train = features_of(arena, e, &data->train);
    BothFeatures test = features_of(arena, e, &data->test);
    double mean = probe_accuracy(train.mean, test.mean, o.common.seed);
    double cls = probe_accuracy(train.cls, test.cls, o.common.seed);
    cJSON_AddNumberToObject(m, "probe_accuracy", mean);
    cJSON_AddNumberToObject(m, "probe_accuracy_class_token", cls);
    if (!o.common.quiet)
        printf("linear probe on frozen features, all %d labels\n  mean of the patches' tokens: "
               "%.2f %% of test images\n  class token: %.2f %%\n", train.mean.n, 100 * mean,
               100 * cls);
}

int mae_eval(void) {
    Params params = {0};
    Mae net = load_network(&params);
    Arena arena = {0};
    Fashion data = load_data();
    folder_create(o.common.out);
    int N = patches_of(&net.shape), seen = (int)(N * (1 - o.mask_ratio));
    if (o.mask_tokens_in_encoder) seen = N;
    cJSON *m = cJSON_CreateObject();
    cJSON_AddStringToObject(m, "command", cli.line);
    cJSON_AddNumberToObject(m, "parameters", (double)params_count(&params));
    cJSON_AddNumberToObject(m, "test_images", data.test.count);
    cJSON_AddNumberToObject(m, "mask_ratio", o.mask_ratio);
    cJSON_AddNumberToObject(m, "encoder_multiply_adds", encoder_multiply_adds(&net.shape, seen));
    measure_repairs(&arena, &net, &data.test, m);
    measure_features(&arena, &net.encoder, &data, m);
    char *path = announced(&o.common, "metrics.json");
    json_save(path, m);
    cJSON_Delete(m);
    free(path);
    fashion_free(&data);
    arena_free(&arena);
    params_free(&params);
    return 0;
}

/* ---- info ------------------------------------------------------------------------------------ */

int mae_info(void) {
    Params params = {0};
    MaeShape s = mae_new(&params, chosen_shape()).shape;
    for (int i = 0; i < params.count; i++) printf("%s\n", t_describe(params.list[i]));
    printf("%zu parameters with the fixed tables of positions, %zu of them trained\n",
           parameters_with_tables(&params), params_count(&params));
    int N = patches_of(&s), keep = (int)(N * (1 - o.mask_ratio));
    printf("encoder: %.3g multiply-adds a picture with the %d visible of %d patches, "
           "%.3g with all\n", encoder_multiply_adds(&s, keep), keep, N, encoder_multiply_adds(&s, N));
    params_free(&params);
    return 0;
}
