#include "decoder.h"

#include "nn/unet_config.h"

#include <string.h>

/* ---- configurations -------------------------------------------------------------------------- */

static DecoderConfig published(void) {
    DecoderConfig c = {.unet = adm_family(320, 3), .clip = 768, .tokens = 4};
    unet_levels(&c.unet, 1, 2, 3, 4);
    unet_attend_at(&c.unet, 64, 32, 8);
    c.unet.context = 1536;
    return c;
}

/* the same, small: one residual block a level, convolutions between them */
DecoderConfig decoder_config(const char *name) {
    if (!strcmp(name, "karlo")) return published();
    DecoderConfig c = {.unet = adm_family(32, 1), .clip = 128, .tokens = 4};
    unet_levels(&c.unet, 1, 2, 2);
    unet_attend_at(&c.unet, 16, 8, 4);
    c.unet.head_channels = 32;
    c.unet.resampling = RESAMPLE_CONV;
    c.unet.style.groups = 8;
    c.unet.context = 64;
    return c;
}

/* ---- the network ----------------------------------------------------------------------------- */

Decoder decoder_new(Params *p, DecoderConfig c) {
    int emb = unet_emb(&c.unet), context = c.unet.context;
    Decoder m = {.config = c, .time = unet_time_new(p, &c.unet)};
    m.image_emb = linear_new(scope(p, "image_emb"), c.clip, emb, true);
    m.text_emb = linear_new(scope(p, "text_emb"), c.clip, emb, true);
    m.image_tokens = linear_new(scope(p, "image_tokens"), c.clip, c.tokens * context, true);
    m.text_tokens = linear_new(scope(p, "text_tokens"), c.clip, context, true);
    m.text_norm = layer_norm_new(scope(p, "text_norm"), context, 1e-5);
    m.no_image = param((Scope){.params = p}, "no_image", INIT_NORMAL, 0.02, SHAPE(c.clip));
    m.unet = unet_new(p, c.unet);
    return m;
}

Tensor *decoder_image(const Decoder *m, Tensor *z, const bool *without) {
    int B = z->shape[0];
    Tensor *kept = t_input(z->tape, NULL, SHAPE(B, 1));
    Tensor *left_out = t_input(z->tape, NULL, SHAPE(B, 1));
    for (int b = 0; b < B; b++) kept->x[b] = !without[b], left_out->x[b] = without[b];
    Tensor *instead = t_mul(left_out, t_use(z->tape, m->no_image));
    return t_add(t_mul(z, kept), instead);
}

/* The image's tokens, which are always there, and the text's after them. Outputs of image_tokens
 * are channel by channel, as in the official files. */
static Context context_of(const Decoder *m, Tensor *z, CaptionFeatures text) {
    int B = z->shape[0], N = text.tokens->shape[1], M = m->config.tokens;
    Tensor *image = t_reshape(linear(&m->image_tokens, z), SHAPE(B, -1, M));
    image = t_permute(image, 3, (int[]){0, 2, 1});
    Tensor *words = layer_norm(&m->text_norm, linear(&m->text_tokens, text.tokens));
    uint8_t *mask = arena_get(&z->tape->arena, (size_t)(B * (M + N)));
    for (int b = 0; b < B; b++) {
        memset(mask + b * (M + N), 1, (size_t)M);
        memcpy(mask + b * (M + N) + M, text.mask + b * N, (size_t)N);
    }
    return (Context){t_concat(image, words, 1), mask};
}

Tensor *decoder_output(const Decoder *m, Tensor *xt, const double *time, Tensor *z,
                       CaptionFeatures text) {
    Tensor *emb = time_embedding(&m->time, xt->tape, time, xt->shape[0]);
    emb = t_add(emb, linear(&m->image_emb, z));
    emb = t_add(emb, linear(&m->text_emb, text.embedding));
    return unet_masked(&m->unet, xt, emb, context_of(m, z, text));
}

/* ---- official names -------------------------------------------------------------------------- */

const OfficialName decoder_names[] = {
    {"image_emb", "clip_emb", 0, 0},          {"text_emb", "text_feat_proj", 0, 0},
    {"image_tokens", "clip_tok_proj", 0, 0},  {"text_tokens", "text_seq_proj.0", 0, 0},
    {"text_norm", "text_seq_proj.1", 0, 0},   {"no_image", "cf_param", 0, 0},
    UNET_OFFICIAL_ROWS, {0}};

OfficialMap decoder_official(Arena *arena, const DecoderConfig *c) {
    UNetOfficial *design = arena_get(arena, sizeof *design);
    *design = (UNetOfficial){.config = c->unet};
    return (OfficialMap){.rows = decoder_names, .locate = unet_official, .design = design};
}
