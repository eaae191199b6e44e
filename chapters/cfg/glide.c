#include "glide.h"

#include "base/error.h"
#include "diffusion/guidance.h"
#include "nn/resize.h"
#include "nn/unet_config.h"

#include <string.h>

/* ---- networks -------------------------------------------------------------------------------- */

static GlideConfig published(const char *name) {
    bool base = !strncmp(name, "glide-base", 10);
    GlideConfig g = {.unet = adm_family(192, base ? 3 : 2), .side = base ? 64 : 256,
                     .low = base ? 0 : 64, .inpaints = strstr(name, "inpaint") != NULL,
                     .linear = !base};
    if (base) unet_levels(&g.unet, 1, 2, 3, 4);
    else unet_levels(&g.unet, 1, 1, 2, 2, 4, 4);
    unet_attend_at(&g.unet, g.side, 32, 8);
    g.text = (TextTransformerConfig){.vocabulary = 50257, .length = 128, .width = 512,
                                     .depth = 16, .heads = 8};
    return g;
}

/* the same, small: one residual block a level, convolutions between them */
static GlideConfig ours(const char *name, int vocabulary) {
    bool up = !strcmp(name, "upsampler");
    GlideConfig g = {.unet = adm_family(up ? 24 : 32, 1), .side = up ? 64 : 32, .low = up ? 32 : 0,
                     .inpaints = !strcmp(name, "inpaint"), .predicts_velocity = true,
                     .linear = up};
    if (up) unet_levels(&g.unet, 1, 2, 2);
    else unet_levels(&g.unet, 1, 2, 2, 3);
    unet_attend_at(&g.unet, g.side, 16, up ? 8 : 4);
    g.unet.head_channels = up ? 24 : 32;
    g.unet.resampling = RESAMPLE_CONV;
    g.unet.style.groups = 8;
    g.text = (TextTransformerConfig){.vocabulary = vocabulary, .length = 32,
                                     .width = up ? 64 : 128, .depth = up ? 2 : 3,
                                     .heads = up ? 2 : 4};
    return g;
}

GlideConfig glide_config(const char *name, int vocabulary) {
    GlideConfig g = strncmp(name, "glide-", 6) ? ours(name, vocabulary) : published(name);
    g.unet.in = 3 + (g.low ? 3 : 0) + (g.inpaints ? 4 : 0);
    return g;
}

void glide_read_by_clip(GlideConfig *c, const ClipText *clip) {
    c->text = (TextTransformerConfig){.length = clip->config.context, .width = clip->config.width};
    c->clip = clip;
}

Glide glide_new(Params *p, GlideConfig c) {
    Glide m = {.config = c, .net = text_unet_new(p, c.unet, c.text)};
    m.net.clip = c.clip;
    return m;
}

Tensor *glide_output(const Glide *m, Tensor *xt, const double *time, TextFeatures text,
                     GlideInput in) {
    int side = m->config.side;
    Tensor *x = xt;
    if (m->config.inpaints)
        x = t_concat(t_concat(x, t_mul(in.known, in.mask), 3), in.mask, 3);
    if (m->config.low) x = t_concat(x, resize_bilinear(in.low, side, side), 3);
    return text_unet(&m->net, x, time, text);
}

NoiseSchedule glide_schedule(const GlideConfig *c) {
    return c->linear ? schedule_linear(GLIDE_TIMESTEPS, 1e-4, 0.02)
                     : schedule_cosine(GLIDE_TIMESTEPS);
}

Parameterization glide_parameterization(const GlideConfig *c) {
    return (Parameterization){c->predicts_velocity ? PREDICT_VELOCITY : PREDICT_NOISE,
                              LEARNED_RANGE};
}

/* ---- training -------------------------------------------------------------------------------- */

static void read_until(int n, int N, uint8_t *mask) {
    for (int i = 0; i < N; i++) mask[i] = i < n;
}

