/* settings.h — the command line of this chapter's program, and what its commands share.
 *
 *   - o, cli                           options as they were given; settings.c has their table
 *   - train, sample, eval              the commands: train.c, sample.c, evaluate.c
 *   - load_data, load_network          what they read
 *   - paper_schedule, sampler_of, draw   the way from noise to pictures
 *   - garments, save_garments          pictures in [-1,1] as a grid */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "data/fashion.h"
#include "ddpm.h"
#include "train/cli.h"
#include "io/picture.h"
#include "base/progress.h"
#include "diffusion/recording.h"

typedef struct {
    CommonOptions common;
    int warmup, preview, sampling_steps, pictures, samples, bound;
    double clip, ema, dropout;
    const char *predict, *variance;
    bool raw, no_time;
} Settings;

extern Settings o;
extern Cli cli;

int train(void);
int sample(void);
int eval(void);

Fashion load_data(void);
/* the network that --config names; refuses those that 28x28 grey pictures do not fit */
UNetConfig chosen_config(void);
/* the weights in --weights, or in the folder --out; with --raw those of a checkpoint */
Model load_network(Params *params);

/* beta from 1e-4 to 0.02 in 1000 steps; with --no-time the network is told 0 at each of them */
Schedule paper_schedule(void);
/* draws from `net` by --predict, --variance and --seed */
Sampler sampler_of(const Model *net, const Schedule *s);
real *new_images(Arena *arena, int n);

/* n pictures from noise, the first of them number `first`; x0: space for as many. progress,
 * recording: NULL for none. */
void draw(Sampler *m, int first, int n, real *x, real *x0, Progress *progress,
          Recording *recording);
/* the same for many, `at_once` of them at a time. After such parts `save` is called, unless it is
 * NULL, with the number of pictures that are drawn: after the last, and after others if that does
 * not take more than a tenth of the time. */
void draw_many(Sampler *m, int n, real *x, int at_once, void (*save)(int n, const real *x),
               Recording *recording);

Grid garments(int count, int columns);
void save_garments(char *path, const real *x, int count, int columns);   /* frees `path` */

#endif
