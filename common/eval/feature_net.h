/* feature_net.h — a frozen network as the scores see it: pictures in, features and probabilities
 * out. Geometry is a value, so pictures of any size and number of channels can be scored by a
 * network that was trained on their like: classifier.h, caption_evaluator.h. */
#ifndef FEATURE_NET_H
#define FEATURE_NET_H

#include "kernels/kernels.h"

typedef struct {
    int height, width, channels;      /* of the pictures, (n,height,width,channels) in [0,1] */
    int features;                     /* of each */
    int classes;                      /* whose probabilities it gives; 0: none */
    char sha256[65];                  /* of its weights */
    const void *net;                  /* must outlive its use */
    /* features (n,features), probabilities (n,classes); NULL: not wanted */
    void (*apply)(const void *net, int n, const real *x, real *features, real *probabilities);
} FeatureNet;

static inline size_t picture_size(const FeatureNet *f) {          /* numbers of one picture */
    return (size_t)f->height * (size_t)f->width * (size_t)f->channels;
}

int most_probable(int classes, const real *probabilities);    /* the first, if several are */

#endif
