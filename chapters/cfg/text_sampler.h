/* text_sampler.h — a network that reads texts, with all that stands between it and a picture:
 * guidance, known pixels, clipping. And pictures of half the size. */
#ifndef TEXT_SAMPLER_H
#define TEXT_SAMPLER_H

#include "data/images.h"
#include "diffusion/drawing.h"
#include "diffusion/guidance.h"
#include "glide.h"
#include "noisy_clip.h"

/* A network on its way to be drawn with: guided, known pixels pasted, clipped, guided by CLIP */
typedef struct {
    GuidedTexts guided;
    NetworkDenoiser network;
    KnownPixels pasted;
    ClippedDenoiser clipped;
    ScoreGuidance by_score;
    NoiseSchedule chain;
    Sampler sampler;
} TextSampler;

/* What is asked of it. `text` has a row for each picture and one for the empty text; known and mask
 * are pasted, and shown to a network that inpaints. */
typedef struct {
    const TextTable *text;
    double scale, eta;
    SamplingMethod method;
    NoiseSchedule chain;                 /* goes with the sampler */
    const real *low, *known, *mask;      /* as in GuidedTexts */
    const ClipGuide *clip;               /* NULL: none */
    double clip_scale;
    uint64_t seed;
} TextDrawing;

void text_sampler_open(TextSampler *s, const Glide *net, TextDrawing how);     /* must not move */
void text_sampler_close(TextSampler *s);

/* the table of these captions and the empty one */
TextTable captions_table(Arena *arena, const Glide *m, const Bpe *bpe, int n,
                         const char *const *captions);

/* pictures (B,side,side,3) of half the size, as bytes have them; no gradient */
Tensor *small_pictures(Tensor *images);
/* masks (n,side,side) of pictures that images_downsample makes smaller: known where all four pixels
 * are */
real *halve_mask(Arena *arena, int n, int side, const real *mask);

#endif
