/* precision_recall.h — is each sample like some real picture, and each real picture like some
 * sample? Distances between features, by brute force.
 *
 * Around each vector of a set lies a ball that reaches to its k-th nearest neighbour in the set;
 * the union of the balls stands for the region the set covers.
 *   - precision   share of samples inside the region of the real set  (Kynkaanniemi et al. 2019)
 *   - recall      share of real pictures inside the region of the samples            (the same)
 *   - coverage    share of real pictures whose own ball holds a sample      (Naeem et al. 2020)
 * A few real pictures far from all others have balls so large that noise lies in them: precision
 * is worth nothing alone. Coverage counts each ball once and so sees that. */
#ifndef PRECISION_RECALL_H
#define PRECISION_RECALL_H

#include "tensor/tensor.h"

typedef struct {
    double precision, recall, coverage;      /* 0..1 */
} PrecisionRecall;

/* x (n,d) real, y (m,d) samples; k < n, m. Compare results at the same n, m and k only. */
PrecisionRecall precision_recall(int d, int n, const real *x, int m, const real *y, int k);

/* The k nearest of x (n,d) to each row of y (m,d): their rows in index (m,k), nearest first. x is
 * handed over in pieces: `first` is the number of its first row; first = 0 starts anew. `distance`
 * (m,k) holds squared distances from one call to the next. */
void nearest_neighbours(int d, int m, const real *y, int n, const real *x, int first, int k,
                        int *index, real *distance);

#endif
