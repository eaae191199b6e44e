/* classifier — trains the classifier behind the scores, and says what the scores are worth. */
#include "calibrate.h"
#include "base/error.h"
#include "base/file.h"
#include "data/emoji.h"
#include "eval/references.h"
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
    COMMON_OPTIONS(o.common, "default|emoji"),
    {"shift", 0, .i = &o.shift, .min = 0, .max = 8, .meta = "N", .only = "train",
     .help = "training images are moved by up to so many pixels each way"},
    {0}};

static Cli cli;

static const Preset presets[] = {{"emoji", "steps=2000 batch=64 shift=2"}, {0}};

/* ---- the two sets ---------------------------------------------------------------------------- */

typedef struct {
    const ClassifierConfig *config;
    Fashion fashion;                 /* or */
    Captioned emoji;
    Images train, validation, test;
    real background;                 /* what comes in from the side when an image is moved */
} Set;

static bool is_emoji(void) {
    return !strcmp(o.common.config, "emoji");
}

static Set set_open(void) {
    Set s = {.config = is_emoji() ? &classifier_emoji : &classifier_fashion,
             .background = is_emoji()};
    if (is_emoji()) {
        cli_refuse(&cli, "data", "--config default");
        s.emoji = emoji_load(s.config->height, NULL);
        s.train = s.emoji.train, s.validation = s.emoji.validation, s.test = s.emoji.test;
    } else {
        s.fashion = fashion_load_least(o.common.data, 10, 1);
        s.train = s.fashion.train, s.validation = s.fashion.validation, s.test = s.fashion.test;
    }
    return s;
}

static void set_record(Run *run, const Set *s) {
    if (is_emoji()) run_data(run, "emoji", s->emoji.source);
    else run_fashion(run, &s->fashion);
}

static void set_close(Set *s) {
    if (is_emoji()) captioned_free(&s->emoji);
    else fashion_free(&s->fashion);
}

/* ---- train ----------------------------------------------------------------------------------- */

/* moves an image by (dy,dx); `old` has room for it */
static void shift_image(const Set *s, int dy, int dx, real *old, real *x) {
    int h = s->config->height, w = s->config->width, channels = s->config->channels;
    memcpy(old, x, (size_t)(h * w * channels) * sizeof *old);
    for (int k = 0; k < h * w * channels; k++) {
        int i = k / channels / w - dy, j = k / channels % w - dx;
        bool inside = i >= 0 && i < h && j >= 0 && j < w;
        x[k] = inside ? old[(i * w + j) * channels + k % channels] : s->background;
    }
}

static void shift_images(const Set *s, Tensor *images, Rng *rng, real *old) {
    uint32_t places = 2 * (uint32_t)o.shift + 1;
    size_t each = images->len / (size_t)images->shape[0];
    for (int i = 0; i < images->shape[0]; i++) {
        int dy = (int)rng_below(rng, places) - o.shift, dx = (int)rng_below(rng, places) - o.shift;
        shift_image(s, dy, dx, old, images->x + (size_t)i * each);
    }
}

/* percent of a set that the network names rightly */
static double accuracy(const Frozen *f, const Images *set) {
    Arena arena = {0};
    size_t n = (size_t)set->count, classes = (size_t)f->net.config.classes;
    size_t each = (size_t)set->height * (size_t)set->width * (size_t)set->channels;
    int *labels = arena_get(&arena, n * sizeof *labels), right = 0;
    real *x = arena_get(&arena, n * each * sizeof *x);
    real *p = arena_get(&arena, n * classes * sizeof *p);
    images_get(set, set->count, NULL, 0, 1, x, labels);
    frozen_apply(f, set->count, x, NULL, p);
    for (size_t i = 0; i < n; i++) {
        right += most_probable((int)classes, p + i * classes) == labels[i];
    }
    arena_free(&arena);
    return 100.0 * right / set->count;
}

static int train(void) {
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,validation_accuracy",
                                             .log_every = 20});
    Set set = set_open();
    set_record(run, &set);
    Params *params = run_params(run, "");
    Frozen f = {.net = classifier_new(params, set.config)};
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS, .weight_decay = 0.01,
                                                           .decay_matrices_only = true});
    run_ema(run, adam, 0.999);
    Loader *loader = run_loader(run, &set.train);
    Rng *shifts = run_rng(run, "shifts");
    real *old = arena_get(&run->arena, sizeof *old * (size_t)(set.train.height * set.train.width) *
                                           (size_t)set.train.channels);
    run_record(run, "parameters", (double)params_count(params));
    while (run_next(run)) {
        Tensor *x = loader_images(loader, &run->tape, 0, 1);
        shift_images(&set, x, shifts, old);
        Tensor *h = classifier_features(&f.net, x);
        Tensor *loss = t_cross_entropy(classifier_logits(&f.net, h), loader->labels);
        run_log(run, "loss", loss);
        minimise(adam, loss, o.common.lr * lr_cosine(run->step, 200, o.common.steps));
        if (run_every(run, 500))
            run_value(run, "validation_accuracy", accuracy(&f, &set.validation));
    }
    set_close(&set);
    return run_finish(run);
}

/* ---- eval ------------------------------------------------------------------------------------ */

static Frozen load_network(const ClassifierConfig *config) {
    char *path = weights_path(&cli);
    Frozen f = frozen_load(path, config);
    free(path);
    return f;
}

static int eval(void) {
    Set set = set_open();
    Frozen f = load_network(set.config);
    double percent = accuracy(&f, &set.test);
    if (!o.common.quiet) {
        printf("%.2f %% of %d test images are named rightly\nsha256 %s\n", percent,
               set.test.count, f.sha256);
    }
    cJSON *m = metrics_new(&cli);
    json_text(m, "sha256", f.sha256);
    json_number(m, "parameters", (double)params_count(&f.params));
    json_number(m, "test_images", set.test.count);
    json_number(m, "test_accuracy_percent", percent);
    metrics_save(&cli, m);
    set_close(&set);
    frozen_free(&f);
    return 0;
}

/* ---- calibrate ------------------------------------------------------------------------------- */

static int calibrate(void) {
    Set set = set_open();
    Frozen f = load_network(set.config);
    Arena arena = {0};
    Reference data = {set.train, set.test, set.fashion.classes, set.fashion.class_names};
    if (is_emoji()) data = emoji_reference(&arena, &set.emoji);   /* its test has validation in it */
    Evaluator evaluator = evaluator_open(frozen_net(&f), data);
    calibrate_sets(&evaluator, is_emoji() ? NULL : &set.validation, o.common.out, cli.line,
                   o.common.quiet);
    calibrate_sizes(&evaluator, o.common.out);
    evaluator_free(&evaluator);
    arena_free(&arena);
    frozen_free(&f);
    set_close(&set);
    return 0;
}

/* ---- info ------------------------------------------------------------------------------------ */

static int info(void) {
    Params params = {0};
    classifier_new(&params, is_emoji() ? &classifier_emoji : &classifier_fashion);
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
                  .about = "The classifiers of Fashion-MNIST and of emoji that scores are made with.",
                  .presets = presets,
                  .commands = commands,
                  .common = &o.common,
                  .options = options};

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
