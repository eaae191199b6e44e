#include "training.h"

#include <stdlib.h>
#include <string.h>

/* ---- images ---------------------------------------------------------------------------------- */

void source_open(Source *s, Run *run, int batch, bool needs_clip) {
    *s = (Source){0};
    if (needs_clip) {
        char *path = clip_path();
        s->clip = frozen_clip_for(path, SIDE);
        run_trained_on(run, path);
        free(path);
    }
    captioned_source_open(&s->pairs, run, batch, o.emoji, SIDE);
}

void source_close(Source *s) {
    captioned_source_free(&s->pairs);
    if (s->clip.net.config.dim) frozen_clip_free(&s->clip);
}

void source_pairs(const Source *s, int n, real *image, real *text) {
    enum { AT_ONCE = 64 };
    int emoji = (int)(o.emoji * AT_ONCE), D = s->clip.net.config.dim, number[AT_ONCE];
    Tape t = {.no_grad = true};
    Rng moved = rng_new(o.common.seed, "fit");
    for (int i = 0; i < n; i += AT_ONCE, tape_reset(&t)) {
        for (int k = 0; k < emoji; k++)
            number[k] = (int)rng_below(&moved, (uint32_t)s->pairs.data.emoji.train.count);
        CaptionedBatch b = training_batch(&s->pairs.data, &t, (BatchPlan){
            .n = AT_ONCE, .emoji = emoji, .seed = o.common.seed,
            .first = (uint64_t)(i / AT_ONCE * (AT_ONCE - emoji)), .number = number, .rng = &moved});
        int m = n - i < AT_ONCE ? n - i : AT_ONCE;
        clip_images(&s->clip, m, b.images->x, image + i * D);
        if (!text) continue;
        CaptionFeatures c = clip_captions(&s->clip, &t, m, b.captions);
        memcpy(text + i * D, c.embedding->x, (size_t)(m * D) * sizeof *text);
    }
    tape_free(&t);
}

void source_whitening(const Source *s, Whitening *w) {
    Arena arena = {0};
    real *image = arena_get(&arena, (size_t)(o.fit * s->clip.net.config.dim) * sizeof *image);
    source_pairs(s, o.fit, image, NULL);
    whitening_fit(w, o.fit, image);
    arena_free(&arena);
}

ValidationPairs validation_pairs(Arena *arena, const Source *s) {
    int two = 2 * s->pairs.batch, n = two < SHOWN ? SHOWN : two < VALIDATED ? two : VALIDATED;
    ValidationPairs h = {.n = n};
    Tape t = {.no_grad = true};
    CaptionedBatch b = validation_batch(&s->pairs.data, &t, n, (int)(o.emoji * n));
    h.x = arena_get(arena, b.images->len * sizeof *h.x);
    memcpy(h.x, b.images->x, b.images->len * sizeof *h.x);
    h.captions = arena_get(arena, (size_t)n * sizeof *h.captions);
    for (int i = 0; i < n; i++) h.captions[i] = arena_text(arena, "%s", b.captions[i]);
    if (s->clip.net.config.dim) {
        h.text = caption_table(arena, &s->clip, n, h.captions);
        h.z = arena_get(arena, (size_t)(n * h.text.dim) * sizeof *h.z);
        clip_images(&s->clip, n, h.x, h.z);
    }
    tape_free(&t);
    return h;
}

CaptionFeatures validation_text(const ValidationPairs *h, Tape *t) {
    int number[VALIDATED];
    for (int i = 0; i < h->n; i++) number[i] = i;
    return caption_rows(&h->text, t, h->n, number);
}
