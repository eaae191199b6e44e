/* measures.h — scores of a set of pictures, each from its definition.
 *
 *   - kernel_distance   Binkowski et al. 2018 ("KID"), features against features; 0 is best
 *   - inception_score   Salimans et al. 2016, of class probabilities; 1 to the number of classes
 *   - sharpness         of pixels alone
 *
 * Subsets and splits are drawn at random by `seed`, since samples often come sorted by class. */
#ifndef MEASURES_H
#define MEASURES_H

#include "kernels/kernels.h"

/* mean over several subsets, and the standard deviation from one subset to another */
typedef struct {
    double mean, deviation;
} Estimate;

/* Squared maximum mean discrepancy of x (n,d) and y (m,d) with k(a,b) = (a b / d + 1)^3, unbiased
 * (Gretton et al. 2012, eq. 3): it is zero on average, and sometimes negative, when both are from
 * one distribution, whatever n and m are. */
double squared_discrepancy(int d, int n, const real *x, int m, const real *y);
/* its mean over `subsets` pairs of subsets of `size` vectors each, drawn without replacement */
Estimate kernel_distance(int d, int n, const real *x, int m, const real *y, int subsets, int size,
                         uint64_t seed);

/* exp of the mean over pictures of KL(p(class|picture) || p(class)), in each of `splits` parts;
 * probabilities (n,classes) */
Estimate inception_score(int n, int classes, const real *probabilities, int splits, uint64_t seed);

/* Mean over grey pictures (n,h,w) of the root mean square of the Laplacian, the difference between
 * four times a pixel and its four neighbours. Blur lowers it, noise raises it: right is what real
 * pictures have. */
double sharpness(int n, int h, int w, const real *x);

#endif
