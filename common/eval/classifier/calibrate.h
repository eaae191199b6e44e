/* calibrate.h — what the scores say of sets whose quality is known. */
#ifndef CALIBRATE_H
#define CALIBRATE_H

#include "eval/scores.h"

/* A way to spoil a set: x (n,28,28,1) in [0,1] with labels (n), both changed in place, comes from
 * the test images unless `train` or `validation` says otherwise. Returns how many are left. */
typedef struct {
    const char *name;
    int (*spoil)(int n, real *x, int *labels, double strength);
    double strength;
    enum { FROM_TEST, FROM_VALIDATION, FROM_TRAIN } from;
} Spoilt;

extern const Spoilt spoilt_sets[];          /* the last has name NULL */

/* calibration.csv, one row a set, and calibration.json */
void calibrate_sets(const Judge *j, const char *folder, const char *command, bool quiet);
/* sizes.csv: the distances of test images against how many there are of them */
void calibrate_sizes(const Judge *j, const char *folder);

#endif
