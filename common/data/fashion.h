/* fashion.h — Fashion-MNIST (Xiao, Rasul & Vollgraf 2017): 70,000 grey 28x28 pictures of clothes in
 * ten classes.
 *
 * Read from Debian's dataset-fashion-mnist, or from a folder with files of the same names (so MNIST
 * and its other relatives work too; EMNIST has up to 62 classes). The 60,000 training images are split once and for all: the
 * last 5,000 are for validation (a tenth of them, if there are fewer than 50,000). Test images are
 * for the final scores alone. */
#ifndef FASHION_H
#define FASHION_H

#include "data/idx.h"
#include "data/images.h"

#define FASHION_FOLDER "/usr/share/datasets/fashion-mnist"

/* the published classes, as labels of a grid's columns (picture.h) */
#define FASHION_LABELS \
    "T-shirt|trouser|pullover|dress|coat|sandal|shirt|sneaker|bag|ankle boot"

enum { FASHION_SIDE = 28, FASHION_PIXELS = FASHION_SIDE * FASHION_SIDE, FASHION_CLASSES = 10 };

typedef struct {
    Images train, validation, test;
    int classes;                 /* 10, or more if labels go further */
    const char *const *class_names;
    const char *folder;          /* where it was read; not owned */
    bool standard;               /* the four files are the published ones, by their checksums */
    Idx file[4];                 /* in the order of fashion_files */
} Fashion;

extern const char *const fashion_files[4];    /* "train-images-idx3-ubyte", ... */

/* folder NULL: Debian's, where other bytes than the published ones are an error. Fails with one line,
 * also if there are more than ten classes. */
Fashion fashion_load(const char *folder);
/* any number of classes: for networks that see no labels, or that are built for f.classes */
Fashion fashion_load_any(const char *folder);
Fashion fashion_load_unlabelled(const char *folder, int training, int testing);   /* least, any */
/* fails with one line if there are more than `known` classes */
void fashion_need_classes(const Fashion *f, int known);
/* the same, and there must be so many images for training (validation included) and for testing */
Fashion fashion_load_least(const char *folder, int training, int testing);
void fashion_free(Fashion *f);

#endif
