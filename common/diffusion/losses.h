/* losses.h — what diffusion networks are trained on, on tensors: a chapter noises its pictures,
 * runs its own network, and hands the output to a loss.
 *
 *     NoisyImages b = noisy_images(&schedule, x0, t, &noise);
 *     Tensor *output = unet(&net, b.xt, time_embedding(..., b.time, ...));
 *     Tensor *loss = t_mse(output, training_target(&b, PREDICT_NOISE));      L_simple
 *
 * Ho, Jain & Abbeel 2020, eq. 14; Nichol & Dhariwal 2021, "Improved Denoising Diffusion
 * Probabilistic Models", section 3 (equation numbers of hybrid and vlb are theirs). */
#ifndef LOSSES_H
#define LOSSES_H

#include "diffusion/gaussian.h"
#include "tensor/tensor.h"

/* a batch, each picture at an index of its own, on x0's tape */
typedef struct {
    const NoiseSchedule *schedule;
    const int *t;               /* (B) */
    const double *time;         /* (B) schedule->time[t], which the network is given */
    Tensor *x0, *eps, *xt;      /* (B,H,W,C) */
} NoisyImages;

/* eps from N(0,I), xt = q_sample(x0, eps). t must stay as long as the result is used. */
NoisyImages noisy_images(const NoiseSchedule *s, Tensor *x0, const int *t, Rng *noise);

/* what the output should be: eps, x0, the velocity or the posterior's mean, (B,H,W,C) */
Tensor *training_target(const NoisyImages *b, PredictionType p);
/* mean squared error of each picture (B), for the log */
void squared_errors(const Tensor *output, const Tensor *target, double *error);

/* one number of a table for each picture: (B,1,1,1) */
Tensor *extract(Tape *tape, const double *table, int B, const int *t);

/* SIMPLE: mean squared error. HYBRID: SIMPLE + T/1000 of the bound's term, of which no gradient
 * passes through the prediction (eq. 16, lambda = 0.001). VLB: T times the term, whose mean over t
 * is the bound. */
typedef enum { SIMPLE, HYBRID, VLB } Objective;

typedef struct {
    Tensor *each;               /* (B,1): what is minimised */
    Tensor *mse;                /* (B,1): of the prediction, also where it is not minimised */
    Tensor *bits;               /* (B,1): the bound's term in bits per dimension, before any factor;
                                   NULL with SIMPLE */
} Losses;

/* output (B,H,W,C) or (B,H,W,2C), see p_mean_variance */
Losses training_losses(const NoisyImages *b, Objective o, Parameterization p, Tensor *output);

/* The same losses with the squared errors weighted by (k + SNR)^-1/2,
 * SNR = alpha_bar/(1 - alpha_bar) (Choi et al. 2022, "Perception Prioritized Training of Diffusion
 * Models", eq. 8 with gamma = 1/2). An error of eps is smallest where there is much noise and an
 * image's content is decided: with equal weights little of the gradient is about that, and with
 * gamma = 1 little is about the last steps, so samples stay noisy. mse stays as it is. */
Losses prioritized(const NoisyImages *b, double k, Losses l);

/* The bound's term of each picture, bits (B) per dimension, for validation: without gradients, and
 * with the predicted x0 clipped as when pictures are drawn. In the losses it is not: the last steps
 * of a cosine schedule multiply an error of eps by thousands. */
void clipped_bound(const NoisyImages *b, Parameterization p, Tensor *output, double *bits);

#endif
