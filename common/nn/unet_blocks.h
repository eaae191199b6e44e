/* unet_blocks.h — what U-Nets are lists of: residual blocks, attention, resampling.
 *
 * Ho et al. 2020, "Denoising Diffusion Probabilistic Models", appendix B; Nichol & Dhariwal 2021,
 * "Improved Denoising Diffusion Probabilistic Models", appendix A; Dhariwal & Nichol 2021,
 * "Diffusion Models Beat GANs on Image Synthesis", section 3; Nichol et al. 2021, "GLIDE".
 * They differ in details that look alike and are not interchangeable: weights trained with one give
 * noise with the other. These details are the fields of BlockStyle. */
#ifndef UNET_BLOCKS_H
#define UNET_BLOCKS_H

#include "nn/layers.h"

typedef struct {
    int emb;                  /* channels of the embedding (time, class, ...); 0: none */
    int groups;               /* of all group normalisations: 32 in the papers */
    double eps;               /* their epsilon: DDPM 1e-6; IDDPM and its descendants 1e-5 */
    bool scale_shift;         /* the embedding scales and shifts the second normalisation's output,
                                 and is not added before it (adaptive group norm) */
    bool pad_far_sides;       /* halving an image: one row of zeros below and one column at the
                                 right, as TensorFlow's SAME (DDPM); not on all sides */
    bool glorot;              /* weights start as Glorot's uniform ones, biases at 0 (DDPM); not as
                                 PyTorch's. In both, what a block adds starts at 0. */
    bool plain_start;         /* it does not: it starts as other layers (LDM's autoencoder) */
    double dropout;           /* before a residual block's second convolution */
} BlockStyle;

/* ---- residual block -------------------------------------------------------------------------- */

/* BigGAN's residual blocks resample between their first activation and convolution, and what goes
 * past them as well: 2x2 means, or each pixel four times (Brock et al. 2019) */
typedef enum { SAME_SIZE, HALF_SIZE, DOUBLE_SIZE } BlockSize;

typedef struct {
    GroupNorm norm1, norm2;
    Conv2d conv1, conv2, skip;          /* skip.w NULL: as many channels out as in */
    Linear emb_proj;                    /* .w NULL: no embedding */
    BlockSize size;
    bool scale_shift;
    double dropout;
} ResBlock;

ResBlock resblock_new(const BlockStyle *style, Scope s, int in, int out, BlockSize size);
/* x (B,H,W,in), emb (B,E) -> (B,H,W,out), or half or twice as high and wide. All blocks of a
 * network begin with SiLU of the embedding: emb is after it. */
Tensor *resblock(const ResBlock *r, Tensor *x, Tensor *emb);

/* ---- attention ------------------------------------------------------------------------------- */

/* Tokens beside the image, a text's for example: (B,M,D) and which of them are there, (B,M) bytes:
 * 1; mask NULL: all. The mask must outlive backward. */
typedef struct {
    Tensor *tokens;
    const uint8_t *mask;
} Context;

/* Which keys each query sees: the tokens that are there, then `own` others; (B,queries,M+own) for
 * Attention.mask, on the tape. NULL without a mask. */
const uint8_t *key_mask(Tape *t, Context context, int queries, int own);

typedef struct {
    GroupNorm norm;
    SelfAttention attention;
    Linear context_kv;                  /* (D,2C): the tokens' keys | values; .w NULL: no context */
} AttentionBlock;

/* context: channels of its tokens; 0: none */
AttentionBlock attention_block_new(const BlockStyle *style, Scope s, int channels, int heads,
                                   int context);
/* Every pixel attends to all others and to the context's tokens, whose keys and values stand before
 * the image's own (GLIDE): x (B,H,W,C) + attention, as a sequence of H W pixels */
Tensor *attention_block(const AttentionBlock *a, Tensor *x, Context context);

/* ---- resampling ------------------------------------------------------------------------------ */

/* 3x3 convolutions: to half the size with stride 2; to twice the size, after each pixel has become
 * four */
Conv2d downsample_new(const BlockStyle *style, Scope s, int channels);
Conv2d upsample_new(const BlockStyle *style, Scope s, int channels);
/* (B,H,W,C) -> (B,H/2,W/2,C) and (B,2H,2W,C); l->w NULL: 2x2 means, each pixel four times */
Tensor *downsample(const Conv2d *l, Tensor *x);
Tensor *upsample(const Conv2d *l, Tensor *x);

/* ---- starting values ------------------------------------------------------------------------- */

/* s for the layers of a network in this style, of the whole as of its blocks */
Scope styled_scope(const BlockStyle *style, Scope s);

#endif
