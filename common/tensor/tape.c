/* tape.c — recording operations, and the backward pass over them. */
#include "base/error.h"
#include "tensor/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names of the ops ----------------------------------------------------------------------- */

enum { MAX_OPS = 256 };
static const char *seen[MAX_OPS];
static int seen_count;

static void remember_op(const char *op) {
    for (int i = 0; i < seen_count; i++)
        if (seen[i] == op || !strcmp(seen[i], op)) return;
    if (seen_count < MAX_OPS) seen[seen_count++] = op;
}

const char *const *ops_seen(int *n) {
    *n = seen_count;
    return seen;
}

/* ---- new tensors ----------------------------------------------------------------------------- */

static void set_shape(Tensor *y, int rank, const int *shape) {
    if (rank < 1 || rank > 4) die("%s: rank %d; tensors have 1 to 4 axes", y->op, rank);
    y->rank = rank;
    y->len = 1;
    for (int i = 0; i < 4; i++) {
        y->shape[i] = i < rank ? shape[i] : 1;
        if (y->shape[i] < 1) die("%s: axis %d has size %d", y->op, i, y->shape[i]);
        y->len *= (size_t)y->shape[i];
    }
}

static Tensor *record(Tape *t, const char *op, int rank, const int *shape) {
    Tensor *y = arena_get(&t->arena, sizeof *y);
    *y = (Tensor){.op = op, .tape = t, .arena = &t->arena, .prev = t->last};
    y->number = t->last ? t->last->number + 1 : 1;
    set_shape(y, rank, shape);
    t->last = y;
    remember_op(op);
    return y;
}

static Tape *common_tape(const char *op, int operands, Tensor **in) {
    Tape *t = NULL;
    for (int i = 0; i < operands; i++) {
        if (!in[i] || !in[i]->tape) continue;
        if (t && in[i]->tape != t) die("%s: operand %s is on another tape", op, t_describe(in[i]));
        t = in[i]->tape;
    }
    if (!t) die("%s: no operand is on a tape; begin with t_input, or t_use for a parameter", op);
    return t;
}

/* x is left NULL: t_new fills it in, views point it at another tensor's values */
static Tensor *new_without_values(const char *op, void (*back)(Tensor *), int operands, Tensor **in,
                                  int rank, const int *shape) {
    Tape *t = common_tape(op, operands, in);
    Tensor *y = record(t, op, rank, shape);
    for (int i = 0; i < operands; i++) {
        y->in[i] = in[i];
        if (in[i] && in[i]->wants_grad && !t->no_grad) y->grads |= 1 << i;
    }
    values_use_operands(y);
    y->wants_grad = y->grads;
    y->back = y->wants_grad ? back : NULL;
    return y;
}

Tensor *t_new(const char *op, void (*back)(Tensor *), int flags, int operands, Tensor **in,
              int rank, const int *shape) {
    Tensor *y = new_without_values(op, back, operands, in, rank, shape);
    y->reads = y->back ? flags : READS_NOTHING;
    y->cheap = flags & CHEAP;
    values_count_readers(y);
    values_place(y, flags);
    return y;
}

Tensor *t_view(const char *op, void (*back)(Tensor *), int operands, Tensor **in, int rank,
               const int *shape) {
    Tensor *y = new_without_values(op, back, operands, in, rank, shape);
    y->view_of = y->in[0]->view_of ? y->in[0]->view_of : y->in[0];
    y->x = y->view_of->x;
    return y;
}

static Tensor *leaf(Tape *t, const char *op, const real *data, int rank, const int *shape) {
    Tensor *y = record(t, op, rank, shape);
    y->x = arena_get(&t->values, y->len * sizeof(real));
    if (data) memcpy(y->x, data, y->len * sizeof(real));
    return y;
}

Tensor *t_input(Tape *t, const real *data, int rank, const int *shape) {
    return leaf(t, "input", data, rank, shape);
}

Tensor *t_input_rows(Tape *t, const real *table, const real *instead, const int *number, int rank,
                     const int *shape) {
    Tensor *y = t_input(t, NULL, rank, shape);
    size_t one = y->len / (size_t)shape[0];
    for (int i = 0; i < shape[0]; i++) {
        const real *row = number[i] < 0 ? instead : table + (size_t)number[i] * one;
        if (row) memcpy(y->x + (size_t)i * one, row, one * sizeof *row);
        else memset(y->x + (size_t)i * one, 0, one * sizeof *row);
    }
    return y;
}

