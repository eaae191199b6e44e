/* mae.h — masked autoencoders. */
#ifndef MAE_H
#define MAE_H

#include "nn/layers.h"

/* mae_train.c: the commands */
int mae_train(void);
int mae_sample(void);
int mae_eval(void);
int mae_info(void);
int mae_finetune(void);

#endif
