/* bound.h — how likely images are: the bound's terms at every step of a chain (bound_term in
 * gaussian.h), estimated with one draw of noise each. */
#ifndef BOUND_H
#define BOUND_H

#include "diffusion/sampler.h"

/* of one prediction: under the denoiser's own variance, beta~, beta */
enum { BOUND_MODEL, BOUND_SMALL, BOUND_LARGE, BOUND_VARIANCES };

/* means over the images, bits per dimension */
typedef struct {
    double bits[BOUND_VARIANCES];
    double x0_mse;                      /* squared error of the predicted x0 */
} BoundTerm;

typedef struct {
    double bits[BOUND_VARIANCES];       /* the sum of all terms, L_T among them */
    double prior;                       /* L_T */
} Bound;

/* of n images x0 (n,height,width,channels), numbers 0, 1, ... for the denoiser; their noise is that
 * of m->seed + 1. Fills term (T), L_t at index t; shows progress unless `quiet`. */
Bound evaluate_bound(Sampler *m, int n, const real *x0, bool quiet, BoundTerm *term);

/* rows t,model,small,large,start_mse, the last term first; or without the column `model` */
void bound_save(const char *path, const NoiseSchedule *s, const BoundTerm *term, bool model);

#endif
