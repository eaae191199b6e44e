/* settings.h — the chapter's command line, and what its commands make of it.
 *
 *   - o, cli                          options as they were given; settings.c holds their table
 *   - named_config, chosen_config     the network of --config
 *   - chosen_chain, respaced_chain, sampling_chain     --schedule, --timesteps; some of its steps
 *   - load_data, garments, ...        small things of all commands */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "data/fashion.h"
#include "iddpm.h"
#include "train/cli.h"
#include "io/picture.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE };

typedef struct {
    CommonOptions common;
    /* the model */
    const char *schedule, *variance;
    int timesteps, classes, width;
    /* its training */
    const char *objective, *times;
    int warmup, preview;
    double clip, ema, dropout;
    /* its use */
    const char *respace, *sampler, *bound_respace;
    double eta;
    int pictures, class, samples, bound;
} Settings;

extern Settings o;
extern Cli cli;

ModelConfig named_config(void);        /* --config, --classes, --width */
/* the same; ends the program with one line if it is not for this chapter's pictures */
ModelConfig chosen_config(void);

Diffusion chosen_chain(void);
/* Those of its steps that `sections` names (space_timesteps); NULL: all. Ends the program with one
 * line if it has no such steps; `option` is where the user said it. */
Diffusion respaced_chain(const Diffusion *all, const char *option, const char *sections);
/* the steps of --respace; without it 100, or all if there are no more */
Diffusion sampling_chain(const Diffusion *all);

Fashion load_data(void);
real   *new_images(Arena *arena, int n);             /* (n,28,28,1) */
Grid    garments(int count, int columns);            /* pixels in [-1,1] */
void    save_garments(char *path, const real *images, int count, int columns);  /* frees path */

#endif
