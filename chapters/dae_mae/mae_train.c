#include "mae.h"

int mae_train(void) { return 0; }
int mae_sample(void) { return 0; }
int mae_eval(void) { return 0; }
int mae_info(void) { return 0; }
int mae_finetune(void) { return 0; }
