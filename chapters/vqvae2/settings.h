/* settings.h — the chapter's command line, and the three stages of its training.
 *
 *   - o, cli            options as they were given; settings.c holds their table and the presets
 *   - stage_names       "autoencoder", "top", "bottom"
 *   - garments, side, has_stage       what the options say of pictures and stages
 *   - autoencoder_cli   the part of the command line that describes the autoencoder */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "train/cli.h"

typedef struct {
    CommonOptions common;
    int levels, codes, width, dim;
    const char *stage, *attention, *autoencoder;
    int top_steps, bottom_steps, prior_batch, prior_channels, classes, samples;
    double prior_lr, temperature, keep;
} Settings;

extern Settings o;
extern Cli cli;

enum { AUTOENCODER, TOP, BOTTOM, STAGES };
extern const char *const stage_names[STAGES];

bool garments(void);                /* Fashion-MNIST; else emoji or a user's own colour pictures */
int  side(void);                    /* of the pictures, pixels */
bool has_stage(int stage);          /* --levels 1 has no top */
/* what an autoencoder's weights remember: nothing of priors, of which it may have several */
Cli  autoencoder_cli(void);

#endif
