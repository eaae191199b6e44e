/* arena.c — memory in chunks, given out in order, taken back all at once. Pieces that come back
 * earlier are given out again: from the smallest free block that holds what is asked for, cut to
 * size. Neighbouring free blocks are joined, so that small pieces make room for large ones. */
#include "base/arena.h"
#include "base/error.h"
#include "base/sanitize.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

enum { ALIGN = 64, FIRST_CHUNK = 1 << 18 };

struct Chunk {
    Chunk *next;
    size_t size, used;
    char *bytes;
};

/* A free block; this stands in its own memory. The list is in order of addresses. Blocks of two
 * chunks never touch: malloc keeps its own numbers between them. */
struct FreeBlock {
    FreeBlock *next;
    size_t bytes;
};

/* at least one: a piece that comes back must have room for a FreeBlock */
static size_t rounded(size_t bytes) {
    return bytes ? (bytes + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
}

/* Large chunks are asked for in pages of 2 MB instead of 4 KB: a fault for each small page of a
 * cache of keys and values costs more time than filling it. */
static char *bytes_new(size_t size) {
#ifdef MADV_HUGEPAGE
    enum { PAGE = 1 << 21 };
    if (size >= 2 * PAGE) {
        size = (size + PAGE - 1) / PAGE * PAGE;
        char *bytes = aligned_alloc(PAGE, size);
        if (bytes) madvise(bytes, size, MADV_HUGEPAGE);     /* refused: the pages are small */
        return bytes;
    }
#endif
    return aligned_alloc(ALIGN, size);
}

static Chunk *chunk_new(size_t size) {
    Chunk *c = malloc(sizeof *c);
    char *bytes = bytes_new(size);
    if (!c || !bytes)
        fail("out of memory: %zu MB more were needed; try a smaller --batch", size >> 20);
    POISON(bytes, size);
    *c = (Chunk){.size = size, .bytes = bytes};
    return c;
}

/* The next chunk with room; a new one is at least half of what all the others hold, so that their
 * number stays small however much is asked for. */
static Chunk *chunk_with_room(Arena *a, size_t bytes) {
    size_t held = 0;
    for (Chunk *c = a->first; c; c = c->next) held += c->size;
    for (Chunk *c = a->current; c; c = c->next)
        if (c->size - c->used >= bytes) return c;
    size_t size = held / 2 > FIRST_CHUNK ? held / 2 / ALIGN * ALIGN : FIRST_CHUNK;
    Chunk *c = chunk_new(size > bytes ? size : bytes);
    if (a->current) {
        c->next = a->current->next;
        a->current->next = c;
    } else {
        a->first = c;
    }
    return c;
}

static void *from_chunk(Arena *a, size_t bytes) {
    if (!a->current || a->current->size - a->current->used < bytes)
        a->current = chunk_with_room(a, bytes);
    char *p = a->current->bytes + a->current->used;
    a->current->used += bytes;
    return p;
}

/* NULL: no free block is large enough */
static void *from_free_block(Arena *a, size_t bytes) {
    FreeBlock **best = NULL;
    for (FreeBlock **b = &a->free; *b; b = &(*b)->next)
        if ((*b)->bytes >= bytes && (!best || (*b)->bytes < (*best)->bytes)) best = b;
    if (!best) return NULL;
    FreeBlock *b = *best, *next = b->next;
    if (b->bytes > bytes) {
        FreeBlock *rest = (FreeBlock *)((char *)b + bytes);
        UNPOISON(rest, sizeof *rest);
        *rest = (FreeBlock){.next = next, .bytes = b->bytes - bytes};
        next = rest;
    }
    *best = next;
    return b;
}

void *arena_get(Arena *a, size_t bytes) {
    bytes = rounded(bytes);
    void *p = from_free_block(a, bytes);
    if (!p) p = from_chunk(a, bytes);
    a->used += bytes;
    if (a->used > a->peak) a->peak = a->used;
    UNPOISON(p, bytes);
    return p;
}

static void join_with_next(FreeBlock *b) {
    FreeBlock *next = b->next;
    if ((char *)b + b->bytes != (char *)next) return;
    b->bytes += next->bytes;
    b->next = next->next;
    POISON(next, sizeof *next);
}

void arena_give_back(Arena *a, void *p, size_t bytes) {
    FreeBlock *b = p, *before = NULL, **at = &a->free;
    for (; *at && *at < b; at = &(*at)->next) before = *at;
    *b = (FreeBlock){.next = *at, .bytes = rounded(bytes)};
    *at = b;
    a->used -= b->bytes;
    POISON(b + 1, b->bytes - sizeof *b);
    join_with_next(b);
    if (before) join_with_next(before);
}

char *arena_text(Arena *a, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *text = arena_get(a, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(args), va_end(again);
    return text;
}

size_t arena_extent(const Arena *a) {
    size_t bytes = 0;
    for (const Chunk *c = a->first; c; c = c->next) bytes += c->used;
    return bytes;
}

void arena_reset(Arena *a) {
    for (Chunk *c = a->first; c; c = c->next) {
        POISON(c->bytes, c->size);
        c->used = 0;
    }
    a->current = a->first;
    a->free = NULL;
    a->used = 0;
}

void arena_free(Arena *a) {
    for (Chunk *c = a->first, *next; c; c = next) {
        next = c->next;
        UNPOISON(c->bytes, c->size);
        free(c->bytes);
        free(c);
    }
    *a = (Arena){0};
}
