/* compare.h — which of several texts says what a user's picture shows? */
#ifndef CLIP_COMPARE_H
#define CLIP_COMPARE_H

#include "eval/frozen_clip.h"

/* Prints, for each picture (PNG or JPEG), the probability of each text: the softmax of the logits
 * over the texts. Official networks get pictures as they were trained on them: bicubic, the middle
 * square. */
void compare(const FrozenClip *f, bool official, int pictures, const char *const *paths, int texts,
             const char *const *text);

#endif
