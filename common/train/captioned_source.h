/* captioned_source.h — the pairs of a text-to-image training, batch after batch: scenes of the
 * wardrobe, and emoji (data/captioned_batch.h).
 *
 *     CaptionedSource source;
 *     captioned_source_open(&source, run, o.common.batch, o.emoji, 64);
 *     while (run_next(run)) {
 *         CaptionedBatch b = captioned_source_next(&source, run);
 *         ... */
#ifndef CAPTIONED_SOURCE_H
#define CAPTIONED_SOURCE_H

#include "data/captioned_batch.h"
#include "train/run.h"

/* the option --emoji */
#define EMOJI_SHARE(variable)                                                                     \
    {"emoji", 0, .d = &(variable), .min = 0, .max = 0.9, .meta = "X", .only = "train",            \
     .help = "share of emoji in a batch; the rest are wardrobe scenes"}

typedef struct {
    CaptionedData data;
    int batch, emoji;            /* pairs of a micro-batch; how many of them are emoji */
    Loader *order;               /* of the emoji */
    Rng *moved;                  /* how far each emoji is moved */
    uint64_t seed;
    double alike;                /* share of batches whose scenes are alike */
    Rng *kinds;                  /* what they have in common; NULL: they never are */
} CaptionedSource;

/* Right after run_start and run_trained_on. batch: pairs of a step, of which the share `emoji`;
 * side: of the images, in pixels; the data are recorded with the run. *s must not move. */
void captioned_source_open(CaptionedSource *s, Run *run, int batch, double emoji, int side);
void captioned_source_free(CaptionedSource *s);
/* For contrastive training. Captions of any scenes differ in colour, and hardly ask for more. In a
 * share of the batches all scenes are therefore much alike: one garment in one of two colours; or two
 * garments, of four classes and two colours, so that only classes, or who is where, can tell them
 * apart. */
void captioned_source_alike(CaptionedSource *s, Run *run, double share);
/* on the run's tape */
CaptionedBatch captioned_source_next(const CaptionedSource *s, Run *run);

#endif
