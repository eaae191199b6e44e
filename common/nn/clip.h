/* clip.h — contrastive language-image pre-training: an image encoder and a text encoder that bring
 * a picture and its caption to nearby points of one space.
 *
 * Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision".
 * Letters: B images or texts, N tokens, D numbers in the common space.
 *
 *     image features f_i, text features g_j, of length 1; logits l_ij = exp(logit_scale) f_i g_j
 *     loss: cross-entropy of each image among all texts and of each text among all images
 *
 * Interface:
 *   - clip_official, clip_small, clip_new         the network
 *   - clip_image_new, clip_text_new               one encoder alone
 *   - clip_image, clip_text, clip_text_tokens, clip_text_read     what the encoders make
 *   - clip_normalise, clip_logits, clip_loss      how well they fit
 *   - clip_clamp                                  after each step of the optimiser
 *   - clip_openai, clip_text_huggingface          official names of all weights */
#ifndef CLIP_H
#define CLIP_H

#include "nn/official_names.h"
#include "nn/transformer.h"

/* ---- configurations -------------------------------------------------------------------------- */

typedef struct {
    int side, patch;                     /* RGB images, side x side; patches, patch x patch */
    int width, depth, heads;
    int timesteps;                       /* images are noisy, of so many timesteps; 0: clean */
} ClipImageConfig;

typedef struct {
    int context, vocabulary;             /* tokens in a text at most; different tokens */
    int width, depth, heads;
} ClipTextConfig;

typedef struct {
    ClipImageConfig image;
    ClipTextConfig text;
    int dim;                             /* D */
    double mean[3], std[3];              /* images go in as (x - mean) / std of x in [0,1] */
} ClipConfig;

ClipConfig clip_official(const char *name);           /* "vit-b32", "vit-b16", "vit-l14" */
/* this project's own: images of side x side, a multiple of 8, in 8 x 8 patches */
ClipConfig clip_small(int side, int vocabulary);

/* ---- networks -------------------------------------------------------------------------------- */

/* A vision transformer with a norm before its first block (section 2.4) */
typedef struct {
    ClipImageConfig config;
    Conv2d patch;                        /* as wide as its stride, without bias */
    Tensor *class_token, *positions;     /* (W), or (timesteps,W); (1+patches,W) */
    LayerNorm norm_pre, norm_post;
    Transformer block;
    Tensor *proj;                        /* (W,D) */
} ClipImage;
ClipImage clip_image_new(Scope s, ClipImageConfig c, int dim);
/* images (B,side,side,3), normalised -> (B,D). t (B): of noisy images their timesteps, each of which
 * has a class token of its own (Nichol et al. 2021, "GLIDE", section 4.4); NULL: they are clean */
Tensor *clip_image(const ClipImage *e, Tensor *images, const int *t);

/* A transformer whose tokens see those before them. dim 0: without a projection into the common
 * space, as Stable Diffusion reads its prompts. */
typedef struct {
    ClipTextConfig config;
    Embedding tokens;                    /* (vocabulary,W) */
    Tensor *positions;                   /* (context,W) */
    Transformer block;
    LayerNorm norm;
    Tensor *proj;                        /* (W,D) or NULL */
} ClipText;
ClipText clip_text_new(Scope s, ClipTextConfig c, int dim);
/* tokens (B,N), N <= context -> (B,D): the features at the end of text, which is the token with
 * the largest number. What follows it has no influence. */
Tensor *clip_text(const ClipText *e, Tape *t, const int *tokens, int B, int N);
/* -> (B,N,W): what stands at every token, after the last norm */
Tensor *clip_text_tokens(const ClipText *e, Tape *t, const int *tokens, int B, int N);
/* Both in one pass, tokens up to the longest text of the batch: (B,L,W), (B,D) */
typedef struct {
    Tensor *tokens, *end;
} ClipReading;
ClipReading clip_text_read(const ClipText *e, Tape *t, const int *tokens, int B, int N);

typedef struct {
    ClipConfig config;
    ClipImage image;                     /* under the scope "image" */
    ClipText text;                       /* "text" */
    Tensor *logit_scale;                 /* (1): the logarithm of the inverse temperature */
} Clip;
Clip clip_new(Params *p, ClipConfig c);

/* ---- how well they fit ----------------------------------------------------------------------- */

Tensor *clip_normalise(Tensor *features);             /* (B,D) -> each row of length 1 */
/* image features (B,D), text features (M,D), of length 1 -> (B,M) */
Tensor *clip_logits(const Clip *c, Tensor *image, Tensor *text);
/* Scalar, in nats, for logits (B,M) of images and captions, of which the first B are the images' own,
 * in the same order, and each further column, if there is one, holds a wrong caption for each image.
 * `group` (B): equal numbers for equal captions; NULL: all differ. Equal captions are equally right: with
 * E_ij = 1 where captions i and j are equal and n_i = sum over j of E_ij, the targets are
 * p_ij = E_ij / n_i, and
 *     loss = -1/(2B) sum over i, j < B of p_ij (log softmax_j(l_i.) + log softmax_i(l_.j)).
 * Without equal and wrong captions that is the paper's; the wrong ones, which lower an image's
 * share and have no image of their own, are those of Yuksekgonul et al. 2023 (NegCLIP). For
 * M = B, features that say nothing give ln B. */
Tensor *clip_loss(Tensor *logits, const int *group);
/* A further column of logits (B,1): images (B,D) with wrong captions (n,D); image i with row which[i],
 * or -1: it has none, and its logit is so low that it does not count. */
Tensor *clip_wrong_logits(const Clip *c, Tensor *image, Tensor *wrong, const int *which);
/* Keeps exp(logit_scale) within 1 and 100 (section 2.5): after each step of the optimiser */
void clip_clamp(Clip *c);

/* ---- official names (clip_official.c) -------------------------------------------------------- */

extern const OfficialMap clip_openai;                 /* openai/CLIP, of a Clip */
/* transformers' CLIPTextModel, of a ClipText without projection under the scope "text"; in Stable
 * Diffusion's checkpoints behind "cond_stage_model.transformer." */
extern const OfficialMap clip_text_huggingface;

#endif
