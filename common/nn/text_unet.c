#include "nn/text_unet.h"

#include "nn/class_unet.h"

#include <string.h>

TextUNet text_unet_new(Params *p, UNetConfig c, TextTransformerConfig text) {
    int emb = unet_emb(&c);
    TextUNet m = {.time = unet_time_new(p, &c)};
    m.text.config = text;
    if (text.depth) m.text = text_transformer_new(scope(p, "text"), text);
    m.text_proj = linear_new(scope(p, "text_proj"), text.width, emb, true);
    c.context = text.width;
    m.unet = unet_new(p, c);
    return m;
}

/* The place that sums a text up, among the N of each of B texts: the last, or CLIP's end of text */
static int *places(const TextUNet *m, Tape *t, const uint8_t *mask, int B) {
    int N = m->text.config.length, *place = arena_get(&t->arena, (size_t)B * sizeof *place);
    for (int i = 0; i < B; i++) {
        int last = N - 1;
        while (m->clip && last > 0 && !mask[i * N + last]) last--;
        place[i] = i * N + last;
    }
    return place;
}

TextFeatures text_unet_read(const TextUNet *m, Tape *t, const int *tokens, const uint8_t *mask,
                            int B) {
    int N = m->text.config.length, C = m->text.config.width;
    Tensor *all = m->clip ? clip_text_tokens(m->clip, t, tokens, B, N)
                          : text_transformer(&m->text, t, tokens, mask, B);
    Tensor *rows = t_reshape(all, SHAPE(B * N, C));
    Tensor *summary = t_gather_rows(rows, places(m, t, mask, B), B);
    return (TextFeatures){.emb = linear(&m->text_proj, summary), .tokens = all};
}

Tensor *text_unet(const TextUNet *m, Tensor *x, const double *time, TextFeatures text) {
    Tensor *emb = time_embedding(&m->time, x->tape, time, x->shape[0]);
    return unet(&m->unet, x, t_add(emb, text.emb), text.tokens);
}

/* ---- read once ------------------------------------------------------------------------------- */

static size_t emb_len(const TextUNet *m) { return (size_t)m->text_proj.w->shape[1]; }

static size_t tokens_len(const TextUNet *m) {
    return (size_t)m->text.config.length * (size_t)m->text.config.width;
}

TextTable text_table_new(Arena *arena, const TextUNet *m, int n, const int *tokens,
                         const uint8_t *mask) {
    enum { AT_ONCE = 64 };
    int N = m->text.config.length;
    size_t E = emb_len(m), D = tokens_len(m);
    TextTable table = {.n = n, .emb = arena_get(arena, (size_t)n * E * sizeof(real)),
                       .tokens = arena_get(arena, (size_t)n * D * sizeof(real))};
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE, tape_reset(&t)) {
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        TextFeatures f = text_unet_read(m, &t, tokens + i * N, mask + i * N, B);
        memcpy(table.emb + (size_t)i * E, f.emb->x, f.emb->len * sizeof(real));
        memcpy(table.tokens + (size_t)i * D, f.tokens->x, f.tokens->len * sizeof(real));
    }
    tape_free(&t);
    return table;
}

TextFeatures text_table_rows(const TextTable *table, const TextUNet *m, Tape *t, int B,
                             const int *number) {
    const TextTransformerConfig *c = &m->text.config;
    return (TextFeatures){
        t_input_rows(t, table->emb, NULL, number, SHAPE(B, (int)emb_len(m))),
        t_input_rows(t, table->tokens, NULL, number, SHAPE(B, c->length, c->width))};
}

/* ---- official names -------------------------------------------------------------------------- */

const OfficialName text_unet_names[] = {
    {"text.tokens", "token_embedding", 0, 0}, {"text.positions", "positional_embedding", 0, 0},
    {"text.padding", "padding_embedding", 0, 0}, {"text.norm", "final_ln", 0, 0},
    {"text_proj", "transformer_proj", 0, 0}, {0}};

bool text_unet_official(const void *design, const char *ours, OfficialPlace *at) {
    const TextUNetOfficial *g = design;
    return resblocks_official("text.block.", g->text_heads, ours, at) ||
           unet_official(&g->unet, ours, at);
}
