/* upsampler.h — an image at a larger size: the hierarchy's further stages, Ramesh et al. 2022,
 * section 2.1.
 *
 * A U-Net without attention, which reads no text and no embedding: what it adds is in the small
 * image already. So it can be trained on small parts and drawn with on whole images. What it is
 * shown in training is a little worse than a small image should be, as what the stage before draws
 * is: blurred, and for the larger sizes noisy as well. */
#ifndef UPSAMPLER_H
#define UPSAMPLER_H

#include "diffusion/noise_schedule.h"
#include "nn/class_unet.h"

typedef struct {
    UNetConfig unet;
    int side, low;              /* of its images; of those it enlarges */
    int crop;                   /* of the parts it is trained on */
    double blur, noise;         /* largest deviations: of a Gaussian blur, in pixels of the small
                                   image; of noise in it, where black and white are -1 and 1 */
    bool linear;                /* DDPM's schedule; else cosine */
} UpsamplerConfig;

/* "32" of 16x16, "64" of 32x32; the paper's "64-256" and "256-1024" */
UpsamplerConfig upsampler_config(const char *name);

typedef struct {
    UpsamplerConfig config;
    ClassUNet net;              /* without classes */
} Upsampler;

Upsampler upsampler_new(Params *p, UpsamplerConfig c);

/* xt (B,h,w,3), time (B), low (B,h/f,w/f,3), enlarged bilinearly -> velocity (B,h,w,3). Any h and w
 * that can be halved as often as the network does. */
Tensor *upsampler_output(const Upsampler *m, Tensor *xt, const double *time, Tensor *low);
/* 1000 steps */
NoiseSchedule upsampler_schedule(const UpsamplerConfig *c);

/* ---- what it is trained on ------------------------------------------------------------------- */

/* A part of each of B images x0 (B,side,side,3), small (B,low,low,3), both at the same place:
 * (B,crop,crop,3) and (B,crop/f,crop/f,3), on x0's tape */
typedef struct {
    Tensor *x0, *low;
} Crops;
Crops crop_pairs(const UpsamplerConfig *c, Tensor *x0, Tensor *small, Rng *rng);

/* Each of B images x (B,h,w,3), a half of them blurred by a 3x3 Gaussian of up to `blur` pixels'
 * deviation, all with noise of up to `noise`, clipped to [-1,1]; in place */
void corrupt(const UpsamplerConfig *c, Tensor *x, Rng *rng);

/* the names of guided-diffusion's networks; the map's design is kept in the arena */
OfficialMap upsampler_official(Arena *arena, const UpsamplerConfig *c);

#endif
