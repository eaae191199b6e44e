/* mask.c — part 2's commands: masked autoencoders are trained, sampled from, measured. */
#include "base/error.h"
#include "data/augment.h"
#include "data/picture_decode.h"
#include "experiments/features.h"
#include "mae.h"
#include "settings.h"
#include "train/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 12, CHECKED = 1000 };

/* rows of test images: as the network sees them, as it reconstructs them, as they are */
static void picture_of_repairs(const Mae *net, const real *test, double ratio, char *path) {
    static real rows[3 * COLUMNS * PIXELS];
    reconstruct(net, COLUMNS, test, ratio, o.common.seed, o.norm_targets, rows,
                rows + COLUMNS * PIXELS);
    memcpy(rows + 2 * COLUMNS * PIXELS, test, COLUMNS * PIXELS * sizeof *rows);
    for (int i = 0; i < 3 * COLUMNS * PIXELS; i++) rows[i] = (rows[i] + 1) / 2;
    save_grid(&cli, path, rows,
              fashion_grid(3, COLUMNS, "masked|reconstructions|test images", NULL));
}

/* mean squared error of hidden pixels, with the same masks each time */
static double error_at(const Mae *net, double ratio, int n, const real *images) {
    return reconstruct(net, n, images, ratio, 1, o.norm_targets, NULL, NULL);
}

/* ---- train ----------------------------------------------------------------------------------- */

static void check_schedule(void) {
    if (o.common.steps > o.schedule)
        usage_error("--steps %d: the learning rate is 0 from step %d on; set --schedule, too",
                    o.common.steps, o.schedule);
}

int mae_train(void) {
    chosen_shape(true), check_schedule();
    Run *run = run_start(&cli, (RunSettings){.columns = "loss,validation_error", .log_every = 10});
    check_schedule();                    /* a checkpoint may have brought other numbers */
    Fashion data = load_data();
    run_fashion(run, &data);
    Params *params = run_params(run, "");
    Mae net = mae_new(params, chosen_shape(true));
    Optimizer *adam = run_adam(run, "adam", params,
                               (Adam){.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8,
                                      .weight_decay = 0.05, .decay_matrices_only = true});
    Rng *masks = run_rng(run, "masks"), *views = run_rng(run, "views");
    Loader *loader = run_loader(run, &data.train);
    int checked = data.validation.count < CHECKED ? data.validation.count : CHECKED;
    real *validation = images_new(&run->arena, &data.validation, checked, -1, 1, NULL);
    real *test = images_new(&run->arena, &data.test, COLUMNS, -1, 1, NULL);
    run_record(run, "parameters", (double)params_count(params));

    while (run_next(run)) {
        Tensor *x = augment(loader_images(loader, &run->tape, -1, 1), views);
        Mask m = mask_random(&run->tape.arena, loader->size, patches_of(&net.shape), o.mask_ratio,
                             masks);
        Tensor *loss = mae_forward(&net, x, &m, o.norm_targets).loss;
        run_log(run, "loss", loss);
        minimise(adam, loss, o.common.lr * lr_cosine(run->step, o.schedule / 20, o.schedule));
        if (run_every(run, 250))
            run_value(run, "validation_error", error_at(&net, o.mask_ratio, checked, validation));
        if (run_saves(run))
            picture_of_repairs(&net, test, o.mask_ratio, run_path(run, "repairs.png"));
    }
    fashion_free(&data);
    return run_finish(run);
}

/* ---- sample ---------------------------------------------------------------------------------- */

/* the network of --weights (main.c has taken over its options), also under the official names */
static Mae load_network(Params *params, MaeShape shape) {
    Mae net = mae_new(params, shape);
    weights_load_any(&cli, &mae_official, params);
    return net;
}

static const int percent[] = {50, 75, 90};     /* hidden, in the pictures of sample */

