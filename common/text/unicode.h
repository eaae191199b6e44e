/* unicode.h — what Unicode 15 says of a code point. The tables are made from Debian's unicode-data
 * by make_tables.py. UTF8_BAD is none of all these. */
#ifndef UNICODE_H
#define UNICODE_H

#include <stdbool.h>
#include <stdint.h>

bool unicode_is_letter(int32_t code);            /* \p{L} */
bool unicode_is_number(int32_t code);            /* \p{N} */
bool unicode_is_space(int32_t code);             /* White_Space */
bool unicode_is_cased(int32_t code);
bool unicode_is_case_ignorable(int32_t code);    /* apostrophes, accents: inside of words */

/* The lower-case form of one code point. U+0130, whose form is two of them, and the final sigma,
 * which depends on its neighbours, are the caller's. */
int32_t unicode_lower(int32_t code);

#endif
