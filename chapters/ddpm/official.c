/* official.c — the network's parameters under the names of pesser/pytorch_diffusion, which ported
 * the authors' weights to PyTorch. */
#include "ddpm.h"
#include "nn/ddpm_names.h"

static const OfficialName names[] = {
    {"time.%d", "temb.dense.%d", 0, 0}, DDPM_OFFICIAL_ROWS(""), {0}};

const OfficialMap ddpm_official = {.rows = names};