Tensor *t_variable(Tape *t, const real *data, int rank, const int *shape) {
    Tensor *y = leaf(t, "variable", data, rank, shape);
    y->wants_grad = !t->no_grad;
    return y;
}

Tensor *t_scalar(Tape *t, double value) {
    real x = (real)value;
    return t_input(t, &x, SHAPE(1));
}

static void use_back(Tensor *y) {
    t_pass_grad(y, 0);
}

Tensor *t_use(Tape *t, Tensor *parameter) {
    if (parameter->tape) return parameter;
    Tensor *y = record(t, "use", parameter->rank, parameter->shape);
    y->x = parameter->x;
    y->view_of = y->in[0] = parameter;
    y->grads = y->wants_grad = parameter->wants_grad && !t->no_grad;
    y->back = y->wants_grad ? use_back : NULL;
    return y;
}

Tensor *t_done(Tensor *y) {
#ifdef CHECK_FINITE
    if (!k_all_finite(y->len, y->x)) {
        size_t i = 0;
        while (k_all_finite(1, y->x + i)) i++;
        char operands[700] = "";
        for (int k = 0; k < 4; k++)
            if (y->in[k]) {
                size_t n = strlen(operands);
                snprintf(operands + n, sizeof operands - n, " %s", t_describe(y->in[k]));
            }
        die("%s: value %zu is %g; operands%s", t_describe(y), i, (double)y->x[i], operands);
    }
#endif
    if (!y->view_of) values_computed(y);
    return y;
}

Tensor *t_compute(Tensor *y, void (*forward)(Tensor *y)) {
    y->redo = forward;
    forward(y);
    return t_done(y);
}

real *t_saved(Tensor *y, size_t n) {
    return y->saved = arena_get(y->arena, n * sizeof(real));
}

/* ---- gradients ------------------------------------------------------------------------------- */

static real *gradient_buffer(const Tensor *x) {
    return arena_get(x->tape ? &x->tape->values : x->arena, x->len * sizeof(real));
}

real *t_grad(Tensor *y, int i, bool *add) {
    Tensor *x = y->in[i];
    if (!x || !x->wants_grad || !(y->grads & 1 << i)) return NULL;
    *add = x->has_grad;
    if (!x->g) x->g = gradient_buffer(x);
    x->has_grad = true;
    return x->g;
}

real *t_grad_in_place(Tensor *y, int i, bool *add) {
    Tensor *x = y->in[i];
    bool free_to_take = x && x->wants_grad && y->grads & 1 << i && x->tape && !x->g && y->g &&
                        x->len == y->len;
    if (!free_to_take) return t_grad(y, i, add);
    x->g = y->g;
    y->g = NULL;
    x->has_grad = true;
    *add = false;
    return x->g;
}

void t_pass_grad(Tensor *y, int i) {
    const real *dy = y->g;
    bool add;
    real *dx = t_grad_in_place(y, i, &add);
    if (dx && dx != dy) k_axpy(y->len, 1, dy, dx, add);
}

Tensor *backward_begin(Tensor *loss) {
    if (loss->len != 1) die("backward: %s is no scalar; use t_sum or t_mean", t_describe(loss));
    if (!loss->tape) die("backward: %s is a parameter, nothing was computed", t_describe(loss));
    if (!loss->wants_grad)
        die("backward: %s depends on nothing that wants a gradient", t_describe(loss));
    loss->g = gradient_buffer(loss);
    loss->g[0] = 1;
    loss->has_grad = true;
    loss->tape->in_backward = true;
    return loss;
}

static void op_backward(Tensor *y) {
    values_needed(y);
    y->back(y);
    y->has_grad = false;
    if (y->g) arena_give_back(&y->tape->values, y->g, y->len * sizeof(real));
    y->g = NULL;
    values_used_up(y);
}

Tensor *backward_next(Tensor *y) {
    if (y->back && y->has_grad) op_backward(y);
    if (!y->prev) {
        values_sync_views(y->tape);
        y->tape->in_backward = false;
    }
    return y->prev;
}

void backward(Tensor *loss) {
    for (Tensor *y = backward_begin(loss); y; y = backward_next(y));
}

void tape_reset(Tape *t) {
    arena_reset(&t->arena);
    arena_reset(&t->values);
    t->last = NULL;
    t->in_block = false;
}

void tape_free(Tape *t) {
    arena_free(&t->arena);
    arena_free(&t->values);
    free(t->last_use);
    *t = (Tape){0};
}

size_t tape_peak(const Tape *t) {
    return t->arena.peak + t->values.peak;
}
