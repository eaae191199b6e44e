/* optim.c — SGD, Adam and AdamW, clipping. One pass over the parameters per step, in kernels. */
#include "nn/optim.h"
#include "base/error.h"

#include <math.h>

static bool has_gradient(const Tensor *w) {
    return w->wants_grad && w->has_grad;
}

/* ---- SGD ----------------------------------------------------------------------------------- */

void sgd_step(Sgd *o, Params *p, double lr, double grad_scale) {
    if (o->momentum != 0) params_like(&o->velocity, p, 0);
    for (int i = 0; i < p->count; i++) {
        Tensor *w = p->list[i];
        if (!has_gradient(w)) continue;
        Tensor *velocity = o->momentum != 0 ? params_twin(&o->velocity, i, w) : NULL;
        k_sgd(w->len, w->x, w->g, velocity ? velocity->x : NULL, (real)lr, (real)o->momentum,
              (real)o->weight_decay, (real)grad_scale);
    }
}

void sgd_free(Sgd *o) {
    params_free(&o->velocity);
}

/* ---- Adam ---------------------------------------------------------------------------------- */

/* 1 - beta^step. beta is rounded to `real` first, as the kernel has it: in float 1 - 0.999f
 * differs from 0.001 by 1.3e-5, which would stay in v_hat. */
static real bias_correction(double beta, int64_t step) {
    return (real)(1 - pow((real)beta, (double)step));
}

void adam_step(Adam *o, Params *p, double lr, double grad_scale) {
    if (!(o->eps > 0 && o->beta2 > 0)) die("adam_step: beta2 or eps is 0; ADAM_DEFAULTS sets them");
    params_like(&o->m, p, 0);
    params_like(&o->v, p, 0);
    o->step++;
    AdamStep s = {.lr = (real)lr, .beta1 = (real)o->beta1, .beta2 = (real)o->beta2,
                  .eps = (real)o->eps, .grad_scale = (real)grad_scale,
                  .correct1 = bias_correction(o->beta1, o->step),
                  .correct2 = bias_correction(o->beta2, o->step)};
    for (int i = 0; i < p->count; i++) {
        Tensor *w = p->list[i];
        if (!has_gradient(w)) continue;
        bool decays = w->rank > 1 || !o->decay_matrices_only;
        s.decay = decays ? (real)(lr * o->weight_decay) : 0;
        Tensor *m = params_twin(&o->m, i, w), *v = params_twin(&o->v, i, w);
        k_adam(w->len, w->x, w->g, m->x, v->x, &s);
    }
}

void adam_free(Adam *o) {
    params_free(&o->m);
    params_free(&o->v);
}

/* ---- clipping ------------------------------------------------------------------------------ */

double grad_norm(const Params *p) {
    double sum = 0;
    for (int i = 0; i < p->count; i++) {
        const Tensor *w = p->list[i];
        if (has_gradient(w)) sum += k_sum_squares(w->len, w->g);
    }
    return sqrt(sum);
}

double clip_scale(double norm, double max_norm) {
    if (max_norm == 0) return 1;
    return fmin(1, max_norm / (norm + 1e-6));
}
