/* spatial_transformer.h — transformer blocks over an image's pixels, with cross-attention to tokens
 * beside it: Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models",
 * section 3.3 and appendix E.2.1.
 *
 *     h = proj_in(norm(x)), as a sequence of H W pixels
 *     h = block(h, context) depth times: self-attention, cross-attention, GEGLU
 *     x + proj_out(h) */
#ifndef SPATIAL_TRANSFORMER_H
#define SPATIAL_TRANSFORMER_H

#include "nn/transformer.h"
#include "nn/unet_blocks.h"

typedef struct {
    int channels, heads, depth;
    int context;                        /* channels of the context's tokens */
} SpatialTransformerConfig;

typedef struct {
    GroupNorm norm;                     /* eps 1e-6, whatever the network's others have */
    Linear proj_in, proj_out;
    Transformer blocks;
} SpatialTransformer;

SpatialTransformer spatial_transformer_new(const BlockStyle *style, Scope s,
                                           SpatialTransformerConfig c);
/* x (B,H,W,C), context (B,M,D) -> (B,H,W,C) */
Tensor *spatial_transformer(const SpatialTransformer *t, Tensor *x, Context context);

#endif
