/* references.h — the real pictures that samples of the captioned sets are compared with. */
#ifndef REFERENCES_H
#define REFERENCES_H

#include "data/wardrobe.h"
#include "eval/scores.h"

/* the first `count` scenes for training, and for test, at the wardrobe's size; their labels are
 * the classes of the first garments. The pixels are the arena's. */
Reference wardrobe_reference(Arena *arena, const Wardrobe *w, int count);
/* the emoji for training; those for validation and test */
Reference emoji_reference(const Captioned *emoji);

#endif
