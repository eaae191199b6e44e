/* validation.h — a network's loss on images that it is not trained on, each at a time of its own,
 * with the same noise at every evaluation: two of them differ by the network alone.
 *
 *     Validation v = {.schedule = &schedule, .images = &data.validation, .n = n, .t = t};
 *     while (validation_next(&v)) sum += ... of v.batch and v.labels, images v.first ...;
 *     validation_free(&v); */
#ifndef VALIDATION_H
#define VALIDATION_H

#include "data/images.h"
#include "diffusion/losses.h"

enum { VALIDATION_BATCH = 64 };

typedef struct {
    const NoiseSchedule *schedule;
    const Images *images;
    int n;                      /* the first so many */
    const int *t;               /* (n) */
    /* filled: the next batch, of images first ... first + B - 1 in [-1,1], without gradients */
    NoisyImages batch;
    int first, B, labels[VALIDATION_BATCH];
    Tape tape;
    Rng noise;
} Validation;

bool validation_next(Validation *v);
void validation_free(Validation *v);

#endif
