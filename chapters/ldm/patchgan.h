/* patchgan.h — a discriminator that judges each patch of a picture by itself: Isola et al. 2017,
 * "Image-to-Image Translation with Conditional Adversarial Networks", section 3.2, as used by Esser
 * et al. 2021 and Rombach et al. 2022 beside the first stage. */
#ifndef PATCHGAN_H
#define PATCHGAN_H

#include "nn/layers.h"
#include "nn/official_names.h"

enum { PATCHGAN_LAYERS = 8 };

typedef struct {
    int channels, width, layers;         /* of pictures; of the first convolution; of stride 2 */
} PatchGanConfig;

extern const PatchGanConfig patchgan_published;      /* 2,765,633 parameters */

typedef struct {
    PatchGanConfig config;
    Conv2d down[PATCHGAN_LAYERS + 2];    /* 4x4; the last one makes the logits */
    BatchNorm norm[PATCHGAN_LAYERS + 1]; /* after all but the first and the last */
} PatchGan;

PatchGan patchgan_new(Params *p, PatchGanConfig c);
/* x (B,H,W,3) -> (B,h,w,1), for each patch: is it real? training: statistics of this batch */
Tensor *patchgan(const PatchGan *d, Tensor *x, bool training);

/* what the discriminator minimises: 1/2 mean relu(1 - real) + 1/2 mean relu(1 + fake) */
Tensor *hinge_loss(Tensor *real_logits, Tensor *fake_logits);

extern const OfficialMap patchgan_official;          /* taming-transformers' names */

#endif
