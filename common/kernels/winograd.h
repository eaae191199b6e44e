/* winograd.h — convolutions with fewer multiplications; see winograd.c. Not public. */
#ifndef WINOGRAD_H
#define WINOGRAD_H

#include "kernels.h"

/* Kernels of 2 to 5 rows or columns at stride 1, of 3 to 10 at stride 2, nothing empty. */
bool winograd_possible(const ConvShape *s);

/* Whether it is faster than the direct way: from input to output, which holds for the gradient of
 * the weights too, or from output to input. False where it is not possible. */
bool winograd_pays(const ConvShape *s, bool to_input);

/* As conv2d_forward and so on in kernels.h, where possible. */
void winograd_forward(const ConvShape *s, const real *x, const real *w, const real *bias, real *y);
void winograd_backward_input(const ConvShape *s, const real *w, const real *dy, const real *bias,
                             real *dx, bool add);
void winograd_backward_weight(const ConvShape *s, const real *x, const real *dy, real *dw,
                              bool add);

#endif
