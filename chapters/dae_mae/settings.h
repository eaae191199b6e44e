/* settings.h — what main.c gives to the commands of both halves: the options as they were given,
 * and what the commands share. */
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
    const char *image;
    double mask_ratio, finetune_lr;
    int schedule, labels, finetune_steps;
    bool norm_targets, mask_tokens_in_encoder, scratch;
} Settings;

extern Settings o;
extern Cli cli;

/* The masked autoencoder's. for_data: it must be one for 28x28 grey images. Ends the program with
 * one line if it is not. */
MaeShape chosen_shape(bool for_data);

Fashion load_data(void);

int dae_train(void), dae_sample(void), dae_eval(void), dae_info(void);    /* denoise.c */
int mae_train(void), mae_sample(void), mae_eval(void), mae_info(void);    /* mask.c */

#endif
