/* calibrate.h — what the scores say of sets whose quality is known. */
#ifndef CALIBRATE_H
#define CALIBRATE_H

#include "eval/scores.h"

/* calibration.csv, one row a set, and calibration.json; validation NULL: without its row */
void calibrate_sets(const Evaluator *e, const Images *validation, const char *folder,
                    const char *command, bool quiet);
/* sizes.csv: the distances of test images against how many there are of them */
void calibrate_sizes(const Evaluator *e, const char *folder);

#endif
