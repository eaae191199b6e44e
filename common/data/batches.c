#include "data/batches.h"

#include "base/memory.h"

#include <stdlib.h>

/* The order of an epoch depends on (seed, count, epoch) alone: its shuffle starts at number
 * epoch * count of the stream "batches". */
static void shuffle(Batches *b, uint64_t epoch) {
    Rng rng = rng_new(b->seed, "batches");
    rng.next = epoch * (uint64_t)b->count;
    rng_permutation(&rng, b->count, b->order);
    b->epoch = epoch;
}

Batches batches_new(int count, uint64_t seed) {
    if (count < 1) die("batches_new: a set of %d images", count);
    Batches b = {.count = count, .seed = seed};
    b.order = memory_new((size_t)count, sizeof *b.order, "the order of %d images", count);
    shuffle(&b, 0);
    return b;
}

void batches_next(Batches *b, int n, int *index) {
    for (int i = 0; i < n; i++, b->next++) {
        uint64_t epoch = b->next / (uint64_t)b->count;
        if (epoch != b->epoch) shuffle(b, epoch);
        index[i] = b->order[b->next % (uint64_t)b->count];
    }
}

void batches_free(Batches *b) {
    free(b->order);
    *b = (Batches){0};
}
