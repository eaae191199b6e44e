/* iddpm.h — denoising diffusion, improved: a variance that is learned, a schedule that loses the
 * picture more slowly, a loss that is the likelihood's bound, and sampling in fewer steps.
 *
 * Nichol & Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models" (equation numbers are
 * theirs); Song, Meng & Ermon 2020, "Denoising Diffusion Implicit Models", for ddim_sample. Index
 * t = 0..T-1 is the papers' t + 1. Pixels are in [-1,1].
 *
 * The network's answer has twice the channels of a picture: [eps | v] at each pixel.
 *
 * Interface:
 *   - model_config, model_new, model_output           the paper's networks and ours, by name
 *   - diffusion_linear, diffusion_cosine              beta and all that follows from it, in double
 *   - space_timesteps, diffusion_respaced             a chain of some of another one's steps
 *   - q_sample, posterior_mean, start_from_noise, noise_from_start
 *   - p_mean_variance, p_sample                       the reverse process
 *   - ddim_sample, ddim_reverse                       the same without, or with less, noise
 *   - training_losses                                 L_simple, L_hybrid, L_vlb, for each picture
 *   - prior_term, bound_term                          the bound, term by term
 *   - LossSampler                                     timesteps drawn by how much they matter
 *   - even_timesteps, early_timesteps                 for validation
 *   - gradient_noise                                  how noisy gradients are
 *
 * Functions of "n numbers" take those of one picture or of several at the same t. */
#ifndef IDDPM_H
#define IDDPM_H

#include "eval/likelihood.h"
#include "nn/unet.h"

/* The network: x_t, its time and its class, if there are classes, in; [eps | v] out */
typedef struct {
    UNetConfig unet;
    int classes;                /* 0: none */
} ModelConfig;

typedef struct {
    TimeEmbedding time;
    Embedding class;
    UNet unet;
} Model;

/* "default", "cifar10", "imagenet64", "imagenet64-cond", "lsun" */
ModelConfig model_config(const char *config);
Model model_new(Params *p, ModelConfig c);
/* xt (B,H,W,C), time (B), label (B), NULL without classes -> (B,H,W,2C) */
Tensor *model_output(const Model *m, Tensor *xt, const double *time, const int *label);

/* ---- the chain ------------------------------------------------------------------------------- */

typedef struct {
    int T;                      /* its steps */
    int *step;                  /* (T) which of the original chain's they are */
    double time_scale;          /* the network is told step * time_scale */
    double *beta;
    double *alpha_bar, *alpha_bar_before, *alpha_bar_after;    /* after t; t - 1 (1); t + 1 (0) */
    double *mean_coef_x0, *mean_coef_xt;   /* posterior mean = mean_coef_x0 x0 + mean_coef_xt x_t */
    double *posterior_variance;            /* beta~, 0 at t = 0 */
    double *posterior_log_variance;        /* its log; at t = 0 that of t = 1 */
    double *memory;
} Diffusion;

/* DDPM's betas, scaled so that chains of any length end with about as little of the picture left:
 * from 0.1 / T to 20 / T */
Diffusion diffusion_linear(int T);
/* alpha_bar = f(t) / f(0), f(t) = cos^2((t/T + 0.008) / 1.008 * pi/2), but no beta above 0.999
 * (eq. 17) */
Diffusion diffusion_cosine(int T);
/* Times on a scale of 0 to 1000 whatever T is, so that networks for different T are told alike */
void      diffusion_rescale_time(Diffusion *d);
/* Some steps of d alone, in rising order: beta' = 1 - alpha_bar(S_i) / alpha_bar(S_i-1) (eq. 19) */
Diffusion diffusion_respaced(const Diffusion *d, int n, const int *steps);
void      diffusion_free(Diffusion *d);

/* Which steps of T: "25": so many, evenly from first to last; "10,15,20": so many from each of as
 * many equal sections; "ddim25": every k-th from 0 on, where a k gives exactly so many. Fills
 * steps (T); returns how many, or 0 if it cannot be done. */
int space_timesteps(int T, const char *sections, int *steps);

double model_time(const Diffusion *d, int t);       /* what the network is told at index t */

/* ---- forward --------------------------------------------------------------------------------- */

void q_sample(const Diffusion *d, int t, size_t n, const real *x0, const real *eps, real *xt);
/* the mean of q(x_{t-1}|x_t,x0); `mean` may be one of the others */
void posterior_mean(const Diffusion *d, int t, size_t n, const real *x0, const real *xt,
                    real *mean);
void start_from_noise(const Diffusion *d, int t, size_t n, const real *xt, const real *eps,
                      real *x0);
void noise_from_start(const Diffusion *d, int t, size_t n, const real *xt, const real *x0,
                      real *eps);

/* ---- reverse --------------------------------------------------------------------------------- */

