#include "model.h"

#include <math.h>
#include <string.h>

const char *const stage_names[STAGES] = {"autoencoder", "top", "bottom"};

void model_free(Model *m) {
    for (int s = 0; s < STAGES; s++) params_free(&m->params[s]);
}

/* ---- images as codes ------------------------------------------------------------------------- */

Codes codes_new(Arena *arena, const ImageSet *d, int n) {
    int side = d->size / 4;
    Codes c = {n, side, arena_get(arena, (size_t)n * sizeof(int)),
               {[TOP] = side * side / 4, [BOTTOM] = side * side}, {NULL}};
    for (int s = TOP; s < STAGES; s++)
        c.z[s] = arena_get(arena, (size_t)(n * c.positions[s]) * sizeof(int));
    return c;
}

Codes encode_set(Arena *arena, const ImageSet *d, const Vqvae2 *v, const Images *set, int n) {
    enum { AT_ONCE = 1024 };
    Codes c = codes_new(arena, d, n < set->count ? n : set->count);
    Arena images = {0};
    for (int i = 0; i < c.n; i += AT_ONCE) {
        int count = c.n - i < AT_ONCE ? c.n - i : AT_ONCE;
        Images part = images_part(set, i, count);
        real *x = images_new(&images, &part, count, -1, 1, c.labels + i);
        encode_all(v, count, d->size, d->size, x, c.z[TOP] + i * c.positions[TOP],
                   c.z[BOTTOM] + i * c.positions[BOTTOM]);
        arena_reset(&images);
    }
    arena_free(&images);
    return c;
}

real *decode_codes(Arena *arena, const Vqvae2 *v, const Codes *c, Levels levels) {
    int size = 4 * c->side;
    real *x = arena_get(arena, (size_t)c->n * (size_t)(size * size * v->c.channels) * sizeof *x);
    decode_all(v, c->n, size, size, levels == BOTTOM_ALONE ? NULL : c->z[TOP],
               levels == TOP_ALONE ? NULL : c->z[BOTTOM], x);
    return x;
}

/* ---- measures -------------------------------------------------------------------------------- */

double relative_error(const ImageSet *d, const Vqvae2 *v, const Images *set, const Codes *c,
                      Levels levels) {
    Arena arena = {0};
    const real *x = images_new(&arena, set, c->n, -1, 1, NULL);
    double error = image_set_error(d, c->n, x, decode_codes(&arena, v, c, levels)) / c->n;
    arena_free(&arena);
    return error / image_set_variance(d);
}

int *times_chosen(Arena *arena, const Vqvae2 *v, const Codes *c, int level) {
    size_t size = (size_t)v->c.codes * sizeof(int);
    int *times = memset(arena_get(arena, size), 0, size);
    codebook_count(c->n * c->positions[level], c->z[level], times);
    return times;
}

double nats_per_code(const Model *m, int level, const Codes *c) {
    int N = c->positions[level];
    Arena arena = {0};
    double *nats = arena_get(&arena, (size_t)N * sizeof *nats), sum = 0;
    snail_nats(&m->prior[level], c->n, c->z[level], (SnailCondition){c->z[TOP], c->labels}, nats);
    for (int i = 0; i < N; i++) sum += nats[i] / N;
    arena_free(&arena);
    return sum;
}

/* ---- images from the priors ------------------------------------------------------------------ */

/* of `count` images x, drawn for the classes `drawn`, the evaluator's best for each request */
static real *keep_best(Arena *arena, const ImageSet *d, Draw request, int count, int *drawn,
                       const real *x) {
    size_t len = (size_t)image_len(d), n = (size_t)count;
    real *best_x = arena_get(arena, (size_t)request.n * len * sizeof *best_x);
    real *grey = arena_get(arena, n * FASHION_PIXELS * sizeof *grey);
    real *features = arena_get(arena, n * (size_t)request.evaluator->net.features *
                                          sizeof *features);
    real *p = arena_get(arena, n * FASHION_CLASSES * sizeof *p);
    image_set_crop(d, count, x, grey);
    evaluator_features(request.evaluator, count, grey, features, p);
    for (int i = 0; i < request.n; i++) {
        int best = -1, label = request.labels[i];
        for (int k = 0; k < count; k++)
            if (drawn[k] == label && (best < 0 || p[k * FASHION_CLASSES + label] >
                                                  p[best * FASHION_CLASSES + label])) best = k;
        drawn[best] = -1;                 /* no image is kept twice */
        memcpy(best_x + (size_t)i * len, x + (size_t)best * len, len * sizeof *x);
    }
    return best_x;
}

real *sample_images(Arena *arena, const ImageSet *d, const Model *m, Draw request, Rng *rng) {
    int n = (int)ceil(request.n / request.keep);
    Codes c = codes_new(arena, d, n);
    for (int i = 0; i < n; i++) c.labels[i] = request.labels[i % request.n];
    SnailCondition on = {c.z[TOP], c.labels};
    for (int s = m->autoencoder.c.levels == 2 ? TOP : BOTTOM; s <= BOTTOM; s++)
        snail_sample(&m->prior[s], n, on, request.temperature, rng, c.z[s]);
    real *x = decode_codes(arena, &m->autoencoder, &c, BOTH_LEVELS);
    return request.keep < 1 ? keep_best(arena, d, request, n, c.labels, x) : x;
}
