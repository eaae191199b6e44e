/* sampler.h — the way back from noise, step by step, over any denoiser.
 *
 *   - p_sample          ancestral sampling (Ho et al. 2020, algorithm 2)
 *   - ddim_sample       with less noise or none (Song, Meng & Ermon 2021, "Denoising Diffusion
 *                       Implicit Models"); ddim_reverse: the other way
 *   - plms_sample       DDIM without noise, and the noise of up to three steps before: steps of
 *                       higher order (Liu et al. 2022, "Pseudo Numerical Methods for Diffusion
 *                       Models on Manifolds"; first step as in LDM)
 *   - Sampler           one of them, with all it needs; sample_step, sample_from, ddim_invert
 *
 *     Sampler m = {.denoiser = &d.denoiser, .schedule = &few, .method = DDIM, .height = 28,
 *                  .width = 28, .channels = 1, .seed = 1};
 *     start_noise(&m, 0, n, x);
 *     sample_from(&m, few.T - 1, 0, n, x);
 *     sampler_free(&m);
 *
 * drawing.h draws many pictures, saves them on the way and shows how far it is. */
#ifndef SAMPLER_H
#define SAMPLER_H

#include "diffusion/denoiser.h"

/* ---- one step, from x_t at index t to x_{t-1} ------------------------------------------------ */

/* Sigma score is added to the mean (Dhariwal & Nichol 2021, algorithm 1) */
void condition_mean(const Prediction *p, real *mean);
/* eps - sqrt(1 - abar) score takes the place of eps, and x0 is what follows (algorithm 2); not
 * clipped again. The prediction then has no score. */
void condition_score(const NoiseSchedule *s, int t, Prediction *p);

/* mean + sigma z, z ~ N(0,I); at t = 0 the mean, and z may be NULL */
void p_sample(const NoiseSchedule *s, int t, const Prediction *p, const real *z, real *x);

/* standard deviation of the noise in a step of DDIM (eq. 16): eta = 1 is ancestral sampling with
 * beta~ */
double ddim_sigma(const NoiseSchedule *s, int t, double eta);
/* The noise that x0 implies is kept, but for as much as sigma z brings (eq. 12). sigma = 0: no z is
 * needed, the same x_T gives the same picture. */
void ddim_sample(const NoiseSchedule *s, int t, double sigma, Prediction *p, const real *z,
                 real *x);
/* from x_t to x_{t+1}, sigma 0 */
void ddim_reverse(const NoiseSchedule *s, int t, Prediction *p, real *x);

/* ---- a whole way ----------------------------------------------------------------------------- */

typedef enum { ANCESTRAL, DDIM, PLMS } SamplingMethod;

enum { PLMS_ORDER = 4 };

/* eps of the steps before, the newest first */
typedef struct {
    Arena arena;
    real *eps[PLMS_ORDER];
    int known;                         /* so many of them */
    int next_t, first, n;              /* the step and pictures they are for */
} PlmsHistory;

typedef struct {
    const Denoiser *denoiser;
    const NoiseSchedule *schedule;     /* the one of training, or some of its steps */
    SamplingMethod method;
    double eta;                        /* of DDIM: noise of its steps */
    double temperature;                /* z is multiplied by it; 0 stands for 1 */
    double start_temperature;          /* so is x_T */
    int height, width, channels;
    uint64_t seed;
    int start_key;                     /* x_T is sampling_noise of this step; 0: X_T */
    Tape tape;                         /* without gradients; used anew at every step */
    PlmsHistory history;               /* of PLMS */
} Sampler;

void   sampler_free(Sampler *m);       /* its tape and history */
size_t sampler_size(const Sampler *m); /* numbers of one picture */

/* x_T of pictures number first ... first + n - 1 */
void start_noise(const Sampler *m, int first, int n, real *x);
/* What the denoiser says of x (n,height,width,channels) at index t, which it may change. Holds
 * until the next call. */
Prediction predict(Sampler *m, int t, int first, int n, real *x);
/* the same, and x goes from index t to t - 1 */
Prediction sample_step(Sampler *m, int t, int first, int n, real *x);
/* the same with given noise z (as x; NULL where the method needs none), for comparisons */
Prediction sample_step_with(Sampler *m, int t, int first, int n, const real *z, real *x);
/* all steps from index t to the picture: from T - 1 if x is noise, from less if x is a picture that
 * q_sample brought to index t */
void sample_from(Sampler *m, int t, int first, int n, real *x);
/* The other way without noise, whatever the method: pictures x become the x_T that DDIM with eta 0
 * leads back to them, nearly. */
void ddim_invert(Sampler *m, int first, int n, real *x);

#endif
