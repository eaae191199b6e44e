/* report.h — how a chapter's eval scores its samples.
 *
 *     Evaluator evaluator = report_evaluator(&data);    // first: what is missing is named
 *     ... draw n pictures x ...
 *     report_samples(&cli, &evaluator, (Samples){n, x, labels, 20}, metrics);
 *     evaluator_free(&evaluator);
 *
 * The same of scenes of the wardrobe, drawn from their captions: scene_report.h. */
#ifndef REPORT_H
#define REPORT_H

#include "diffusion/bound.h"
#include "eval/scores.h"
#include "train/program.h"

/* with the classifier of this repository, found from the program's own place */
Evaluator report_evaluator(const Fashion *data);

typedef struct {
    int n;
    const real *x;               /* (n,28,28,1) in [0,1] */
    const int *labels;           /* the classes they were to be; NULL: none */
    int neighbours;              /* pictures shown beside their nearest */
} Samples;

/* Prints the sheet unless --quiet, adds it to the metrics as "scores", writes classes.csv and
 * neighbours.png to --out. */
void report_samples(const Cli *cli, const Evaluator *evaluator, Samples s, cJSON *metrics);

/* Draws n images 28x28 with a sampler and scores them: n, the steps, the time for one are added to
 * the metrics, too. */
void report_drawn(const Cli *cli, const Evaluator *evaluator, Sampler *m, int n, const int *labels,
                  cJSON *metrics);

/* The variational bound of n images x0 (diffusion/bound.h); its terms into bound.csv in --out.
 * learned: the model's own variance is among them. */
Bound report_bound(const Cli *cli, Sampler *m, int n, const real *x0, bool learned);

#endif
