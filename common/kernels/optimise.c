/* optimise.c — one pass over the parameters per training step. All of it is bound by memory: each
 * number is read once and written once. */
#include "kernels.h"
#include "parallel.h"
#include "simd.h"
#include "sizes.h"

enum { BLOCK = 8192 };

void k_sgd(size_t n, real *w, const real *g, real *velocity, real lr, real momentum,
           real weight_decay, real grad_scale)
{
    PARALLEL_FOR((double)n * COST_COPY)
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t end = least_size(n, start + BLOCK);
        for (size_t i = start; !velocity && i < end; i++)
            w[i] -= lr * (g[i] * grad_scale + weight_decay * w[i]);
        for (size_t i = start; velocity && i < end; i++) {
            velocity[i] = momentum * velocity[i] + (g[i] * grad_scale + weight_decay * w[i]);
            w[i] -= lr * velocity[i];
        }
    }
}

/* m = beta1 m + (1-beta1) g,  v = beta2 v + (1-beta2) g^2,
 * w = (1 - decay) w - lr (m/correct1) / (sqrt(v/correct2) + eps)      (Kingma & Ba, algorithm 1) */
void k_adam_ref(size_t n, real *w, const real *g, real *m, real *v, const AdamStep *s) {
    for (size_t i = 0; i < n; i++) {
        real d = g[i] * s->grad_scale;
        m[i] = s->beta1 * m[i] + (1 - s->beta1) * d;
        v[i] = s->beta2 * v[i] + (1 - s->beta2) * d * d;
        double step = s->lr * (m[i] / s->correct1) / (sqrt((double)(v[i] / s->correct2)) + s->eps);
        w[i] = (real)(w[i] * (1 - s->decay) - step);
    }
}

typedef struct {
    vec w, m, v;
} AdamState;

INLINE AdamState adam_step(AdamState a, vec g, const AdamStep *s) {
    g *= vset(s->grad_scale);
    a.m = vset(s->beta1) * a.m + vset(1 - s->beta1) * g;
    a.v = vset(s->beta2) * a.v + vset(1 - s->beta2) * g * g;
    vec root = vsqrt(a.v * vset(1 / s->correct2)) + vset(s->eps);
    a.w = a.w * vset(1 - s->decay) - a.m * vset(s->lr / s->correct1) / root;
    return a;
}

static void adam_block(size_t n, real *w, const real *g, real *m, real *v, const AdamStep *s) {
    size_t i = 0;
    for (; i + VEC <= n; i += VEC) {
        AdamState a = {vload(w + i), vload(m + i), vload(v + i)};
        a = adam_step(a, vload(g + i), s);
        vstore(w + i, a.w);
        vstore(m + i, a.m);
        vstore(v + i, a.v);
    }
    size_t rest = n - i;
    if (!rest) return;
    AdamState a = {vload_part(w + i, rest), vload_part(m + i, rest), vload_part(v + i, rest)};
    a = adam_step(a, vload_part(g + i, rest), s);
    vstore_part(w + i, a.w, rest);
    vstore_part(m + i, a.m, rest);
    vstore_part(v + i, a.v, rest);
}

void k_adam(size_t n, real *w, const real *g, real *m, real *v, const AdamStep *s) {
    PARALLEL_FOR((double)n * 5 * COST_COPY)
    for (size_t i = 0; i < n; i += BLOCK)
        adam_block(least_size(BLOCK, n - i), w + i, g + i, m + i, v + i, s);
}
