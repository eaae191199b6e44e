/* images.h — pictures in memory, as bytes. */
#ifndef IMAGES_H
#define IMAGES_H

#include "tensor/tensor.h"

typedef struct {
    int count, height, width, channels;
    const uint8_t *pixels;       /* (count,height,width,channels), 0..255 */
    const uint8_t *labels;       /* (count), classes */
    const char *const *captions; /* (count), UTF-8; NULL: there are none */
} Images;

/* The images index[0..n-1] as (n,height,width,channels) in x, byte 0 as `low`, 255 as `high`; their
 * classes in labels unless NULL. index NULL: the first n. */
void images_get(const Images *m, int n, const int *index, double low, double high, real *x,
                int *labels);

/* the first n of them in memory of the arena; or all, if there are fewer */
real *images_new(Arena *arena, const Images *m, int n, double low, double high, int *labels);

/* `count` of them from number `first` on, in the same memory */
Images images_part(const Images *m, int first, int count);

/* The same with `border` black pixels on each side of every image, which are copied to the arena */
Images images_pad(Arena *arena, const Images *m, int border);

/* n numbers in [-1,1] (what is outside is clamped) rounded to those that bytes have, as images_get
 * gives them */
void as_bytes(size_t n, real *x);
/* n RGB pictures (n,side,side,3) in [-1,1] at half the size: means of four pixels, as bytes have
 * them, in memory of the arena */
real *images_downsample(Arena *arena, int n, int side, const real *x);
/* the same until they have `small` pixels a side: x itself if they do */
const real *shrink(Arena *arena, int n, int side, int small, const real *x);
/* n times the numbers x (len), in memory of the arena */
real *n_copies(Arena *arena, int n, size_t len, const real *x);

/* Variance of all numbers around one mean, as values in [0,1]. Ends the program with one line if it
 * is 0: there is nothing to learn from such images. */
double images_variance(const Images *m);

/* A square of RGB pixels, `side` a side, lines `stride` bytes apart, to (size,size,3): each pixel
 * is the mean over the area it covers, rounded. Exact integer sums, so the same everywhere. A
 * smaller picture is enlarged by the same rule. */
void area_average(const uint8_t *pixels, size_t stride, int side, int size, uint8_t *out);

#endif
