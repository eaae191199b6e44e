/* probe.h — how much of the classes do frozen features show to a linear classifier?
 *
 * Features are normalised by the training set's mean and deviation, dimension by dimension (the
 * batch normalisation without gain and shift that He et al. 2021, appendix A.1, put before their
 * linear probe), then softmax regression is trained on them with Adam: 20 passes over the training
 * features in batches of 256, half a cosine of learning rate from 0.01, no weight decay. The same
 * for whatever the features come from, so that numbers can be compared. */
#ifndef PROBE_H
#define PROBE_H

#include "kernels/real.h"

typedef struct {
    int n, dimensions;
    const real *x;               /* (n,dimensions) */
    const int *labels;           /* (n), 0 to 9 */
} Features;

/* share of `test` that a linear classifier trained on `train` names rightly */
double probe_accuracy(Features train, Features test, uint64_t seed);

#endif
