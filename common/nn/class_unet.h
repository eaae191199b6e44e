/* class_unet.h — a U-Net that is given the time and, if there are classes, one of them: their
 * embeddings are added.
 *
 * Nichol & Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models"; Dhariwal & Nichol
 * 2021, "Diffusion Models Beat GANs on Image Synthesis".
 *
 *     ClassUNet net = class_unet_new(&params, unet_config, 10);
 *     Tensor *output = class_unet(&net, batch.xt, batch.time, labels); */
#ifndef CLASS_UNET_H
#define CLASS_UNET_H

#include "nn/unet_official.h"

typedef struct {
    TimeEmbedding time;
    Embedding class;            /* .table NULL: without classes */
    UNet unet;
} ClassUNet;

/* classes 0: none */
ClassUNet class_unet_new(Params *p, UNetConfig c, int classes);
/* xt (B,H,W,in), time (B), label (B), not read without classes -> (B,H,W,out) */
Tensor *class_unet(const ClassUNet *m, Tensor *xt, const double *time, const int *label);

/* the time's embedding of a U-Net: a quarter of its channels as waves */
TimeEmbedding unet_time_new(Params *p, const UNetConfig *c);

/* what official files (nn/unet_official.h) have besides the U-Net */
extern const OfficialName class_unet_official[];

#endif
