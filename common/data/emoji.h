/* emoji.h — 3,655 captioned colour pictures: the emoji of Unicode 15.0 as Noto draws them.
 *
 * Made from Debian's fonts-noto-color-emoji and unicode-data in seconds, and cached: the pictures
 * are the font's, under its licence, and are not part of this repository. Captions are Unicode's
 * names as they stand, "woman astronaut: medium skin tone"; classes are its subgroups, groups its
 * groups.
 *
 * Pictures lie on white. Made smaller, each pixel is the mean over its area of the bytes as they
 * are, not of the light they stand for. So the pictures of 32, 64 and 128 pixels are means of one
 * another, as chapters that enlarge pictures assume, and dark outlines keep their weight.
 *
 * Parts. Man, woman and person, their skin tones and hair are variations of one concept; concepts
 * whose pictures are nearly the same (the clocks, flags that equal another's) are joined. A
 * concept's hash puts all of it into training (0.9), validation or test (0.05 each), so that what
 * is tested has no near-duplicate in training. Some combinations are held out: emoji_names.h. */
#ifndef EMOJI_H
#define EMOJI_H

#include "data/captioned.h"

#define EMOJI_FONT  "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
#define EMOJI_NAMES "/usr/share/unicode/emoji/emoji-test.txt"
#define EMOJI_CACHE "build/data"

/* size: 32, 64 or 128. Reads cache/emoji-SIZE.safetensors, and makes it when it is not there or
 * was made from other files. cache NULL: EMOJI_CACHE. Fails with one line. */
Captioned emoji_load(int size, const char *cache);

/* The caption with words of its group that the name lacks: "grapes, food fruit". For training, beside
 * the name alone, so that "fruit" is a word for all of them. Returns text. */
enum { EMOJI_CAPTION = 200 };
char *emoji_caption(const Captioned *c, int i, char text[static EMOJI_CAPTION]);

/* The same from another font with bitmaps (CBDT), and another list in the form of emoji-test.txt */
Captioned emoji_load_from(int size, const char *font, const char *names, const char *cache);

#endif
