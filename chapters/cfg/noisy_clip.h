/* noisy_clip.h — CLIP guidance: how well a picture fits its caption steers, as a classifier does.
 *
 * Nichol et al. 2021, section 4.4. The image encoder is trained on noisy pictures; the text encoder
 * is that of the trained CLIP (eval/frozen_clip.h), which stays as it is. Letters: B pictures, D
 * numbers in the common space. Pictures are those of GLIDE's base, RGB in [-1,1]. */
#ifndef NOISY_CLIP_H
#define NOISY_CLIP_H

#include "diffusion/guidance.h"
#include "eval/frozen_clip.h"

ClipImage noisy_clip_new(Params *p, int side, int timesteps);

/* Contrastive loss of features of length 1, (B,D) of noisy pictures and of their captions, at CLIP's
 * own temperature; captions of one group are equally right, see clip_loss. right (B), or NULL: 1
 * where no caption of another group fits the picture better than its own. */
Tensor *noisy_clip_loss(const FrozenClip *clip, Tensor *image, Tensor *text, const int *group,
                        double *right);

/* exp(logit_scale) f(x_t, t) g(c) of each picture and its caption, which drawing is to raise */
typedef struct {
    Guide guide;
    const ClipImage *net;
    const real *text;           /* (N,D): g of the captions of pictures 0, 1, ... */
    double scale;               /* exp(logit_scale) */
} ClipGuide;

ClipGuide clip_guide(const ClipImage *net, const real *text, double scale, Tape *tape);

#endif
