/* network.h — the formulas of iddpm.h with a network in them: a batch's losses, the reverse
 * process.
 *
 *   - network_losses            for training
 *   - network_bound             for validation
 *   - predict, sample_step      p(x_{t-1}|x_t) as the network has it; a step back
 *   - sampling_noise            of which picture, at which step */
#ifndef NETWORK_H
#define NETWORK_H

#include "iddpm.h"

/* Losses of x0 (B,H,W,C) at times t (B), with fresh noise. label (B), or NULL without classes. */
Losses network_losses(const Model *net, const Diffusion *d, Objective o, Variance v, Tensor *x0,
                      const int *label, const int *t, Rng *noise);

/* The bound's term of each picture, bits (B), in bits per dimension. The predicted x0 is clipped,
 * as when pictures are drawn, and not in the losses: the last steps of a cosine chain multiply an
 * error of eps by thousands. */
void network_bound(const Model *net, const Diffusion *d, Variance v, Tensor *x0, const int *label,
                   const int *t, Rng *noise, double *bits);

typedef struct {
    const Model *net;
    const Diffusion *chain;     /* the one it was trained with, or some of that one's steps */
    Variance variance;
    bool ddim;
    double eta;                 /* of DDIM */
    int side;                   /* of the pictures */
    uint64_t seed;
    Tape tape;                  /* .no_grad = true; used anew at every step; to be freed */
} Sampler;

/* p(x_{t-1}|x_t) of n pictures x (n,side,side,C) at index t, the predicted x0 clipped. label (n),
 * or NULL without classes. Holds until the next call. */
Reverse predict(Sampler *m, int t, int n, const real *x, const int *label);

/* The noise of picture `number` at a step of the original chain, or, with `step` X_T, what it
 * starts from: a function of these and the seed alone, so that a picture does not depend on those
 * made beside it, and other steps and samplers start from the same noise. */
enum { X_T = 65535 };
void sampling_noise(uint64_t seed, int number, int step, size_t n, real *z);

/* n pictures, the first of them number `first`, from index t to t - 1; gives what predict did */
Reverse sample_step(Sampler *m, int t, int first, int n, const int *label, real *x);

#endif
