/* dae.h — denoising autoencoders. */
#ifndef DAE_H
#define DAE_H

#include "nn/layers.h"

/* dae_train.c: the commands */
int dae_train(void);
int dae_sample(void);
int dae_eval(void);
int dae_info(void);

#endif
