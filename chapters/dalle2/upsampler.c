#include "upsampler.h"

#include "nn/resize.h"
#include "nn/unet_config.h"

#include <math.h>
#include <string.h>

/* ---- configurations -------------------------------------------------------------------------- */

/* no attention anywhere, the velocity alone is predicted, no variance, the embedding is added */
static UpsamplerConfig family(int width, int blocks) {
    UpsamplerConfig c = {.unet = adm_family(width, blocks)};
    c.unet.in = 6, c.unet.out = 3;
    c.unet.plain_middle = true;
    c.unet.style.scale_shift = false;
    return c;
}

static UpsamplerConfig published(bool large) {
    UpsamplerConfig c = family(large ? 192 : 320, large ? 2 : 3);
    if (large) unet_levels(&c.unet, 1, 1, 2, 2, 4, 4);
    else unet_levels(&c.unet, 1, 2, 3, 4);
    c.side = large ? 1024 : 256, c.low = c.side / 4, c.crop = c.side / 4;
    c.blur = 0.6, c.noise = large ? 0.05 : 0;
    c.linear = large;
    return c;
}

static UpsamplerConfig ours(bool large) {
    UpsamplerConfig c = family(24, 1);
    unet_levels(&c.unet, 1, 1, 2);
    c.unet.head_channels = 24;
    c.unet.resampling = RESAMPLE_CONV;
    c.unet.style.groups = 8;
    c.side = large ? 64 : 32, c.low = c.side / 2, c.crop = c.side / 2;
    c.blur = 0.6, c.noise = large ? 0.05 : 0;
    c.linear = large;
    return c;
}

UpsamplerConfig upsampler_config(const char *name) {
    bool large = !strcmp(name, "64") || !strcmp(name, "256-1024");
    return strchr(name, '-') ? published(large) : ours(large);
}

/* ---- the network ----------------------------------------------------------------------------- */

Upsampler upsampler_new(Params *p, UpsamplerConfig c) {
    return (Upsampler){c, class_unet_new(p, c.unet, 0)};
}

Tensor *upsampler_output(const Upsampler *m, Tensor *xt, const double *time, Tensor *low) {
    Tensor *large = resize_bilinear(low, xt->shape[1], xt->shape[2]);
    return class_unet(&m->net, t_concat(xt, large, 3), time, NULL);
}

NoiseSchedule upsampler_schedule(const UpsamplerConfig *c) {
    return c->linear ? schedule_linear(1000, 1e-4, 0.02) : schedule_cosine(1000);
}

/* ---- parts of images ------------------------------------------------------------------------- */

/* rows top ..., columns left ... of one image (side,side,3) -> (crop,crop,3) */
static void cut(int side, int crop, int top, int left, const real *x, real *y) {
    for (int i = 0; i < crop; i++)
        memcpy(y + i * crop * 3, x + ((top + i) * side + left) * 3,
               (size_t)(crop * 3) * sizeof *y);
}

Crops crop_pairs(const UpsamplerConfig *c, Tensor *x0, Tensor *small, Rng *rng) {
    int B = x0->shape[0], factor = c->side / c->low, part = c->crop / factor;
    Crops to = {t_input(x0->tape, NULL, SHAPE(B, c->crop, c->crop, 3)),
                t_input(x0->tape, NULL, SHAPE(B, part, part, 3))};
    for (int b = 0; b < B; b++) {
        int top = (int)rng_below(rng, (uint32_t)(c->low - part + 1));
        int left = (int)rng_below(rng, (uint32_t)(c->low - part + 1));
        cut(c->low, part, top, left, small->x + b * c->low * c->low * 3,
            to.low->x + b * part * part * 3);
        cut(c->side, c->crop, top * factor, left * factor, x0->x + b * c->side * c->side * 3,
            to.x0->x + b * c->crop * c->crop * 3);
    }
    return to;
}

/* ---- made worse ------------------------------------------------------------------------------ */

static int inside(int i, int n) { return i < 0 ? 0 : i < n ? i : n - 1; }

/* one image (h,w,3) with weights side | middle | side along both axes; at the edge the outermost
 * pixel again */
static void blur(int h, int w, double deviation, const real *x, real *y) {
    double beside = exp(-0.5 / (deviation * deviation)), sum = 1 + 2 * beside;
    const double weight[3] = {beside / sum, 1 / sum, beside / sum};
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w * 3; j++) {
            double mean = 0;
            for (int k = 0; k < 9; k++) {
                int u = inside(i + k / 3 - 1, h), v = inside(j / 3 + k % 3 - 1, w);
                mean += weight[k / 3] * weight[k % 3] * (double)x[(u * w + v) * 3 + j % 3];
            }
            y[i * w * 3 + j] = (real)mean;
        }
}

void corrupt(const UpsamplerConfig *c, Tensor *x, Rng *rng) {
    int B = x->shape[0], h = x->shape[1], w = x->shape[2], n = h * w * 3;
    real *was = arena_get(&x->tape->arena, (size_t)n * sizeof *was);
    for (int b = 0; b < B; b++) {
        real *one = x->x + b * n, draw[3];
        rng_uniform(rng, 3, draw);
        double deviation = c->blur * (2 + (double)draw[1]) / 3;
        memcpy(was, one, (size_t)n * sizeof *was);
        if (draw[0] < (real)0.5 && deviation > 0) blur(h, w, deviation, was, one);
        if (!(c->noise > 0)) continue;
        rng_normal(rng, (size_t)n, was);
        k_axpy((size_t)n, (real)c->noise * draw[2], was, one, true);
        k_clamp((size_t)n, one, -1, 1, one);
    }
}

/* ---- official names -------------------------------------------------------------------------- */

OfficialMap upsampler_official(Arena *arena, const UpsamplerConfig *c) {
    UNetOfficial *design = arena_get(arena, sizeof *design);
    *design = (UNetOfficial){.config = c->unet};
    return (OfficialMap){.rows = class_unet_official, .locate = unet_official, .design = design};
}
