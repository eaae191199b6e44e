/* memory.c — large blocks of memory; see memory.h. */
#define _DEFAULT_SOURCE        /* madvise */
#include "memory.h"

#include <stdlib.h>
#include <sys/mman.h>

void *memory_get(size_t bytes) {
    const size_t line = 64, page = 2 << 20;
    bytes = (bytes + line - 1) / line * line;
    if (bytes < 2 * page) return aligned_alloc(line, bytes);
    void *p = aligned_alloc(page, bytes);
#ifdef MADV_HUGEPAGE
    if (p) madvise(p, bytes, MADV_HUGEPAGE);    /* a wish: where it is refused, nothing is lost */
#endif
    return p;
}
