/* parallel.h — threads and scratch memory inside the kernels; nothing here is public.
 *
 *   PARALLEL_FOR(time)        before a for loop: its iterations are shared out among the threads.
 *                             `time` is what the loop takes one thread, roughly, in nanoseconds; a
 *                             short loop stays on one thread, because waking the others takes time.
 *   PARALLEL_ROWS(n, time)    the same for n iterations that may be short: several are fetched at a
 *                             time, because each fetch is an atomic addition all threads wait for
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
#define PARALLEL_FOR(time) \
    PARALLEL_PRAGMA(omp parallel for schedule(dynamic) num_threads(threads_for(time)))
#define PARALLEL_ROWS(n, time) \
    PARALLEL_PRAGMA(omp parallel for schedule(dynamic, rows_fetched(n, time)) \
                    num_threads(threads_for(time)))
#else
#define PARALLEL_FOR(time) (void)(time);
#define PARALLEL_ROWS(n, time) (void)(n), (void)(time);
#endif

int threads_for(double nanoseconds);    /* 1 for a short loop, else threads_get() */
int rows_fetched(double n, double nanoseconds);    /* of n: 1 if they are long */
int thread_index(void);                 /* 0..threads_get()-1 inside a parallel loop */

/* Costs on one core, in nanoseconds, as far as PARALLEL_FOR must know them. */
#define COST_MULTIPLY_ADD 0.02    /* in tiles */
#define COST_COPY 0.2             /* one number read or written, from memory */
#define COST_FUNCTION 0.8         /* one number through exp and the like */
#define COST_DRAW 2.5             /* one random number */

/* What one kernel call may hold at the same time. */
typedef enum { SCRATCH_A, SCRATCH_B, SCRATCH_PARTIAL, SCRATCH_SLOTS } ScratchSlot;
real *scratch(ScratchSlot slot, size_t count);    /* 64-byte aligned; contents undefined */

#endif
