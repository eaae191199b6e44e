/* scene_report.h — how the chapters that draw the wardrobe's scenes from captions are scored: all by
 * the same captions and the same measures.
 *
 *     SceneEvaluator e;
 *     scene_evaluator_open(&e, o.common.data);          // first: what is missing is named
 *     ScoredScenes s = scored_scenes(&e, 1500);
 *     ... draw s.n pictures x, one of each s.captions ...
 *     report_scenes(&cli, &e, s.n, x, s.scenes, metrics);
 *     scene_evaluator_free(&e); */
#ifndef SCENE_REPORT_H
#define SCENE_REPORT_H

#include "eval/caption_sheet.h"
#include "eval/scores.h"
#include "train/program.h"

enum { SCENES_MINIMUM = 3 * SCORE_MINIMUM / 2 };         /* of scored scenes */
/* the option --samples */
#define SCENE_SAMPLES(variable)                                                                   \
    {"samples", 0, .i = &(variable), .min = SCENES_MINIMUM, .max = 10000, .meta = "N",            \
     .keep = KEEP_NOT, .only = "eval", .help = "number of samples to draw and score"}

typedef struct {
    Fashion data;
    Wardrobe wardrobe;           /* of 64x64 */
    CaptionEvaluator captions;
    Evaluator images;            /* in the features of `captions`, against 10,000 training scenes */
    Arena arena;
} SceneEvaluator;

/* with the evaluator of this repository; data: --data's folder, or NULL. *e must not be moved. */
void scene_evaluator_open(SceneEvaluator *e, const char *data);
void scene_evaluator_free(SceneEvaluator *e);

/* Scored scenes 0, 1, ...: two of the test part, then one of a combination that training has never
 * shown, and so on; of this seed. */
enum { SCORED_SEED = 1 };
typedef struct {
    Part part;
    uint64_t number;
} ScoredScene;
ScoredScene scored_scene(int i);

/* n of them, in e's arena */
typedef struct {
    int n;
    Scene *scenes;
    const char **captions;
} ScoredScenes;
ScoredScenes scored_scenes(SceneEvaluator *e, int n);

/* x (n,64,64,3) in [0,1]: do they show what the captions say? Those of seen combinations, of which
 * the training scenes are: are they like these? Prints both sheets unless --quiet, and adds them to
 * `to` as "captions" and "scores", with headlines before them: caption_whole, frechet_distance, ... */
void report_scenes(const Cli *cli, const SceneEvaluator *e, int n, const real *x,
                   const Scene *scenes, cJSON *to);

#endif
