#include "clip_pairs.h"

#include <math.h>
#include <string.h>

static Tensor *leaf(Tape *t, const Tensor *x) {
    return t_input(t, x->x, x->rank, x->shape);
}

/* ---- a batch --------------------------------------------------------------------------------- */

CaptionFeatures clip_captions(const FrozenClip *f, Tape *t, int n, const char *const *captions) {
    int N = f->net.config.text.context;
    Tape frozen = {.no_grad = true};
    int *tokens = arena_get(&t->arena, (size_t)(n * N) * sizeof *tokens);
    uint8_t *mask = arena_get(&t->arena, (size_t)(n * N));
    for (int i = 0; i < n; i++) {
        int length = bpe_tokenize(&f->bpe, captions[i], NULL, N, tokens + i * N);
        for (int k = 0; k < N; k++) mask[i * N + k] = k < length;
    }
    ClipReading r = clip_text_read(&f->net.text, &frozen, tokens, n, N);
    size_t W = (size_t)f->net.config.text.width, read = (size_t)r.tokens->shape[1] * W;
    CaptionFeatures text = {
        .tokens = t_input(t, NULL, SHAPE(n, N, (int)W)), .mask = mask,
        .embedding = leaf(t, t_scale(clip_normalise(r.end), sqrt(f->net.config.dim)))};
    k_fill(text.tokens->len, 0, text.tokens->x);          /* masked, where no text of n reaches */
    k_copy_rows((size_t)n, read, r.tokens->x, read, text.tokens->x, (size_t)N * W, false);
    tape_free(&frozen);
    return text;
}

ClipPairs clip_pairs(const FrozenClip *f, const CaptionedBatch *b, bool images) {
    Tape *t = b->images->tape;
    ClipPairs p = {.image = t_input(t, NULL, SHAPE(b->n, f->net.config.dim)),
                   .text = clip_captions(f, t, b->n, b->captions)};
    if (images) clip_images(f, b->n, b->images->x, p.image->x);
    else k_fill(p.image->len, 0, p.image->x);
    return p;
}

void clip_images(const FrozenClip *f, int n, const real *x, real *embedding) {
    Arena arena = {0};
    size_t len = (size_t)n * (size_t)(f->net.config.image.side * f->net.config.image.side * 3);
    real *unit = arena_get(&arena, len * sizeof *unit);
    k_affine(len, x, (real)0.5, (real)0.5, unit);
    frozen_clip_images(f, n, unit, embedding);
    arena_free(&arena);
}

void caption_drop(CaptionFeatures *text, int b) {
    int N = text->tokens->shape[1], D = text->embedding->shape[1];
    memset((uint8_t *)text->mask + b * N, 0, (size_t)N);
    k_fill((size_t)D, 0, text->embedding->x + b * D);
}

/* ---- a table --------------------------------------------------------------------------------- */

CaptionTable caption_table(Arena *arena, const FrozenClip *f, int n, const char *const *captions) {
    enum { AT_ONCE = 64 };
    int N = f->net.config.text.context, D = f->net.config.dim;
    CaptionTable table = {.n = n, .length = N, .dim = D};
    table.tokens = arena_get(arena, (size_t)(n * N * D) * sizeof(real));
    table.embedding = arena_get(arena, (size_t)(n * D) * sizeof(real));
    table.mask = arena_get(arena, (size_t)(n * N));
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE, tape_reset(&t)) {
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        CaptionFeatures f_i = clip_captions(f, &t, B, captions + i);
        memcpy(table.tokens + (size_t)(i * N * D), f_i.tokens->x, f_i.tokens->len * sizeof(real));
        memcpy(table.embedding + (size_t)(i * D), f_i.embedding->x,
               f_i.embedding->len * sizeof(real));
        memcpy(table.mask + (size_t)(i * N), f_i.mask, (size_t)(B * N));
    }
    tape_free(&t);
    return table;
}

CaptionFeatures caption_rows(const CaptionTable *table, Tape *t, int B, const int *number) {
    int N = table->length, D = table->dim;
    uint8_t *mask = arena_get(&t->arena, (size_t)(B * N));
    for (int b = 0; b < B; b++) {
        if (number[b] < 0) memset(mask + b * N, 0, (size_t)N);
        else memcpy(mask + b * N, table->mask + (size_t)number[b] * (size_t)N, (size_t)N);
    }
    return (CaptionFeatures){t_input_rows(t, table->tokens, NULL, number, SHAPE(B, N, D)),
                             t_input_rows(t, table->embedding, NULL, number, SHAPE(B, D)), mask};
}
