/* draw_text.h — from texts to pictures: the base, then the upsampler. What sample, eval and the
 * experiments share. */
#ifndef DRAW_TEXT_H
#define DRAW_TEXT_H

#include "text_sampler.h"

/* Networks as they are drawn with, and what belongs to them */
typedef struct {
    Params base_params, upsampler_params;
    Glide base, upsampler;               /* upsampler.net.text.tokens.table NULL: there is none */
    bool enlarges;
    FrozenClip clip;                     /* of the default: reads, and guides with --clip-scale */
    Bpe bpe;                             /* CLIP's, or of openai's networks */
    Params noisy_params;                 /* with --clip-scale */
    ClipImage noisy;
} TextModels;

/* the weights that the options name; with `inpaints`, the base for inpainting if it is there */
void text_models_load(TextModels *m, bool inpaints);
void text_models_free(TextModels *m);
int  text_models_side(const TextModels *m);          /* of the pictures that come out */

/* n captions -> small pictures of the base, as bytes have them. known, mask (n,...) or NULL at the
 * base's size; last_steps: see drawing.h, then x holds pictures. */
typedef struct {
    int n;
    const char *const *captions;
    const real *known, *mask;
    int last_steps;
    double scale;
    bool quiet;
} BaseDrawing;

NoiseSchedule base_steps(const TextModels *m);       /* --respace of its chain */
void draw_base(const TextModels *m, BaseDrawing d, real *x);
/* the upsampler's way for small pictures; known, mask at its size, or NULL; s must not move, and be
 * closed */
void upsampler_open(const TextModels *m, TextSampler *s, const TextTable *text, const real *low,
                    const real *known, const real *mask);

#endif
