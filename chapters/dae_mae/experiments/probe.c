#include "probe.h"

#include "data/batches.h"
#include "eval/feature_net.h"
#include "nn/layers.h"
#include "nn/optim.h"

#include <math.h>

enum { CLASSES = 10, BATCH = 256, EPOCHS = 20, AT_ONCE = 1000 };

/* y = (x - mean) / sqrt(variance + 1e-6) is x scale + shift, with the training set's statistics */
typedef struct {
    Arena arena;
    real *scale, *shift;
} Normalise;

static Normalise normalise_new(Features f) {
    int d = f.dimensions;
    Normalise n = {0};
    n.scale = arena_get(&n.arena, (size_t)d * sizeof *n.scale);
    n.shift = arena_get(&n.arena, (size_t)d * sizeof *n.shift);
    for (int j = 0; j < d; j++) {
        double mean = 0, variance = 0;
        for (int i = 0; i < f.n; i++) mean += (double)f.x[(size_t)i * (size_t)d + (size_t)j] / f.n;
        for (int i = 0; i < f.n; i++) {
            double off = (double)f.x[(size_t)i * (size_t)d + (size_t)j] - mean;
            variance += off * off / f.n;
        }
        n.scale[j] = (real)(1 / sqrt(variance + 1e-6));
        n.shift[j] = (real)(-mean / sqrt(variance + 1e-6));
    }
    return n;
}

/* rows index[0..n-1] of f, normalised */
static Tensor *rows(Tape *t, const Normalise *norm, Features f, int n, const int *index) {
    Tensor *x = t_input(t, NULL, SHAPE(n, f.dimensions));
    k_gather_rows(n, f.dimensions, f.x, index, x->x);
    for (int i = 0; i < n; i++) {
        real *row = x->x + (size_t)i * (size_t)f.dimensions;
        for (int j = 0; j < f.dimensions; j++) row[j] = row[j] * norm->scale[j] + norm->shift[j];
    }
    return x;
}

static void learn(const Linear *l, Params *params, const Normalise *norm, Features f) {
    int batch = f.n < BATCH ? f.n : BATCH, steps = EPOCHS * ((f.n + batch - 1) / batch);
    int index[BATCH], labels[BATCH];
    Tape t = {0};
    Adam adam = {ADAM_DEFAULTS};
    Batches batches = batches_new(f.n, params->seed);
    for (int step = 0; step < steps; step++) {
        tape_reset(&t);
        batches_next(&batches, batch, index);
        for (int i = 0; i < batch; i++) labels[i] = f.labels[index[i]];
        Tensor *loss = t_cross_entropy(linear(l, rows(&t, norm, f, batch, index)), labels);
        params_zero_grad(params);
        backward(loss);
        adam_step(&adam, params, 1e-2 * lr_cosine(step, 0, steps), 1);
    }
    batches_free(&batches);
    adam_free(&adam);
    tape_free(&t);
}

static double examine(const Linear *l, const Normalise *norm, Features f) {
    int index[AT_ONCE], right = 0;
    Tape t = {.no_grad = true};
    for (int i = 0; i < f.n; i += AT_ONCE) {
        int n = f.n - i < AT_ONCE ? f.n - i : AT_ONCE;
        for (int k = 0; k < n; k++) index[k] = i + k;
        tape_reset(&t);
        const real *y = linear(l, rows(&t, norm, f, n, index))->x;
        for (int k = 0; k < n; k++)
            right += most_probable(CLASSES, y + k * CLASSES) == f.labels[i + k];
    }
    tape_free(&t);
    return (double)right / f.n;
}

double probe_accuracy(Features train, Features test, uint64_t seed) {
    Params params = {.seed = seed};
    Linear l = linear_new(zero_init(scope(&params, "probe")), train.dimensions, CLASSES, true);
    Normalise norm = normalise_new(train);
    learn(&l, &params, &norm, train);
    double share = examine(&l, &norm, test);
    arena_free(&norm.arena);
    params_free(&params);
    return share;
}
