/* emoji_font.h — the pictures in a colour font of bitmaps (tables CBDT, CBLC), through FreeType.
 *
 * Noto's are 136x128 pixels with transparency. They are laid on white, in the middle of a square
 * of 136: the square is what all sizes are made from. */
#ifndef EMOJI_FONT_H
#define EMOJI_FONT_H

#include "data/emoji_names.h"

enum { EMOJI_SQUARE_MAX = 512 };

typedef struct EmojiFont EmojiFont;

EmojiFont *emoji_font_open(const char *path);         /* fails with one line */
void emoji_font_close(EmojiFont *f);

/* The picture as RGB (side,side,3) in memory that lives until the next call; NULL: the font has
 * none. */
const uint8_t *emoji_font_draw(EmojiFont *f, const EmojiName *e, int *side);

#endif
