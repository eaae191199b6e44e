/* calibrate.h — what the caption evaluator says of scenes whose quality is known. */
#ifndef CALIBRATE_CAPTIONS_H
#define CALIBRATE_CAPTIONS_H

#include "eval/caption_evaluator.h"
#include "io/json.h"

/* of the first n scenes of a part, at the wardrobe's size */
CaptionScores caption_scores_of_part(const CaptionEvaluator *e, const Wardrobe *w, Part part,
                                     int n);
/* into `metrics`, and on standard output unless quiet: scores of validation, test and held-out
 * scenes, and the floor */
void evaluate_parts(const CaptionEvaluator *e, const Wardrobe *w, int n, cJSON *metrics,
                    bool quiet);
/* test scenes corrupted in one way a row, as CSV */
void calibrate_scenes(const CaptionEvaluator *e, const Wardrobe *w, int n, const char *path,
                      bool quiet);

#endif
