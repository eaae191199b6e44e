/* finetune.c — does a pretrained encoder need fewer labels than a random one? */
#include "finetune.h"

#include "data/augment.h"
#include "base/error.h"
#include "data/batches.h"
#include "data/fashion.h"
#include "eval/classifier.h"
#include "nn/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 28, CLASSES = FASHION_CLASSES };

int choose_labelled(const Images *set, int labels, uint64_t seed, int *chosen) {
    Arena arena = {0};
    int *order = arena_get(&arena, (size_t)set->count * sizeof *order), n = 0;
    int taken[CLASSES] = {0};
    Rng rng = rng_new(seed, "labelled");
    rng_permutation(&rng, set->count, order);
    for (int i = 0; i < set->count; i++) {
        int class = set->labels[order[i]];
        bool wanted = !labels || taken[class] < labels / CLASSES;
        if (wanted) chosen[n++] = order[i], taken[class]++;
    }
    arena_free(&arena);
    return n;
}

void train_classifier(const MaeClassifier *c, Params *params, const Images *set, int n,
                      const int *chosen, FineTuning how, Progress *progress) {
    Arena arena = {0};
    int *index = arena_get(&arena, (size_t)how.batch * sizeof *index);
    int *labels = arena_get(&arena, (size_t)how.batch * sizeof *labels);
    Tape tape = {0};
    Optimizer adam = {.params = params, .adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
                                                 .weight_decay = 0.05,
                                                 .decay_matrices_only = true}};
    Batches batches = batches_new(n, params->seed);
    Rng views = rng_new(params->seed, "views");
    for (int step = 0; step < how.steps; step++) {
        char note[40];
        tape_reset(&tape);
        batches_next(&batches, how.batch, index);
        for (int i = 0; i < how.batch; i++) index[i] = chosen[index[i]];
        Tensor *x = t_input(&tape, NULL, SHAPE(how.batch, SIDE, SIDE, 1));
        images_get(set, how.batch, index, -1, 1, x->x, labels);
        Tensor *loss = t_cross_entropy(classify(c, augment(x, &views)), labels);
        if (!isfinite(loss->x[0]))
            fail("step %d: the loss is %g, training stopped; a program built with CHECK=1 stops "
                 "where it begins", step + 1, (double)loss->x[0]);
        minimise(&adam, loss, how.lr * lr_cosine(step, how.steps / 10, how.steps));
        snprintf(note, sizeof note, "loss %.4f", (double)loss->x[0]);
        progress_update(progress, step + 1, note);
    }
    batches_free(&batches);
    adam_free(&adam.adam);
    tape_free(&tape);
    arena_free(&arena);
}

double classifier_accuracy(const MaeClassifier *c, const Images *set) {
    enum { AT_ONCE = 128 };
    int labels[AT_ONCE], right = 0;
    Tape t = {.no_grad = true};
    for (int i = 0; i < set->count; i += AT_ONCE) {
        int B = set->count - i < AT_ONCE ? set->count - i : AT_ONCE;
        Images part = images_part(set, i, B);
        tape_reset(&t);
        Tensor *x = t_input(&t, NULL, SHAPE(B, SIDE, SIDE, 1));
        images_get(&part, B, NULL, -1, 1, x->x, labels);
        const real *y = classify(c, x)->x;
        for (int k = 0; k < B; k++) right += most_probable(CLASSES, y + k * CLASSES) == labels[k];
    }
    tape_free(&t);
    return (double)right / set->count;
}

/* ---- the command ----------------------------------------------------------------------------- */

/* what a file of a whole masked autoencoder holds of the encoder */
static void load_encoder(const Cli *cli, Params *classifier, MaeShape shape) {
    Params all = {0};
    mae_new(&all, shape);
    weights_load_one(cli, &all);
    for (int i = 0; i < all.count; i++) {
        Tensor *w = params_find(classifier, all.list[i]->name);
        if (w) memcpy(w->x, all.list[i]->x, w->len * sizeof *w->x);
    }
    params_free(&all);
}

static void save_result(const Cli *cli, const char *start, FineTuning how, int labels,
                        const double accuracy[2]) {
    cJSON *m = metrics_new(cli);
    json_text(m, "start", start);
    json_number(m, "labels", labels);
    json_number(m, "seed", (double)cli->common->seed);
    json_number(m, "steps", how.steps);
    json_number(m, "batch", how.batch);
    json_number(m, "lr", how.lr);
    json_number(m, "validation_accuracy", accuracy[0]);
    json_number(m, "test_accuracy", accuracy[1]);
    char *path = output_path(cli, "finetune.json");
    json_save(path, m);
    cJSON_Delete(m);
    free(path);
}

int finetune(const Cli *cli, MaeShape shape, int labels, bool scratch, FineTuning how) {
    if (labels && labels < CLASSES)
        usage_error("--labels %d: at least one of each of the %d classes is needed", labels, CLASSES);
    const CommonOptions *o = cli->common;
    Params params = {.seed = o->seed};
    MaeClassifier c = mae_classifier_new(&params, shape, CLASSES);
    if (!scratch) load_encoder(cli, &params, shape);
    Arena arena = {0};
    Fashion data = fashion_load_least(o->data, 200, 20);
    folder_create(o->out);
    int *chosen = arena_get(&arena, (size_t)data.train.count * sizeof *chosen);
    int n = choose_labelled(&data.train, labels, o->seed, chosen);
    Progress progress;
    progress_start(&progress, "finetune", 0, how.steps, o->quiet);
    train_classifier(&c, &params, &data.train, n, chosen, how, &progress);
    progress_end(&progress, how.steps, "");
    double accuracy[2] = {classifier_accuracy(&c, &data.validation),
                          classifier_accuracy(&c, &data.test)};
    save_result(cli, scratch ? "scratch" : "pretrained", how, n, accuracy);
    if (!o->quiet)
        printf("%d labels, %s: %.2f %% of validation images, %.2f %% of test images\n", n,
               scratch ? "from scratch" : "pretrained", 100 * accuracy[0], 100 * accuracy[1]);
    fashion_free(&data);
    arena_free(&arena);
    params_free(&params);
    return 0;
}
