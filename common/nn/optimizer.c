#include "nn/optimizer.h"

void optimizer_step(Optimizer *o, double lr) {
    double scale = o->clip > 0 ? clip_scale(grad_norm(o->params), o->clip) : 1;
    if (o->plain) sgd_step(&o->sgd, o->params, lr, scale);
    else adam_step(&o->adam, o->params, lr, scale);
    if (o->ema) ema_update(o->ema, o->params);
    params_zero_grad(o->params);
}

void minimise(Optimizer *o, Tensor *loss, double lr) {
    backward(loss);
    optimizer_step(o, lr);
}
