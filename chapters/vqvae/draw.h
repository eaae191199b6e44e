/* draw.h — pictures from the prior's codes, and grids of pictures as files. */
#ifndef DRAW_H
#define DRAW_H

#include "models.h"

/* n pictures in [0,1] of n maps: the prior's, or with uniform codes in every place */
void draw_pictures(const Vqvae *v, const Prior *p, uint64_t seed, int n, int *labels,
                   real *images);
/* columns are classes; p NULL: uniform codes */
void picture_of_samples(const Vqvae *v, const Prior *p, char *path);
/* the first ten of a set, and what is rebuilt from their codes */
void picture_of_reconstructions(const Vqvae *v, const Images *set, char *path);
/* rows of ten images; `path` is freed */
void save_grid(char *path, const real *images, int rows, int channels);

#endif
