/* ddpm.h — denoising diffusion: noise is added to a picture step by step until nothing else is
 * left; a network learns to go back.
 *
 * Ho, Jain & Abbeel 2020, "Denoising Diffusion Probabilistic Models" (equation numbers are theirs).
 * Index t = 0..T-1 here is the paper's t + 1: x at index 0 has had one step of noise, and what goes
 * before it is the picture x0. Pixels are in [-1,1].
 *
 * Interface:
 *   - unet_config, model_new, model_output     the paper's networks and ours, by name
 *   - schedule_linear, schedule_strided        beta and all that follows from it, in double
 *   - q_sample, posterior_mean                 the forward process: q(x_t|x0), q(x_{t-1}|x_t,x0)
 *   - predicted_start, training_target         three things a network can predict
 *   - simple_loss                              what is minimised
 *   - reverse_log_variance, p_sample           the reverse process
 *   - bound_term, prior_term                   the likelihood's bound, term by term
 *   - predict, sample_step                     the reverse process, with a network
 *   - interpolate                              between two pictures, by way of noise
 *
 * Functions of "n numbers" take those of one picture or of several at the same t. */
#ifndef DDPM_H
#define DDPM_H

#include "eval/likelihood.h"
#include "nn/unet.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, TIMESTEPS = 1000 };

/* eps_theta(x_t, t), or whatever it is trained to predict */
typedef struct {
    TimeEmbedding time;
    UNet unet;
} Model;

UNetConfig unet_config(const char *config);      /* "default", "bench", "cifar10", "lsun256" */
Model model_new(Params *p, UNetConfig c);
/* xt (B,H,W,C), time (B): of steps as in training -> (B,H,W,C) */
Tensor *model_output(const Model *m, Tensor *xt, const double *time);

/* ---- the noise schedule ------------------------------------------------------------------------
 * Products of a thousand factors near 1: float would lose the first digits that matter. */
typedef struct {
    int T;
    double *beta;               /* variance of the noise that step t adds */
    double *alpha_bar;          /* prod of (1 - beta): how much of x0's variance is left in x_t */
    double *alpha_bar_before;   /* the same one step earlier; 1 at t = 0 */
    double *mean_coef_x0, *mean_coef_xt;   /* posterior mean = mean_coef_x0 x0 + mean_coef_xt x_t */
    double *posterior_variance;            /* beta~, 0 at t = 0 */
    double *time;               /* what the network is told: t, or in a strided schedule the t of
                                   the schedule it was trained with */
    double *memory;             /* of all of these */
} Schedule;

/* beta from `first` to `last` in equal steps; the paper: 1e-4 to 0.02 in 1000 */
Schedule schedule_linear(int T, double first, double last);
/* n of s's steps, the first and the last among them, as a schedule of its own: for sampling in
 * fewer steps (Nichol & Dhariwal 2021, section 4). n = 1: the last. */
Schedule schedule_strided(const Schedule *s, int n);
void     schedule_free(Schedule *s);

/* ---- forward --------------------------------------------------------------------------------- */

/* q(x_t|x0) = N(sqrt(abar) x0, (1 - abar) I): eps ~ N(0,I) gives x_t (eq. 4) */
void q_sample(const Schedule *s, int t, size_t n, const real *x0, const real *eps, real *xt);
/* mu~, the mean of q(x_{t-1}|x_t,x0) (eq. 7); `mean` may be xt or x0 */
void posterior_mean(const Schedule *s, int t, size_t n, const real *x0, const real *xt, real *mean);

/* ---- what the network predicts -----------------------------------------------------------------
 * Given x_t, each of the three gives the other two (section 3.2). */
typedef enum { NOISE, START, MEAN } Prediction;     /* eps; x0; mu~ */
Prediction prediction_named(const char *name);      /* "noise", "start", "mean" */

void start_from_noise(const Schedule *s, int t, size_t n, const real *xt, const real *eps,
                      real *x0);
