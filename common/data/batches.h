/* batches.h — which images come next: every image once an epoch, in an order shuffled anew each
 * epoch.
 *
 * The whole state is one integer, `next`, the number of images handed out so far: save it in a
 * checkpoint and the order goes on as if nothing had happened. A batch at the end of an epoch is
 * filled up from the next one. */
#ifndef BATCHES_H
#define BATCHES_H

#include "kernels/kernels.h"

typedef struct {
    int count;                   /* images in the set */
    uint64_t seed, next;
    int *order;                  /* of the epoch `epoch` */
    uint64_t epoch;
} Batches;

Batches batches_new(int count, uint64_t seed);
void batches_next(Batches *b, int n, int *index);
void batches_free(Batches *b);

#endif
