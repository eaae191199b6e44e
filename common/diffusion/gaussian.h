/* gaussian.h — what follows for pictures from a noise schedule: the normal distributions of the
 * forward process, of its posterior and of the way back.
 *
 * Ho, Jain & Abbeel 2020, "Denoising Diffusion Probabilistic Models" (equation numbers are theirs,
 * unless said otherwise).
 *
 *   - q_sample, posterior_mean               the forward process: q(x_t|x0), q(x_{t-1}|x_t,x0)
 *   - x0_from_noise, noise_from_x0, ...      given x_t, each of eps, x0, mu~ gives the others
 *   - fixed_log_variance, learned_log_variance      of p(x_{t-1}|x_t)
 *   - p_mean_variance                        p(x_{t-1}|x_t), as a network has it
 *   - prior_term, bound_term                 the likelihood's bound, term by term
 *
 * Arrays hold n numbers: of one picture or of several at the same index t. Computed in double. */
#ifndef GAUSSIAN_H
#define GAUSSIAN_H

#include "diffusion/noise_schedule.h"
#include "tensor/tensor.h"

/* y = a u + b v; y may be one of the others */
void combine(size_t n, double a, const real *u, double b, const real *v, real *y);

/* ---- forward --------------------------------------------------------------------------------- */

/* q(x_t|x0) = N(sqrt(abar) x0, (1 - abar) I): eps ~ N(0,I) gives x_t (eq. 4) */
void q_sample(const NoiseSchedule *s, int t, size_t n, const real *x0, const real *eps, real *xt);
/* mu~, the mean of q(x_{t-1}|x_t,x0) (eq. 7); `mean` may be one of the others */
void posterior_mean(const NoiseSchedule *s, int t, size_t n, const real *x0, const real *xt,
                    real *mean);

/* ---- what a network predicts: eps; x0; mu~ (section 3.2); the velocity -------------------------
 * sqrt(abar) eps - sqrt(1 - abar) x0 (Salimans & Ho 2022, "Progressive Distillation for Fast
 * Sampling of Diffusion Models", appendix D), which is nearly eps where there is little noise and
 * -x0 where there is little else. An error of it is as large in x0 or smaller; one of eps is
 * multiplied by sqrt((1 - abar) / abar), forty at t = 984 of 1000 of the cosine schedule. */

typedef enum { PREDICT_NOISE, PREDICT_X0, PREDICT_MEAN, PREDICT_VELOCITY } PredictionType;

/* the result may be one of the others */
void x0_from_noise(const NoiseSchedule *s, int t, size_t n, const real *xt, const real *eps,
                   real *x0);
void noise_from_x0(const NoiseSchedule *s, int t, size_t n, const real *xt, const real *x0,
                   real *eps);
void x0_from_mean(const NoiseSchedule *s, int t, size_t n, const real *xt, const real *mean,
                  real *x0);
void x0_from_velocity(const NoiseSchedule *s, int t, size_t n, const real *xt,
                      const real *velocity, real *x0);
/* from whichever of the four `output` is; not clipped */
void x0_from_output(const NoiseSchedule *s, PredictionType p, int t, size_t n, const real *xt,
                    const real *output, real *x0);

/* ---- the variance of p(x_{t-1}|x_t) ------------------------------------------------------------
 * beta~ is right if all data were one picture, beta if they were N(0,I) (section 3.2); what lies
 * between can be learned (Nichol & Dhariwal 2021, section 3.1). */
typedef enum { FIXED_SMALL, FIXED_LARGE, LEARNED_RANGE } Variance;

/* log beta~, or for FIXED_LARGE log beta; at t = 0, where beta~ is 0, both take beta~ of t = 1 */
double fixed_log_variance(const NoiseSchedule *s, Variance v, int t);
/* between log beta~ (v = -1) and log beta (v = 1), on a line through both (Nichol & Dhariwal 2021,
 * eq. 15); at t = 0 beta~ of t = 1 */
void learned_log_variance(const NoiseSchedule *s, int t, size_t n, const real *v,
                          real *log_variance);

/* ---- p(x_{t-1}|x_t) -------------------------------------------------------------------------- */

/* of n numbers: the posterior's mean at x0, and this variance */
typedef struct {
    size_t n;
    real *x0;                       /* the picture that is predicted */
    real *log_variance;             /* of each number; NULL: fixed_log_variance is that of all */
    double fixed_log_variance;
    real *score;                    /* guidance: added to the gradient of log p(x_t); or NULL */
} Prediction;

/* what a network's output says */
typedef struct {
    PredictionType predicts;
    Variance variance;
} Parameterization;

/* From the output for xt (n,H,W,C), all pictures at index t: (n,H,W,C), or [prediction | v] at each
 * pixel (n,H,W,2C), which LEARNED_RANGE needs. x0 is not clipped. On the tensors' tape. */
Prediction p_mean_variance(const NoiseSchedule *s, Parameterization p, int t, Tensor *xt,
                           Tensor *output);

/* ---- normal distributions -------------------------------------------------------------------- */

/* KL between two normals given by mean and log variance, nats */
double normal_kl(double mean1, double log_variance1, double mean2, double log_variance2);
/* log of the probability that N(mean, exp(log_scale)^2) gives to the byte that x in [-1,1] stands
 * for: its bin is x +- 1/255, open at both ends of the scale (eq. 13) */
double discretized_log_likelihood(double x, double mean, double log_scale);

/* ---- the bound: -log p(x0) <= L_T + sum over t of L_t (eq. 5) ----------------------------------
 * Nats, summed over the n numbers; bits_per_dimension of eval/likelihood.h turns them into bits. */

/* L_T: what the end of the chain still says of the picture */
double prior_term(const NoiseSchedule *s, size_t n, const real *x0);
/* L_t for t > 0: KL(q(x_{t-1}|x_t,x0) || p(x_{t-1}|x_t)); at t = 0 -log p(x0|x_1). The score is
 * left out. */
double bound_term(const NoiseSchedule *s, int t, const real *x0, const real *xt,
                  const Prediction *p);

#endif
