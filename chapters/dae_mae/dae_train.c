#include "dae.h"

int dae_train(void) { return 0; }
int dae_sample(void) { return 0; }
int dae_eval(void) { return 0; }
int dae_info(void) { return 0; }