Texts texts_new(Arena *arena, const Glide *m, const Bpe *bpe, int n, const char *const *captions) {
    int N = m->config.text.length;
    Texts t = {arena_get(arena, (size_t)(n * N) * sizeof *t.tokens),
               arena_get(arena, (size_t)(n * N))};
    for (int i = 0; i < n; i++) {
        int *tokens = t.tokens + i * N;
        uint8_t *mask = t.mask + i * N;
        if (!m->net.clip) bpe_tokenize_masked(bpe, captions[i], N, tokens, mask);
        else read_until(bpe_tokenize_filled(bpe, captions[i], N, tokens), N, mask);
    }
    return t;
}

void drop_captions(int n, const char **captions, double p, Rng *rng) {
    for (int i = 0; i < n; i++)
        if (rng_chance(rng, p)) captions[i] = "";
}

void drop_summaries(TextFeatures *text, double p, Rng *rng) {
    int B = text->emb->shape[0];
    Tensor *kept = t_input(text->emb->tape, NULL, SHAPE(B, 1));
    for (int i = 0; i < B; i++) kept->x[i] = rng_chance(rng, p) ? 0 : 1;
    text->emb = t_mul(text->emb, kept);
}

/* 0 in a rectangle of a mask (side,side), a quarter of the side at least */
static void erase_rectangle(int side, real *mask, Rng *rng) {
    int least = side / 4, more = side - least + 1;
    int height = least + (int)rng_below(rng, (uint32_t)more);
    int width = least + (int)rng_below(rng, (uint32_t)more);
    int top = (int)rng_below(rng, (uint32_t)(side - height + 1));
    int left = (int)rng_below(rng, (uint32_t)(side - width + 1));
    for (int i = top; i < top + height; i++)
        for (int j = left; j < left + width; j++) mask[i * side + j] = 0;
}

Tensor *erase(Tape *t, int B, int side, Rng *rng) {
    enum { EVERYTHING_ONE_IN = 8 };
    Tensor *mask = t_input(t, NULL, SHAPE(B, side, side, 1));
    int pixels = side * side;
    for (int i = 0; i < B; i++) {
        real *of_one = mask->x + i * pixels;
        bool everything = rng_below(rng, EVERYTHING_ONE_IN) == 0;
        for (int p = 0; p < pixels; p++) of_one[p] = everything ? 0 : 1;
        if (!everything) erase_rectangle(side, of_one, rng);
    }
    return mask;
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* of the batch's pictures, (side,side,channels) each; NULL: there is none */
static Tensor *shown(Tape *t, const GuidedBatch *b, const real *all, int side, int channels) {
    return all ? t_input_rows(t, all, NULL, b->picture, SHAPE(b->n, side, side, channels)) : NULL;
}

static Tensor *guided_output(const void *network, const Step *at, Tensor *xt) {
    const GuidedTexts *g = network;
    const GlideConfig *c = &g->net->config;
    GuidedBatch b = guided_batch(at, g->scale);
    int *text = arena_get(&at->tape->arena, (size_t)b.n * sizeof *text);
    for (int i = 0; i < b.n; i++) text[i] = b.number[i] < 0 ? g->text->n - 1 : b.number[i];
    TextFeatures read = text_table_rows(g->text, &g->net->net, at->tape, b.n, text);
    GlideInput in = {shown(at->tape, &b, g->low, c->low, 3),
                     shown(at->tape, &b, g->known, c->side, 3),
                     shown(at->tape, &b, g->mask, c->side, 1)};
    return guided(&b, glide_output(g->net, guided_xt(&b, xt), b.time, read, in));
}

NetworkDenoiser guided_texts(const GuidedTexts *g) {
    return network_denoiser(guided_output, g, glide_parameterization(&g->net->config));
}

/* ---- official names -------------------------------------------------------------------------- */

OfficialMap glide_official(Arena *arena, const GlideConfig *c) {
    TextUNetOfficial *design = arena_get(arena, sizeof *design);
    *design = (TextUNetOfficial){{.config = c->unet}, c->text.heads};
    return (OfficialMap){.rows = text_unet_names, .locate = text_unet_official, .design = design};
}
