/* optimise.c — one pass over the parameters per training step. */
#include "kernels.h"

#include <math.h>

void k_sgd(size_t n, real *w, const real *g, real *velocity, real lr, real momentum,
           real weight_decay, real grad_scale)
{
    for (size_t i = 0; i < n; i++) {
        real d = g[i] * grad_scale + weight_decay * w[i];
        if (velocity) d = velocity[i] = momentum * velocity[i] + d;
        w[i] -= lr * d;
    }
}

/* m = beta1 m + (1-beta1) g,  v = beta2 v + (1-beta2) g^2,
 * w = (1 - decay) w - lr (m/correct1) / (sqrt(v/correct2) + eps)      (Kingma & Ba, algorithm 1) */
void k_adam_ref(size_t n, real *w, const real *g, real *m, real *v, const AdamStep *s)
{
    for (size_t i = 0; i < n; i++) {
        real d = g[i] * s->grad_scale;
        m[i] = s->beta1 * m[i] + (1 - s->beta1) * d;
        v[i] = s->beta2 * v[i] + (1 - s->beta2) * d * d;
        double step = s->lr * (m[i] / s->correct1) / (sqrt((double)(v[i] / s->correct2)) + s->eps);
        w[i] = (real)(w[i] * (1 - s->decay) - step);
    }
}

void k_adam(size_t n, real *w, const real *g, real *m, real *v, const AdamStep *s)
{
    k_adam_ref(n, w, g, m, v, s);
}
