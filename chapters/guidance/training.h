/* training.h — what both stages do in each step, and what they are measured by while they train. */
#ifndef TRAINING_H
#define TRAINING_H

#include "diffusion/losses.h"
#include "guidance.h"
#include "train/timesteps.h"

/* L_hybrid, as in IDDPM */
Losses diffusion_losses(const ClassUNet *net, const NoisyImages *b, const int *label);

/* over validation images, all timesteps alike: the mean squared error of eps */
double validation_error(const ClassUNet *net, const NoiseSchedule *s, const Images *set);
/* how often the classifier is right, into the columns validation and validation_1 ... _4 */
void log_validation_accuracy(Run *run, const NoisyClassifier *net, const NoiseSchedule *s,
                             const Images *set);

#endif