/* a published network: what is masked of --image, the reconstruction, the image */
static void sample_image(const Mae *net) {
    int side = net->shape.side;
    size_t len = (size_t)(3 * side * side);
    Arena arena = {0};
    real *image = arena_get(&arena, len * sizeof *image);
    real *x = arena_get(&arena, 3 * len * sizeof *x);
    Grid g = colour_grid(3, side, 3, NULL);
    g.low = 0, g.column_labels = "masked|reconstruction|image";
    picture_read(o.image, side, 0, 1, image);
    imagenet_scale(len, image, false);
    for (int i = 0; i < 3; i++) {
        reconstruct(net, 1, image, percent[i] / 100.0, o.common.seed, o.norm_targets, x, x + len);
        memcpy(x + 2 * len, image, len * sizeof *x);
        imagenet_scale(3 * len, x, true);
        save_grid(&cli, output_path(&cli, "repairs-%d.png", percent[i]), x, g);
    }
    arena_free(&arena);
}

static void sample_test_images(const Mae *net) {
    Arena arena = {0};
    Fashion data = load_data();
    real *test = images_new(&arena, &data.test, COLUMNS, -1, 1, NULL);
    for (int i = 0; i < 3; i++)
        picture_of_repairs(net, test, percent[i] / 100.0,
                           output_path(&cli, "repairs-%d.png", percent[i]));
    fashion_free(&data);
    arena_free(&arena);
}

int mae_sample(void) {
    Params params = {0};
    MaeShape shape = chosen_shape(false);
    bool published = shape.channels == 3;
    if (published != (o.image != NULL))
        usage_error("--config %s: sample %s --image", o.common.config,
                    published ? "needs an" : "takes no");
    Mae net = load_network(&params, shape);
    if (published) sample_image(&net);
    else sample_test_images(&net);
    params_free(&params);
    return 0;
}

/* ---- eval, info ------------------------------------------------------------------------------ */

/* the error at several ratios, into m and onto the screen */
static void measure_repairs(const Mae *net, const Images *set, cJSON *m) {
    static const int hidden[] = {25, 50, 75, 90};                  /* percent */
    Arena arena = {0};
    int n = set->count;
    real *test = images_new(&arena, set, n, -1, 1, NULL);
    double own = error_at(net, o.mask_ratio, n, test);
    json_number(m, "error", own);
    if (!o.common.quiet)
        printf("mean squared error of hidden pixels on [0,1], %d test images\n"
               "  %g %% hidden, as in training: %.5f\n", n, 100 * o.mask_ratio, own);
    for (int i = 0; i < 4; i++) {
        double error = error_at(net, hidden[i] / 100.0, n, test);
        json_number(m, arena_text(&arena, "error_%d", hidden[i]), error);
        if (!o.common.quiet) printf("  %d %% hidden: %.5f\n", hidden[i], error);
    }
    arena_free(&arena);
}

int mae_eval(void) {
    Params params = {0};
    Mae net = load_network(&params, chosen_shape(true));
    Fashion data = load_data();
    int N = patches_of(&net.shape), seen = (int)(N * (1 - o.mask_ratio));
    if (o.mask_tokens_in_encoder) seen = N;
    cJSON *m = metrics_new(&cli);
    json_number(m, "parameters", (double)params_count(&params));
    json_number(m, "test_images", data.test.count);
    json_number(m, "mask_ratio", o.mask_ratio);
    json_number(m, "encoder_multiply_adds", encoder_multiply_adds(&net.shape, seen));
    measure_repairs(&net, &data.test, m);
    probe_encoder(&cli, &net.encoder, &data, m);
    metrics_save(&cli, m);
    fashion_free(&data);
    params_free(&params);
    return 0;
}

int mae_info(void) {
    Params params = {0};
    MaeShape s = mae_new(&params, chosen_shape(false)).shape;
    print_parameters(NULL, &params);
    printf("%zu with the fixed tables of positions\n", parameters_with_tables(&params));
    int N = patches_of(&s), keep = (int)(N * (1 - o.mask_ratio));
    printf("encoder: %.3g multiply-adds an image with %d of %d patches visible, %.3g with all\n",
           encoder_multiply_adds(&s, keep), keep, N, encoder_multiply_adds(&s, N));
    params_free(&params);
    return 0;
}
