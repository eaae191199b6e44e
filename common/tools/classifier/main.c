/* classifier — trains the classifier behind the scores, and says what the scores are worth. */
#include "calibrate.h"
#include "data/batches.h"
#include "train/checkpoint.h"
#include "train/cli.h"
#include "base/file.h"
#include "io/json.h"
#include "train/run.h"
#include "nn/optim.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    CommonOptions common;
    int shift;
} o = {
    .common = {.seed = 1, .steps = 8000, .batch = 128, .lr = 1e-3, .config = "default",
               .out = "build/runs/classifier"},
    .shift = 1,
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default"),
    {"shift", 0, .i = &o.shift, .min = 0, .max = 8, .meta = "N", .only = "train",
     .help = "training images are moved by up to so many pixels each way"},
    {0}};

static const Command commands[] = {
    {"train", "train the network, write log, checkpoint and weights to --out"},
    {"eval", "accuracy on the test images of the weights in --out"},
    {"calibrate", "scores of real pictures spoilt in known ways, by the weights in --out"},
    {"info", "print the network and its number of parameters"},
    {0}};

static Cli cli = {.program = "classifier",
                  .about = "The Fashion-MNIST classifier that the scores are made with.",
                  .commands = commands,
                  .options = options};

/* ---- train ----------------------------------------------------------------------------------- */

/* moves an image by (dy,dx); what comes in from the side is black, as the background is */
static void shift_image(int dy, int dx, real *x) {
    real old[SCORE_PIXELS];
    memcpy(old, x, sizeof old);
    for (int i = 0; i < SCORE_SIDE; i++) {
        for (int j = 0; j < SCORE_SIDE; j++) {
            int u = i - dy, v = j - dx;
            bool inside = u >= 0 && u < SCORE_SIDE && v >= 0 && v < SCORE_SIDE;
            x[i * SCORE_SIDE + j] = inside ? old[u * SCORE_SIDE + v] : 0;
        }
    }
}

static void shift_images(int n, Rng *rng, real *x) {
    uint32_t places = 2 * (uint32_t)o.shift + 1;
    for (int i = 0; i < n; i++) {
        int dy = (int)rng_below(rng, places) - o.shift, dx = (int)rng_below(rng, places) - o.shift;
        shift_image(dy, dx, x + (size_t)i * SCORE_PIXELS);
    }
}

/* percent of a set that the network names rightly */
static double accuracy(const Frozen *f, const Images *set) {
    Arena arena = {0};
    int *labels = arena_get(&arena, (size_t)set->count * sizeof *labels), right = 0;
    real *x = arena_get(&arena, (size_t)set->count * SCORE_PIXELS * sizeof *x);
    real *p = arena_get(&arena, (size_t)set->count * SCORE_CLASSES * sizeof *p);
    images_get(set, set->count, NULL, 0, 1, x, labels);
    frozen_apply(f, set->count, x, NULL, p);
    for (int i = 0; i < set->count; i++) {
        right += most_probable(p + (size_t)i * SCORE_CLASSES) == labels[i];
    }
    arena_free(&arena);
    return 100.0 * right / set->count;
}

