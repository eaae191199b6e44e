#include "scenes.h"

Scenes scenes_new(Arena *a, const Wardrobe *w, Part part, uint64_t seed, uint64_t first, int n) {
    Scenes s = {.n = n};
    s.x = arena_get(a, (size_t)n * VALUES * sizeof *s.x);
    s.scenes = arena_get(a, (size_t)n * sizeof *s.scenes);
    s.captions = arena_get(a, (size_t)n * sizeof *s.captions);
    wardrobe_get(w, part, seed, first, n,
                 &(SceneBatch){.images = s.x, .high = 1, .scenes = s.scenes});
    for (int i = 0; i < n; i++)
        s.captions[i] = scene_caption(&s.scenes[i], arena_get(a, SCENE_CAPTION));
    return s;
}

Scenes scenes_of_batch(const CaptionedBatch *b) {
    Tensor *x = b->images;
    k_affine(x->len, x->x, (real)0.5, (real)0.5, x->x);
    return (Scenes){.n = b->n, .x = x->x, .captions = b->captions};
}

void scenes_encode(Arena *a, Scenes *s, const Dalle *m, const BpeDropout *dropout) {
    s->text = dalle_texts(m, a, s->n, s->captions, dropout);
    s->codes = arena_get(a, (size_t)(s->n * dalle_codes(m)) * sizeof *s->codes);
    dvae_encode(&m->dvae, s->n, SIDE, s->x, s->codes);
}

double scenes_nats(const Scenes *s, const Dalle *m, double *place) {
    int N = dalle_codes(m);
    Arena arena = {0};
    double *nats = arena_get(&arena, (size_t)(s->n * N) * sizeof *nats), sum = 0;
    prior_nats(&m->prior, s->n, s->text, s->codes, nats);
    for (int i = 0; i < s->n * N; i++) {
        sum += nats[i];
        if (place) place[i % N] += nats[i] / s->n;
    }
    arena_free(&arena);
    return sum / s->n;
}
