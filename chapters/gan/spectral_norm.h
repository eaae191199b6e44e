/* spectral_norm.h — a weight divided by its largest singular value (Miyato et al. 2018, alg. 1).
 *
 * sigma is that of the weight as a matrix, a row for each output channel. For a linear layer it is
 * the largest factor by which an input is stretched. A convolution of k x k kernels and stride s can
 * still stretch by k / s: where kernels overlap, an input is used several times. So the slope of a
 * discriminator of such layers is bounded, by the product of these factors, but not by 1.
 */
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
