/* bands.h — the decoder in bands of rows, for large pictures: the same numbers as decode() gives,
 * up to rounding, in less memory.
 *
 * Cutting the latent itself into tiles changes the picture: group normalisation needs the mean and
 * variance of whole maps, and the middle attends to all of them. So what is cut are the layers: each
 * map is made whole, but normalisation, enlarging and the convolution behind them go over it band
 * by band, with as many rows beyond its ends as the kernel covers. What is never whole are the
 * normalised and enlarged maps. */
#ifndef BANDS_H
#define BANDS_H

#include "first_stage.h"

/* z (h,w,e) of one picture -> x (f h, f w, channels); `rows` of a map at a time, an even number */
void decode_in_bands(const FirstStage *f, const real *z, int h, int w, int rows, real *x);

/* how many rows of a map of this width are made at a time, unless the user says otherwise */
int band_rows(int width);

#endif
