/* resize.h — images of other sizes, as a part of a network: gradients flow through. */
#ifndef RESIZE_H
#define RESIZE_H

#include "tensor/tensor.h"

/* x (B,H,W,C) -> (B,height,width,C), bilinear: pixels are squares, whose centres the new ones lie
 * between; at the edge, the outermost pixel. To smaller sizes without averaging. What super-
 * resolution networks are given (PyTorch's interpolate with align_corners=False). */
Tensor *resize_bilinear(Tensor *x, int height, int width);

#endif
