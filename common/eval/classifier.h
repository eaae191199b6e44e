/* classifier.h — the network behind the scores: it sees grey 28x28 pictures in [0,1] and gives 64
 * features and the probabilities of ten classes.
 *
 * It is trained once (build/classifier train) and then frozen: the scores are its opinions, so two
 * of them may be compared only when the same weights made them. sha256 names the weights.
 *
 * The features are a linear layer's output, before its activation. Behind a rectifier many would be
 * zero for whole classes of pictures, and the covariance that the Frechet distance takes the root
 * of would be singular. Pooling, and pictures shifted in training, keep a shift of one pixel from
 * looking like another distribution.
 *
 * Interface:
 *   - classifier_new, classifier_features, classifier_logits   the network, for training
 *   - frozen_load     weights from a file
 *   - frozen_apply    features and probabilities of many images; most_probable: a class */
#ifndef CLASSIFIER_H
#define CLASSIFIER_H

#include "nn/layers.h"

#define CLASSIFIER_WEIGHTS "notebooks-data/classifier/weights.safetensors"

enum { SCORE_SIDE = 28, SCORE_PIXELS = SCORE_SIDE * SCORE_SIDE, SCORE_CLASSES = 10,
       SCORE_FEATURES = 64 };

typedef struct {
    Conv2d conv[2];
    Linear features, classes;
} Classifier;

Classifier classifier_new(Params *p);
Tensor *classifier_features(const Classifier *c, Tensor *x);    /* (B,28,28,1) -> (B,64) */
Tensor *classifier_logits(const Classifier *c, Tensor *h);      /* (B,64) -> (B,10) */

typedef struct {
    Params params;
    Classifier net;
    char sha256[65];             /* of the file */
} Frozen;

Frozen frozen_load(const char *path);       /* fails with one line */
void   frozen_free(Frozen *f);
/* x (n,28,28,1) in [0,1] -> features (n,64) and probabilities (n,10); NULL: not wanted */
void frozen_apply(const Frozen *f, int n, const real *x, real *features, real *probabilities);
int  most_probable(const real *probabilities);      /* of the ten; the first, if several are */

#endif
