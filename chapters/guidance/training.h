/* training.h — what both stages do in each step, and what they are measured by while they train. */
#ifndef TRAINING_H
#define TRAINING_H

#include "diffusion/losses.h"
#include "guidance.h"
#include "train/run.h"

/* B of TIMESTEPS, all as likely as one another */
int *uniform_timesteps(Arena *arena, Rng *rng, int B);

/* L_hybrid, as in IDDPM */
Losses diffusion_losses(const ClassUNet *net, const NoisyImages *b, const int *label);

/* values (B) at timesteps t (B) into the columns NAME_1 ... NAME_4, means over a quarter of the
 * timesteps each */
void log_by_quarter(Run *run, const char *name, int B, const int *t, const double *value);

/* over validation images, all timesteps alike: the mean squared error of eps */
double validation_error(const ClassUNet *net, const NoiseSchedule *s, const Images *set);
/* how often the classifier is right, into the columns validation and validation_1 ... _4 */
void log_validation_accuracy(Run *run, const NoisyClassifier *net, const NoiseSchedule *s,
                             const Images *set);

#endif
