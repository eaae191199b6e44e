/* glide.h — GLIDE: pictures from texts, by diffusion guided without a classifier.
 *
 * Nichol et al. 2021, "GLIDE: Towards Photorealistic Image Generation and Editing with Text-Guided
 * Diffusion Models". The network that reads a text is nn/text_unet.h; here is what goes into it and
 * how it is asked:
 *
 *   - glide_config, glide_new    ours, and the four that were published
 *   - glide_output               of the base; of the upsampler, which sees the small picture; of
 *                                either one that sees the known part of a picture
 *   - captions_of_batch          captions, some left out, as tokens
 *   - erase                      what inpainting learns from
 *   - guided_texts               drawing: both answers from one batch, mixed
 *
 * Pictures are RGB in [-1,1]. A mask is 1 where a picture is known. */
#ifndef GLIDE_H
#define GLIDE_H

#include "diffusion/denoiser.h"
#include "nn/text_unet.h"
#include "text/bpe.h"

/* ---- networks -------------------------------------------------------------------------------- */

typedef struct {
    UNetConfig unet;
    TextTransformerConfig text;
    int side;                   /* of its pictures */
    int low;                    /* of the small ones it enlarges; 0: it makes them of noise alone */
    bool inpaints;
    bool predicts_velocity;     /* not eps, as openai's */
    bool linear;                /* DDPM's noise schedule; else cosine */
    const ClipText *clip;       /* reads the texts; NULL: a transformer of the network's own */
} GlideConfig;

/* "base", "upsampler", "inpaint", for a tokenizer with so many ids; and openai's "glide-base",
 * "glide-upsample", "glide-base-inpaint", "glide-upsample-inpaint", which have their own */
GlideConfig glide_config(const char *name, int vocabulary);
void glide_read_by_clip(GlideConfig *c, const ClipText *clip);

typedef struct {
    GlideConfig config;
    TextUNet net;
} Glide;

Glide glide_new(Params *p, GlideConfig c);

/* What it sees besides x_t; NULL where its config has none */
typedef struct {
    Tensor *low;                /* (B,low,low,3) */
    Tensor *known, *mask;       /* (B,side,side,3), (B,side,side,1) */
} GlideInput;

/* xt (B,side,side,3), time (B) -> [prediction | v] (B,side,side,6). The small picture is enlarged
 * bilinearly, unknown pixels are set to 0. */
Tensor *glide_output(const Glide *m, Tensor *xt, const double *time, TextFeatures text,
                     GlideInput in);

enum { GLIDE_TIMESTEPS = 1000 };
NoiseSchedule glide_schedule(const GlideConfig *c);
Parameterization glide_parameterization(const GlideConfig *c);

/* ---- training -------------------------------------------------------------------------------- */

/* tokens and masks (n,length), see text_unet_read */
typedef struct {
    int *tokens;
    uint8_t *mask;
} Texts;

Texts texts_new(Arena *arena, const Glide *m, const Bpe *bpe, int n, const char *const *captions);
/* With probability p, for each by itself, a caption becomes the empty one */
void drop_captions(int n, const char **captions, double p, Rng *rng);
/* The same for summaries, which become 0: what a text says must then come by attention */
void drop_summaries(TextFeatures *text, double p, Rng *rng);

/* Erases a rectangle, at times everything, of each of B pictures: mask (B,side,side,1) */
Tensor *erase(Tape *t, int B, int side, Rng *rng);

/* ---- drawing --------------------------------------------------------------------------------- */

/* A network and what is known of pictures 0, 1, ... */
typedef struct {
    const Glide *net;
    const TextTable *text;      /* of each picture; then one more, of the empty text */
    double scale;               /* s = 1 + w, see cfg.h */
    const real *low, *known, *mask;      /* (N,low,low,3), (N,side,side,3), (N,side,side) or NULL */
} GuidedTexts;

/* As guided_classes. *g must outlive it. */
NetworkDenoiser guided_texts(const GuidedTexts *g);

/* ---- official names -------------------------------------------------------------------------- */

/* of openai/glide-text2im's files; the map's design is kept in the arena */
OfficialMap glide_official(Arena *arena, const GlideConfig *c);

#endif
