/* ops_loss.c — scalar losses, means over all n entries (over rows for cross_entropy). */
#include "base/error.h"
#include "tensor/tensor.h"

#include <string.h>

static void check_same_shape(const char *op, const Tensor *a, const Tensor *b) {
    if (a->rank != b->rank || memcmp(a->shape, b->shape, sizeof a->shape))
        die("%s: %s and %s differ in shape", op, t_describe(a), t_describe(b));
}

static Tensor *mean_loss(const char *op, void (*back)(Tensor *), Tensor *a, Tensor *b,
                         double (*sum)(size_t n, const real *a, const real *b)) {
    Tensor *y = t_new(op, back, READS(0) | READS(1), 2, (Tensor *[]){a, b}, SHAPE(1));
    y->x[0] = (real)(sum(a->len, a->x, b->x) / (double)a->len);
    return t_done(y);
}

/* ---- mse: L = sum (a-b)^2 / n      da += 2 (a-b) dL / n     db -= the same ------------------- */

static void mse_back(Tensor *y) {
    Tensor *a = y->in[0], *b = y->in[1];
    real scale = 2 * y->g[0] / (real)a->len;
    bool add;
    real *da = t_grad(y, 0, &add);
    if (da) k_difference(a->len, scale, a->x, b->x, da, add);
    real *db = t_grad(y, 1, &add);
    if (db) k_difference(a->len, scale, b->x, a->x, db, add);
}

Tensor *t_mse(Tensor *a, Tensor *b) {
    check_same_shape("mse", a, b);
    return mean_loss("mse", mse_back, a, b, k_sum_squared_difference);
}

/* ---- l1: L = sum |a-b| / n      da += sign(a-b) dL / n     db -= the same -------------------- */

static void l1_back(Tensor *y) {
    Tensor *a = y->in[0], *b = y->in[1];
    real scale = y->g[0] / (real)a->len;
    bool add;
    real *da = t_grad(y, 0, &add);
    if (da) k_sign_difference(a->len, scale, a->x, b->x, da, add);
    real *db = t_grad(y, 1, &add);
    if (db) k_sign_difference(a->len, scale, b->x, a->x, db, add);
}

Tensor *t_l1(Tensor *a, Tensor *b) {
    check_same_shape("l1", a, b);
    return mean_loss("l1", l1_back, a, b, k_sum_absolute_difference);
}

/* ---- bce_logits: L = -sum (t ln s(x) + (1-t) ln(1-s(x))) / n, s the logistic function, from the
 * logits x so that no logarithm of 0 can arise:  max(x,0) - x t + ln(1+e^-|x|)
 *      dx += (s(x) - t) dL / n */

static void bce_logits_back(Tensor *y) {
    Tensor *x = y->in[0], *target = y->in[1];
    bool add;
    real *dx = t_grad(y, 0, &add);
    if (dx) k_bce_logits_back(x->len, y->g[0] / (real)x->len, x->x, target->x, dx, add);
}

Tensor *t_bce_logits(Tensor *logits, Tensor *target) {
    check_same_shape("bce_logits", logits, target);
    if (target->wants_grad) die("bce_logits: the target %s wants a gradient", t_describe(target));
    return mean_loss("bce_logits", bce_logits_back, logits, target, k_sum_bce_logits);
}

/* ---- cross_entropy: L = mean over counted rows of ln sum_j e^x_j - x_target
 *      dx_j += (softmax(x)_j - [j = target]) dL / counted rows */

static void cross_entropy_back(Tensor *y) {
    Tensor *x = y->in[0];
    int c = x->shape[x->rank - 1];
    bool add;
    real *dx = t_grad(y, 0, &add);
    if (dx)
        k_cross_entropy_back((int)(x->len / (size_t)c), c, x->x, y->isaved, y->saved,
                             y->g[0] * y->arg[0], dx, add);
}

Tensor *t_cross_entropy(Tensor *logits, const int *target) {
    int c = logits->shape[logits->rank - 1], rows = (int)(logits->len / (size_t)c), counted = 0;
    for (int i = 0; i < rows; i++) {
        if (target[i] >= c)
            die("cross_entropy: target %d is class %d but %s has classes 0 to %d", i, target[i],
                t_describe(logits), c - 1);
        counted += target[i] >= 0;
    }
    Tensor *y = t_new("cross_entropy", cross_entropy_back, READS(0), 1, &logits, SHAPE(1));
    y->isaved = arena_get(y->arena, (size_t)rows * sizeof *target);
    memcpy(y->isaved, target, (size_t)rows * sizeof *target);
    y->arg[0] = counted ? 1 / (real)counted : 0;
    y->x[0] = (real)(k_cross_entropy(rows, c, logits->x, target, t_saved(y, (size_t)rows)) *
                     (double)y->arg[0]);
    return t_done(y);
}
