/* utf8.h — UTF-8: from bytes to code points and back. */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>
#include <stdint.h>

enum { UTF8_BAD = -1, UTF8_REPLACEMENT = 0xFFFD };

/* The code point at text, of whose `length` >= 1 bytes so many belong to it. What is not UTF-8
 * gives UTF8_BAD, and `bytes` is how many of them one U+FFFD stands for: the longest start of a
 * character, or one (Unicode 15, section 3.9, "maximal subparts"; so does Python). */
int32_t utf8_get(const char *text, size_t length, size_t *bytes);

/* writes 1 to 4 bytes, returns how many */
size_t utf8_put(int32_t code, char out[static 4]);

#endif
