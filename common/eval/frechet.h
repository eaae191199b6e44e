/* frechet.h — the Frechet distance between two sets of features (Heusel et al. 2017, section 3,
 * the "FID" with any features): both are taken for Gaussians, and
 *
 *     d^2 = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2).
 *
 * All in double. The root of the product is computed as the eigenvalues of the symmetric matrix
 * S1^1/2 S2 S1^1/2, which has the same trace: S1 S2 itself is not symmetric, and general matrix
 * roots of it come out complex or NaN when a covariance is singular, as those of few or collapsed
 * samples are.
 *
 * Biased: two sets from one distribution are at a distance that falls about as 1/n (Chong &
 * Forsyth 2020). Compare distances at the same n only. */
#ifndef FRECHET_H
#define FRECHET_H

#include "tensor/tensor.h"

typedef struct {
    int n, d;                    /* what it was fitted to */
    double *mean, *covariance;   /* (d), (d,d); unbiased, divided by n-1 */
} Gaussian;

/* x (n,d), n >= 2; mean first, then the products of differences to it; memory from the arena */
Gaussian gaussian_fit(Arena *arena, int n, int d, const real *x);
double gaussian_trace(const Gaussian *g);                        /* tr S */
double frechet_distance(const Gaussian *a, const Gaussian *b);   /* d^2 >= 0 */

#endif
