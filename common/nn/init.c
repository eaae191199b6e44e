/* init.c — starting values of parameters, drawn from (seed, the parameter's name) alone:
 * adding a layer leaves the others as they were, and the order of creation does not matter. */
#include "nn/layers.h"

Scope with_init(Scope s, LayerInit init) {
    s.init = init;
    return s;
}

Scope zero_init(Scope s) {
    return with_init(s, (LayerInit){WEIGHTS_ZERO, .zero_bias = true});
}

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
