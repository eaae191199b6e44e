/* references.h — the real pictures that samples of the captioned sets are compared with. */
#ifndef REFERENCES_H
#define REFERENCES_H

#include "data/wardrobe.h"
#include "eval/scores.h"

/* the first `count` scenes for training, and for test, at the wardrobe's size; their labels are
 * the classes of the first garments. The pixels are the arena's. */
Reference wardrobe_reference(Arena *arena, const Wardrobe *w, int count);
/* The emoji for training; those for validation and test. In random order, always the same: scores
 * compare with the first so many, and the set is sorted by groups. Copies, in the arena. */
Reference emoji_reference(Arena *arena, const Captioned *emoji);

#endif
