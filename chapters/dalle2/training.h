/* training.h — what the stages are trained on: captioned images, and CLIP's embeddings of them. */
#ifndef TRAINING_H
#define TRAINING_H

#include "settings.h"
#include "train/captioned_source.h"
#include "train/timesteps.h"

enum { VALIDATED = 128, SHOWN = 16 };         /* validation pairs: measured at most, shown */

/* The images of a run's steps */
typedef struct {
    CaptionedSource pairs;
    FrozenClip clip;                         /* net.config.dim 0: a stage without it */
} Source;

/* Opened right after run_start; a stage that needs CLIP is then trained on its weights. */
void source_open(Source *s, Run *run, int batch, bool needs_clip);
void source_close(Source *s);
/* Embeddings (n,dim) of training images and, unless NULL, of their captions, from the first scene
 * on */
void source_pairs(const Source *s, int n, real *image, real *text);
/* mean and deviation of --fit of them */
void source_whitening(const Source *s, Whitening *w);

/* Pairs that are not trained on: x (n,64,64,3) in [-1,1] */
typedef struct {
    int n;                                   /* VALIDATED, or as many as are shown or two batches */
    real *x, *z;                             /* z (n,dim) of length 1; NULL without CLIP */
    const char **captions;
    CaptionTable text;
} ValidationPairs;

ValidationPairs validation_pairs(Arena *arena, const Source *s);
CaptionFeatures validation_text(const ValidationPairs *h, Tape *t);        /* all of them */

/* the learning rate of a step of so many */
static inline double rate(const Run *run, int steps) {
    return o.common.lr * lr_cooldown(run->step, o.warmup, steps);
}

#endif
