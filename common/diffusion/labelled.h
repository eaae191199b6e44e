/* labelled.h — a network that is given the class of each picture, as samplers ask it.
 *
 *     LabelledDenoiser d;
 *     Sampler m = {.denoiser = clipped_labelled(&d, (Labelled){&net, labels}, LEARNED_RANGE), ...};
 */
#ifndef LABELLED_H
#define LABELLED_H

#include "diffusion/denoiser.h"
#include "nn/class_unet.h"

/* a network and the classes of pictures 0, 1, ...; NULL without classes */
typedef struct {
    const ClassUNet *net;
    const int *label;
} Labelled;

/* one that predicts the noise; *m must outlive it */
NetworkDenoiser labelled_denoiser(const Labelled *m, Variance v);

/* What samplers draw with: the network above, its predictions clipped. The parts refer to each
 * other, so it must not be copied. */
typedef struct {
    Labelled model;
    NetworkDenoiser network;
    ClippedDenoiser clipped;
} LabelledDenoiser;

/* fills *d, which must outlive the denoiser that is returned */
const Denoiser *clipped_labelled(LabelledDenoiser *d, Labelled model, Variance v);

/* The classes that n pictures are to be: all `class`, or, below 0, all `classes` in turn. */
int *labels_in_turn(Arena *arena, int n, int class, int classes);

#endif
