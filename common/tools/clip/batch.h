/* batch.h — what CLIP trains on: scenes of the wardrobe and emoji, each with its caption. */
#ifndef CLIP_BATCH_H
#define CLIP_BATCH_H

#include "data/emoji.h"
#include "data/wardrobe.h"
#include "text/bpe.h"

typedef struct {
    Fashion fashion;
    Wardrobe wardrobe;
    Captioned emoji;
    Bpe bpe;
    int side, context;
} CaptionedData;

/* folder: of the IDX files; NULL: Debian's. `d` must not move: the wardrobe points into it. */
void captioned_data_open(CaptionedData *d, const char *folder, int side, int context);
void captioned_data_free(CaptionedData *d);

/* A batch of n pairs: the last `emoji` of them are emoji, the others scenes */
typedef struct {
    int n, emoji;
    Tensor *images;                  /* (n,side,side,3) in [-1,1] */
    int *tokens, *group;             /* (n,context), (n): for clip_loss */
} PairBatch;

/* For training: scenes first, first + 1, ..., the emoji of these numbers, moved by up to four
 * pixels, every second one called by its group as well. On the tape. */
PairBatch training_batch(const CaptionedData *d, Tape *t, int n, uint64_t seed, uint64_t first,
                         int emoji, const int *number, Rng *rng);
/* Of the validation part, as it is */
PairBatch validation_batch(const CaptionedData *d, Tape *t, int n, int emoji);

#endif
