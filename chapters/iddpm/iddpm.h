/* iddpm.h — denoising diffusion, improved: a learned variance, a schedule that adds noise more
 * slowly, a loss that is the likelihood's bound, and sampling in fewer steps.
 *
 * Nichol & Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models" (equation numbers are
 * theirs). What the chapters after this one use as well is in common/diffusion: schedule_cosine,
 * space_timesteps and schedule_of_steps (noise_schedule.h), learned_log_variance (gaussian.h),
 * L_hybrid and L_vlb (losses.h), DDIM (sampler.h); the network that is given the time and a class
 * is ClassUNet (nn/class_unet.h). Here:
 *
 *   - model_config      the paper's networks and ours, by name
 *   - scaled_linear     DDPM's schedule for any number of steps
 *   - LossSampler       timesteps drawn in proportion to their losses
 *   - early_timesteps   for validation
 *   - gradient_noise    noise and signal of a gradient
 *
 * The network's output has twice the channels of a picture: [eps | v] at each pixel. Pixels are in
 * [-1,1]. */
#ifndef IDDPM_H
#define IDDPM_H

#include "diffusion/labelled.h"
#include "diffusion/losses.h"
#include "diffusion/sampler.h"

/* ---- the network ----------------------------------------------------------------------------- */

typedef struct {
    UNetConfig unet;
    int classes;                /* number of classes it is conditioned on; or 0 */
    int side;                   /* width and height of its pictures */
} ModelConfig;

/* "default", "cifar10", "imagenet64", "imagenet64-cond", "lsun" */
ModelConfig model_config(const char *config);

/* DDPM's betas, scaled so that chains of any length end with about as little of the picture left:
 * from 0.1 / T to 20 / T */
NoiseSchedule scaled_linear(int T);

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

/* For validation, without random numbers or losses: n timesteps in rising order, as many of each as
 * if p ~ 1 / (t + 1), which is about how the bound's terms fall; weight as above. */
void early_timesteps(int T, int n, int *t, double *weight);

/* A gradient over b pictures is the true one plus noise of variance S / b (the sum of the variances
 * of its numbers). From the squared norms of two gradients, over b pictures and over B > b, follow
 * unbiased estimates of the true one's squared norm (signal) and of S (noise) (McCandlish et al.
 * 2018, appendix A.1). noise / signal, the noise scale, is the batch size at which both are
 * equal. */
typedef struct {
    double signal, noise;
} GradientNoise;

GradientNoise gradient_noise(int b, double square, int B, double square_of_all);

#endif
