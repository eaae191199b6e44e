/* unet.h — the U-Net that all diffusion chapters share: x_t and what it is conditioned on in, a
 * model output of the same size out.
 *
 *     UNetConfig c = {.in = 1, .out = 1, .width = 32, .levels = 3, .multiplier = {1, 2, 2},
 *                     .attends = {false, true}, .blocks = 2, .heads = 1,
 *                     .style = {.groups = 32, .eps = 1e-6}};
 *     TimeEmbedding time = time_embedding_new(scope(&params, "time"), 32, 128, true);
 *     UNet net = unet_new(&params, c);
 *     Tensor *eps = unet(&net, x, time_embedding(&time, &tape, t, B), NULL);
 *
 * Whatever is known of the image besides x comes in as tensors: `emb`, one row of numbers an image,
 * the sum of what the chapter makes (of time, class, text, image); `context`, a sequence of tokens
 * that attention looks at. Null labels and absent texts are rows of the chapter's tables.
 *
 * One level for each size of image, each half as wide and high as the one before:
 *
 *     in -> down.0 blocks ---------------------------------> up.0 blocks -> out
 *             down.0.downsample                          up.1.upsample
 *               down.1 blocks ------------------------> up.1 blocks
 *                 ...                                     ...
 *                   down.L blocks -> middle -> up.L blocks
 *
 * Every residual block going up is also given what a step going down (a residual block with its
 * attention, a resampling, or the first convolution) had made: the channels of both, side by side.
 */
#ifndef UNET_H
#define UNET_H

#include "nn/spatial_transformer.h"
#include "nn/time_embedding.h"
#include "nn/unet_blocks.h"

enum { UNET_LEVELS = 8 };

/* between levels: convolutions; no weights at all; residual blocks that change the size (BigGAN) */
typedef enum { RESAMPLE_CONV, RESAMPLE_PLAIN, RESAMPLE_RESBLOCK } Resampling;

typedef struct {
    int in, out;                        /* channels of x and of the model output */
    int width;                          /* channels of level l: width * multiplier[l] */
    int levels, multiplier[UNET_LEVELS];
    int first;                          /* channels after the first convolution; 0: width */
    bool attends[UNET_LEVELS];          /* attention after each residual block of the level? */
    bool plain_middle;                  /* none in the middle, where there usually is */
    int blocks;                         /* residual blocks of a level going down; going up there is
                                           one more */
    int heads, head_channels;           /* of attention: so many, or of so many channels each */
    int context;                        /* channels of the context's tokens; 0: none */
    int transformer_depth;              /* attention is spatial transformers of so many blocks; 0:
                                           one layer, into which the context comes as keys */
    Resampling resampling;
    BlockStyle style;                   /* style.emb 0: 4 width, as in all papers */
} UNetConfig;

/* ---- its blocks ------------------------------------------------------------------------------ */

typedef enum { RES_BLOCK, ATTENTION_BLOCK, TRANSFORMER_BLOCK, DOWNSAMPLE, UPSAMPLE } BlockKind;

typedef struct {
    BlockKind kind;
    int out;                            /* channels of what it makes */
    bool skips;                         /* going down: that goes to the way up as well; going up:
                                           something of the way down comes in */
    union {
        ResBlock res;
        AttentionBlock attention;
        SpatialTransformer transformer;
        Conv2d resample;                /* .w NULL: without weights */
    };
} UNetBlock;

typedef struct {
    UNetBlock *block;                   /* in the memory of the parameters */
    int count;
} BlockList;

typedef struct {
    UNetConfig config;
    Conv2d in, out;
    BlockList down, middle, up;
    GroupNorm norm_out;
} UNet;

/* ---- use ------------------------------------------------------------------------------------- */

UNet unet_new(Params *p, UNetConfig c);
int unet_emb(const UNetConfig *c);      /* channels of the embedding */

/* `to`, a network whose first convolution has more inputs, begins as `from`: they stand behind the
 * first `kept`, and their weights are 0 (GLIDE, section 4.3). What is in `to` alone is left as it is. */
void unet_widen(Params *to, const Params *from, int kept);

/* x (B,H,W,in), emb (B,E), context (B,M,D) or NULL -> (B,H,W,out); H and W can be halved
 * levels - 1 times */
Tensor *unet(const UNet *u, Tensor *x, Tensor *emb, Tensor *context);
/* the same where some of the context's tokens are not there: context.mask */
Tensor *unet_masked(const UNet *u, Tensor *x, Tensor *emb, Context context);

/* Without the way up: x (B,H,W,in) -> what the middle makes of it, (B,H/n,W/n,C) */
UNet unet_encoder_new(Params *p, UNetConfig c);
Tensor *unet_encoder(const UNet *u, Tensor *x, Tensor *emb, Tensor *context);
/* The same; and what the last block of each level makes, level[l] (B,H/2^l,W/2^l,C), as features of
 * several sizes: level (levels) */
Tensor *unet_encoder_levels(const UNet *u, Tensor *x, Tensor *emb, Tensor **level);

#endif
