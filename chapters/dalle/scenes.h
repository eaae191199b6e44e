/* scenes.h — scenes of the wardrobe, and emoji, as both stages have them: pictures, captions, tokens,
 * codes. */
#ifndef SCENES_H
#define SCENES_H

#include "dalle.h"
#include "data/captioned_batch.h"

enum { SIDE = 64, VALUES = SIDE * SIDE * 3 };        /* of a picture */

typedef struct {
    int n;
    real *x;                     /* (n,64,64,3) in [0,1] */
    Scene *scenes;               /* (n); NULL in a batch */
    const char **captions;       /* (n) */
    int *text, *codes;           /* (n,T), (n,N); NULL before scenes_encode */
} Scenes;

/* scenes first ... first + n - 1 of a part and seed, in memory of the arena */
Scenes scenes_new(Arena *a, const Wardrobe *w, Part part, uint64_t seed, uint64_t first, int n);
/* a batch in [0,1], in its memory */
Scenes scenes_of_batch(const CaptionedBatch *b);
/* their tokens, some merges left out unless dropout is NULL, and the dVAE's codes */
void scenes_encode(Arena *a, Scenes *s, const Dalle *m, const BpeDropout *dropout);
/* Mean nats of a picture's codes, given its caption; those of each place are added to `place` (N),
 * unless NULL. After scenes_encode. */
double scenes_nats(const Scenes *s, const Dalle *m, double *place);

#endif
