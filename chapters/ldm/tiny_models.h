/* tiny_models.h — networks of a few thousand weights, and values to put in, for this chapter's tests. */
#ifndef TINY_MODELS_H
#define TINY_MODELS_H

#include "first_stage.h"
#include "ldm.h"
#include "testing.h"

enum { SIDE = 16, WIDTH = 8 };

static const FirstStageConfig tiny_kl = {.channels = 3, .width = WIDTH, .levels = 3,
                                         .multiplier = {1, 2, 2}, .blocks = 1,
                                         .attends = {false, false, true}, .z = 3, .embed = 2,
                                         .groups = 4};

static const UNetConfig tiny_unet = {
    .in = 4, .out = 2, .width = 8, .levels = 2, .multiplier = {1, 2}, .attends = {true, true},
    .blocks = 1, .heads = 2, .context = 6, .transformer_depth = 1,
    .style = {.groups = 4, .eps = 1e-5}};

static inline Tensor *values(Tape *t, const char *name, int rank, const int *shape) {
    Tensor *x = t_input(t, NULL, rank, shape);
    test_values(name, -1, 1, x->len, x->x);
    return x;
}

static inline Tensor *image(Tape *t, const char *name, int B) {
    return values(t, name, SHAPE(B, SIDE, SIDE, 3));
}

static inline Tensor *tiny_eps(const LdmUNet *m, Tape *t, double time, int B) {
    double times[4] = {time, time, time, time};
    Tensor *z = values(t, "z", SHAPE(B, 4, 4, 2)), *beside = values(t, "beside", SHAPE(B, 4, 4, 2));
    Tensor *context = values(t, "context", SHAPE(B, 3, 6));
    return ldm_unet(m, z, times, beside, (Context){.tokens = context});
}

#endif
