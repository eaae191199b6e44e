/* classifier_views.h — what the noisy classifier knows: how often it is right at each amount of
 * noise, and what its gradient points at. */
#ifndef CLASSIFIER_VIEWS_H
#define CLASSIFIER_VIEWS_H

#include "../guidance.h"
#include "data/fashion.h"

/* Of the first 500 test images at 20 timesteps: rows t,alpha_bar,accuracy,nats to a CSV file.
 * Returns the accuracy over all of them. */
double accuracy_by_time(const NoisyClassifier *c, const NoiseSchedule *s, const Images *test,
                        const char *path);

/* Two test images with more and more noise; below each, gradients of log p(y|x_t) for its own class
 * and for another one: red where more light would make the class likelier, blue where less would,
 * each at its own scale. Frees `path`. */
void gradient_picture(const NoisyClassifier *c, const NoiseSchedule *s, const Fashion *data,
                      char *path, const char *parameters);

#endif
