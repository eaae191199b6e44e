/* fashion.h — Fashion-MNIST (Xiao, Rasul & Vollgraf 2017): 70,000 grey 28x28 pictures of clothes in
 * ten classes.
 *
 * Read from Debian's dataset-fashion-mnist, or from a folder with files of the same names (so MNIST
 * and its other relatives work too). The 60,000 training images are split once and for all: the
 * last 5,000 are for validation (a tenth of them, if there are fewer than 50,000). Test images are
 * for the final scores alone. */
#ifndef FASHION_H
#define FASHION_H

#include "data/idx.h"
#include "kernels/real.h"

#define FASHION_FOLDER "/usr/share/datasets/fashion-mnist"

typedef struct {
    int count, height, width, channels;
    const uint8_t *pixels;       /* (count,height,width,channels), 0..255 */
    const uint8_t *labels;       /* (count), 0..9 */
} Images;

typedef struct {
    Images train, validation, test;
    int classes;
    const char *const *class_names;
    bool standard;               /* the four files are the published ones, by their checksums */
    Idx file[4];                 /* in the order of fashion_files */
} Fashion;

extern const char *const fashion_files[4];    /* "train-images-idx3-ubyte", ... */

/* folder NULL: Debian's, where other bytes than the published ones are an error. Fails with one
 * line. */
Fashion fashion_load(const char *folder);
void fashion_free(Fashion *f);

/* The images index[0..n-1] as (n,height,width,channels) in x, byte 0 as `low`, 255 as `high`; their
 * classes in labels unless NULL. index NULL: the first n. */
void images_get(const Images *m, int n, const int *index, double low, double high, real *x,
                int *labels);

#endif
