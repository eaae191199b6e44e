/* official.c — the network's parameters under the names of pesser/pytorch_diffusion, which ported
 * the authors' weights to PyTorch. */
#include "ddpm.h"

#define BLOCK(ours, official, times, plus)                                                    \
    {ours ".norm1", official ".norm1", times, plus},                                          \
    {ours ".conv1", official ".conv1", times, plus},                                          \
    {ours ".emb_proj", official ".temb_proj", times, plus},                                   \
    {ours ".norm2", official ".norm2", times, plus},                                          \
    {ours ".conv2", official ".conv2", times, plus},                                          \
    {ours ".skip", official ".nin_shortcut", times, plus}
#define ATTENTION(ours, official)                                                             \
    {ours ".norm", official ".norm", 0, 0}, {ours ".qkv", official ".*", 0, 0},               \
    {ours ".out", official ".proj_out", 0, 0}

static const OfficialName names[] = {
    {"time.%d", "temb.dense.%d", 0, 0},
    {"in", "conv_in", 0, 0},
    BLOCK("down.%d.block.%d", "down.%d.block.%d", 0, 0),
    ATTENTION("down.%d.attention.%d", "down.%d.attn.%d"),
    {"down.%d.downsample", "down.%d.downsample.conv", 0, 0},
    BLOCK("middle.block.%d", "mid.block_%d", 1, 1),
    ATTENTION("middle.attention", "mid.attn_1"),
    BLOCK("up.%d.block.%d", "up.%d.block.%d", 0, 0),
    ATTENTION("up.%d.attention.%d", "up.%d.attn.%d"),
    {"up.%d.upsample", "up.%d.upsample.conv", 0, 0},
    {"norm_out", "norm_out", 0, 0},
    {"out", "conv_out", 0, 0},
    {0}};

const OfficialMap ddpm_official = {.rows = names};
