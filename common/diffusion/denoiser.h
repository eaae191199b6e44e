/* denoiser.h — what a step back starts from: given x_t, which picture it comes from, and how sure
 * that is.
 *
 * A denoiser is a network, or something around another denoiser that changes what goes in or comes
 * out. The order of the official codes is the order in which they are put around each other:
 *
 *     NetworkDenoiser net = network_denoiser(unet_output, &model, (Parameterization){...});
 *     ClippedDenoiser clipped = clipped_denoiser(&net.denoiser);
 *     Sampler m = {.denoiser = &clipped.denoiser, ...};
 *
 *   network, classifier-free guidance (before clipping), known pixels pasted, clipped, classifier
 *   guidance (after it): guidance.h has those that are not here.
 *
 * One of your own is a struct whose first member is a Denoiser:
 *
 *     typedef struct { Denoiser denoiser; const Denoiser *of; double level; } Darker;
 *     static Prediction darker(const Denoiser *self, const Step *at, real *xt) {
 *         const Darker *d = (const Darker *)self;
 *         Prediction p = denoise(d->of, at, xt);
 *         for (size_t i = 0; i < p.n; i++) p.x0[i] -= (real)d->level;
 *         return p;
 *     }
 *     Darker d = {{darker}, &net.denoiser, 0.1};
 *
 * A latent space needs none: height, width and channels are the latents', and the chapter decodes
 * what comes out. */
#ifndef DENOISER_H
#define DENOISER_H

#include "diffusion/gaussian.h"
#include "tensor/tensor.h"

/* n pictures at one index of a schedule */
typedef struct {
    const NoiseSchedule *schedule;
    int t;
    int first, n;               /* pictures number first ... first + n - 1: of which class, text */
    int height, width, channels;
    bool lookahead;             /* the second prediction of PLMS' first step: x_t is only tried */
    Tape *tape;                 /* .no_grad; what lies on it holds until the next step */
} Step;

size_t step_size(const Step *at);            /* numbers of one picture */
const double *step_times(const Step *at);    /* (n) what the network is given, for time_embedding */

/* xt (n,height,width,channels) may be changed: the step is then made from what stands there. The
 * arrays of the prediction lie on at->tape. */
typedef struct Denoiser Denoiser;
struct Denoiser {
    Prediction (*predict)(const Denoiser *self, const Step *at, real *xt);
};

Prediction denoise(const Denoiser *d, const Step *at, real *xt);

/* a network: the output for xt (n,H,W,C), see p_mean_variance */
typedef struct {
    Denoiser denoiser;
    Tensor *(*output)(const void *network, const Step *at, Tensor *xt);
    const void *network;
    Parameterization parameterization;
} NetworkDenoiser;

NetworkDenoiser network_denoiser(Tensor *(*output)(const void *network, const Step *at, Tensor *xt),
                                 const void *network, Parameterization p);

/* the predicted x0 within [-1,1] */
typedef struct {
    Denoiser denoiser;
    const Denoiser *of;
} ClippedDenoiser;

ClippedDenoiser clipped_denoiser(const Denoiser *of);

/* The noise of picture `number` at a step of the original chain, or, with `step` X_T, what it
 * starts from: a function of these and the seed alone, so that a picture does not depend on those made
 * beside it, and other steps and samplers start from the same noise. step < 65536; z (n). */
enum { X_T = 65535 };
void sampling_noise(uint64_t seed, int number, int step, size_t n, real *z);

#endif
