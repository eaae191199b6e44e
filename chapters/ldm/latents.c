#include "latents.h"

#include <math.h>
#include <string.h>

enum { AT_ONCE = 16 };                   /* pictures through the first stage together */

/* not scaled; of at most AT_ONCE pictures, on the tape */
static Tensor *encode_some(const LatentSpace *s, Tape *t, int n, int side, const real *x,
                           Rng *noise) {
    Tensor *images = t_input(t, x, SHAPE(n, side, side, 3));
    if (s->factor == 1) return images;
    Tensor *moments = encode(&s->net, images);
    if (s->net.config.codes) return moments;
    Posterior q = posterior(moments);
    if (!noise) return q.mean;
    Tensor *eps = t_input(t, NULL, q.mean->rank, q.mean->shape);
    rng_normal(noise, eps->len, eps->x);
    return posterior_sample(q, eps);
}

Tensor *latents_of(const LatentSpace *s, Tape *t, int B, int side, const real *x, Rng *noise) {
    int h = side / s->factor;
    size_t picture = (size_t)side * (size_t)side * 3;
    size_t latent = (size_t)h * (size_t)h * (size_t)s->channels;
    Tape own = {.no_grad = true};
    Tensor *z = t_input(t, NULL, SHAPE(B, h, h, s->channels));
    for (int i = 0; i < B; i += AT_ONCE) {
        int n = B - i < AT_ONCE ? B - i : AT_ONCE;
        Tensor *some = encode_some(s, &own, n, side, x + (size_t)i * picture, noise);
        k_affine(some->len, some->x, s->scale->x[0], 0, z->x + (size_t)i * latent);
        tape_reset(&own);
    }
    tape_free(&own);
    return z;
}

void pictures_of(const LatentSpace *s, int n, int h, const real *z, real *x) {
    int side = h * s->factor;
    size_t picture = (size_t)side * (size_t)side * 3;
    size_t latent = (size_t)h * (size_t)h * (size_t)s->channels;
    Tape own = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        int some = n - i < AT_ONCE ? n - i : AT_ONCE;
        Tensor *y = t_input(&own, z + (size_t)i * latent, SHAPE(some, h, h, s->channels));
        y = t_scale(y, 1 / (double)s->scale->x[0]);
        if (s->factor > 1) y = decode(&s->net, y);
        memcpy(x + (size_t)i * picture, y->x, y->len * sizeof *x);
        tape_reset(&own);
    }
    tape_free(&own);
}

void measure_scale(LatentSpace *s, int n, int side, const real *x, Rng *noise) {
    Tape t = {0};
    s->scale->x[0] = 1;
    const Tensor *z = latents_of(s, &t, n, side, x, noise);
    s->scale->x[0] = (real)(1 / sqrt(k_sum_squares(z->len, z->x) / (double)z->len));
    tape_free(&t);
}
