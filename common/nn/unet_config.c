#include "nn/unet_config.h"

#include <string.h>

void unet_set_levels(UNetConfig *c, int levels, const int *multiplier) {
    c->levels = levels;
    memcpy(c->multiplier, multiplier, (size_t)levels * sizeof *multiplier);
}

void unet_attend_at(UNetConfig *c, int side, int most, int least) {
    for (int l = 0; l < c->levels; l++) c->attends[l] = side >> l <= most && side >> l >= least;
}

UNetConfig adm_family(int width, int blocks) {
    return (UNetConfig){.in = 3, .out = 6, .width = width, .blocks = blocks, .head_channels = 64,
                        .resampling = RESAMPLE_RESBLOCK,
                        .style = {.groups = 32, .eps = 1e-5, .scale_shift = true}};
}
