/* settings.h — the chapter's command line: `o` are its options as they were given. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "train/cli.h"

typedef struct {
    CommonOptions common;
    int hidden, residual, codes, dim, layers, width, head, prior_steps, samples;
    double decay, beta, revive, prior_lr, temperature;
    const char *stage, *codebook;
} Settings;

extern Settings o;
extern Cli cli;

#endif
