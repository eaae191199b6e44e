/* gradients.h — two estimates of the gradient of E_q(z|x) log p(x|z) with respect to mu, and how far
 * single samples of them are from their mean.
 *
 *   reparameterised   d log p(x|z) / dz, z = mu + sigma eps                       (dz/dmu = 1)
 *   score function    log p(x|z) d log q(z|x) / dmu = log p(x|z) (z - mu)/sigma^2
 *   with baseline     the same with log p(x|z) less its mean over the samples */
#ifndef GRADIENTS_H
#define GRADIENTS_H

#include "../vae.h"

typedef enum { REPARAMETERISED, SCORE_FUNCTION, WITH_BASELINE, ESTIMATORS } Estimator;

/* Of one image x with posterior mu, logvar (code each) and K samples: each estimator's variance
 * summed over the dimensions of mu. label as in decode. */
void gradient_variances(const Vae *v, const real *x, const int *label, const real *mu,
                        const real *logvar, int K, Rng *rng, double variance[ESTIMATORS]);

/* FOLDER/gradients.csv: estimator, variance; means over n images x and their posteriors */
void save_gradients(const char *folder, const Vae *v, int n, const real *x, const int *labels,
                    bool quiet);

#endif
