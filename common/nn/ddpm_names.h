/* ddpm_names.h — networks of residual blocks under the names of pesser/pytorch_diffusion, which
 * ported DDPM's weights to PyTorch; LDM's autoencoders kept the names, without an embedding.
 *
 *     static const OfficialName rows[] = {DDPM_OFFICIAL_ROWS("encoder."), {0}}; */
#ifndef DDPM_NAMES_H
#define DDPM_NAMES_H

#include "nn/official_names.h"

#define DDPM_OFFICIAL_BLOCK(ours, official, times, plus)                                      \
    {ours ".norm1", official ".norm1", times, plus},                                          \
    {ours ".conv1", official ".conv1", times, plus},                                          \
    {ours ".emb_proj", official ".temb_proj", times, plus},                                   \
    {ours ".norm2", official ".norm2", times, plus},                                          \
    {ours ".conv2", official ".conv2", times, plus},                                          \
    {ours ".skip", official ".nin_shortcut", times, plus}

#define DDPM_OFFICIAL_ATTENTION(ours, official)                                               \
    {ours ".norm", official ".norm", 0, 0}, {ours ".qkv", official ".*", 0, 0},               \
    {ours ".out", official ".proj_out", 0, 0}

/* all layers but the time's; `p`: what stands before the names, in both */
#define DDPM_OFFICIAL_ROWS(p)                                                                 \
    {p "in", p "conv_in", 0, 0},                                                              \
    DDPM_OFFICIAL_BLOCK(p "down.%d.block.%d", p "down.%d.block.%d", 0, 0),                    \
    DDPM_OFFICIAL_ATTENTION(p "down.%d.attention.%d", p "down.%d.attn.%d"),                   \
    {p "down.%d.downsample", p "down.%d.downsample.conv", 0, 0},                              \
    DDPM_OFFICIAL_BLOCK(p "middle.block.%d", p "mid.block_%d", 1, 1),                         \
    DDPM_OFFICIAL_ATTENTION(p "middle.attention", p "mid.attn_1"),                            \
    DDPM_OFFICIAL_BLOCK(p "up.%d.block.%d", p "up.%d.block.%d", 0, 0),                        \
    DDPM_OFFICIAL_ATTENTION(p "up.%d.attention.%d", p "up.%d.attn.%d"),                       \
    {p "up.%d.upsample", p "up.%d.upsample.conv", 0, 0},                                      \
    {p "norm_out", p "norm_out", 0, 0}, {p "out", p "conv_out", 0, 0}

#endif