void noise_from_start(const Schedule *s, int t, size_t n, const real *xt, const real *x0,
                      real *eps);
void start_from_mean(const Schedule *s, int t, size_t n, const real *xt, const real *mean,
                     real *x0);

/* x0 as the answer says; not clipped */
void predicted_start(const Schedule *s, Prediction p, int t, size_t n, const real *xt,
                     const real *answer, real *x0);
/* what the answer should be */
void training_target(const Schedule *s, Prediction p, int t, size_t n, const real *x0,
                     const real *eps, const real *xt, real *target);

/* L_simple (eq. 14): mean squared error of the answer, at a time of its own for each picture. x0
 * (B,H,W,C), t (B). error (B), unless NULL: each picture's part, mean over its pixels. */
Tensor *simple_loss(const Model *net, const Schedule *s, Prediction p, Tensor *x0, const int *t,
                    Rng *noise, double *error);

/* ---- reverse --------------------------------------------------------------------------------- */

/* sigma_t^2 of p(x_{t-1}|x_t): beta~ is right if all data were one picture, beta if they were
 * N(0,I) (section 3.2) */
typedef enum { FIXED_SMALL, FIXED_LARGE } Variance;
Variance variance_named(const char *name);          /* "small", "large" */
/* log sigma_t^2. beta~ is 0 at t = 0, where both take what beta~ is at t = 1. */
double   reverse_log_variance(const Schedule *s, Variance v, int t);

void clip(size_t n, real *x);                       /* to [-1,1] */
/* Algorithm 2, lines 3 and 4: x_t becomes x_{t-1}, given the predicted x0 and z ~ N(0,I); at t = 0
 * the mean itself, without noise */
void p_sample(const Schedule *s, Variance v, int t, size_t n, const real *x0, const real *z,
              real *x);

/* ---- the bound ---------------------------------------------------------------------------------
 * -log p(x0) <= L_T + sum over t of L_t (eq. 5). All in nats, summed over the n numbers of a
 * picture; bits_per_dimension of eval/likelihood.h turns them into bits. */

/* L_T: what the end of the chain still says of the picture */
double prior_term(const Schedule *s, size_t n, const real *x0);
/* L_t for t > 0: KL(q(x_{t-1}|x_t,x0) || p(x_{t-1}|x_t)); at t = 0 -log p(x0|x_1). `start`: the x0
 * that was predicted from xt. */
double bound_term(const Schedule *s, Variance v, int t, size_t n, const real *x0, const real *xt,
                  const real *start);

/* ---- with a network -------------------------------------------------------------------------- */

/* What draws pictures. Its schedule may be a strided one of that the network was trained with. */
typedef struct {
    const Model *net;
    const Schedule *schedule;
    Prediction prediction;
    Variance variance;
    int side;                   /* of the pictures */
    uint64_t seed;
    Tape tape;                  /* .no_grad = true; used anew at every step; to be freed */
} Sampler;

/* the x0 that n pictures x (n,side,side,C) at index t are predicted to come from, clipped */
void predict(Sampler *m, int t, int n, const real *x, real *x0);

/* the noise of picture `number` at one step, or its x_T (step T): a function of these and the seed
 * alone, so that a picture does not depend on those made beside it */
void sampling_noise(uint64_t seed, int number, int step, size_t n, real *z);

/* n pictures, the first of them number `first`, from index t to t - 1; x0 (n,side,side,C): what
 * they were predicted to become */
void sample_step(Sampler *m, int t, int first, int n, real *x, real *x0);

/* Between n pictures a and n others b (section 4.4): both are brought to index t with noise of
 * their own, (1 - lambda) a_t + lambda b_t goes the way back and is y. All noise depends on the
 * seed and the picture's place alone: y moves with lambda, and with nothing else.
 * x0 (n,side,side,C): space. */
void interpolate(Sampler *m, int t, int n, const real *a, const real *b, double lambda, real *y,
                 real *x0);

#endif
