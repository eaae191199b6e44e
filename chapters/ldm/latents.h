/* latents.h — pictures to latents and back, through a frozen first stage: z = E(x) scale, x = D(z /
 * scale). The scale brings latents to variance 1, which the noise schedule is made for (Rombach et
 * al. 2022, appendix G). It is one number, kept beside the diffusion model's weights. */
#ifndef LATENTS_H
#define LATENTS_H

#include "first_stage.h"

typedef struct {
    FirstStage net;
    int factor;                          /* f; 1: no first stage, latents are the pictures */
    int channels;                        /* e */
    Tensor *scale;                       /* (1), a buffer of the diffusion model's parameters; NULL: 1 */
} LatentSpace;

/* x (B,H,W,3), a plain array in [-1,1] -> (B,H/f,W/f,e), on the tape as a leaf. KL: a sample, or
 * the mean if noise is NULL. */
Tensor *latents_of(const LatentSpace *s, Tape *t, int B, int side, const real *x, Rng *noise);
/* n latents z of h x h -> pictures x (n, f h, f h, 3) */
void pictures_of(const LatentSpace *s, int n, int h, const real *z, real *x);
/* n pictures x (n,side,side,3) through the latents' means and back */
void reconstruct(const LatentSpace *s, int n, int side, const real *x, real *y);
/* mean over n pictures of `one` numbers of 10 log10(2^2 / mean squared error), in dB */
double psnr(int n, int one, const real *x, const real *y);
/* sets the scale to 1 / std of these pictures' latents, around 0; x (n,side,side,3) */
void measure_scale(LatentSpace *s, int n, int side, const real *x, Rng *noise);

#endif
