/* ddpm.h — denoising diffusion: noise is added to a picture step by step until only noise is left;
 * a network learns the reverse steps.
 *
 * Ho, Jain & Abbeel 2020, "Denoising Diffusion Probabilistic Models" (equation numbers are theirs).
 * Its mathematics, which the chapters after this one use as well, is in common/diffusion:
 * noise_schedule.h, gaussian.h (q_sample, posterior_mean, bound_term), sampler.h (p_sample). Here:
 *
 *   - unet_config, model_new, model_output     the paper's networks and ours, by name
 *   - ddpm_schedule, schedule_strided          1000 steps, and fewer of them
 *   - simple_loss                              what is minimised
 *   - unet_denoiser                            a network as a Denoiser, for samplers
 *   - interpolate                              between two pictures, mixed at a noise level
 *
 * Pixels are in [-1,1]. */
#ifndef DDPM_H
#define DDPM_H

#include "diffusion/losses.h"
#include "diffusion/sampler.h"
#include "nn/official_names.h"
#include "nn/unet.h"

enum { TIMESTEPS = 1000 };

/* eps_theta(x_t, t), or whatever it is trained to predict */
typedef struct {
    TimeEmbedding time;
    UNet unet;
} Model;

UNetConfig unet_config(const char *config);      /* "default", "bench", "cifar10", "lsun256" */
int picture_side(const char *config);            /* width and height of its pictures */
Model model_new(Params *p, UNetConfig c);
/* xt (B,H,W,C), time (B), the index t of the full chain -> (B,H,W,C) */
Tensor *model_output(const Model *m, Tensor *xt, const double *time);

/* the names that its parameters have in official files (official.c) */
extern const OfficialMap ddpm_official;

/* beta from 1e-4 to 0.02. no_time: the network is given time 0 at every step. */
NoiseSchedule ddpm_schedule(bool no_time);
/* n of s's steps, the first and the last among them; n = 1: the last. Step i's noise is that of key
 * i (sampling_noise), whatever n is. */
NoiseSchedule schedule_strided(const NoiseSchedule *s, int n);

/* L_simple (eq. 14): mean squared error of what is predicted. error (B), unless NULL: each
 * picture's part, mean over its pixels. */
Tensor *simple_loss(const Model *net, const NoisyImages *b, PredictionType p, double *error);

NetworkDenoiser unet_denoiser(const Model *net, PredictionType p, Variance fixed);

/* Between n pictures a and n others b (section 4.4): both are brought to index t with noise of
 * their own; (1 - lambda) a_t + lambda b_t is denoised to y (n,height,width,channels). All noise
 * depends on the seed and the picture's place alone, so y changes with lambda alone. */
void interpolate(Sampler *m, int t, int n, const real *a, const real *b, double lambda, real *y);

#endif
