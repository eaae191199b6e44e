/* dalle.c — captions to pictures: the prior, the decoder, and CLIP that ranks. */
#include "dalle.h"

#include <string.h>

const char *const stage_names[STAGES] = {"dvae", "prior"};

void dalle_free(Dalle *d) {
    for (int s = 0; s < STAGES; s++) params_free(&d->params[s]);
    bpe_free(&d->bpe);
}

int dalle_codes(const Dalle *d) {
    int small = d->side / dvae_factor(&d->dvae.c);
    return small * small;
}

int *dalle_texts(const Dalle *d, Arena *arena, int n, const char *const *captions,
                 const BpeDropout *dropout) {
    int T = d->prior.c.text, *text = arena_get(arena, (size_t)(n * T) * sizeof *text);
    for (int i = 0; i < n; i++) prior_text(&d->bpe, captions[i], dropout, T, text + i * T);
    return text;
}

void dalle_draw(const Dalle *d, DalleDraw draw, Rng *rng) {
    Arena arena = {0};
    int *text = dalle_texts(d, &arena, draw.n, draw.captions, NULL);
    PriorDraw codes = {draw.n, draw.known, text, draw.codes, .scale = draw.scale};
    if (draw.scale != 1) codes.without = dalle_texts(d, &arena, 1, (const char *[]){""}, NULL);
    prior_sample(&d->prior, codes, &draw.sampler, rng);
    dvae_decode(&d->dvae, draw.n, d->side, draw.codes, draw.x);
    arena_free(&arena);
}

/* largest first; of equal ones the first */
static void sort_by(int n, const real *score, int *order) {
    for (int i = 0; i < n; i++) {
        int k = i;
        for (; k > 0 && score[order[k - 1]] < score[i]; k--) order[k] = order[k - 1];
        order[k] = i;
    }
}

void dalle_cosines(const FrozenClip *clip, const char *caption, int n, const real *x,
                   real *cosines) {
    Arena arena = {0};
    size_t D = (size_t)clip->net.config.dim;
    real *images = arena_get(&arena, (size_t)n * D * sizeof *images);
    real *text = arena_get(&arena, D * sizeof *text);
    frozen_clip_images(clip, n, x, images);
    frozen_clip_texts(clip, 1, &caption, text);
    frozen_clip_cosines(clip, n, images, 1, text, cosines);
    arena_free(&arena);
}

void best_of_each(int levels, const int *level, const real *cosines, int *best) {
    int most = 0;
    for (int l = 0, k = 1; l < levels; best[l++] = most)
        for (; k < level[l]; k++)
            if (cosines[k] > cosines[most]) most = k;
}

void dalle_rank(const FrozenClip *clip, const char *caption, int n, const real *x, int *order,
                real *cosines) {
    dalle_cosines(clip, caption, n, x, cosines);
    sort_by(n, cosines, order);
}

void caption_nats(const Dalle *d, const int *codes, int n, const char *const *captions,
                  double *nats) {
    Arena arena = {0};
    int N = dalle_codes(d), *all = arena_get(&arena, (size_t)(n * N) * sizeof *all);
    double *each = arena_get(&arena, (size_t)(n * N) * sizeof *each);
    for (int i = 0; i < n; i++) memcpy(all + i * N, codes, (size_t)N * sizeof *all);
    prior_nats(&d->prior, n, dalle_texts(d, &arena, n, captions, NULL), all, each);
    for (int i = 0; i < n; i++) {
        nats[i] = 0;
        for (int k = 0; k < N; k++) nats[i] += each[i * N + k];
    }
    arena_free(&arena);
}
