/* init.c — starting values of parameters, drawn from (seed, the parameter's name) alone:
 * adding a layer leaves the others as they were, and the order of creation does not matter. */
#include "nn/layers.h"

#include <math.h>

void init_constant(Tensor *w, double value) {
    if (!w->x) return;                   /* only shapes are kept */
    k_fill(w->len, (real)value, w->x);
}

void init_normal(Tensor *w, double std, uint64_t seed) {
    if (!w->x) return;
    Rng r = rng_new(seed, w->name);
    rng_normal(&r, w->len, w->x);
    k_axpy(w->len, (real)std, w->x, w->x, false);
}

void init_uniform(Tensor *w, double bound, uint64_t seed) {
    if (!w->x) return;
    Rng r = rng_new(seed, w->name);
    rng_uniform(&r, w->len, w->x);
    k_affine(w->len, w->x, (real)(2 * bound), (real)-bound, w->x);
}

/* Glorot & Bengio 2010, eq. 16: U[-b, b] with b = sqrt(6 / (fan_in + fan_out)) */
void init_xavier_uniform(Tensor *w, int fan_in, int fan_out, uint64_t seed) {
    init_uniform(w, sqrt(6.0 / (fan_in + fan_out)), seed);
}

void init_linear_xavier(Linear *l, uint64_t seed) {
    init_xavier_uniform(l->w, l->w->shape[0], l->w->shape[1], seed);
    if (l->b) init_constant(l->b, 0);
}

/* He et al. 2015, eq. 10: N(0, 2 / fan_in) keeps the variance of activations through relus */
void init_kaiming_normal(Tensor *w, int fan_in, uint64_t seed) {
    init_normal(w, sqrt(2.0 / fan_in), seed);
}
