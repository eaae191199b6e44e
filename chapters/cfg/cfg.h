/* cfg.h — classifier-free guidance: one network with and without the condition, and both answers
 * mixed when pictures are drawn.
 *
 * Ho & Salimans 2022, "Classifier-Free Diffusion Guidance" (equation numbers are theirs).
 *
 *   - drop_labels            training: the class is left out of some pictures
 *   - guided_classes         drawing: both answers from one batch, mixed
 *   - scale_of, weight_of    the two ways to count the scale
 *   - log_snr, ...           continuous time (section 2)
 *
 * The class that stands for none is a row of the network's table like the others, and learned like
 * them: of K classes, number K. */
#ifndef CFG_H
#define CFG_H

#include "diffusion/denoiser.h"
#include "nn/class_unet.h"

/* ---- training -------------------------------------------------------------------------------- */

/* With probability p, for each picture by itself, its class becomes `none` (algorithm 1) */
void drop_labels(int n, int *label, int none, double p, Rng *rng);

/* ---- drawing --------------------------------------------------------------------------------- */

/* eps~ = (1 + w) eps(with) - w eps(without) is the paper's (eq. 6); GLIDE, DALL-E 2 and Stable
 * Diffusion write eps~ = eps(without) + s (eps(with) - eps(without)). They are the same at
 * s = 1 + w: s = 1 is the condition alone, s = 0 no condition. Here the scale is s. */
double scale_of(double w);
double weight_of(double s);

/* a network and the classes of pictures 0, 1, ... */
typedef struct {
    const ClassUNet *net;
    const int *label;
    int none;                   /* the class that stands for none */
    double scale;               /* s */
} GuidedClasses;

/* The prediction is mixed, a learned variance is that with the class. One batch of 2n pictures, the
 * same x_t twice; n at scale 1 and 0, which need one of the two. *g must outlive it. */
NetworkDenoiser guided_classes(const GuidedClasses *g, Variance v);

/* ---- continuous time ---------------------------------------------------------------------------
 * z = alpha x + sigma eps, alpha^2 = 1 / (1 + exp(-lambda)), sigma^2 = 1 - alpha^2: lambda is the
 * log of the signal's variance over the noise's. Training draws u uniformly from [0,1] and takes
 * lambda = -2 log tan(a u + b), which falls from 20 to -20 (section 3); the network is
 * given 1000 u. */

double log_snr(double u);
double alpha_at(double lambda), sigma_at(double lambda);

/* The same chain in T steps, u = 1/T, 2/T, ..., 1: a schedule like others (`time` is 1000 u) */
NoiseSchedule log_snr_schedule(int T);

/* Variance of a step back: beta~^(1 - v) beta^v, geometrically between the two (section 3; v = 0.3
 * for 64x64, 0.2 for 128x128 in the paper) */
double interpolated_log_variance(const NoiseSchedule *s, int t, double v);

typedef struct {
    Denoiser denoiser;
    const Denoiser *of;         /* whose variance is fixed */
    double v;
} InterpolatedVariance;

InterpolatedVariance interpolated_variance(const Denoiser *of, double v);

/* A batch, each picture at a lambda of its own, on x0's tape */
typedef struct {
    const double *time;         /* (B) 1000 u */
    Tensor *eps, *z;            /* (B,H,W,C) */
} ContinuousBatch;

ContinuousBatch continuous_batch(Tensor *x0, Rng *times, Rng *noise);

#endif
