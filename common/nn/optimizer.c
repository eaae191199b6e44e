#include "nn/optimizer.h"

void optimizer_step(Optimizer *o, double lr) {
    double batches = 1, norm = 0;
    if (sum_wanted(&o->sum)) {
        if (!sum_add(&o->sum, o->params)) return;
        batches = o->sum.micro->count;
    }
    if (o->clip > 0) norm = batches > 1 ? sum_norm(&o->sum, o->params) : grad_norm(o->params);
    double scale = (o->clip > 0 ? clip_scale(norm / batches, o->clip) : 1) / batches;
    if (o->plain) sgd_step(&o->sgd, o->params, lr, scale);
    else adam_step(&o->adam, o->params, lr, scale);
    if (batches > 1) sum_end(&o->sum, o->params);
    if (o->ema) ema_update(o->ema, o->params);
    params_zero_grad(o->params);
}

void last_backward(Optimizer *o, Tensor *loss) {
    if (sum_wanted(&o->sum)) sum_backward(&o->sum, o->params, loss);
    else backward(loss);
}

void minimise(Optimizer *o, Tensor *loss, double lr) {
    last_backward(o, loss);
    optimizer_step(o, lr);
}
