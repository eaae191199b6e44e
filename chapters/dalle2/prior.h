/* prior.h — from a text to CLIP's embedding of an image that fits it: unCLIP's diffusion prior,
 * Ramesh et al. 2022, "Hierarchical Text-Conditional Image Generation with CLIP Latents", section
 * 2.2, as kakaobrain/karlo builds it.
 *
 * A causal transformer reads the text's tokens, the text's embedding, the timestep, the noised
 * image embedding and a learned last token, whose output is the predicted image embedding itself
 * (x0, not the noise):
 *
 *     text 0 ... text N-1 | text embedding | t | z_t | query  ->  z
 *
 * Embeddings are (B,dim). CLIP's have length 1, each number about 1/sqrt(dim); they are brought to
 * deviation 1 before noise is added, or the noise would hide them from the first step on. */
#ifndef PRIOR_H
#define PRIOR_H

#include "captions.h"
#include "nn/official_names.h"
#include "nn/time_embedding.h"
#include "nn/transformer.h"

enum { PRIOR_EXTRA = 4 };               /* tokens after the text's */

typedef struct {
    int tokens, dim;                    /* of the text; numbers of CLIP's embeddings and features */
    int width, depth, heads;
    bool no_last_norm;
} PriorConfig;

typedef struct {
    PriorConfig config;
    Linear text_tokens, text, image, out;
    TimeEmbedding time;
    Tensor *query, *positions;          /* (1,1,width), (1,tokens + 4,width) */
    Transformer block;
    LayerNorm norm;
} Prior;

/* "default", for texts of `tokens` tokens with `dim` features; "karlo", which has its own */
PriorConfig prior_config(const char *name, int tokens, int dim);
Prior prior_new(Params *p, PriorConfig c);

/* (B,M,M), M = N + extra, on the tape: padding of the text is seen by no token */
const uint8_t *prior_mask(Tape *t, CaptionFeatures text, int extra);

/* z_t (B,dim) at B times -> the predicted image embedding (B,dim) */
Tensor *prior_output(const Prior *m, Tensor *zt, const double *time, CaptionFeatures text);

/* karlo's names; the map's design is kept in the arena */
OfficialMap prior_official(Arena *arena, const PriorConfig *c);
extern const OfficialName prior_names[];

#endif
