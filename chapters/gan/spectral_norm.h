/* spectral_norm.h — a weight divided by its largest singular value (Miyato et al. 2018, alg. 1).
 *
 * sigma is that of the weight taken as a matrix with one row for each output channel. For a linear
 * layer it is the largest factor by which an input is stretched. A convolution of k x k kernels and
 * stride s can still stretch by up to k / s: where kernels overlap, an input is used several times.
 * So the slope of a discriminator of such layers is bounded by the product of these factors, not
 * by 1.
 */
#ifndef SPECTRAL_NORM_H
#define SPECTRAL_NORM_H

#include "tensor/tensor.h"

typedef struct {
    Tensor *w;      /* any weight of the library: outputs last, all other axes are its inputs */
    Tensor *u;      /* (out), a buffer: the estimate of the left singular vector */
} SpectralNorm;

/* u starts as a random direction; its name is s.path + ".u" */
SpectralNorm spectral_norm_new(Scope s, Tensor *w);

/* W / sigma on the tape t, sigma = u^T W v. In training u moves by one power iteration, so sigma
 * lags behind a weight that changes, and converges for one that does not. The gradient takes u and
 * v for constants; where they are singular vectors, that is the exact gradient. */
Tensor *spectral_norm(const SpectralNorm *n, Tape *t, bool training);

/* u^T W v as it stands, without moving u */
double spectral_sigma(const SpectralNorm *n);

#endif
