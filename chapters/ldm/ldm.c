#include "ldm.h"

#include "diffusion/guidance.h"

/* ---- network --------------------------------------------------------------------------------- */

UNetConfig ldm_unet_config(int side, int channels, int beside, int width, int context) {
    static const int multiplier[] = {1, 2, 2, 4};
    UNetConfig c = {.in = channels + beside, .out = channels, .width = width, .blocks = 2,
                    .head_channels = 32, .context = context, .transformer_depth = context > 0,
                    .style = {.groups = width < 128 ? width / 4 : 32, .eps = 1e-5}};
    for (int l = 0; l < 4 && side >> l >= 4; l++, c.levels++) {
        c.multiplier[l] = multiplier[l];
        c.attends[l] = side >> l <= 16;
    }
    return c;
}

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

Tensor *ldm_output(const void *condition, const Step *at, Tensor *zt) {
    const LdmCondition *c = condition;
    GuidedBatch b = guided_batch(at, c->without ? c->scale : 1);
    Tensor *beside = NULL;
    Context context = {0};
    if (c->beside)
        beside = t_input_rows(at->tape, c->beside, NULL, b.picture,
                              SHAPE(b.n, at->height, at->width, c->beside_channels));
    if (c->context)
        context.tokens = t_input_rows(at->tape, c->context, c->without, b.number,
                                      SHAPE(b.n, c->tokens, c->width));
    return guided(&b, ldm_unet(c->net, guided_xt(&b, zt), b.time, beside, context));
}
