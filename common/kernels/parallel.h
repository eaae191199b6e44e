/* parallel.h — threads and scratch memory inside the kernels; nothing here is public.
 *
 *   PARALLEL_FOR(work)        before a for loop: its iterations are shared out among the threads.
 *                             `work` is the loop's rough cost in multiply-adds; a small loop stays
 *                             on one thread, because waking the others costs a few microseconds.
 *   scratch(slot, count)      room for `count` reals, reused by the next call with the same slot
 *
 * Iterations of a parallel loop write to different places, so how they are shared out never shows
 * in the results. Without OpenMP the macro does nothing.
 */
#ifndef PARALLEL_H
#define PARALLEL_H

#include "real.h"

#ifdef _OPENMP
#define PARALLEL_PRAGMA(text) _Pragma(#text)
#define PARALLEL_FOR(work) \
    PARALLEL_PRAGMA(omp parallel for schedule(dynamic) num_threads(threads_for(work)))
#else
#define PARALLEL_FOR(work) (void)(work);
#endif

int threads_for(double work);    /* 1 for little work, else threads_get() */
int thread_index(void);          /* 0..threads_get()-1 inside a parallel loop */

/* What one kernel call may hold at the same time. */
typedef enum { SCRATCH_A, SCRATCH_B, SCRATCH_PARTIAL, SCRATCH_SLOTS } ScratchSlot;
real *scratch(ScratchSlot slot, size_t count);    /* 64-byte aligned; contents undefined */

#endif
