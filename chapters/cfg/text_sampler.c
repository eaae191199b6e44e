#include "text_sampler.h"

#include <string.h>

/* ---- one network ----------------------------------------------------------------------------- */

TextTable captions_table(Arena *arena, const Glide *m, const Bpe *bpe, int n,
                         const char *const *captions) {
    const char **all = arena_get(arena, (size_t)(n + 1) * sizeof *all);
    memcpy(all, captions, (size_t)n * sizeof *all);
    all[n] = "";
    Texts t = texts_new(arena, m, bpe, n + 1, all);
    return text_table_new(arena, &m->net, n + 1, t.tokens, t.mask);
}

void text_sampler_open(TextSampler *s, const Glide *net, TextDrawing how) {
    int side = net->config.side;
    s->guided = (GuidedTexts){net, how.text, how.scale, how.low, how.known, how.mask};
    s->network = guided_texts(&s->guided);
    s->pasted = pasted_denoiser(&s->network.denoiser, how.known, how.mask);
    s->clipped = clipped_denoiser(how.known ? &s->pasted.denoiser : &s->network.denoiser);
    s->by_score = score_guidance(&s->clipped.denoiser, guide_gradient, how.clip, how.clip_scale);
    s->chain = how.chain;
    s->sampler = (Sampler){.denoiser = how.clip ? &s->by_score.denoiser : &s->clipped.denoiser,
                           .schedule = &s->chain,
                           .method = how.method, .eta = how.eta, .height = side, .width = side,
                           .channels = 3, .seed = how.seed};
}

void text_sampler_close(TextSampler *s) {
    sampler_free(&s->sampler);
    schedule_free(&s->chain);
}

/* ---- pictures -------------------------------------------------------------------------------- */

Tensor *small_pictures(Tensor *images) {
    int n = images->shape[0], side = images->shape[1];
    const real *small = images_downsample(&images->tape->arena, n, side, images->x);
    return t_input(images->tape, small, SHAPE(n, side / 2, side / 2, 3));
}

real *halve_mask(Arena *arena, int n, int side, const real *mask) {
    int half = side / 2;
    real *y = arena_get(arena, (size_t)(n * half * half) * sizeof *y);
    for (int i = 0; i < n * half; i++)           /* row i of all small ones */
        for (int j = 0; j < half; j++) {
            const real *four = mask + (size_t)(2 * i) * (size_t)side + 2 * j;
            y[i * half + j] = four[0] * four[1] * four[side] * four[side + 1];
        }
    return y;
}