typedef enum { LEARNED, FIXED_SMALL, FIXED_LARGE } Variance;
Variance variance_named(const char *name);           /* "learned", "small", "large" */

/* log beta~, or for FIXED_LARGE log beta; at t = 0, where beta~ is 0, both take beta~ of t = 1.
 * (What is learned reaches up to log beta at t = 0, too.) */
double fixed_log_variance(const Diffusion *d, Variance v, int t);

/* p(x_{t-1}|x_t), of n numbers each */
typedef struct {
    real *start;                /* the x0 that is predicted */
    real *mean, *log_variance;
} Reverse;

/* From the answer (pixels, 2 channels) to x_t (pixels, channels). LEARNED: log variance between log
 * beta~ and log beta, at (v + 1) / 2 of the way (eq. 15). clip: start to [-1,1] before the mean. */
void p_mean_variance(const Diffusion *d, Variance v, int t, size_t pixels, int channels, bool clip,
                     const real *xt, const real *answer, Reverse p);
/* mean + sigma z; at t = 0 the mean */
void p_sample(int t, size_t n, const Reverse *p, const real *z, real *x);
/* x_t becomes x_{t-1}: sigma is eta times that of beta~, and the noise that start implies is kept
 * for the rest (DDIM, eq. 12 and 16). eta 0: no z is needed, the same x_T gives the same x_0. */
void ddim_sample(const Diffusion *d, int t, size_t n, double eta, const real *start, const real *z,
                 real *x);
/* the other way, from x_t to x_{t+1}, eta 0 */
void ddim_reverse(const Diffusion *d, int t, size_t n, const real *start, real *x);

/* ---- losses ---------------------------------------------------------------------------------- */

/* SIMPLE: mean squared error of eps. HYBRID: SIMPLE + T/1000 of the bound's term, of which no
 * gradient passes through eps (eq. 16, lambda = 0.001). VLB: T times the term, whose
 * mean over t is the bound, for eps and v. */
typedef enum { SIMPLE, HYBRID, VLB } Objective;
Objective objective_named(const char *name);         /* "simple", "hybrid", "vlb" */

typedef struct {
    Tensor *each;               /* (B,1): what is minimised */
    Tensor *mse;                /* (B,1): of eps, also where it is not minimised */
    Tensor *bits;               /* (B,1): the bound's term in bits per dimension, before any factor;
                                   NULL with SIMPLE */
} Losses;

/* answer (B,H,W,2C); x0, xt, eps (B,H,W,C); t (B) */
Losses training_losses(const Diffusion *d, Objective o, Variance variance, Tensor *answer,
                       Tensor *x0, Tensor *xt, Tensor *eps, const int *t);

/* ---- the bound: nats, summed over the n numbers of a picture --------------------------------- */

double prior_term(const Diffusion *d, size_t n, const real *x0);
double bound_term(const Diffusion *d, int t, size_t n, const real *x0, const real *xt,
                  const Reverse *p);

/* ---- which timesteps (section 3.3) --------------------------------------------------------------
 * The bound's terms differ by orders of magnitude over t, so that their mean over uniform t is
 * noisy. Drawn with probability p ~ sqrt(E[L_t^2]), each weighted by 1 / (T p), they have the same
 * mean and less noise. E is that of the last ten losses seen at each t; until every t has seen ten,
 * and for a thousandth of all draws later, t is uniform. */
enum { HISTORY = 10 };

typedef struct {
    int T;
    Params state;               /* for checkpoints: history (T,10), the newest last; seen (T) */
    Tensor *history, *seen;
} LossSampler;

void loss_sampler_start(LossSampler *s, int T);      /* s must not be moved afterwards */
void loss_sampler_free(LossSampler *s);
void timestep_probabilities(const LossSampler *s, double *p);
void draw_timesteps(const LossSampler *s, Rng *rng, int B, int *t, double *weight);
void loss_sampler_update(LossSampler *s, int B, const int *t, const double *loss);

/* n timesteps without drawing, as many late ones as early ones: each of the T once before one comes
 * again, in an order that has no order. For validation. */
void even_timesteps(int T, int n, int *t);
/* Without knowing the losses, and without drawing: n timesteps in rising order, as many of each as
 * if p ~ 1 / (t + 1), about as the bound's terms fall; weight as above. For validation. */
void early_timesteps(int T, int n, int *t, double *weight);

/* A gradient over b pictures is the true one and noise of variance S / b (the variances of all its
 * numbers added up). Squared norms of two gradients, over b pictures and over B > b, give what the
 * true one's is and S, both right on average (McCandlish et al. 2018, appendix A.1). Their
 * quotient, the noise scale, is how many pictures a batch needs before noise and signal are
 * alike. */
typedef struct {
    double signal, noise;
} GradientNoise;

GradientNoise gradient_noise(int b, double square, int B, double square_of_all);

#endif
