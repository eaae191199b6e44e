/* guidance.h — denoisers around others that steer what is drawn (denoiser.h says in which order).
 *
 *   - classifier_free, guided_batch   Ho & Salimans 2022, "Classifier-Free Diffusion Guidance"
 *   - score_guidance, guide_gradient  Dhariwal & Nichol 2021, "Diffusion Models Beat GANs",
 *                                     section 4
 *   - pasted_denoiser, blended_denoiser     some pixels are known: inpainting */
#ifndef GUIDANCE_H
#define GUIDANCE_H

#include "diffusion/denoiser.h"

/* x0 = scale x0(with the condition) + (1 - scale) x0(without), which is the same mixture of eps, at
 * the variance that the condition gives. Scale 1: the condition alone, bit for bit; the paper's w
 * is scale - 1. */
typedef struct {
    Denoiser denoiser;
    const Denoiser *with, *without;
    double scale;
} ClassifierFree;

ClassifierFree classifier_free(const Denoiser *with, const Denoiser *without, double scale);

/* The same for a network that sees the pictures twice in one batch: the n of the step with their
 * condition, then the same x_t without. At a scale of 1 with it alone, at 0 without it alone.
 *
 *     GuidedBatch b = guided_batch(at, scale);
 *     Tensor *c = ... for each of b.n, the condition of picture b.number[i], or none if that is -1 ...
 *     return guided(&b, network(guided_xt(&b, xt), b.time, c)); */
typedef struct {
    int n;
    const int *picture, *number;        /* (n): which one; the same, -1 without the condition */
    const double *time;                 /* (n) */
    bool both;
    double scale;
    int channels;                       /* of a picture */
} GuidedBatch;

GuidedBatch guided_batch(const Step *at, double scale);
Tensor *guided_xt(const GuidedBatch *b, Tensor *xt);
Tensor *guided(const GuidedBatch *b, Tensor *output);
/* Its mixture: both (2n,H,W,D) -> (n,H,W,D). The first `channels` are scale with + (1 - scale)
 * without; what is left, a learned variance, is that with the condition. Scale 1 gives the first n,
 * bit for bit, scale 0 the others' prediction. For sampling: no gradient. */
Tensor *mix_guided(Tensor *both, double scale, int channels);

/* scale times a gradient of log p(y|x_t), taken at x_t, is added to the score: samplers move the
 * mean by Sigma times the score (p_sample), or the noise (condition_score). `gradient` fills
 * (n,H,W,C): of each picture's own log p by its numbers, which is that of the sum over pictures. */
typedef struct {
    Denoiser denoiser;
    const Denoiser *of;
    void (*gradient)(const void *context, const Step *at, const real *xt, real *gradient);
    const void *context;
    double scale;
} ScoreGuidance;

ScoreGuidance score_guidance(const Denoiser *of,
                             void (*gradient)(const void *context, const Step *at, const real *xt,
                                              real *gradient),
                             const void *context, double scale);

/* A number of each picture, which drawing is to raise: xt (n,H,W,C), a variable on `tape` -> (n,1).
 * One of your own is a struct whose first member is a Guide. */
typedef struct Guide Guide;
struct Guide {
    Tensor *(*value)(const Guide *self, const Step *at, Tensor *xt);
    Tape *tape;                         /* with gradients; used anew at every step */
};

/* For score_guidance, with a Guide as its context: the gradient of the sum over the pictures by
 * x_t, (n,H,W,C). A mean over them would make guidance weaker the more are drawn at once. Networks
 * whose weights are frozen cost half as much. */
void guide_gradient(const void *guide, const Step *at, const real *xt, real *gradient);

/* Known numbers of pictures 0, 1, ...: image (N,H,W,C), mask (N,H,W), 1 where they are known. */
typedef struct {
    Denoiser denoiser;
    const Denoiser *of;
    const real *image, *mask;
    uint64_t seed;                      /* of blended_denoiser's noise */
} KnownPixels;

/* x0 = mask image + (1 - mask) x0 after every prediction, as in GLIDE */
KnownPixels pasted_denoiser(const Denoiser *of, const real *image, const real *mask);
/* x_t = mask q_sample(image) + (1 - mask) x_t before it, as in LDM. The outermost denoiser. */
KnownPixels blended_denoiser(const Denoiser *of, const real *image, const real *mask,
                             uint64_t seed);

/* x = mask known + (1 - mask) x: x, known (pixels,channels), mask (pixels) */
void paste(size_t pixels, int channels, const real *mask, const real *known, real *x);

#endif
