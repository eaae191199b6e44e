/* commands.h — what the program can be asked to do; each returns its exit status. */
#ifndef COMMANDS_H
#define COMMANDS_H

int train(void);
int sample(void);
int eval(void);

#endif
