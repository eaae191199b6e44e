/* unet_classifier.h — which class is in a noisy image: the half of a U-Net that goes down, and
 * attention over what is left.
 *
 * Dhariwal & Nichol 2021, "Diffusion Models Beat GANs on Image Synthesis", section 4.3; the pooling
 * is CLIP's (Radford et al. 2021, section 2.4). */
#ifndef UNET_CLASSIFIER_H
#define UNET_CLASSIFIER_H

#include "nn/unet.h"

/* Every pixel and their mean, each with a place of its own, attend to one another; what the mean
 * gathers is the result. */
typedef struct {
    Tensor *positions;                  /* (1+N,C); the mean's is the first */
    Linear qkv, out;
    int heads;
} AttentionPool;

AttentionPool attention_pool_new(Scope s, int pixels, int channels, int heads, int out);
Tensor *attention_pool(const AttentionPool *p, Tensor *x);     /* (B,H,W,C) -> (B,out) */

typedef struct {
    UNet encoder;
    GroupNorm norm_out;
    AttentionPool pool;
} UNetClassifier;

/* c.out classes, for images of `side` x `side` */
UNetClassifier unet_classifier_new(Params *p, UNetConfig c, int side);
/* x (B,side,side,in), emb (B,E) -> logits (B,classes) */
Tensor *unet_classifier(const UNetClassifier *c, Tensor *x, Tensor *emb);

#endif
