/* commands.h — what the program can be told to do; each returns its exit status. */
#ifndef COMMANDS_H
#define COMMANDS_H

int train(void);       /* train.c: the stages, each with its own log, checkpoint and weights */
int sample(void);      /* sample.c: pictures from trained weights */
int eval(void);        /* eval.c: errors, likelihoods, scores, into metrics.json */

#endif
