/* caption_sheet.h — do pictures show what their captions say: the answer beside real scenes and
 * beside captions that were dealt out anew.
 *
 * Real pictures are as many test scenes of the same kinds: seen combinations, held-out colours,
 * held-out relations. What the evaluator says of them is the ceiling; nothing it says of samples
 * means more than that. */
#ifndef CAPTION_SHEET_H
#define CAPTION_SHEET_H

#include "eval/caption_evaluator.h"

enum { KINDS = 3 };              /* HELD_NOTHING, HELD_COLOUR, HELD_RELATION */

typedef struct {
    int n;
    char sha256[65];             /* of the evaluator */
    CaptionScores samples, real_images, shuffled;
    CaptionScores kind[KINDS], real_kind[KINDS];     /* of the pictures of each kind; 0 if none */
} CaptionSheet;

/* x (n,side,side,3) in [0,1], side 64 or 32, and the scenes that their captions ask for; real
 * scenes are drawn from w, which is of the same size */
CaptionSheet caption_sheet(const CaptionEvaluator *e, const Wardrobe *w, int n, const real *x,
                           const Scene *scenes);
void   caption_sheet_print(const CaptionSheet *s);
cJSON *caption_sheet_json(const CaptionSheet *s);

/* Lines of a file, one a picture: a caption, or FILE<tab>caption. Fails with one line that names
 * the line that is no caption of the wardrobe. The scenes are the arena's; *n: how many. */
Scene *captions_read(Arena *arena, const char *path, int *n);

#endif
