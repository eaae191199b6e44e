#include "clip_pairs.h"

#include <math.h>
#include <string.h>

static Tensor *leaf(Tape *t, const Tensor *x) {
    return t_input(t, x->x, x->rank, x->shape);
}

PriorText clip_texts(const FrozenClip *f, Tape *t, int n, const char *const *captions) {
    int N = f->net.config.text.context;
    Tape frozen = {.no_grad = true};
    int *tokens = arena_get(&t->arena, (size_t)(n * N) * sizeof *tokens);
    uint8_t *mask = arena_get(&t->arena, (size_t)(n * N));
    for (int i = 0; i < n; i++) {
        int length = bpe_tokenize(&f->bpe, captions[i], NULL, N, tokens + i * N);
        for (int k = 0; k < N; k++) mask[i * N + k] = k < length;
    }
    PriorText text = {
        .tokens = leaf(t, clip_text_tokens(&f->net.text, &frozen, tokens, n, N)),
        .embedding = leaf(t, clip_normalise(clip_text(&f->net.text, &frozen, tokens, n, N))),
        .mask = mask};
    tape_free(&frozen);
    return text;
}

ClipPairs clip_pairs(const FrozenClip *f, const CaptionedBatch *b) {
    Tape *t = b->images->tape, frozen = {.no_grad = true};
    Tensor *images = t_input(&frozen, b->images->x, 4, b->images->shape);
    Tensor *z = clip_normalise(clip_image(&f->net.image, images));
    ClipPairs p = {.image = leaf(t, z), .text = clip_texts(f, t, b->n, b->captions)};
    tape_free(&frozen);
    return p;
}

void text_drop(PriorText *text, int b) {
    int N = text->tokens->shape[1], D = text->embedding->shape[1];
    memset((uint8_t *)text->mask + b * N, 0, (size_t)N);
    k_fill((size_t)D, 0, text->embedding->x + b * D);
}

/* ---- whitening --------------------------------------------------------------------------------- */

Whitening whitening_new(Scope s, int dim) {
    return (Whitening){buffer(s, "average", 0, SHAPE(dim)), buffer(s, "deviation", 1, SHAPE(dim))};
}

void whitening_fit(Whitening *w, int n, const real *embeddings) {
    int D = w->average->shape[0];
    for (int d = 0; d < D; d++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < n; i++) sum += (double)embeddings[i * D + d];
        for (int i = 0; i < n; i++) squares += pow((double)embeddings[i * D + d] - sum / n, 2);
        w->average->x[d] = (real)(sum / n);
        w->deviation->x[d] = (real)sqrt(squares / n);
    }
}

void whiten(const Whitening *w, int n, const real *embedding, real *x) {
    int D = w->average->shape[0];
    for (int i = 0; i < n * D; i++)
        x[i] = (embedding[i] - w->average->x[i % D]) / w->deviation->x[i % D];
}

void unwhiten(const Whitening *w, int n, const real *x, real *embedding) {
    int D = w->average->shape[0];
    for (int i = 0; i < n * D; i++)
        embedding[i] = x[i] * w->deviation->x[i % D] + w->average->x[i % D];
    for (int i = 0; i < n; i++) {
        real length = (real)sqrt(k_sum_squares((size_t)D, embedding + i * D));
        for (int d = 0; d < D; d++) embedding[i * D + d] /= length;
    }
}
