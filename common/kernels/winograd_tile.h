/* winograd_tile.h — the transforms of winograd.c, one tile and all its channels at a time. */
#ifndef WINOGRAD_TILE_H
#define WINOGRAD_TILE_H

#include "real.h"

enum {
    WINOGRAD_N = 6,                             /* inputs of a tile along one axis */
    WINOGRAD_POINTS = WINOGRAD_N * WINOGRAD_N   /* its products, the frequencies f */
};

/* Of a transformed tile, channel c at frequency f is at [f*plane + c]. pixel[i*n + j] is where the
 * channels of pixel (i,j) of an n x n block begin. */

/* V = B^T d B; 6 x 6 pixels */
void winograd_input(const real *const *pixel, int channels, real *v, size_t plane);
/* y = E^T M E [+ bias] [+ y], m x m pixels; `product` is read in whole vectors */
void winograd_output(int m, const real *product, size_t plane, int channels, const real *bias,
                     real *const *pixel, bool add);
/* Z = E dy E^T, m x m pixels */
void winograd_gradient(int m, const real *const *pixel, int channels, real *z, size_t plane);
/* U = N E g E^T N; tap[i*r + j]: weights of tap (i,j) */
void winograd_weights(int r, const real *const *tap, int channels, real *u, size_t plane);
/* g [+]= E^T N dU N E; a NULL tap is not wanted; dU is read in whole vectors */
void winograd_weights_back(int r, const real *du, size_t plane, int channels, real *const *tap,
                           bool add);

#endif
