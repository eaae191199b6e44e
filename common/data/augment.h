/* augment.h — an image seen a little differently each time. */
#ifndef AUGMENT_H
#define AUGMENT_H

#include "tensor/tensor.h"

/* Random resized crop and flip: each of the grey images (B,side,side,1) becomes a random square
 * part of itself, of 60 to 100 % of its area, enlarged to the whole by bilinear interpolation, and
 * in half of the cases a mirror image. It is the only augmentation of He et al. 2021, whose parts
 * begin at 20 %, too small where an image has 28 pixels. Draws four numbers an image. */
Tensor *augment(Tensor *images, Rng *rng);

#endif
