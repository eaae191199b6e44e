/* parzen.h — the likelihood estimate of Goodfellow et al. 2014, section 5: a Gaussian of width
 * sigma is put on each of m samples, and held-out images are scored under the mixture.
 *
 *     log p(x) = log 1/m sum_j exp(-|x - x_j|^2 / 2 sigma^2) - d/2 log(2 pi sigma^2)
 *
 * It is here because it was the paper's number. It says little: in 784 dimensions no sample is near
 * any image, the estimate is far from the true likelihood even with millions of samples, and a
 * model that copies cluster centres beats one that is right (Theis et al. 2016, section 3.2). */
#ifndef PARZEN_H
#define PARZEN_H

#include "data/fashion.h"
#include "io/json.h"

typedef struct {
    double sigma;                /* of ten widths from 0.1 to 1 the best on the validation set */
    double mean, standard_error; /* nats per test image */
} Parzen;

/* samples (m,d), validation (nv,d), test (nt,d) */
Parzen parzen_estimate(int d, int m, const real *samples, int nv, const real *validation, int nt,
                       const real *test);

/* log p of each of x (n,d), for each of `widths` widths: (n,widths) */
void parzen_log_likelihood(int d, int m, const real *samples, int n, const real *x, int widths,
                           const double *sigma, double *log_p);

/* the estimate for n generated images against the data's: printed unless quiet, added to metrics */
void report_parzen(const Fashion *data, int n, const real *samples, bool quiet, cJSON *metrics);

#endif
