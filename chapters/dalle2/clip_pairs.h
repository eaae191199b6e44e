/* clip_pairs.h — captioned pictures as the frozen CLIP sees them: what both priors learn from.
 *
 *   - clip_pairs, clip_texts     embeddings and token features of a batch
 *   - Whitening                  image embeddings with mean 0 and deviation 1 in each number, as
 *                                diffusion wants its data (karlo does the same; the paper scales
 *                                them by one number) */
#ifndef CLIP_PAIRS_H
#define CLIP_PAIRS_H

#include "data/captioned_batch.h"
#include "eval/frozen_clip.h"
#include "prior.h"

typedef struct {
    Tensor *image;                      /* (B,D), of length 1 */
    PriorText text;                     /* its embedding too */
} ClipPairs;

/* Leaves on b.images' tape, whether that records or not */
ClipPairs clip_pairs(const FrozenClip *f, const CaptionedBatch *b);
/* n captions, on a tape */
PriorText clip_texts(const FrozenClip *f, Tape *t, int n, const char *const *captions);
/* Without the text of item b: a mask of zeros and an embedding of zeros, what classifier-free guidance
 * is trained on */
void text_drop(PriorText *text, int b);

typedef struct {
    Tensor *average, *deviation;        /* (D) buffers */
} Whitening;

Whitening whitening_new(Scope s, int dim);
void whitening_fit(Whitening *w, int n, const real *embeddings);         /* (n,D) */
void whiten(const Whitening *w, int n, const real *embedding, real *x);  /* may be the same array */
/* and back, to length 1 */
void unwhiten(const Whitening *w, int n, const real *x, real *embedding);

#endif
