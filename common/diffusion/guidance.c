#include "diffusion/guidance.h"

#include <string.h>

/* ---- without a classifier -------------------------------------------------------------------- */

static Prediction predict_classifier_free(const Denoiser *self, const Step *at, real *xt) {
    const ClassifierFree *g = (const ClassifierFree *)self;
    Prediction p = denoise(g->with, at, xt), without = denoise(g->without, at, xt);
    combine(p.n, g->scale, p.x0, 1 - g->scale, without.x0, p.x0);
    return p;
}

ClassifierFree classifier_free(const Denoiser *with, const Denoiser *without, double scale) {
    return (ClassifierFree){{predict_classifier_free}, with, without, scale};
}

Tensor *mix_guided(Tensor *both, double scale, int channels) {
    int n = both->shape[0] / 2, D = both->shape[3];
    size_t pixels = both->len / 2 / (size_t)D;
    Tensor *y = t_input(both->tape, both->x, SHAPE(n, both->shape[1], both->shape[2], D));
    const real *without = both->x + both->len / 2;
    for (size_t i = 0; i < pixels; i++)
        combine((size_t)channels, scale, y->x + i * (size_t)D, 1 - scale, without + i * (size_t)D,
                y->x + i * (size_t)D);
    return y;
}

GuidedBatch guided_batch(const Step *at, double scale) {
    bool both = scale != 0 && scale != 1;              /* zero and one exactly, as given */
    Step all = *at;
    all.n = both ? 2 * at->n : at->n;
    int *picture = arena_get(&at->tape->arena, 2 * (size_t)all.n * sizeof *picture);
    int *number = picture + all.n;
    for (int i = 0; i < all.n; i++) {
        picture[i] = at->first + i % at->n;
        number[i] = i < at->n && scale != 0 ? picture[i] : -1;
    }
    return (GuidedBatch){all.n, picture, number, step_times(&all), both, scale, at->channels};
}

Tensor *guided_xt(const GuidedBatch *b, Tensor *xt) {
    return b->both ? t_concat(xt, xt, 0) : xt;
}

Tensor *guided(const GuidedBatch *b, Tensor *output) {
    return b->both ? mix_guided(output, b->scale, b->channels) : output;
}

/* ---- by a gradient --------------------------------------------------------------------------- */

static Prediction predict_by_score(const Denoiser *self, const Step *at, real *xt) {
    const ScoreGuidance *g = (const ScoreGuidance *)self;
    Prediction p = denoise(g->of, at, xt);
    real *score = arena_get(&at->tape->arena, p.n * sizeof *score);
    g->gradient(g->context, at, xt, score);
    k_axpy(p.n, (real)g->scale, score, score, false);
    if (p.score) k_axpy(p.n, 1, p.score, score, true);
    p.score = score;
    return p;
}

ScoreGuidance score_guidance(const Denoiser *of,
                             void (*gradient)(const void *context, const Step *at, const real *xt,
                                              real *gradient),
                             const void *context, double scale) {
    return (ScoreGuidance){{predict_by_score}, of, gradient, context, scale};
}

void guide_gradient(const void *guide, const Step *at, const real *xt, real *gradient) {
    const Guide *g = guide;
    tape_reset(g->tape);
    Tensor *x = t_variable(g->tape, xt, SHAPE(at->n, at->height, at->width, at->channels));
    backward(t_sum(g->value(g, at, x)));
    memcpy(gradient, x->g, x->len * sizeof *gradient);
}

/* ---- known pixels ---------------------------------------------------------------------------- */

void paste(size_t pixels, int channels, const real *mask, const real *known, real *x) {
    size_t C = (size_t)channels;
    for (size_t i = 0; i < pixels * C; i++) {
        real m = mask[i / C];
        x[i] = m * known[i] + (1 - m) * x[i];
    }
}

static Prediction predict_pasted(const Denoiser *self, const Step *at, real *xt) {
    const KnownPixels *k = (const KnownPixels *)self;
    Prediction p = denoise(k->of, at, xt);
    size_t pixels = step_size(at) / (size_t)at->channels, first = (size_t)at->first * pixels;
    paste((size_t)at->n * pixels, at->channels, k->mask + first,
          k->image + first * (size_t)at->channels, p.x0);
    return p;
}

KnownPixels pasted_denoiser(const Denoiser *of, const real *image, const real *mask) {
    return (KnownPixels){{predict_pasted}, of, image, mask, 0};
}

static Prediction predict_blended(const Denoiser *self, const Step *at, real *xt) {
    enum { FORWARD_NOISE = 1 << 15 };       /* keys of sampling_noise that no step has */
    const KnownPixels *k = (const KnownPixels *)self;
    size_t size = step_size(at), pixels = size / (size_t)at->channels;
    real *noisy = arena_get(&at->tape->arena, size * sizeof *noisy);
    real *eps = arena_get(&at->tape->arena, size * sizeof *eps);
    for (int i = 0; i < at->n && !at->lookahead; i++) {
        size_t number = (size_t)(at->first + i);
        sampling_noise(k->seed, at->first + i, FORWARD_NOISE + at->schedule->step[at->t], size,
                       eps);
        q_sample(at->schedule, at->t, size, k->image + number * size, eps, noisy);
        paste(pixels, at->channels, k->mask + number * pixels, noisy, xt + (size_t)i * size);
    }
    return denoise(k->of, at, xt);
}

KnownPixels blended_denoiser(const Denoiser *of, const real *image, const real *mask,
                             uint64_t seed) {
    return (KnownPixels){{predict_blended}, of, image, mask, seed};
}
