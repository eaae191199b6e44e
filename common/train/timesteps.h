/* timesteps.h — the timesteps of a diffusion training's batch. */
#ifndef TIMESTEPS_H
#define TIMESTEPS_H

#include "train/run.h"

/* n of T, all as likely as one another */
int *uniform_timesteps(Arena *arena, Rng *rng, int T, int n);
/* values (n) at timesteps t (n) into the columns NAME_1 ... NAME_4: means over a quarter each */
void log_by_quarter(Run *run, const char *name, int T, int n, const int *t, const double *value);

#endif
