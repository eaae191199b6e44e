/* threads.c — how many threads the kernels use, and the scratch memory they share. */
#include "kernels.h"
#include "parallel.h"
#include "simd.h"

#include <stdio.h>
#include <stdlib.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { MAX_THREADS = 256 };

static int thread_count;    /* 0: not asked yet */

void threads_set(int n) {
    thread_count = n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : n;
}

int threads_get(void) {
#ifdef _OPENMP
    if (!thread_count) threads_set(omp_get_max_threads());
    return thread_count;
#else
    return 1;
#endif
}

int vector_bytes(void) {
    return VEC_BYTES;
}

int threads_for(double nanoseconds) {
    const double worth_waking = 5000;    /* several times what waking and meeting again costs */
    return nanoseconds < worth_waking ? 1 : threads_get();
}

int rows_fetched(double n, double nanoseconds) {
    const double worth_fetching = 5000;
    double rows = n * worth_fetching / nanoseconds;
    return rows > 1 && rows < n ? (int)rows : 1;
}

int thread_index(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

void parallel_items(int n, double nanoseconds, void (*item)(int i, void *context), void *context) {
    PARALLEL_FOR(n * nanoseconds)
    for (int i = 0; i < n; i++) item(i, context);
}

static struct { real *memory; size_t count; } slots[SCRATCH_SLOTS];

real *scratch(ScratchSlot slot, size_t count) {
    if (slots[slot].memory && count <= slots[slot].count) return slots[slot].memory;
    size_t bytes = (count * sizeof(real) + 64) / 64 * 64;    /* never 0 */
    free(slots[slot].memory);
    slots[slot].memory = aligned_alloc(64, bytes);
    slots[slot].count = bytes / sizeof(real);
    if (!slots[slot].memory) {
        fprintf(stderr, "kernels: no memory for %zu bytes of scratch; try a smaller batch\n",
                bytes);
        exit(1);
    }
    return slots[slot].memory;
}

/* OpenMP lets a thread that waits for the others spin for milliseconds, which makes a step several
 * times slower as soon as another program wants a processor: the spinning thread holds the one that
 * the thread it waits for should run on. So it spins some twenty microseconds and then sleeps. What the
 * user has set stays. GCC's runtime reads its settings from the environment in a constructor of its
 * own: it is linked statically (Makefile), and this one comes before. */
#ifdef _OPENMP
__attribute__((constructor(101))) static void sleep_when_waiting(void) {
    if (getenv("OMP_WAIT_POLICY")) return;
#ifdef __clang__
    if (!getenv("KMP_BLOCKTIME")) kmp_set_blocktime(0);
#else
    setenv("GOMP_SPINCOUNT", "1000", 0);
#endif
}
#endif
