/* code_pictures.h — pictures of codes: codes as colours, codes at random, many bottoms for one top.
 * Each function returns rows of `columns` images in the arena, with values in [-1,1]. */
#ifndef CODE_PICTURES_H
#define CODE_PICTURES_H

#include "../model.h"

/* n images of codes drawn at random, each as likely as any: why a prior is needed */
real *uniform_codes(Arena *arena, const ImageSet *d, const Model *m, int n, Rng *rng);

/* Each row: a test image, reconstructed, and then with bottoms that the prior draws for its top:
 * what the top has fixed stays, the rest changes. */
real *bottoms_of_a_top(Arena *arena, const ImageSet *d, const Model *m, int rows, int columns,
                       double temperature, Rng *rng);

/* `columns` test images in colour; below them their top codes, if there are two levels; below these
 * their bottom codes. A code's colour is made of three numbers of its vector, so that codes near
 * each other look alike. */
real *codes_as_colours(Arena *arena, const ImageSet *d, const Model *m, int columns);

#endif
