/* theory.h — `gan toy`: plays the games of toy.h and writes what they show, one file a plot.
 *
 *   toy_optimum.csv    x, density_real, density_fake, d, optimum     on the line y = 0, fixed G
 *   toy_value.csv      step, fixed, best, equal, game                V(D,G): for a fixed G, its
 *                      largest possible value, for p_g = p, and estimated while both learn
 *   toy_gradient.csv   step, d_fake, minimax, non_saturating         slopes at G's points
 *   toy_samples.csv    x, y, made                               1: by the trained G, 0: data */
#ifndef THEORY_H
#define THEORY_H

#include <stdbool.h>
#include <stdint.h>

/* games of so many steps; returns the exit status */
int theory(const char *folder, uint64_t seed, int steps, bool quiet);

#endif
