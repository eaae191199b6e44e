/* accuracy_score.c — the classification accuracy score (Ravuri & Vinyals 2019, section 3): if
 * samples could stand in for real pictures, a classifier trained on them would be as good. */
#include "data/batches.h"
#include "eval/scores.h"
#include "nn/layers.h"
#include "nn/optim.h"

#include <string.h>

/* Smaller than the frozen classifier, and strided where that pools: it is trained twice for each
 * sheet. */
typedef struct {
    Conv2d conv[2];
    Linear classes;
} Pupil;

/* images like `m`; two strided convolutions quarter the sides */
static Pupil pupil_new(Params *p, const Images *m, int classes) {
    Scope s = scope(p, "%s", "");
    int area = (m->height / 4) * (m->width / 4);
    return (Pupil){{conv2d_new(sub(s, "conv.0"), m->channels, 16, 4, 2, 1, true),
                    conv2d_new(sub(s, "conv.1"), 16, 32, 4, 2, 1, true)},
                   linear_new(sub(s, "classes"), area * 32, classes, true)};
}

/* (B,h,w,c) -> (B,classes) */
static Tensor *logits(const Pupil *c, Tensor *x) {
    Tensor *h = t_relu(conv2d(&c->conv[0], x));                /* (B,h/2,w/2,16) */
    h = t_relu(conv2d(&c->conv[1], h));                        /* (B,h/4,w/4,32) */
    return linear(&c->classes, t_reshape(h, SHAPE(x->shape[0], -1)));
}

static void teach(const Pupil *c, Params *params, const Images *m, int n, const real *x,
                  const int *labels) {
    enum { STEPS = 300, BATCH = 256 };
    int batch = n < BATCH ? n : BATCH;
    Tape tape = {0};
    Adam adam = {ADAM_DEFAULTS};
    Batches batches = batches_new(n, params->seed);
    int index[BATCH], targets[BATCH];
    for (int step = 0; step < STEPS; step++) {
        tape_reset(&tape);
        batches_next(&batches, batch, index);
        Tensor *images = t_input(&tape, NULL, SHAPE(batch, m->height, m->width, m->channels));
        k_gather_rows(batch, m->height * m->width * m->channels, x, index, images->x);
        for (int i = 0; i < batch; i++) targets[i] = labels[index[i]];
        Tensor *loss = t_cross_entropy(logits(c, images), targets);
        params_zero_grad(params);
        backward(loss);
        adam_step(&adam, params, 3e-3 * lr_cosine(step, 30, STEPS), 1);
    }
    batches_free(&batches);
    adam_free(&adam);
    tape_free(&tape);
}

static double examine(const Pupil *c, const Images *test, int classes) {
    enum { AT_ONCE = 250 };
    int index[AT_ONCE], labels[AT_ONCE], right = 0;
    Tape t = {.no_grad = true};
    for (int i = 0; i < test->count; i += AT_ONCE) {
        int m = test->count - i < AT_ONCE ? test->count - i : AT_ONCE;
        for (int k = 0; k < m; k++) index[k] = i + k;
        tape_reset(&t);
        Tensor *x = t_input(&t, NULL, SHAPE(m, test->height, test->width, test->channels));
        images_get(test, m, index, 0, 1, x->x, labels);
        const real *y = logits(c, x)->x;
        for (int k = 0; k < m; k++) right += most_probable(classes, y + k * classes) == labels[k];
    }
    tape_free(&t);
    return (double)right / test->count;
}

double classification_accuracy_score(int n, const real *x, const int *labels, const Images *test,
                                     int classes, uint64_t seed) {
    Params params = {.seed = seed};
    Pupil c = pupil_new(&params, test, classes);
    teach(&c, &params, test, n, x, labels);
    double share = examine(&c, test, classes);
    params_free(&params);
    return share;
}
