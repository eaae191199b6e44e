/* unet.h — the U-Net that all diffusion chapters share: x_t and its time in, an answer of the same
 * size out.
 *
 * Ho et al. 2020, "Denoising Diffusion Probabilistic Models", appendix B; Nichol & Dhariwal 2021,
 * "Improved Denoising Diffusion Probabilistic Models", appendix A. Both draw one shape and differ
 * in details that look alike and are not interchangeable: weights trained with one give noise with
 * the other. Here these details are the fields of UNetDesign under "dialect".
 *
 *     UNetDesign d = {.in = 1, .out = 1, .width = 32, .levels = 3, .multiplier = {1, 2, 2},
 *                     .attends = {false, true, false}, .blocks = 2, .heads = 1, .groups = 32,
 *                     .eps = 1e-6, ...};
 *     UNet net = unet_new(&params, d);
 *     Tensor *eps = unet(&net, x, (UNetConditions){.time = t, .dropout = &rng});
 *
 * One level for each size of picture, each half as wide and high as the one before:
 *
 *     in -> down.0 blocks ---------------------------------> up.0 blocks -> out
 *             down.0.resample                            up.1.resample
 *               down.1 blocks ------------------------> up.1 blocks
 *                 ...                                     ...
 *                   down.L blocks -> middle -> up.L blocks
 *
 * Every block going up is also shown what one block going down (or a resample, or the first
 * convolution) had given: the channels of both, side by side. */
#ifndef UNET_H
#define UNET_H

#include "nn/layers.h"

enum { UNET_LEVELS = 8, UNET_BLOCKS = 7 };

typedef struct {
    int in, out;                        /* channels of x and of the answer */
    int width;                          /* channels of level l: width * multiplier[l] */
    int levels, multiplier[UNET_LEVELS];
    bool attends[UNET_LEVELS];          /* attention after each block of the level? In the middle
                                           there always is */
    int blocks;                         /* of a level going down; going up there is one more */
    int heads;                          /* of the attention */
    int classes;                        /* it is told the picture's class, one of so many; or 0 */
    double dropout;                     /* before a block's second convolution */

    /* dialect: what DDPM does, and what IDDPM and its descendants do */
    int groups;                         /* of all group normalisations: 32 in both papers */
    double eps;                         /* their epsilon: 1e-6; 1e-5 */
    bool sines_first;                   /* time_embedding; true; false */
    bool pad_far_sides;                 /* halving a picture: one row of zeros below and one column
                                           at the right, as TensorFlow's SAME; on all sides */
    bool scale_shift;                   /* time and class scale and shift a block's second
                                           normalisation's output, and are not added before it:
                                           false; true, unless said otherwise */
    bool pool;                          /* halving is a 2x2 mean, doubling a plain copy of pixels,
                                           without convolutions: false; false */
    bool glorot;                        /* weights start as Glorot's uniform ones, biases at 0;
                                           PyTorch's. In both, what a block, an attention or the
                                           whole network adds starts at 0. */
} UNetDesign;

typedef struct {
    GroupNorm norm1, norm2;
    Conv2d conv1, conv2, skip;          /* skip.w NULL: as many channels out as in */
    Linear told;                        /* from time and class */
} ResBlock;

typedef struct {
    GroupNorm norm;
    SelfAttention attention;
} AttentionBlock;

typedef struct {
    ResBlock block[UNET_BLOCKS + 1];
    AttentionBlock attention[UNET_BLOCKS + 1];
    Conv2d resample;                    /* to the next level; .w NULL: none, or without weights */
} UNetLevel;

typedef struct {
    UNetDesign design;
    Linear time[2];
    Embedding class;
    Conv2d in, out;
    UNetLevel down[UNET_LEVELS], up[UNET_LEVELS];
    ResBlock middle[2];
    AttentionBlock middle_attention;
    GroupNorm norm_out;
} UNet;

/* what the network is conditioned on, besides x (B,H,W,in) */
typedef struct {
    const double *time;                 /* (B), of steps as in training; need not be whole */
    const int *label;                   /* (B); NULL without classes */
    Rng *dropout;                       /* where dropout draws from; NULL: none is done */
} UNetConditions;

UNet unet_new(Params *p, UNetDesign d);

/* x (B,H,W,in) -> (B,H,W,out); H and W can be halved levels - 1 times */
Tensor *unet(const UNet *u, Tensor *x, UNetConditions cond);

/* (B) times -> (B,width), one wave length each (Vaswani et al. 2017, section 3.5): cosines, then
 * sines, of t 10000^(-i / half), half = width / 2; or with sines_first sines, then cosines, of
 * t 10000^(-i / (half - 1)) */
Tensor *time_embedding(Tape *t, const double *time, int B, int width, bool sines_first);

#endif
