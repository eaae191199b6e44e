/* draw_text.h — from texts to pictures: the base, then the upsampler. What sample, eval and the
 * experiments share. */
#ifndef DRAW_TEXT_H
#define DRAW_TEXT_H

#include "diffusion/drawing.h"
#include "diffusion/guidance.h"
#include "glide.h"

/* A network on its way to be drawn with: guided, known pixels pasted, clipped */
typedef struct {
    GuidedTexts guided;
    NetworkDenoiser network;
    KnownPixels pasted;
    ClippedDenoiser clipped;
    NoiseSchedule chain;
    Sampler sampler;
} TextSampler;

/* What is asked of it. `text` has a row for each picture and one for the empty text; known and mask
 * are pasted, and shown to a network that inpaints. */
typedef struct {
    const TextTable *text;
    double scale, eta;
    SamplingMethod method;
    const char *option, *steps;          /* of the chain, and which option says so */
    const real *low, *known, *mask;      /* as in GuidedTexts */
    uint64_t seed;
} TextDrawing;

void text_sampler_open(TextSampler *s, const Glide *net, TextDrawing how);     /* must not move */
void text_sampler_close(TextSampler *s);

/* the table of these captions and the empty one */
TextTable captions_table(Arena *arena, const Glide *m, const Bpe *bpe, int n,
                         const char *const *captions);

/* Networks as they are drawn with, and what belongs to them */
typedef struct {
    Params base_params, upsampler_params;
    Glide base, upsampler;               /* upsampler.net.text.tokens.table NULL: there is none */
    bool enlarges;
    Bpe bpe;
} TextModels;

/* the weights that the options name; with `inpaints`, the base for inpainting if it is there */
void text_models_load(TextModels *m, bool inpaints);
void text_models_free(TextModels *m);
int  text_models_side(const TextModels *m);          /* of the pictures that come out */

/* (n,2h,2w,3) -> (n,h,w,3), means of four, rounded to bytes; of masks: known where all four are */
real *halve(Arena *arena, int n, int side, const real *x);
real *halve_mask(Arena *arena, int n, int side, const real *mask);

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

void draw_base(const TextModels *m, BaseDrawing d, real *x);
/* the upsampler's way for small pictures; s must not move, and be closed */
void upsampler_open(const TextModels *m, TextSampler *s, const TextTable *text, const real *low);

#endif
