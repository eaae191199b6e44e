/* augment.h — a picture seen a little differently each time. */
#ifndef AUGMENT_H
#define AUGMENT_H

#include "kernels/kernels.h"

/* Each of n grey side x side pictures becomes a random square part of itself, of 60 to 100 % of its
 * area, enlarged to the whole by bilinear interpolation, and in half of the cases a mirror image (a
 * random resized crop and flip: the only augmentation of He et al. 2021, whose parts begin at 20 %,
 * too small where a picture has 28 pixels). Draws four numbers a picture; `out` must not be
 * `in`. */
void augment(int n, int side, const real *in, Rng *rng, real *out);

#endif
