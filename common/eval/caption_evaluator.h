/* caption_evaluator.h — does a picture show what its caption says?
 *
 * Two networks (caption_net.h) find the garments of each picture; what they find is compared with
 * the caption's scene. They were trained on garments for training in every colour, the held-out
 * pairs of class and colour too: they must know them in order to find them in a generator's
 * pictures. They share nothing with CLIP, which guides and reranks.
 *
 * Of each picture:
 *   - count      as many garments are found as the caption names
 *   - class, colour, garment      of each garment it names: its class is there, its colour, both in
 *                one garment (found garments are dealt to named ones as fits best)
 *   - relation   of two: they stand to one another as it says
 *   - whole      all of this
 * The same of real pictures is the ceiling, with captions dealt out anew the floor: read a score
 * beside both.
 *
 * Pictures of 32x32 are enlarged twice before. */
#ifndef CAPTION_EVALUATOR_H
#define CAPTION_EVALUATOR_H

#include "eval/caption_net.h"
#include "eval/feature_net.h"
#include "io/json.h"

#define CAPTION_WEIGHTS "notebooks-data/caption_evaluator/weights.safetensors"

enum { FOUND_MOST = 4 };

typedef struct {
    Params detector_params, classes_params;
    CaptionNet detector;
    Classifier classes;          /* of crops */
    char sha256[65];             /* of the file */
} CaptionEvaluator;

CaptionEvaluator caption_evaluator_load(const char *path);       /* fails with one line */
void caption_evaluator_free(CaptionEvaluator *e);

/* What is found in one picture, surest first. */
typedef struct {
    int count;
    struct {
        int class, colour;       /* the most probable */
        real y, x;               /* its middle, in pixels of 64 */
        real height, width;
        real here;               /* how sure: 0..1 */
        real class_probability[WARDROBE_CLASSES], colour_probability[WARDROBE_COLOURS];
    } garment[FOUND_MOST];
} Found;

/* x (n,side,side,3) in [0,1], side 64 or 32; found (n) and features (n,64), or NULL */
void caption_evaluator_apply(const CaptionEvaluator *e, int n, int side, const real *x,
                             Found *found, real *features);

/* for the scores of scores.h: its features, no classes; side 64 or 32 */
FeatureNet caption_evaluator_net(const CaptionEvaluator *e, int side);

typedef struct {
    bool count, relation, whole;             /* relation: true where one garment is named */
    bool class[SCENE_GARMENTS], colour[SCENE_GARMENTS], garment[SCENE_GARMENTS];
} Verdict;

Verdict caption_verdict(const Found *f, const Scene *s);

/* shares of n pictures, of the garments they name, of those with two */
typedef struct {
    int pictures, garments, pairs;
    double whole, count, class, colour, garment, relation;       /* 0..1; NAN: there was none */
    double beside, stacked;              /* relation of pairs side by side, and one above the other */
} CaptionScores;

CaptionScores caption_scores(int n, const Found *found, const Scene *scenes);
/* The floor: each picture with the caption of another one, i + n/2 around. */
CaptionScores caption_scores_shuffled(int n, const Found *found, const Scene *scenes);
cJSON *caption_scores_json(const CaptionScores *c);

#endif
