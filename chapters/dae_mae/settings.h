/* settings.h — the command line of both halves of this chapter, and what their commands share.
 *
 *   - o, cli                  options as they were given; settings.c holds their table and presets
 *   - denoising               does --config name one of part 1's networks?
 *   - settle_settings         before a command: checks what --config decides
 *   - chosen_shape            of the masked autoencoder
 *   - dae_train ... finetune  the commands: denoise.c, mask.c, experiments/finetune.c */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "data/fashion.h"
#include "mae.h"
#include "train/program.h"

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
/* Takes --config from the checkpoint that the command reads, which decides what is to be done. Then
 * ends the program with one line if an option was given that means nothing to this --config. */
void settle_settings(void);

/* The masked autoencoder's. for_data: it must be one for 28x28 grey images. Ends the program with
 * one line if there is none. */
MaeShape chosen_shape(bool for_data);

Fashion load_data(void);
/* rows of `columns` grey 28x28 images in [0,1]; `path` is freed */
void save_rows(char *path, const real *images, int rows, int columns);

int dae_train(void), dae_sample(void), dae_eval(void), dae_info(void);
int mae_train(void), mae_sample(void), mae_eval(void), mae_info(void);
int finetune(void);

#endif