static int train(void) {
    Run run = {.columns = "loss,validation_accuracy", .log_every = 20};
    run_start(&run, &cli, &o.common);
    Fashion data = fashion_load(o.common.data);
    for (int i = 0; i < 4; i++) run_record(&run, fashion_files[i], data.file[i].sha256);
    Batches batches = batches_new(data.train.count, o.common.seed);
    Rng shifts = rng_new(o.common.seed, "shifts");
    Arena arena = {0};
    int *batch = arena_get(&arena, (size_t)o.common.batch * sizeof *batch);
    int *labels = arena_get(&arena, (size_t)o.common.batch * sizeof *labels);

    Frozen f = {.params = {.seed = o.common.seed}};
    f.net = classifier_new(&f.params);
    Adam adam = {ADAM_DEFAULTS, .weight_decay = 0.01, .decay_matrices_only = true};
    Ema ema = {.decay = 0.999};
    run_record_number(&run, "parameters", (double)params_count(&f.params));

    Checkpoint everything = {.cli = &cli,
                             .params = {{"", &f.params},
                                        {"ema.", &ema.average, .like = &f.params},
                                        {"adam.m.", &adam.m, .like = &f.params},
                                        {"adam.v.", &adam.v, .like = &f.params}},
                             .numbers = {{"step", .i = &run.step},
                                         {"ema.step", .i = &ema.step},
                                         {"adam.step", .i = &adam.step},
                                         {"batches", .u = &batches.next},
                                         {"shifts", .u = &shifts.next}}};
    Checkpoint weights = {.cli = &cli, .params = {{"", &ema.average}}};
    if (run.resumed) checkpoint_load(run.checkpoint, &everything);

    Tape tape = {0};
    while (run_next(&run)) {
        tape_reset(&tape);
        batches_next(&batches, o.common.batch, batch);
        Tensor *x = t_input(&tape, NULL, SHAPE(o.common.batch, SCORE_SIDE, SCORE_SIDE, 1));
        images_get(&data.train, o.common.batch, batch, 0, 1, x->x, labels);
        shift_images(o.common.batch, &shifts, x->x);

        Tensor *h = classifier_features(&f.net, x);
        Tensor *loss = t_cross_entropy(classifier_logits(&f.net, h), labels);
        params_zero_grad(&f.params);
        backward(loss);
        adam_step(&adam, &f.params, o.common.lr * lr_cosine(run.step, 200, o.common.steps), 1);
        ema_update(&ema, &f.params);

        run_value(&run, "loss", (double)loss->x[0]);
        if (run_due(&run, 500)) {
            ema_swap(&ema, &f.params);     /* what is kept are the averaged weights */
            run_value(&run, "validation_accuracy", accuracy(&f, &data.validation));
            ema_swap(&ema, &f.params);
        }
        run_step(&run);
        if (run_save_due(&run)) {
            checkpoint_save_half(run.weights, &weights);
            checkpoint_save(run.checkpoint, &everything);
        }
    }
    tape_free(&tape);
    ema_free(&ema), adam_free(&adam), params_free(&f.params);
    batches_free(&batches);
    fashion_free(&data);
    arena_free(&arena);
    return run_finish(&run);
}

/* ---- eval ------------------------------------------------------------------------------------ */

static Frozen load_network(void) {
    char *path = path_join(o.common.out, "weights.safetensors");
    Frozen f = frozen_load(path);
    free(path);
    return f;
}

static int eval(void) {
    Frozen f = load_network();
    Fashion data = fashion_load(o.common.data);
    double percent = accuracy(&f, &data.test);
    if (!o.common.quiet) {
        printf("%.2f %% of %d test images are named rightly\nsha256 %s\n", percent,
               data.test.count, f.sha256);
    }
    cJSON *m = cJSON_CreateObject();
    cJSON_AddStringToObject(m, "command", cli.line);
    cJSON_AddStringToObject(m, "sha256", f.sha256);
    cJSON_AddNumberToObject(m, "parameters", (double)params_count(&f.params));
    cJSON_AddNumberToObject(m, "test_images", data.test.count);
    cJSON_AddNumberToObject(m, "test_accuracy_percent", percent);
    char *path = path_join(o.common.out, "metrics.json");
    json_save(path, m);
    cJSON_Delete(m);
    free(path);
    fashion_free(&data);
    frozen_free(&f);
    return 0;
}

/* ---- calibrate ------------------------------------------------------------------------------- */

static int calibrate(void) {
    Fashion data = fashion_load(o.common.data);
    char *path = path_join(o.common.out, "weights.safetensors");
    Judge judge = judge_new(&data, path);
    calibrate_sets(&judge, o.common.out, cli.line, o.common.quiet);
    calibrate_sizes(&judge, o.common.out);
    judge_free(&judge);
    fashion_free(&data);
    free(path);
    return 0;
}

/* ---- info ------------------------------------------------------------------------------------ */

static int info(void) {
    Params params = {0};
    classifier_new(&params);
    for (int i = 0; i < params.count; i++) printf("%s\n", t_describe(params.list[i]));
    printf("%zu parameters, %d features\n", params_count(&params), SCORE_FEATURES);
    params_free(&params);
    return 0;
}

int main(int argc, char **argv) {
    threads_sleep_when_waiting(argv);
    cli_parse(&cli, argc, argv);
    if (o.common.threads) threads_set(o.common.threads);
    if (!strcmp(cli.command, "train")) return train();
    if (!strcmp(cli.command, "eval")) return eval();
    if (!strcmp(cli.command, "calibrate")) return calibrate();
    return info();
}
