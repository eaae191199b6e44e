/* ema.c — an exponential moving average of the weights, for sampling. */
#include "nn/optim.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

/* Before the first update the averages are the weights. */
static void begin(Ema *e, const Params *p) {
    if (e->step > 0) return;
    params_like(&e->average, p, 0);
    params_copy(&e->average, p);
}

/* The ramp of the decay is that of TensorFlow's ExponentialMovingAverage(num_updates) and of latent
 * diffusion's LitEma. */
void ema_update(Ema *e, const Params *p) {
    begin(e, p);
    double d = fmin(e->decay, (1.0 + (double)e->step) / (10.0 + (double)e->step));
    e->step++;
    for (int i = 0; i < p->count; i++) {
        const Tensor *w = p->list[i];
        Tensor *average = params_twin(&e->average, i, w);
        if (!average->x) continue;              /* another process keeps it */
        if (w->is_buffer) memcpy(average->x, w->x, w->len * sizeof *w->x);
        else k_lerp(w->len, (real)(1 - d), w->x, average->x);
    }
}

void ema_swap(Ema *e, Params *p) {
    begin(e, p);
    for (int i = 0; i < p->count; i++) {
        Tensor *average = params_twin(&e->average, i, p->list[i]);
        real *x = p->list[i]->x;
        if (!average->x) die("ema_swap: another process has the average of %s", average->name);
        p->list[i]->x = average->x;
        average->x = x;
    }
}

void ema_free(Ema *e) {
    params_free(&e->average);
}
