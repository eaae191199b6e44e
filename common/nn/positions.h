/* positions.h — where the places of an image are, as fixed numbers for attention, which by itself
 * does not know. */
#ifndef POSITIONS_H
#define POSITIONS_H

#include "kernels/kernels.h"

/* table (height*width,channels), places line by line: the first half of the channels encodes the
 * column, the second the line, each half all its sines, then all its cosines, of
 * place / 10000^(i / (channels/4)) (He et al. 2021, "MAE", and its authors' code). channels: a
 * multiple of 4 */
void sin_cos_positions(int height, int width, int channels, real *table);

#endif
