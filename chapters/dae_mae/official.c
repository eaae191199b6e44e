/* official.c — the masked autoencoder's parameters under the names of the authors' code
 * (facebookresearch/mae), which ours bear but for one layer of each block. */
#include "mae.h"

static const OfficialName names[] = {
    {"blocks.%d.attn.out", "blocks.%d.attn.proj", 0, 0},
    {"decoder_blocks.%d.attn.out", "decoder_blocks.%d.attn.proj", 0, 0},
    {0}};

const OfficialMap mae_official = {.rows = names};
