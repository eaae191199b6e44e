#include "text/buffer.h"

#include "base/memory.h"
#include "text/utf8.h"

#include <string.h>

static void make_room(Buffer *b, size_t more) {
    size_t n = b->length + more;
    b->text = memory_grow(b->text, &b->room, n, 1, "a text of %zu bytes", n);
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
