/* parallel.h — threads and scratch memory inside the kernels; nothing here is public.
 *
 *   PARALLEL_FOR(work)        before a for loop: its iterations are shared out among the threads.
 *                             `work` is the loop's rough cost in multiply-adds; a small loop stays
 *                             on one thread, because waking the others costs a few microseconds.
 *   scratch(slot, count)      room for `count` reals, reused by the next call with the same slot
 *
 * Iterations of a parallel loop write to different places, so how they are shared out never shows
 * in the results. Without OpenMP the macro is empty.
 */
#ifndef PARALLEL_H
#define PARALLEL_H

#include "real.h"

#ifdef _OPENMP
#define PARALLEL_PRAGMA(text) _Pragma(#text)
#define PARALLEL_FOR(work) \
    PARALLEL_PRAGMA(omp parallel for schedule(dynamic) num_threads(threads_for(work)))
#else
#define PARALLEL_FOR(work)
#endif

int threads_for(double work);    /* 1 for little work, else threads_get() */

/* Callers of gemm may hold slots of their own while gemm uses its two. */
typedef enum { SCRATCH_PACK_A, SCRATCH_PACK_B, SCRATCH_PADDED, SCRATCH_PARTIAL, SCRATCH_SLOTS } ScratchSlot;
real *scratch(ScratchSlot slot, size_t count);    /* 64-byte aligned; contents undefined */

#endif
