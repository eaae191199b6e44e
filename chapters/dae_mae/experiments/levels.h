/* levels.h — what networks make of kinds and levels of corruption, most of which they were not
 * trained on. `plain` is a network trained on clean images, to compare with; NULL: none. */
#ifndef LEVELS_H
#define LEVELS_H

#include "../dae.h"
#include "train/program.h"

/* denoising.png. For each of three images x: a row of it corrupted in twelve ways, a row of the
 * plain network's reconstructions, a row of this one's */
void picture_of_levels(const Cli *cli, const Dae *net, const Dae *plain, const real *x);

/* denoising.csv: squared error per image over kind and level; its column `plain` may be empty */
void table_of_levels(const Cli *cli, const Dae *net, const Dae *plain, const Images *test);

#endif
