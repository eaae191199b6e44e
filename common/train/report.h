/* report.h — how a chapter's eval scores its samples.
 *
 *     Evaluator evaluator = report_evaluator(&data);    // first: what is missing is named
 *     ... draw n pictures x ...
 *     report_samples(&cli, &evaluator, (Samples){n, x, labels}, metrics);
 *     evaluator_free(&evaluator);
 *
 * The same of scenes of the wardrobe, drawn from their captions: scene_evaluator_open,
 * report_scenes, scene_evaluator_free. */
#ifndef REPORT_H
#define REPORT_H

#include "diffusion/sampler.h"
#include "eval/caption_sheet.h"
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

/* Scenes of the wardrobe: do they show what their captions say, and are they like those for
 * training? */
typedef struct {
    CaptionEvaluator captions;
    Evaluator images;            /* in the features of `captions`, against 10,000 scenes */
    const Wardrobe *wardrobe;
} SceneEvaluator;

/* with the evaluator of this repository; `w` must outlive *e, which must not be moved, and so must
 * the arena, which holds the reference scenes */
void scene_evaluator_open(SceneEvaluator *e, Arena *arena, const Wardrobe *w);
void scene_evaluator_free(SceneEvaluator *e);
/* x (n,size,size,3) in [0,1]. Prints both sheets unless --quiet, and adds them to the metrics as
 * "captions" and "scores", with headlines beside them: caption_whole, frechet_distance, ... */
void report_scenes(const Cli *cli, const SceneEvaluator *e, int n, const real *x,
                   const Scene *scenes, cJSON *metrics);

#endif
