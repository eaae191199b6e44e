/* captioned_batch.h — what text-to-image networks are trained on: scenes of the wardrobe and emoji,
 * each with its caption.
 *
 *     CaptionedData data;
 *     captioned_data_open(&data, o.common.data, 64);
 *     CaptionedBatch b = training_batch(&data, &tape, (BatchPlan){.n = 32, .emoji = 8, ...});
 *     ... b.images, b.captions ... */
#ifndef CAPTIONED_BATCH_H
#define CAPTIONED_BATCH_H

#include "data/emoji.h"
#include "data/wardrobe.h"

typedef struct {
    Fashion fashion;
    Wardrobe wardrobe;
    Captioned emoji;
    int side;
} CaptionedData;

/* folder: of the IDX files; NULL: Debian's. `d` must not move: the wardrobe points into it. */
void captioned_data_open(CaptionedData *d, const char *folder, int side);
void captioned_data_free(CaptionedData *d);

/* n pairs on a tape: the last `emoji` of them are emoji, the others scenes */
typedef struct {
    int n, emoji;
    Tensor *images;                  /* (n,side,side,3) in [-1,1] */
    const char **captions;           /* (n) */
} CaptionedBatch;

/* Which pairs training is shown: of the scenes from the number `first` of a seed on the next of a
 * kind, and the emoji of these numbers, moved by up to four pixels of 64, every second one called by
 * its group as well. */
typedef struct {
    int n, emoji;                    /* pairs; how many of them are emoji */
    SceneKind kind;                  /* {0}: any */
    uint64_t seed, first;
    const int *number;               /* (emoji) */
    Rng *rng;
} BatchPlan;

/* (n): of each pair the first one whose caption says the same, in whatever words; on the tape */
int *caption_groups(const CaptionedBatch *b);

CaptionedBatch training_batch(const CaptionedData *d, Tape *t, BatchPlan p);
/* Of the validation part, as it is; the first scenes, emoji evenly */
CaptionedBatch validation_batch(const CaptionedData *d, Tape *t, int n, int emoji);

#endif
