/* memory.h — memory to be freed, or the program ends: "out of memory: " and what it was for, which
 * is formatted as by printf. What reports in another way calls malloc itself. With error.h: what
 * needs memory has other ways to fail, too. */
#ifndef MEMORY_H
#define MEMORY_H

#include "base/error.h"

#include <stddef.h>

/* n things of this size, cleared; of no things there is an address, too */
void *memory_new(size_t n, size_t size, const char *what, ...)
    __attribute__((format(printf, 3, 4)));
/* `list`, which has room for *room things, or what takes its place, with room for n or more: those
 * that there were, and cleared ones. At first it is NULL, and *room 0; it doubles at least. */
void *memory_grow(void *list, size_t *room, size_t n, size_t size, const char *what, ...)
    __attribute__((format(printf, 5, 6)));

#endif
