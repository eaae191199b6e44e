/* toy_score.h — what a denoising autoencoder estimates of the density, where the density is known:
 * points in the plane, from a mixture of Gaussians laid along two moons.
 *
 * Corrupt x ~ p by N(0, sigma^2 I); x~ has the density p_sigma, p blurred. The reconstruction with
 * the least squared error is the mean of x given x~, and (Miyasawa 1961, "Tweedie's formula")
 *
 *     r*(x~) = x~ + sigma^2 grad log p_sigma(x~),
 *
 * for any sigma; as sigma falls, p_sigma becomes p, and (r*(x) - x) / sigma^2 the score of the data
 * themselves (Vincent 2011; Alain & Bengio 2014, theorem 1).
 *
 *   - moons_*          the density, its score, samples; sigma blurs it first, 0: as it is
 *   - best_reconstruction   r*, as the mean of x given x~ (no score in it)
 *   - Denoiser         a small network trained to reconstruct, at one sigma
 *   - toy_chain        the Markov chain of Bengio et al. 2013 that samples with it
 *   - toy_langevin     Langevin dynamics with its score (Song & Ermon 2019) */
#ifndef TOY_SCORE_H
#define TOY_SCORE_H

#include "nn/layers.h"
#include "nn/optim.h"

double moons_log_density(double sigma, double x, double y);
void   moons_score(double sigma, double x, double y, double score[2]);   /* grad log p_sigma */
void   moons_draw(int n, Rng *rng, real *points);                        /* of p; (n,2) */
int    moon_of(double x, double y);              /* 0, 1: which moon's share of p is larger here */
void   best_reconstruction(double sigma, double x, double y, double r[2]);

/* r(x~) = x~ + sigma net(x~), net 2-64-64-2. The network computes the difference alone, in units
 * of sigma: (r* - x~)/sigma is at most of the size of N(0,I), for every sigma. */
typedef struct {
    double sigma;
    Linear l[3];
    Params params;
    Adam adam;
    Tape tape;
    Rng rng;
    double residual;       /* root mean square of x - r(x~), each coordinate; running mean */
} Denoiser;

/* in place: tensors point to their Params */
void denoiser_start(Denoiser *d, double sigma, uint64_t seed);
void denoiser_free(Denoiser *d);
/* fresh points, fresh noise, |r(x~) - x|^2 against the clean points; returns the loss / sigma^2 */
double denoiser_step(Denoiser *d, int batch, double lr);
void denoiser_train(Denoiser *d, int steps, int batch, double lr);   /* lr falls to 0 by a cosine */
void denoiser_reconstruct(const Denoiser *d, int n, const real *points, real *r);

/* Relative errors over n points of p_sigma, root mean squares: |s - t| / |t| for
 *   smoothed   (r(x) - x)/sigma^2 against grad log p_sigma, which it is exactly at the optimum
 *   data       the same against grad log p
 *   blur       grad log p_sigma against grad log p: what remains at the optimum
 * The last two are means over points of p itself. */
typedef struct {
    double smoothed, data, blur;
} ScoreError;
ScoreError score_error(const Denoiser *d, int n, Rng *rng);

/* `steps` steps of n chains from `points`: x~ = x + sigma N(0,I), then x = r(x~) + residual N(0,I);
 * with `resample` false the second noise is left out */
void toy_chain(const Denoiser *d, int steps, bool resample, int n, real *points, Rng *rng);

/* `steps` steps of Langevin dynamics on n points: x += eta/2 score + sqrt(eta) N(0,I), the score being
 * (r(x) - x)/sigma^2 and eta = share sigma^2. Algorithm 1 of Song & Ermon 2019 is a sequence of
 * these, with smaller and smaller sigma. */
void toy_langevin(const Denoiser *d, double share, int steps, int n, real *points, Rng *rng);

#endif
