/* clip_pairs.h — captioned images as the frozen CLIP has them: what the networks are trained on and
 * drawn with.
 *
 *   - clip_pairs, clip_captions       of a batch, on a tape
 *   - caption_table, caption_rows     of the captions of many images, read once for all steps
 *   - caption_drop                    for guidance without a classifier */
#ifndef CLIP_PAIRS_H
#define CLIP_PAIRS_H

#include "captions.h"
#include "data/captioned_batch.h"
#include "eval/frozen_clip.h"

typedef struct {
    Tensor *image;                      /* (B,D), of length 1 */
    CaptionFeatures text;               /* its embedding of length sqrt(D): numbers of about 1 */
} ClipPairs;

/* Leaves on the tape of b.images, (B,side,side,3) of CLIP's size, whether that records or not; without
 * `images` the embeddings are 0 */
ClipPairs clip_pairs(const FrozenClip *f, const CaptionedBatch *b, bool images);
/* n captions, on a tape */
CaptionFeatures clip_captions(const FrozenClip *f, Tape *t, int n, const char *const *captions);
/* n images (n,side,side,3) in [-1,1] -> embeddings (n,D) of length 1 */
void clip_images(const FrozenClip *f, int n, const real *x, real *embedding);

/* item b without its caption */
void caption_drop(CaptionFeatures *text, int b);

/* the same of n captions in plain arrays */
typedef struct {
    int n, length, dim;
    real *tokens, *embedding;           /* (n,length,dim), (n,dim) */
    uint8_t *mask;                      /* (n,length) */
} CaptionTable;

CaptionTable caption_table(Arena *arena, const FrozenClip *f, int n, const char *const *captions);
/* The captions of these numbers, one for each of a batch, as leaves; -1: none */
CaptionFeatures caption_rows(const CaptionTable *table, Tape *t, int B, const int *number);

#endif
