#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void run_out(const char *what, va_list args) {
    char text[1024];
    vsnprintf(text, sizeof text, what, args);
    fail("out of memory: %s", text);
}

void *memory_new(size_t n, size_t size, const char *what, ...) {
    void *memory = calloc(n ? n : 1, size);
    if (memory) return memory;
    va_list args;
    va_start(args, what);
    run_out(what, args);
}

void *memory_grow(void *list, size_t *room, size_t n, size_t size, const char *what, ...) {
    if (n <= *room) return list;
    size_t before = *room;
    *room += n;
    char *memory = n <= SIZE_MAX / 2 / size ? realloc(list, *room * size) : NULL;
    if (memory) memset(memory + before * size, 0, n * size);
    if (memory) return memory;
    va_list args;
    va_start(args, what);
    run_out(what, args);
}
