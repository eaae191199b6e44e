/* text.h — strings that grow, for pages that are put together from many parts. */
#ifndef BOOK_TEXT_H
#define BOOK_TEXT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *text;              /* ends with 0; NULL while nothing was put */
    size_t length, room;
} Text;

void text_append(Text *t, const char *from, size_t n);
void text_put(Text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* with & < > " written as entities */
void text_escaped(Text *t, const char *from, size_t n);
void text_clear(Text *t);                   /* frees it */
/* the file's bytes, with a 0 behind them; fails if it cannot be read */
Text text_of_file(const char *path);
bool starts_with(const char *s, const char *prefix);
bool ends_with(const char *s, const char *suffix);

#endif
