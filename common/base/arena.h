/* arena.h — memory that is given out in order and taken back all at once. It grows by chunks, and
 * keeps them when reset, so that what repeats its steps allocates nothing after the first. */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

typedef struct Chunk Chunk;
typedef struct FreeBlock FreeBlock;
typedef struct {
    Chunk *first, *current;
    FreeBlock *free;        /* given back before the reset */
    size_t used, peak;      /* bytes given out, now and at most */
} Arena;

/* 64-byte aligned, not cleared; fails when memory is out */
void  *arena_get(Arena *a, size_t bytes);
/* may be given out again at once; `bytes` as it was asked for */
void   arena_give_back(Arena *a, void *p, size_t bytes);
/* formats like sprintf */
char  *arena_text(Arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void   arena_reset(Arena *a);
void   arena_free(Arena *a);
/* bytes of its chunks reached since the reset: `used` at its highest, and what lay between */
size_t arena_extent(const Arena *a);

#endif
