/* inversion.h — images to the noise that DDIM leads back to them, and back, in chains of several
 * lengths.
 *
 *   inversion.png   test images; for some lengths x_T and what DDIM makes of it
 *   inversion.csv   steps, squared_error, noise_mean, noise_deviation: squared error per image, pixels
 *                   in [0,1]; mean and standard deviation of x_T's values, 0 and 1 in N(0,I) */
#ifndef INVERSION_H
#define INVERSION_H

#include "diffusion/sampler.h"
#include "train/program.h"

/* The first n images of `set` (n, height, width, channels in [-1,1]); m's schedule is the one of
 * training, its method DDIM with eta 0. */
void invert_images(const Cli *cli, const Sampler *m, int n, const real *images, Grid g);

#endif
