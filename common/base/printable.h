/* printable.h — text from files and command lines, made safe for a terminal.
 *
 * A terminal obeys control characters: a file's name, a tensor's or a column's could hold a sequence
 * that clears the screen, sets the title or answers for the user. Everything that error.h prints
 * goes through make_printable; what is printed otherwise and comes from a file must, too. */
#ifndef PRINTABLE_H
#define PRINTABLE_H

#include <stdbool.h>

/* Length of the UTF-8 character at s, 1 to 4; 0 if there is none: a stray or missing byte, an
 * overlong form, half of a surrogate pair. A zero byte has length 1. */
int utf8_length(const char *s);

/* Each control character (C0, DEL, C1, line and paragraph separator, change of writing direction) and
 * each byte that is no UTF-8 becomes `by`. The text gets shorter where characters have several
 * bytes. */
void make_printable(char *text, char by);
bool is_printable(const char *text);       /* would make_printable leave it as it is? */

#endif
