/* words.h — how text is cut into the words that byte-pair encoding works on: the rules of CLIP and
 * of GPT-2, as their official code has them.
 *
 *   - text_clean      CLIP's: HTML references resolved twice, white space collapsed, lower case
 *   - word_next       the next match of the official pattern,
 *                       CLIP:  <|startoftext|> | <|endoftext|> | 's | 't | 're | 've | 'm | 'll
 *                              | 'd | letters | one number | anything else but white space
 *                       GPT-2: 's ... 'd | ?letters | ?numbers | ?anything else | white space,
 *                              where ? is a space that belongs to the word after it
 *
 * CLIP's official code also mends broken encodings by a library, ftfy; that is left out. Bytes that
 * are not UTF-8 stay as they are, and count as "anything else". */
#ifndef WORDS_H
#define WORDS_H

#include "text/buffer.h"

#include <stdbool.h>

typedef enum { BPE_CLIP, BPE_GPT2 } BpeStyle;

#define START_OF_TEXT "<|startoftext|>"
#define END_OF_TEXT "<|endoftext|>"

/* adds to `out`, which is ended by a zero byte */
void text_clean(const char *text, size_t length, Buffer *out);
/* lower case alone, as GLIDE does before GPT-2's rules; out as above */
void text_lower(const char *text, size_t length, Buffer *out);

typedef struct {
    const char *text;
    size_t length;
} Word;

/* The next word at text + *at or later; *at moves behind it. False: there is none. */
bool word_next(BpeStyle style, const char *text, size_t length, size_t *at, Word *word);

#endif
