/* buffer.h — bytes that grow, for the parts of common/text. */
#ifndef BUFFER_H
#define BUFFER_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *text;                  /* owned, by free(); NULL while it is empty */
    size_t length, room;
} Buffer;

void buffer_add(Buffer *b, const char *text, size_t length);
void buffer_add_code(Buffer *b, int32_t code);
/* ends it with a zero byte, which is not counted; b->text is then not NULL */
char *buffer_end(Buffer *b);

#endif
