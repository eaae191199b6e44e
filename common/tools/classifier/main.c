/* classifier — trains the classifier behind the scores, and says what the scores are worth. */
#include "calibrate.h"
#include "base/file.h"
#include "train/program.h"
#include "train/run.h"

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

static Cli cli;

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
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,validation_accuracy",
                                             .log_every = 20});
    Fashion data = fashion_load_least(o.common.data, 10, 1);
    run_fashion(run, &data);
    Params *params = run_params(run, "");
    Frozen f = {.net = classifier_new(params)};
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS, .weight_decay = 0.01,
                                                           .decay_matrices_only = true});
    run_ema(run, adam, 0.999);
    Loader *loader = run_loader(run, &data.train);
    Rng *shifts = run_rng(run, "shifts");
    run_record(run, "parameters", (double)params_count(params));
    while (run_next(run)) {
        Tensor *x = loader_images(loader, &run->tape, 0, 1);
        shift_images(o.common.batch, shifts, x->x);
        Tensor *h = classifier_features(&f.net, x);
        Tensor *loss = t_cross_entropy(classifier_logits(&f.net, h), loader->labels);
        run_log(run, "loss", loss);
        minimise(adam, loss, o.common.lr * lr_cosine(run->step, 200, o.common.steps));
        if (run_every(run, 500))
            run_value(run, "validation_accuracy", accuracy(&f, &data.validation));
    }
    fashion_free(&data);
    return run_finish(run);
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
    cJSON *m = metrics_new(&cli);
    json_text(m, "sha256", f.sha256);
    json_number(m, "parameters", (double)params_count(&f.params));
    json_number(m, "test_images", data.test.count);
    json_number(m, "test_accuracy_percent", percent);
    metrics_save(&cli, m);
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
    return info_network(&params);
}

static const Command commands[] = {
    {"train", "train the network, write log, checkpoint and weights to --out", train},
    {"eval", "accuracy on the test images of the weights in --out", eval},
    {"calibrate", "scores of real pictures corrupted in known ways, by the weights in --out",
     calibrate},
    {"info", "print the network and its number of parameters", info},
    {0}};

static Cli cli = {.program = "classifier",
                  .about = "The Fashion-MNIST classifier that the scores are made with.",
                  .commands = commands,
                  .common = &o.common,
                  .options = options};

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
