/* frozen_clip.h — a trained CLIP with its tokenizer: features of many images and texts, in plain
 * arrays. For ranking, guiding and measuring; the network itself is nn/clip.h. */
#ifndef FROZEN_CLIP_H
#define FROZEN_CLIP_H

#include "nn/clip.h"
#include "text/bpe.h"

#define CLIP_WEIGHTS "notebooks-data/clip/weights.safetensors"

typedef struct {
    Params params;                       /* frozen */
    Clip net;
    Bpe bpe;
    char sha256[65];                     /* of the file */
} FrozenClip;

/* Weights that `build/clip train` made; path NULL: the committed ones. Fail with one line. */
FrozenClip frozen_clip_load(const char *path);
/* the same, for images of this side only */
FrozenClip frozen_clip_for(const char *path, int side);
/* Weights under openai's names, for "vit-b32" and its like, and CLIP's list of merges
 * (bpe_simple_vocab_16e6.txt, or .txt.gz) */
FrozenClip frozen_clip_official(const char *config, const char *path, const char *merges);
void frozen_clip_free(FrozenClip *f);

/* x (n,side,side,3) in [0,1] -> (n,D) of length 1 */
void frozen_clip_images(const FrozenClip *f, int n, const real *x, real *features);
/* -> (n,D) of length 1; what is longer than the context is cut */
void frozen_clip_texts(const FrozenClip *f, int n, const char *const *texts, real *features);
/* cosines (n,m) of features (n,D) and (m,D) */
void frozen_clip_cosines(const FrozenClip *f, int n, const real *images, int m, const real *texts,
                         real *cosines);
double frozen_clip_scale(const FrozenClip *f);       /* what cosines are multiplied by: logits */

#endif
