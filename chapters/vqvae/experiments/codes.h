/* codes.h — codes to look at: places in the plane, colours, maps as pictures, codebook.csv. */
#ifndef CODES_H
#define CODES_H

#include "nn/codebook.h"

/* how often the codes of n maps (n,7,7) were chosen: (K) */
int *times_chosen(Arena *arena, const Codebook *c, int n, const int *codes);

/* Codes projected on the `axes` directions in which they vary most (principal components, each code
 * weighed by times[k], how often it was chosen): places (K,axes). Returns the share of the variance
 * that these directions hold. */
double project_codes(const Codebook *c, const int *times, int axes, double *places);

/* A colour for each code, (K,3) in [0,1]: its rank along each of the first three of these
 * directions is its amount of red, green and blue, so that codes of like colour lie together. A
 * codebook of fewer dimensions has fewer colours. */
real *code_colours(Arena *arena, const Codebook *c, const int *times);

/* codebook.csv in `folder`: where each code lies on the plane in which they vary most, how often it
 * was chosen, and its colour. Returns the share of the variance in that plane. */
double save_codebook(const char *folder, const Codebook *c, const int *times);

/* n maps of codes (n,7,7) as pictures (n,28,28,3), a square a code */
void draw_maps(int n, const int *codes, const real *rgb, real *pictures);
void in_colour(size_t n, const real *grey, real *rgb);        /* n pixels, (n) -> (n,3) */

#endif
