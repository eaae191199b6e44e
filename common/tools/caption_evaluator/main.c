/* caption_evaluator — trains the networks that compare pictures with captions, and says what their
 * scores are worth. */
#include "calibrate.h"
#include "base/error.h"
#include "train/program.h"
#include "train/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    CommonOptions common;
    const char *stage;
    int class_steps, scenes;
    double class_lr;
} o = {
    .common = {.seed = 1, .steps = 2500, .batch = 64, .lr = 1.5e-3, .config = "default",
               .out = "build/runs/caption_evaluator"},
    .stage = "all", .class_steps = 12000, .class_lr = 1e-3,
    .scenes = 10000,
};

#define DETECTOR "detector-weights.safetensors"

static Option options[] = {
    COMMON_OPTIONS(o.common, "default"),
    {"stage", 0, .s = &o.stage, .choices = "all|detector|classes", .keep = KEEP_NOT,
     .only = "train", .help = "where garments are and in which colour; then of which class"},
    STAGE_STEPS("class-steps", o.class_steps, "training steps of the second stage"),
    STAGE_LR("class-lr", o.class_lr, "learning rate of the second stage"),
    {"scenes", 0, .i = &o.scenes, .min = 20, .max = 100000, .meta = "N", .only = "eval calibrate",
     .help = "scenes in each row"},
    {0}};

static Cli cli;

/* ---- train ----------------------------------------------------------------------------------- */

/* The scenes of a batch: those of the training part, with garments in any colour. */
typedef struct {
    const Wardrobe *w;
    uint64_t first;
    Scene *scenes;
    real *x;                     /* (B,64,64,3) in [0,1] */
} Batch;

/* every second pixel of every second line, doubled: what pictures of 32 pixels look like */
static void coarsen(real *x) {
    for (int i = 0; i < NET_SIDE; i++) {
        for (int j = 0; j < NET_SIDE; j++) {
            const real *from = x + ((i / 2 * 2) * NET_SIDE + j / 2 * 2) * 3;
            memmove(x + (i * NET_SIDE + j) * 3, from, 3 * sizeof *x);
        }
    }
}

static void make_one(int i, void *context) {
    const Batch *b = context;
    uint8_t pixels[NET_PIXELS];
    uint64_t index = b->first + (uint64_t)i;
    Rng rng = rng_new(o.common.seed, "colours");
    rng.next = index * 8;
    Scene s = wardrobe_scene(b->w, PART_TRAIN, o.common.seed, index);
    for (int k = 0; k < s.count; k++) s.garment[k].colour = (int)rng_below(&rng, WARDROBE_COLOURS);
    wardrobe_draw(b->w, PART_TRAIN, &s, pixels, NULL, NULL);
    real *x = b->x + (size_t)i * NET_PIXELS;
    for (int k = 0; k < NET_PIXELS; k++) x[k] = (real)pixels[k] / 255;
    if (!rng_below(&rng, 4)) coarsen(x);
    b->scenes[i] = s;
}

static Tensor *draw_batch(Run *run, const Wardrobe *w, Scene *scenes) {
    int n = run_part(run, o.common.batch);
    Tensor *x = t_input(&run->tape, NULL, SHAPE(n, NET_SIDE, NET_SIDE, 3));
    Batch b = {w, (uint64_t)run->micro_batch * (uint64_t)n, scenes, x->x};
    parallel_items(n, 100000, make_one, &b);
    return x;
}

static int train_detector(void) {
    Run *run = run_start(&cli, (RunSettings){.columns = "loss", .log_every = 20,
                                             .stage = "detector", .later = "classes"});
    Fashion data = fashion_load(o.common.data);
    Wardrobe w = wardrobe_open(&data, NET_SIDE);
    run_fashion(run, &data);
    Params *params = run_params(run, "");
    CaptionNet net = caption_net_new(params);
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS, .weight_decay = 0.01,
                                                           .decay_matrices_only = true});
    run_ema(run, adam, 0.998);
    run_record(run, "parameters", (double)params_count(params));
    Scene *scenes = arena_get(&run->arena, (size_t)o.common.batch * sizeof *scenes);
    while (run_next(run)) {
        Tensor *x = draw_batch(run, &w, scenes);
        CaptionOutput y = caption_net(&net, x);
        Tensor *loss = caption_loss(&y, x->shape[0], scenes);
        run_log(run, "loss", loss);
        minimise(adam, loss, o.common.lr * lr_cosine(run->step, 100, o.common.steps));
    }
    wardrobe_free(&w);
    fashion_free(&data);
    return run_finish(run);
}

/* ---- train the classes ----------------------------------------------------------------------- */

/* between -1 and 1 */
static real wobble(Rng *rng) {
    return (real)((double)rng_below(rng, 2001) / 1000 - 1);
}

/* A crop of each garment, about where the detector would find it, as (count,32,32,3); its class. */
static Tensor *crop_batch(Run *run, const Tensor *x, const Scene *scenes, Rng *rng, int *class) {
    int count = 0, n = x->shape[0];
    for (int i = 0; i < n; i++) count += scenes[i].count;
    Tensor *crops = t_input(&run->tape, NULL, SHAPE(count, garment_classifier.height,
                                                    garment_classifier.width, 3));
    real *to = crops->x;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < scenes[i].count; k++, to += crops->len / (size_t)count) {
            const Garment *g = &scenes[i].garment[k];
            real side = garment_crop_side((real)g->box.height, (real)g->box.width);
            real y = (real)g->box.top + (real)g->box.height / 2 + wobble(rng) * side / 16;
            real place = (real)g->box.left + (real)g->box.width / 2 + wobble(rng) * side / 16;
            garment_crop(x->x + (size_t)i * NET_PIXELS, y, place,
                         side * (1 + wobble(rng) / 10), to);
            *class++ = g->class;
        }
    }
    return crops;
}

