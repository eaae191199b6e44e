#include "latents.h"

#include <math.h>
#include <string.h>

enum { AT_ONCE = 16 };                   /* pictures through the first stage together */

static double scale_of(const LatentSpace *s) {
    return s->scale ? (double)s->scale->x[0] : 1;
}

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
        k_affine(some->len, some->x, (real)scale_of(s), 0, z->x + (size_t)i * latent);
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
        y = t_scale(y, 1 / scale_of(s));
        if (s->factor > 1) y = decode(&s->net, y);
        memcpy(x + (size_t)i * picture, y->x, y->len * sizeof *x);
        tape_reset(&own);
    }
    tape_free(&own);
}

void reconstruct(const LatentSpace *s, int n, int side, const real *x, real *y) {
    Tape t = {.no_grad = true};
    const Tensor *z = latents_of(s, &t, n, side, x, NULL);
    pictures_of(s, n, side / s->factor, z->x, y);
    tape_free(&t);
}

double psnr(int n, int one, const real *x, const real *y) {
    double sum = 0;
    for (int i = 0; i < n; i++, x += one, y += one)
        sum += 10 * log10(4 * one / k_sum_squared_difference((size_t)one, x, y));
    return sum / n;
}

void measure_scale(LatentSpace *s, int n, int side, const real *x, Rng *noise) {
    Tape t = {0};
    s->scale->x[0] = 1;
    const Tensor *z = latents_of(s, &t, n, side, x, noise);
    s->scale->x[0] = (real)(1 / sqrt(k_sum_squares(z->len, z->x) / (double)z->len));
    tape_free(&t);
}
