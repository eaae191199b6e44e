/* settings.h — the command line of both halves of this chapter, and what their commands share.
 *
 *   - o, cli            options as they were given; settings.c holds their table and the presets
 *   - denoising         does --config name one of part 1's networks?
 *   - load_data, save_grid       small things of all commands */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "data/fashion.h"
#include "train/cli.h"

typedef struct {
    CommonOptions common;
    /* denoising autoencoder */
    const char *corruption, *plain;
    double level, alpha, beta;
    /* masked autoencoder */
    double mask_ratio, finetune_lr;
    int schedule, labels, finetune_steps;
    bool norm_targets, mask_tokens_in_encoder, scratch;
} Settings;

extern Settings o;
extern Cli cli;

bool denoising(void);
/* Ends the program with one line if an option was given that means nothing to this --config. Before
 * that, takes --config from the checkpoint that a command reads: it decides what is to be done. */
void settle_settings(void);

Fashion load_data(void);
/* rows of `columns` grey 28x28 pictures in [0,1]; `path` is freed */
void save_grid(char *path, const real *pictures, int rows, int columns);

#endif
