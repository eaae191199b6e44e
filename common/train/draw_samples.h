/* draw_samples.h — what the `sample` command of every diffusion chapter does. */
#ifndef DRAW_SAMPLES_H
#define DRAW_SAMPLES_H

#include "diffusion/sampler.h"
#include "train/program.h"

/* n pictures into --out: samples.png and samples.npy, saved as they are drawn; progress.png and
 * film.png, the first ones on their way. g: how pictures are shown, g.columns beside each other. */
void draw_samples(const Cli *cli, Sampler *m, int n, Grid g);

#endif
