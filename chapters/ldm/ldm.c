#include "ldm.h"

#include "diffusion/guidance.h"

#include <string.h>

/* ---- network --------------------------------------------------------------------------------- */

LdmUNet ldm_unet_new(Params *p, UNetConfig c) {
    LdmUNet m = {.time = time_embedding_new(scope(p, "time"), c.width, unet_emb(&c), false)};
    m.unet = unet_new(p, c);
    return m;
}

Tensor *ldm_unet(const LdmUNet *m, Tensor *z, const double *time, Tensor *beside,
                 Context context) {
    Tensor *x = beside ? t_concat(z, beside, 3) : z;
    Tensor *emb = time_embedding(&m->time, z->tape, time, z->shape[0]);
    return unet_masked(&m->unet, x, emb, context);
}

OfficialMap ldm_unet_official(const UNetOfficial *design) {
    return (OfficialMap){.locate = unet_official, .design = design};
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* the context of the step's pictures, and behind it that of as many without a condition if `both` */
static Tensor *step_context(const LdmCondition *c, const Step *at, bool both) {
    size_t one = (size_t)c->tokens * (size_t)c->width, n = (size_t)at->n;
    int pictures = both ? 2 * at->n : at->n;
    Tensor *context = t_input(at->tape, NULL, SHAPE(pictures, c->tokens, c->width));
    real *x = context->x;
    memcpy(x, c->context + (size_t)at->first * one, n * one * sizeof *x);
    for (size_t i = n; both && i < 2 * n; i++) memcpy(x + i * one, c->without, one * sizeof *x);
    return context;
}

static Tensor *step_beside(const LdmCondition *c, const Step *at) {
    size_t one = (size_t)at->height * (size_t)at->width * (size_t)c->beside_channels;
    return t_input(at->tape, c->beside + (size_t)at->first * one,
                   SHAPE(at->n, at->height, at->width, c->beside_channels));
}

/* t for each of the pictures, twice if `both` */
static const double *times(const Step *at, bool both) {
    Step all = *at;
    if (both) all.n *= 2;
    return step_times(&all);
}

Tensor *ldm_output(const void *condition, const Step *at, Tensor *zt) {
    const LdmCondition *c = condition;
    bool both = c->without && c->scale != 1;
    Tensor *beside = c->beside ? step_beside(c, at) : NULL;
    Context context = {.tokens = c->context ? step_context(c, at, both) : NULL};
    if (both) zt = twice(zt), beside = beside ? twice(beside) : NULL;
    Tensor *eps = ldm_unet(c->net, zt, times(at, both), beside, context);
    return both ? mix_guided(eps, c->scale, at->channels) : eps;
}
