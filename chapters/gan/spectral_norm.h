/* spectral_norm.h — a weight divided by its largest singular value (Miyato et al. 2018, alg. 1).
 *
 * A linear map stretches no vector by more than its largest singular value sigma, so a network of
 * layers W / sigma(W) and activations of slope at most 1 cannot change faster than its input does:
 * a discriminator that is 1-Lipschitz always has a slope for the generator to climb. */
#ifndef SPECTRAL_NORM_H
#define SPECTRAL_NORM_H

#include "tensor/tensor.h"

typedef struct {
    Tensor *w;      /* any weight of the library: outputs last, all other axes are its inputs */
    Tensor *u;      /* (out), a buffer: the left singular vector, as far as it is known */
} SpectralNorm;

/* u starts as a random direction; its name is s.path + ".u" */
SpectralNorm spectral_norm_new(Scope s, Tensor *w);

/* W / sigma on the tape t, sigma = u^T W v. In training u moves by one power iteration, so sigma
 * lags behind a weight that changes, and is exact for one that stays. The gradient takes u and v
 * for constants, which is the true one where they are singular vectors. */
Tensor *spectral_norm(const SpectralNorm *n, Tape *t, bool training);

/* u^T W v as it stands, without moving u */
double spectral_sigma(const SpectralNorm *n);

#endif
