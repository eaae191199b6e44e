#include "prior.h"

#include "base/error.h"
#include "nn/unet_official.h"

#include <string.h>

PriorConfig prior_config(const char *name, int tokens, int dim) {
    if (!strcmp(name, "karlo"))
        return (PriorConfig){.tokens = 77, .dim = 768, .width = 2048, .depth = 20, .heads = 32};
    return (PriorConfig){.tokens = tokens, .dim = dim, .width = 128, .depth = 4, .heads = 4};
}

Prior prior_new(Params *p, PriorConfig c) {
    TransformerConfig d = {.width = c.width, .depth = c.depth, .heads = c.heads,
                           .activation = GELU, .eps = 1e-5};
    Scope s = scope(p, "%s", "");
    Prior m = {.config = c};
    m.text_tokens = linear_new(sub(s, "text_tokens"), c.dim, c.width, true);
    m.text = linear_new(sub(s, "text"), c.dim, c.width, true);
    m.image = linear_new(sub(s, "image"), c.dim, c.width, true);
    m.time = time_embedding_new(sub(s, "time"), c.width, c.width, false);
    m.query = param(s, "query", INIT_NORMAL, 0.01, SHAPE(1, 1, c.width));
    m.positions = param(s, "positions", INIT_NORMAL, 0.01,
                        SHAPE(1, c.tokens + PRIOR_EXTRA, c.width));
    m.block = transformer_new(sub(s, "block"), &d);
    if (!c.no_last_norm) m.norm = layer_norm_new(sub(s, "norm"), c.width, 1e-5);
    m.out = linear_new(sub(s, "out"), c.width, c.dim, true);
    return m;
}

/* (B,C) -> (B,1,C) */
static Tensor *token(Tensor *x) {
    return t_reshape(x, SHAPE(x->shape[0], 1, x->shape[1]));
}

const uint8_t *prior_mask(Tape *t, CaptionFeatures text, int extra) {
    int B = text.tokens->shape[0], N = text.tokens->shape[1], M = N + extra;
    uint8_t *seen = arena_get(&t->arena, (size_t)B * M * M);
    for (int i = 0; i < B * M; i++) {
        memcpy(seen + (size_t)i * M, text.mask + i / M * N, (size_t)N);
        memset(seen + (size_t)i * M + N, 1, (size_t)extra);
    }
    return seen;
}

Tensor *prior_output(const Prior *m, Tensor *zt, const double *time, CaptionFeatures text) {
    Tape *t = zt->tape;
    int B = zt->shape[0], N = m->config.tokens, width = m->config.width;
    if (text.tokens->shape[1] != N) die("prior: texts of %d tokens", text.tokens->shape[1]);
    Tensor *h = t_concat(linear(&m->text_tokens, text.tokens),
                         token(linear(&m->text, text.embedding)), 1);
    h = t_concat(h, token(time_embedding(&m->time, t, time, B)), 1);
    h = t_concat(h, token(linear(&m->image, zt)), 1);
    h = t_add(t_concat(h, token_of_each(t, m->query, B), 1), m->positions);
    h = transformer(&m->block, h, (Attention){.causal = true, .mask_per_item = true,
                                              .mask = prior_mask(t, text, PRIOR_EXTRA)});
    if (m->norm.gain) h = layer_norm(&m->norm, h);
    Tensor *last = t_slice(h, 1, N + PRIOR_EXTRA - 1, 1);
    return linear(&m->out, t_reshape(last, SHAPE(B, width)));
}

/* ---- official names -------------------------------------------------------------------------- */

const OfficialName prior_names[] = {
    {"text_tokens", "text_enc_proj", 0, 0}, {"text", "text_emb_proj", 0, 0},
    {"image", "clip_img_proj", 0, 0},       {"time.0", "time_embed.0", 0, 0},
    {"time.1", "time_embed.2", 0, 0},       {"query", "prd_emb", 0, 0},
    {"positions", "positional_embedding", 0, 0}, {"norm", "final_ln", 0, 0},
    {"out", "out_proj", 0, 0},              {0}};

static bool locate(const void *design, const char *ours, OfficialPlace *at) {
    return resblocks_official("block.", *(const int *)design, ours, at);
}

OfficialMap prior_official(Arena *arena, const PriorConfig *c) {
    int *heads = arena_get(arena, sizeof *heads);
    *heads = c->heads;
    return (OfficialMap){.rows = prior_names, .locate = locate, .design = heads};
}
