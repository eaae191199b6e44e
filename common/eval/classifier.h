/* classifier.h — the networks behind the scores: convolutions with pooling, features, classes. One
 * sees grey garments of 28x28 pixels, one colour emoji of 32x32; each is trained once and then
 * frozen. The scores are its opinions, so two of them may be compared only when the same weights
 * made them. sha256 names the weights.
 *
 * The features are a linear layer's output, before its activation. Behind a rectifier many would be
 * zero for whole classes of pictures, and the covariance that the Frechet distance takes the root
 * of would be singular. Pooling, and pictures shifted in training, keep a shift of one pixel from
 * looking like another distribution.
 *
 * Interface:
 *   - classifier_new, classifier_features, classifier_logits   the network, for training
 *   - frozen_load     weights from a file
 *   - frozen_apply    features and probabilities of many images
 *   - frozen_net      the same as the scores want it */
#ifndef CLASSIFIER_H
#define CLASSIFIER_H

#include "eval/feature_net.h"
#include "nn/layers.h"

#define CLASSIFIER_WEIGHTS "notebooks-data/classifier/weights.safetensors"
#define EMOJI_CLASSIFIER_WEIGHTS "notebooks-data/classifier/emoji-weights.safetensors"

enum { CLASSIFIER_LAYERS = 4 };

typedef struct {
    int height, width, channels;      /* of the pictures */
    int filters[CLASSIFIER_LAYERS];   /* of each 3x3 convolution; pooling halves sides; 0 ends */
    int features, classes;
} ClassifierConfig;

extern const ClassifierConfig classifier_fashion;     /* (28,28,1) -> 64 -> 10 */
extern const ClassifierConfig classifier_emoji;       /* (32,32,3) -> 64 -> 99 subgroups */

typedef struct {
    ClassifierConfig config;
    Conv2d conv[CLASSIFIER_LAYERS];
    Linear features, classes;
} Classifier;

Classifier classifier_new(Params *p, const ClassifierConfig *config);
Tensor *classifier_features(const Classifier *c, Tensor *x);    /* (B,h,w,c) -> (B,features) */
Tensor *classifier_logits(const Classifier *c, Tensor *h);      /* -> (B,classes) */

typedef struct Frozen {
    Params params;
    Classifier net;
    char sha256[65];             /* of the file */
} Frozen;

Frozen frozen_load(const char *path, const ClassifierConfig *config);     /* fails with one line */
void   frozen_free(Frozen *f);
/* x (n,h,w,c) in [0,1] -> features and probabilities; NULL: not wanted */
void frozen_apply(const Frozen *f, int n, const real *x, real *features, real *probabilities);
FeatureNet frozen_net(const Frozen *f);

#endif
