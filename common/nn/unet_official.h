/* unet_official.h — the U-Net under the names of openai/improved-diffusion, which guided-diffusion,
 * GLIDE, Karlo, latent-diffusion and Stable Diffusion kept: all steps of the way down in one list,
 * all of the way up in another.
 *
 *     time_embed.0 .2
 *     input_blocks.0.0         the first convolution
 *     input_blocks.N.0 .1      block and attention; or .0, what halves the image after a level
 *     middle_block.0 .1 .2
 *     output_blocks.N.0 .1 .2  block, attention if there is one, what doubles it after a level
 *     out.0 .2                 norm and convolution; of a classifier out.0 and the pooling, out.2
 *
 * A chapter's map adds what it makes the embedding and the context of:
 *
 *     static const OfficialName rows[] = {{"class", "label_emb", 0, 0}, UNET_OFFICIAL_ROWS, {0}};
 *     UNetOfficial design = {.config = c};
 *     OfficialMap map = {.rows = rows, .locate = unet_official, .design = &design}; */
#ifndef UNET_OFFICIAL_H
#define UNET_OFFICIAL_H

#include "nn/official_names.h"
#include "nn/unet.h"

typedef struct {
    UNetConfig config;
    /* attention's q, k and v: all heads' q first, then k, then v, as in guided-diffusion's network
     * for 64x64; otherwise q, k and v of the first head, then of the second, ... */
    bool qkv_first;
} UNetOfficial;

/* OfficialMap.locate for layers of a TimeEmbedding "time" and of UNet or UNetClassifier; design:
 * UNetOfficial */
bool unet_official(const void *design, const char *ours, OfficialPlace *at);

/* The same for the blocks of the transformers that GLIDE and Karlo put beside it: ours begin with
 * `prefix` ("text.block."), theirs with transformer.resblocks; q, k and v head by head. */
bool resblocks_official(const char *prefix, int heads, const char *ours, OfficialPlace *at);

/* tensors that are no layer's: the pooling's */
#define UNET_OFFICIAL_ROWS {"pool.positions.w", "out.2.positional_embedding", 0, 0}

#endif
