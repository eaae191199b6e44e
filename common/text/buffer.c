#include "text/buffer.h"

#include "base/error.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

static void make_room(Buffer *b, size_t more) {
    if (b->length + more <= b->room) return;
    b->room = 2 * b->room + more + 64;
    b->text = realloc(b->text, b->room);
    if (!b->text) fail("out of memory: a text of %zu bytes", b->room);
}

void buffer_add(Buffer *b, const char *text, size_t length) {
    if (!length) return;
    make_room(b, length);
    memcpy(b->text + b->length, text, length);
    b->length += length;
}

void buffer_add_code(Buffer *b, int32_t code) {
    char bytes[4];
    buffer_add(b, bytes, utf8_put(code, bytes));
}

char *buffer_end(Buffer *b) {
    make_room(b, 1);
    b->text[b->length] = 0;
    return b->text;
}
