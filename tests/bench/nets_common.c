/* nets_common.c — what all timed networks share: inputs, the descent, counting multiply-adds. */
#include "nets.h"

#include <math.h>
#include <string.h>

const NetKind *const net_kinds[] = {&net_vae,  &net_dcgan,       &net_vqvae, &net_mae,
                                    &net_unet, &net_unet_sample, &net_gpt,   &net_clip,
                                    &net_glide, &net_ldm,        &net_sd1,   &net_first_stage,
                                    &net_dvae, &net_prior,       &net_prior_sample, NULL};

const NetKind *net_find(const char *name) {
    for (const NetKind *const *k = net_kinds; *k; k++)
        if (!strcmp((*k)->name, name)) return *k;
    return NULL;
}

void training_start(Training *t, const NetKind *kind, int batch, bool small) {
    *t = (Training){.kind = kind, .batch = batch, .small = small, .input = {.seed = 7}};
    for (int i = 0; i < 2; i++) {
        t->params[i].seed = 3;
        t->adam[i] = (Adam){ADAM_DEFAULTS};
    }
    kind->build(t);
}

/* Multiply-adds of one forward pass through an op; padding counts as if it were data. Only matrix
 * products are counted: everything else is a few operations per number. */
static double forward_macs(const Tensor *y) {
    const Tensor *x = y->in[0], *w = y->in[1];
    double n = x && x->rank > 1 ? x->shape[1] : 0;
    if (!strcmp(y->op, "linear")) return (double)y->len * w->shape[0];
    if (!strcmp(y->op, "matmul")) return (double)y->len * x->shape[2];
    if (!strcmp(y->op, "conv2d"))
        return (double)y->len * w->shape[0] * w->shape[1] * w->shape[2];
    if (!strcmp(y->op, "conv_transpose2d"))
        return (double)x->len * w->shape[0] * w->shape[1] * w->shape[2];
    if (!strcmp(y->op, "self_attention"))      /* scores and their use; half of them if causal */
        return (double)y->len * 2 * (y->iarg[7] & 1 ? (n + 1) / 2 : n);
    return 0;
}

/* The backward pass costs as much again for each operand that wanted a gradient. */
static double step_macs(const Tensor *y) {
    double forward = forward_macs(y);
    if (forward == 0 || !y->back) return forward;
    if (!y->in[1]) return 3 * forward;
    return forward * (1 + (y->grads & 1) + (y->grads >> 1 & 1));
}

double training_step(Training *t) {
    tape_reset(&t->tape);
    double loss = t->kind->step(t);
    t->macs = 0;
    for (const Tensor *y = t->tape.last; y; y = y->prev) t->macs += step_macs(y);
    return loss;
}

size_t training_count(const Training *t) {
    return params_count(&t->params[0]) + params_count(&t->params[1]);
}

double training_grad_norm(const Training *t) {
    return hypot(grad_norm(&t->params[0]), grad_norm(&t->params[1]));
}

void training_free(Training *t) {
    if (t->close) t->close(t);
    for (int i = 0; i < 2; i++) {
        params_free(&t->params[i]);
        adam_free(&t->adam[i]);
    }
    params_free(&t->input);
    tape_free(&t->tape);
}

void *net_alloc(Training *t, size_t bytes) {
    t->net = arena_get(&t->params[0].arena, bytes);
    return memset(t->net, 0, bytes);
}

void net_wake(Training *t) {
    const Params *p = &t->params[0];
    for (int i = 0; i < p->count; i++) {
        Tensor *w = p->list[i];
        if (k_sum_squares(w->len, w->x) == 0) init_normal(w, 0.05, p->seed);
    }
}

/* ---- inputs ---------------------------------------------------------------------------------- */

real *input_buffer(Training *t, const char *name, int rank, const int *shape) {
    return buffer(scope(&t->input, "input"), name, 0, rank, shape)->x;
}

const real *input_uniform(Training *t, const char *name, double low, double high, int rank,
                          const int *shape) {
    Tensor *x = buffer(scope(&t->input, "input"), name, 0, rank, shape);
    Rng r = rng_new(t->input.seed, name);
    rng_uniform(&r, x->len, x->x);
    for (size_t i = 0; i < x->len; i++) x->x[i] = (real)low + (real)(high - low) * x->x[i];
    return x->x;
}

const real *input_normal(Training *t, const char *name, int rank, const int *shape) {
    Tensor *x = buffer(scope(&t->input, "input"), name, 0, rank, shape);
    Rng r = rng_new(t->input.seed, name);
    rng_normal(&r, x->len, x->x);
    return x->x;
}

const int *input_index(Training *t, const char *name, int below, int n) {
    real *x = input_buffer(t, name, SHAPE(n));
    int *index = arena_get(&t->input.arena, (size_t)n * sizeof *index);
    Rng r = rng_new(t->input.seed, name);
    for (int i = 0; i < n; i++) x[i] = (real)(index[i] = (int)rng_below(&r, (uint32_t)below));
    return index;
}

double *input_times(Training *t, int below) {
    const int *index = input_index(t, "time", below, t->batch);
    double *time = arena_get(&t->input.arena, (size_t)t->batch * sizeof *time);
    for (int b = 0; b < t->batch; b++) time[b] = index[b];
    return time;
}

/* ---- descent --------------------------------------------------------------------------------- */

double descend(Training *t, int which, Tensor *loss, double lr) {
    params_zero_grad(&t->params[which]);
    backward(loss);
    adam_step(&t->adam[which], &t->params[which], lr, 1);
    return (double)loss->x[0];
}
