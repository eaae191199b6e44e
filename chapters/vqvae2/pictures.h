/* pictures.h — the pictures of this chapter: garments with a black border, or colour emoji.
 *
 *   - garments: Fashion-MNIST's 28x28 pixels in the middle of 32x32, so that they can be halved
 *     three times; grey; classes are Fashion-MNIST's
 *   - emoji: 64x64, colour; classes are Unicode's groups. Or a user's own folder, with its classes
 *
 * Networks see values in [-1,1]. */
#ifndef PICTURES_H
#define PICTURES_H

#include "data/captioned.h"
#include "data/fashion.h"
#include "train/run.h"

typedef struct {
    int side, channels, border;       /* border: black pixels around a garment */
    int classes;
    const Images *train, *validation, *test;
    /* private */
    bool garments, by_group;
    Fashion fashion;
    Captioned captioned;
} Pictures;

/* folder NULL: the Debian packages' data. *d must stay where it is. Fails with one line. */
void pictures_load(Pictures *d, bool garments, const char *folder);
void pictures_free(Pictures *d);

/* numbers in one picture */
int picture_len(const Pictures *d);
/* pictures index[0..n-1] of a set (NULL: the first n) in x, their classes in labels; either NULL */
void pictures_get(const Pictures *d, const Images *set, int n, const int *index, real *x,
                  int *labels);
/* garments without their border, in [0,1]: what classifiers see, (n,28,28) */
void garments_of(const Pictures *d, int n, const real *x, real *garments);

/* Variance of a pixel over the first 2,000 training pictures, around one mean for all: what a
 * reconstruction error is divided by. Without the border, which is easy to rebuild. */
double pictures_variance(const Pictures *d);
/* sum over n pictures of the mean (x - y)^2, without the border */
double pictures_error(const Pictures *d, int n, const real *x, const real *y);
void pictures_record(const Pictures *d, Run *run);      /* which data, into run.json */

#endif
