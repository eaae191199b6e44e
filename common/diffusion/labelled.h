/* labelled.h — a network that is given the class of each picture, as samplers ask it.
 *
 *     Labelled labelled = {&net, labels};
 *     NetworkDenoiser network = labelled_denoiser(&labelled, LEARNED_RANGE); */
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

/* The classes that n pictures are to be: all `class`, or, below 0, all `classes` in turn. */
int *labels_in_turn(Arena *arena, int n, int class, int classes);

#endif
