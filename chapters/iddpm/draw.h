/* draw.h — pictures from a trained network.
 *
 * A picture depends on the seed and its number alone: whoever draws more gets the same first. The
 * same bits on any number of threads; in groups of another size to rounding, since convolutions lay
 * out several pictures together. */
#ifndef DRAW_H
#define DRAW_H

#include "diffusion/recording.h"
#include "network.h"

/* the network that --weights (or the run in --out) holds, with its options */
Model load_network(Params *params);

/* as --sampler and --eta say */
Sampler new_sampler(const Model *net, const Diffusion *chain);

/* Which class each of n pictures is to be: --class, or all in turn; NULL without classes. */
const int *wanted_classes(Arena *arena, int n);

typedef struct {
    int at_once;                            /* pictures the network sees together */
    bool quiet;
    /* unless NULL called with the number of pictures that are drawn: after the last, and in between
     * if that does not take more than a tenth of the time */
    void (*save)(int n, const real *x);
    Recording *recording;                   /* of the first pictures, or NULL */
} Drawing;

/* n pictures x, numbers 0, 1, ... and classes label */
void draw_pictures(Sampler *m, int n, const int *label, real *x, Drawing how);

/* pictures so far into samples.png and samples.npy of --out */
void save_pictures(int n, const real *x);

#endif
