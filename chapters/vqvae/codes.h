/* codes.h — codes to look at: places in the plane, colours, maps as pictures. */
#ifndef CODES_H
#define CODES_H

#include "nn/codebook.h"

/* Codes projected on the `axes` directions in which they vary most (principal components, each code
 * weighed by times[k], how often it was chosen): places (K,axes). Returns the share of the variance
 * that these directions hold. */
double project_codes(const Codebook *c, const int *times, int axes, double *places);

/* A colour for each code, rgb (K,3) in [0,1]: its rank along each of the first three of these
 * directions is its amount of red, green and blue, so that codes of like colour lie together. A
 * codebook of fewer dimensions has fewer colours. */
void code_colours(const Codebook *c, const int *times, real *rgb);

/* n maps of codes (n,7,7) as pictures (n,28,28,3), a square a code */
void draw_maps(int n, const int *codes, const real *rgb, real *pictures);
void in_colour(size_t n, const real *grey, real *rgb);        /* n pixels, (n) -> (n,3) */

#endif
