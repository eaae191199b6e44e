/* memory.h — large blocks of memory. Not public, but the arenas (tensor/arena.c) use it too. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>

/* 64-byte aligned, not cleared, for free(); NULL when there is none left. Blocks of several
 * megabytes are asked to lie on pages of 2 MB: with pages of 4 KB a loop over an array larger than
 * the caches spends a sixth of its time on finding out where the pages are. */
void *memory_get(size_t bytes);

#endif
