/* unet_config.h — for the tables of published U-Nets: a configuration in a few words.
 *
 *     UNetConfig c = adm_family(192, 3);
 *     unet_levels(&c, 1, 2, 3, 4);
 *     unet_attend_at(&c, 64, 32, 8); */
#ifndef UNET_CONFIG_H
#define UNET_CONFIG_H

#include "nn/unet.h"

/* how many times the width each level has */
#define unet_levels(c, ...)                                                                   \
    unet_set_levels(c, (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (int[]){__VA_ARGS__})
void unet_set_levels(UNetConfig *c, int levels, const int *multiplier);

/* Attention where images of `side` pixels have become as small as `most`, down to `least`: after
 * the levels are set. */
void unet_attend_at(UNetConfig *c, int side, int most, int least);

/* Dhariwal & Nichol 2021, and what was built on it: RGB images, predicted noise and variance,
 * adaptive group norm, heads of 64 channels, BigGAN's blocks between levels */
UNetConfig adm_family(int width, int blocks);

#endif
