/* caption_evaluator — trains the network that compares pictures with captions, and says what its
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
    int scenes;
} o = {
    .common = {.seed = 1, .steps = 6000, .batch = 64, .lr = 1.5e-3, .config = "default",
               .out = "build/runs/caption_evaluator"},
    .scenes = 10000,
};

static Option options[] = {
    COMMON_OPTIONS(o.common, "default"),
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

/* percent of validation scenes that are found as their captions say */
static double validation_score(const CaptionEvaluator *e, const Wardrobe *w) {
    return 100 * caption_scores_of_part(e, w, PART_VALIDATION, 1000).whole;
}

static int train(void) {
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,validation_whole", .log_every = 20});
    Fashion data = fashion_load(o.common.data);
    Wardrobe w = wardrobe_open(&data, NET_SIDE);
    run_fashion(run, &data);
    Params *params = run_params(run, "");
    CaptionEvaluator e = {.net = caption_net_new(params)};
    Optimizer *adam = run_adam(run, "adam", params, (Adam){ADAM_DEFAULTS, .weight_decay = 0.01,
                                                           .decay_matrices_only = true});
    run_ema(run, adam, 0.998);
    run_record(run, "parameters", (double)params_count(params));
    int n = o.common.batch;
    Scene *scenes = arena_get(&run->arena, (size_t)n * sizeof *scenes);
    while (run_next(run)) {
        Tensor *x = t_input(&run->tape, NULL, SHAPE(n, NET_SIDE, NET_SIDE, 3));
        Batch b = {&w, (uint64_t)run->step * (uint64_t)n, scenes, x->x};
        parallel_items(n, 100000, make_one, &b);
        CaptionOutput y = caption_net(&e.net, x);
        Tensor *loss = caption_loss(&y, n, scenes);
        run_log(run, "loss", loss);
        minimise(adam, loss, o.common.lr * lr_cosine(run->step, 100, o.common.steps));
        if (run_every(run, 500)) run_value(run, "validation_whole", validation_score(&e, &w));
    }
    wardrobe_free(&w);
    fashion_free(&data);
    return run_finish(run);
}

/* ---- eval, calibrate, info ------------------------------------------------------------------- */

static int eval(void) {
    char *path = weights_path(&cli);
    CaptionEvaluator e = caption_evaluator_load(path);
    Fashion data = fashion_load(o.common.data);
    Wardrobe w = wardrobe_open(&data, NET_SIDE);
    cJSON *m = metrics_new(&cli);
    json_text(m, "sha256", e.sha256);
    json_number(m, "parameters", (double)params_count(&e.params));
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
    Params params = {0};
    caption_net_new(&params);
    return info_network(&params);
}

static const Command commands[] = {
    {"train", "train the network, write log, checkpoint and weights to --out", train},
    {"eval", "scores of real scenes of each part, and of captions dealt out anew", eval},
    {"calibrate", "scores of scenes that are wrong in known ways", calibrate},
    {"info", "print the network and its number of parameters", info},
    {0}};

static Cli cli = {.program = "caption_evaluator",
                  .about = "The network that compares pictures of the wardrobe with captions.",
                  .commands = commands,
                  .common = &o.common,
                  .options = options};

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
