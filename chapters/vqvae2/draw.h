/* draw.h — pictures from the priors: top, then bottom, then pixels.
 *
 * Both functions draw a picture of class labels[i] for each i < n, at --temperature, into x
 * (n,side,side,channels). */
#ifndef DRAW_H
#define DRAW_H

#include "eval/scores.h"
#include "models.h"

void draw(const Pictures *d, const Models *m, int n, const int *labels, Rng *rng, real *x);

/* Rejection (Razavi et al. 2019, section 3.3): of the pictures drawn for a class, 1 / keep times as
 * many as are wanted, those whose class the classifier is surest of. */
void draw_best(const Pictures *d, const Models *m, const Judge *judge, int n, const int *labels,
               Rng *rng, real *x);
/* ends the program with one line if --keep is given for pictures the classifier does not know */
void check_keep(void);

#endif
