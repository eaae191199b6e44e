/* draw.h — pictures from a trained network.
 *
 * A picture depends on the seed and its number alone: whoever draws more gets the same first. The
 * same bits on any number of threads; in groups of another size to rounding, since convolutions lay
 * out several pictures together. */
#ifndef DRAW_H
#define DRAW_H

#include "network.h"

/* the network that --weights (or the run in --out) holds, with its options */
UNet load_network(Params *params);

/* as --sampler and --eta say */
Sampler new_sampler(const UNet *net, const Diffusion *chain);

/* Which class each of n pictures is to be: --class, or all in turn; NULL without classes. */
const int *wanted_classes(Arena *arena, int n);

/* n pictures x, numbers 0, 1, ... and classes label, `at_once` at a time. With `saved` they are in
 * samples.png and samples.npy of --out as soon as they are drawn: whoever stops the program keeps
 * them. */
void draw_pictures(Sampler *m, int n, const int *label, int at_once, bool saved, bool quiet,
                   real *x);

#endif
