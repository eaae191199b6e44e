/* guidance.h — a stronger U-Net, and a classifier that steers what it draws.
 *
 * Dhariwal & Nichol 2021, "Diffusion Models Beat GANs on Image Synthesis" (sections and algorithms
 * are theirs). The parts of the network are in common/nn: adaptive group norm, heads and BigGAN's
 * blocks in unet_blocks.h, attention at several sizes in unet.h, the classifier's pooling in
 * unet_classifier.h. What shifts the mean or the noise is in common/diffusion: condition_mean and
 * condition_score (sampler.h), score_guidance and guide_gradient (guidance.h). Here:
 *
 *   - model_config, classifier_config    the paper's networks and ours, by name
 *   - NoisyClassifier                    p(y|x_t)
 *   - ClassGuide                         of log p(y|x_t)
 *   - Enlarging                          the second network of a pair: from a quarter of the size
 *
 * image_guide.h has other guides: pictures that are to be alike.
 *
 * The U-Net's output has twice the channels of a picture: [eps | v] at each pixel, as in IDDPM.
 * Pixels are in [-1,1]. */
#ifndef CHAPTER_GUIDANCE_H
#define CHAPTER_GUIDANCE_H

#include "diffusion/guidance.h"
#include "diffusion/labelled.h"
#include "nn/unet_classifier.h"

enum { TIMESTEPS = 1000 };      /* of all networks of the paper */

/* ---- networks (section 3) -------------------------------------------------------------------- */

typedef struct {
    UNetConfig unet;
    int classes;                /* it is given one of so many; 0: none */
    int side;                   /* how wide and high its pictures are */
    int low_side;               /* of the pictures that it enlarges; 0: it draws from noise alone */
    bool linear;                /* DDPM's noise schedule; otherwise IDDPM's cosine */
    bool qkv_first;             /* in official files, see UNetOfficial */
} ModelConfig;

/* "default": 28x28 grey pictures. "imagenet64", "imagenet128", "imagenet256", "imagenet512", and
 * "imagenet256-uncond" without classes; "upsample256" from 64x64, "upsample512" from 128x128 */
ModelConfig model_config(const char *config);
NoiseSchedule model_schedule(const ModelConfig *c);

/* The classifier for these pictures: .out classes. The paper has none for upsamplers: they are not
 * guided. */
UNetConfig classifier_config(const char *config);

/* ---- which class is in x_t? (section 4) ------------------------------------------------------ */

typedef struct {
    TimeEmbedding time;
    UNetClassifier net;
} NoisyClassifier;

NoisyClassifier noisy_classifier_new(Params *p, UNetConfig c, int side);
/* xt (B,side,side,in), time (B) -> logits (B,classes) */
Tensor *class_logits(const NoisyClassifier *c, Tensor *xt, const double *time);
/* 1 where the largest logit is the class's own, else 0: right (B) */
void class_is_right(const Tensor *logits, const int *label, double *right);
/* log p(y|x_t) of each picture's own class: label (B) -> (B,1) */
Tensor *class_log_probability(Tensor *logits, const int *label);

/* ---- what steers (algorithms 1 and 2) -------------------------------------------------------- */

/* log p(y|x_t) at x_t, as in the paper's code; its derivation takes the gradient at the mean of the
 * step (section 4.1), which differs little where steps are small. */
typedef struct {
    Guide guide;
    const NoisyClassifier *net;
    const int *label;           /* of pictures 0, 1, ... */
} ClassGuide;

ClassGuide class_guide(const NoisyClassifier *net, const int *label, Tape *tape);

/* ---- enlarging (section 4.4) ----------------------------------------------------------------- */

/* A network that is given x_t and, beside it, a smaller picture brought to its size */
typedef struct {
    const ClassUNet *net;
    const int *label;           /* of pictures 0, 1, ... */
    const real *low;            /* pictures 0, 1, ...: (N,low_side,low_side,C) */
    int low_side;
} Enlarging;

NetworkDenoiser enlarging_denoiser(const Enlarging *m);

#endif
