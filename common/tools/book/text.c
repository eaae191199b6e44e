#include "text.h"
#include "base/file.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_room(Text *t, size_t more) {
    size_t n = t->length + more + 1;
    t->text = memory_grow(t->text, &t->room, n, 1, "a page of %zu bytes", n);
}

void text_append(Text *t, const char *from, size_t n) {
    make_room(t, n);
    memcpy(t->text + t->length, from, n);
    t->text[t->length += n] = 0;
}

void text_put(Text *t, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int n = vsnprintf(NULL, 0, format, list);
    va_end(list);
    make_room(t, (size_t)n);
    va_start(list, format);
    vsnprintf(t->text + t->length, (size_t)n + 1, format, list);
    va_end(list);
    t->length += (size_t)n;
}

void text_escaped(Text *t, const char *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        switch (from[i]) {
        case '&': text_append(t, "&amp;", 5); break;
        case '<': text_append(t, "&lt;", 4); break;
        case '>': text_append(t, "&gt;", 4); break;
        case '"': text_append(t, "&quot;", 6); break;
        default: text_append(t, from + i, 1);
        }
}

void text_clear(Text *t) {
    free(t->text);
    *t = (Text){0};
}

Text text_of_file(const char *path) {
    Text t = {0};
    size_t n;
    const uint8_t *bytes = file_map(path, &n);
    text_append(&t, (const char *)bytes, n);
    file_unmap(bytes, n);
    return t;
}

bool starts_with(const char *s, const char *prefix) {
    return !strncmp(s, prefix, strlen(prefix));
}

bool ends_with(const char *s, const char *suffix) {
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && !strcmp(s + n - m, suffix);
}