/* the detector that the first stage left, as it is passed on */
static void load_detector(Params *p, const char *path) {
    caption_net_new(p);
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", p}}});
}

/* the two networks, as they are now */
static CaptionEvaluator evaluator_of(const char *path, const Classifier *classes) {
    CaptionEvaluator e = {.classes = *classes};
    e.detector = caption_net_new(&e.detector_params);
    checkpoint_load(path, &(Checkpoint){.cli = &cli, .params = {{"", &e.detector_params}}});
    return e;
}

static int train_classes(void) {
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,validation_whole", .log_every = 20,
                                             .stage = "classes", .steps = &o.class_steps});
    Fashion data = fashion_load(o.common.data);
    Wardrobe w = wardrobe_open(&data, NET_SIDE);
    char *path = path_join(o.common.out, DETECTOR);
    run_trained_on(run, path);
    run_fashion(run, &data);
    Params detector = {0}, *params = run_params(run, "");
    load_detector(&detector, path);
    Classifier classes = classifier_new(params, &garment_classifier);
    CaptionEvaluator e = evaluator_of(path, &classes);
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS, .weight_decay = 0.01,
                                                           .decay_matrices_only = true});
    run_ema(run, adam, 0.998);
    Rng *places = run_rng(run, "places");
    run_weights(run, (Weights){.file = "weights.safetensors",
                               .params = {{"detector.", &detector}, {"classes.", params}}});
    run_record(run, "parameters", (double)(params_count(params) + params_count(&detector)));
    size_t n = (size_t)o.common.batch;
    Scene *scenes = arena_get(&run->arena, n * sizeof *scenes);
    int *class = arena_get(&run->arena, n * SCENE_GARMENTS * sizeof *class);
    while (run_next(run)) {
        Tensor *x = draw_batch(run, &w, scenes);
        Tensor *crops = crop_batch(run, x, scenes, places, class);
        Tensor *h = classifier_features(&classes, crops);
        Tensor *loss = t_cross_entropy(classifier_logits(&classes, h), class);
        run_log(run, "loss", loss);
        minimise(adam, loss, o.class_lr * lr_cosine(run->step, 100, o.class_steps));
        if (run_every(run, 500)) {
            CaptionScores c = caption_scores_of_part(&e, &w, PART_VALIDATION, 500);
            run_value(run, "validation_whole", 100 * c.whole);
        }
    }
    params_free(&detector);
    params_free(&e.detector_params);
    wardrobe_free(&w);
    fashion_free(&data);
    free(path);
    return run_finish(run);
}

static int train(void) {
    int status = 0;
    if (strcmp(o.stage, "classes")) status = train_detector();
    if (!status && strcmp(o.stage, "detector")) status = train_classes();
    return status;
}

/* ---- eval, calibrate, info ------------------------------------------------------------------- */

static int eval(void) {
    char *path = weights_path(&cli);
    CaptionEvaluator e = caption_evaluator_load(path);
    Fashion data = fashion_load(o.common.data);
    Wardrobe w = wardrobe_open(&data, NET_SIDE);
    cJSON *m = metrics_new(&cli);
    json_text(m, "sha256", e.sha256);
    json_number(m, "parameters", (double)(params_count(&e.detector_params) +
                                          params_count(&e.classes_params)));
    evaluate_parts(&e, &w, o.scenes, m, o.common.quiet);
    metrics_save(&cli, m);
    wardrobe_free(&w);
    fashion_free(&data);
    caption_evaluator_free(&e);
    free(path);
    return 0;
}

static int calibrate(void) {
    char *path = weights_path(&cli), *csv = output_path(&cli, "calibration.csv");
    CaptionEvaluator e = caption_evaluator_load(path);
    Fashion data = fashion_load(o.common.data);
    Wardrobe w = wardrobe_open(&data, NET_SIDE);
    calibrate_scenes(&e, &w, o.scenes, csv, o.common.quiet);
    wardrobe_free(&w);
    fashion_free(&data);
    caption_evaluator_free(&e);
    free(path), free(csv);
    return 0;
}

static int info(void) {
    Params detector = {0}, classes = {0};
    caption_net_new(&detector);
    classifier_new(&classes, &garment_classifier);
    print_parameters("detector", &detector);
    print_parameters("classes", &classes);
    params_free(&detector);
    params_free(&classes);
    return 0;
}

static const Command commands[] = {
    {"train", "train both networks, write logs, checkpoints and weights to --out", train},
    {"eval", "scores of real scenes of each part, and of captions dealt out anew", eval},
    {"calibrate", "scores of scenes that are wrong in known ways", calibrate},
    {"info", "print the networks and their numbers of parameters", info},
    {0}};

static Cli cli = {.program = "caption_evaluator",
                  .about = "The networks that compare pictures of the wardrobe with captions.",
                  .commands = commands,
                  .common = &o.common,
                  .options = options};

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
