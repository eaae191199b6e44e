/* optim.h — optimisers, clipping, learning-rate schedules and averaged weights.
 *
 * Moments and averages are Params of their own with the weights' names, made at the first
 * step, so that a checkpoint is a list of Params (reading one makes them: `.like` in
 * train/checkpoint.h). One optimiser serves one Params.
 *
 *     Params params = {.seed = 1};
 *     Adam adam = {ADAM_DEFAULTS};
 *     Ema ema = {.decay = 0.9999};
 *     ...
 *     backward(loss);
 *     double norm = grad_norm(&params);
 *     adam_step(&adam, &params, 2e-4 * lr_warmup(step, 5000), clip_scale(norm, 1));
 *     ema_update(&ema, &params); */
#ifndef OPTIM_H
#define OPTIM_H

#include "tensor/tensor.h"

/* ---- optimisers (optim.c) -------------------------------------------------------------------
 * Gradients are multiplied by grad_scale before use: 1, or what clip_scale says. Parameters
 * without a gradient in this step (frozen, or not used) are left alone, moments and weight
 * decay included. */

/* v = momentum v + g + weight_decay w;  w -= lr v. With momentum 0 no velocity is kept. */
typedef struct {
    double momentum, weight_decay;
    Params velocity;
} Sgd;
void sgd_step(Sgd *o, Params *p, double lr, double grad_scale);
void sgd_free(Sgd *o);

/* Adam (Kingma & Ba 2015, algorithm 1): eps is added to sqrt(v_hat). AdamW (Loshchilov &
 * Hutter 2019, algorithm 2): with weight_decay w shrinks by lr * weight_decay first, and
 * decay_matrices_only spares tensors of rank 1: biases, gains and shifts. */
typedef struct {
    double beta1, beta2, eps, weight_decay;
    bool decay_matrices_only;
    int64_t step;            /* steps taken */
    Params m, v;
} Adam;
#define ADAM_DEFAULTS .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8
void adam_step(Adam *o, Params *p, double lr, double grad_scale);
void adam_free(Adam *o);

double grad_norm(const Params *p);    /* sqrt(sum g^2) over the parameters that have a gradient */
/* The grad_scale that brings a gradient of this norm to at most max_norm; 1 when max_norm is 0 (no
 * clipping). As torch.nn.utils.clip_grad_norm_: min(1, max_norm / (norm + 1e-6)). */
double clip_scale(double norm, double max_norm);

/* ---- schedules (learning_rate.c) -----------------------------------------------------------------
 * Factors in (0,1] of the learning rate at step 0, 1, ..., total-1. After the warm-up they
 * begin at 1, and would reach 0 at step `total`. A warm-up of 0 steps is none. */
double lr_warmup(int64_t step, int64_t warmup);                 /* (step+1)/warmup, then 1 */
double lr_cosine(int64_t step, int64_t warmup, int64_t total);  /* ..., then half a cosine to 0 */
double lr_linear(int64_t step, int64_t warmup, int64_t total);  /* ..., then straight to 0 */
double lr_cooldown(int64_t step, int64_t warmup, int64_t total);
                                        /* as lr_warmup, the last fifth of the steps straight to 0 */

/* ---- averaged weights (ema.c) ---------------------------------------------------------------
 * avg += (1-d) (w - avg), d = min(decay, (1+step)/(10+step)): a constant 0.9999 would still
 * hold the untrained weights after thousands of steps. The first update copies the weights.
 * Buffers (running statistics, tables) are copied every time: their average would mean
 * nothing. */
typedef struct {
    double decay;
    int64_t step;            /* updates made */
    Params average;
} Ema;
void ema_update(Ema *e, const Params *p);
/* Exchanges weights and averages: once before sampling with the averages, once again after it. All
 * averages must be here (train/divided.h). */
void ema_swap(Ema *e, Params *p);
void ema_free(Ema *e);

/* ---- what is kept for each parameter (twins.c) --------------------------------------------- */

/* Makes `like`'s tensors in `p`, with the same names, shapes and order, all `value`, unless
 * they are there already. A buffer's twin is a buffer. Those of parameters that another process
 * steps have no values here. */
void params_like(Params *p, const Params *like, double value);
/* The tensor of `p` with w's name; i, w's place in its own list, is where it is looked for
 * first. */
Tensor *params_twin(const Params *p, int i, const Tensor *w);

#endif
