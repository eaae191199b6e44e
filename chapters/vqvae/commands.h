/* commands.h — what the program does: train.c, sample.c, eval.c. Each returns the exit status. */
#ifndef COMMANDS_H
#define COMMANDS_H

int train(void);
int sample(void);
int eval(void);

#endif
