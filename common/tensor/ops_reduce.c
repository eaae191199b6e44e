/* ops_reduce.c — sums, means, largest entries, softmax. */
#include "base/error.h"
#include "tensor/tensor.h"

#include <string.h>

/* ---- sum, mean: over all n entries --------------------------------------------------------------
 * sum: dx += dy       mean: dx += dy / n      (one number, spread over all)                         */

static void spread_back(Tensor *y) {
    bool add;
    real *dx = t_grad(y, 0, &add);
    if (dx) k_spread_axis(1, (int)y->in[0]->len, 1, y->arg[0], y->g, dx, add);
}

static Tensor *total(const char *op, Tensor *x, double a) {
    Tensor *y = t_new(op, spread_back, READS_NOTHING, 1, &x, SHAPE(1));
    y->arg[0] = (real)a;
    y->x[0] = (real)(a * k_sum(x->len, x->x));
    return t_done(y);
}

Tensor *t_sum(Tensor *x) { return total("sum", x, 1); }
Tensor *t_mean(Tensor *x) { return total("mean", x, 1 / (double)x->len); }

/* ---- sum_axis, mean_axis, max_axis: x seen as (outer, n, inner) -> (outer, 1, inner) ------------
 * sum: dx[o,j,i] += dy[o,i]   mean: the same / n   max: dx[o,j,i] += dy[o,i] where x[o,j,i] won     */

typedef struct {
    int outer, n, inner;
} Split;

static Split split_at(const char *op, const Tensor *x, int axis) {
    int a = axis < 0 ? axis + x->rank : axis;
    if (a < 0 || a >= x->rank) die("%s: %s has no axis %d", op, t_describe(x), axis);
    Split s = {1, x->shape[a], 1};
    for (int i = 0; i < a; i++) s.outer *= x->shape[i];
    for (int i = a + 1; i < x->rank; i++) s.inner *= x->shape[i];
    return s;
}

static Tensor *reduced(const char *op, void (*back)(Tensor *), Tensor *x, int axis) {
    Split s = split_at(op, x, axis);
    int shape[4];
    memcpy(shape, x->shape, sizeof shape);
    shape[axis < 0 ? axis + x->rank : axis] = 1;
    Tensor *y = t_new(op, back, READS_NOTHING, 1, &x, x->rank, shape);
    y->iarg[0] = s.outer, y->iarg[1] = s.n, y->iarg[2] = s.inner;
    return y;
}

static void sum_axis_back(Tensor *y) {
    bool add;
    real *dx = t_grad(y, 0, &add);
    if (dx) k_spread_axis(y->iarg[0], y->iarg[1], y->iarg[2], y->arg[0], y->g, dx, add);
}

static void sum_axis_forward(Tensor *y) {
    k_sum_axis(y->iarg[0], y->iarg[1], y->iarg[2], y->in[0]->x, y->x, false);
    if (y->arg[0] != 1) k_axpy(y->len, y->arg[0], y->x, y->x, false);
}

Tensor *t_sum_axis(Tensor *x, int axis) {
    Tensor *y = reduced("sum_axis", sum_axis_back, x, axis);
    y->arg[0] = 1;
    return t_compute(y, sum_axis_forward);
}

Tensor *t_mean_axis(Tensor *x, int axis) {
    Tensor *y = reduced("mean_axis", sum_axis_back, x, axis);
    y->arg[0] = 1 / (real)y->iarg[1];
    return t_compute(y, sum_axis_forward);
}

static void max_axis_back(Tensor *y) {
    bool add;
    real *dx = t_grad(y, 0, &add);
    if (dx) k_max_axis_back(y->iarg[0], y->iarg[1], y->iarg[2], y->isaved, y->g, dx, add);
}

static void max_axis_forward(Tensor *y) {
    k_max_axis(y->iarg[0], y->iarg[1], y->iarg[2], y->in[0]->x, y->x, y->isaved);
}

Tensor *t_max_axis(Tensor *x, int axis) {
    Tensor *y = reduced("max_axis", max_axis_back, x, axis);
    y->isaved = arena_get(y->arena, y->len * sizeof(int));
    return t_compute(y, max_axis_forward);
}

/* ---- softmax, log_softmax: over the last axis ---------------------------------------------------
 * softmax:     y_i = e^x_i / sum_j e^x_j       dx_i += y_i (dy_i - sum_j dy_j y_j)
 * log_softmax: y_i = x_i - ln sum_j e^x_j      dx_i += dy_i - e^y_i sum_j dy_j                      */

static void softmax_back(Tensor *y) {
    int c = y->shape[y->rank - 1];
    bool add;
    real *dx = t_grad(y, 0, &add);
    if (dx) k_softmax_back((int)(y->len / (size_t)c), c, y->x, y->g, dx, add);
}

static void softmax_forward(Tensor *y) {
    int c = y->shape[y->rank - 1];
    k_softmax((int)(y->len / (size_t)c), c, y->in[0]->x, y->x);
}

Tensor *t_softmax(Tensor *x) {
    return t_compute(t_new("softmax", softmax_back, READS_Y | OVER(0), 1, &x, x->rank, x->shape),
                     softmax_forward);
}

static void log_softmax_back(Tensor *y) {
    int c = y->shape[y->rank - 1];
    bool add;
    real *dx = t_grad(y, 0, &add);
    if (dx) k_log_softmax_back((int)(y->len / (size_t)c), c, y->x, y->g, dx, add);
}

static void log_softmax_forward(Tensor *y) {
    int c = y->shape[y->rank - 1];
    k_log_softmax((int)(y->len / (size_t)c), c, y->in[0]->x, y->x);
}

Tensor *t_log_softmax(Tensor *x) {
    return t_compute(t_new("log_softmax", log_softmax_back, READS_Y | OVER(0), 1, &x, x->rank, x->shape),
                     log_softmax_forward);
}
