/* draw_samples.h — what the `sample` command of every diffusion chapter does; previews in training. */
#ifndef DRAW_SAMPLES_H
#define DRAW_SAMPLES_H

#include "diffusion/sampler.h"
#include "train/program.h"

/* The steps of a chain that --OPTION names (schedule_respaced); NULL: all. Ends the program with one
 * line if there are no such steps; or if drawing is to begin with noise, and much of the picture
 * should be left where they begin. */
typedef enum { FROM_NOISE, FROM_ANYWHERE } Beginning;
NoiseSchedule respaced(const NoiseSchedule *all, const char *option, const char *sections,
                       Beginning from);
/* the same of a chain that is needed no more, and freed */
NoiseSchedule respace(NoiseSchedule all, const char *option, const char *sections, Beginning from);

/* n pictures into --out: samples.png and samples.npy, saved as they are drawn; progress.png and
 * film.png, the first ones on their way. g: how pictures are shown, g.columns beside each other. */
void draw_samples(const Cli *cli, Sampler *m, int n, Grid g);

/* While training: g.count pictures, all at once, as one PNG; `path` is freed */
void draw_preview(const Cli *cli, Sampler *m, char *path, Grid g);

#endif
