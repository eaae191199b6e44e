/* image_set.h — grey or colour images under one interface, for chapters that train on either.
 *
 *   - image_set_fashion   Fashion-MNIST: grey, 28x28 pixels in the middle of 32x32, which can be
 *                         downsampled by 2 three times; its ten classes, or more
 *                         if labels go further
 *   - image_set_colour    emoji, whose classes are Unicode's groups; or a user's folder, with its
 *                         own classes (folder.h). With captions
 *
 * Plain arrays of images hold values in [-1,1]. A border is no part of an image: errors and
 * variances leave it out, because it is easy to reconstruct. */
#ifndef IMAGE_SET_H
#define IMAGE_SET_H

#include "data/captioned.h"
#include "data/fashion.h"

typedef struct {
    int size, channels;               /* an image is (size,size,channels) */
    int border;                       /* black pixels on each side of it */
    int classes;
    const char *const *class_names;
    Images train, validation, test;   /* labels are these classes */
    bool is_fashion;
    Fashion fashion;                  /* without the border, as evaluators want it */
    Captioned captioned;              /* if it is not Fashion-MNIST */
    Arena arena;                      /* holds what was made of either */
} ImageSet;

/* folder NULL: the Debian packages' data. Fail with one line. */
ImageSet image_set_fashion(const char *folder);
ImageSet image_set_colour(const char *folder, int size);
void     image_set_free(ImageSet *d);

int image_len(const ImageSet *d);     /* numbers in one image */
/* n images x without their border, in [0,1]: what classifiers see */
void image_set_crop(const ImageSet *d, int n, const real *x, real *cropped);
/* Variance of a number over the first 2,000 training images, around one mean for all. Ends the
 * program with one line if it is 0. */
double image_set_variance(const ImageSet *d);
/* sum over n images of the mean (x - y)^2 */
double image_set_error(const ImageSet *d, int n, const real *x, const real *y);

#endif
