/* test_steps.c — the memory of the steps that are timed against PyTorch (bench/nets.h). */
#include "testing.h"
#include "bench/nets.h"
#include "base/sanitize.h"

#include <stdlib.h>

SUITE(steps);

/* ---- counting allocations -------------------------------------------------------------------- */

/* Sanitizers have their own malloc; there the arenas alone are watched. */
#ifdef SANITIZED
static const size_t allocations = 0;
#else
static size_t allocations;
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

void *malloc(size_t bytes) {
    allocations++;
    return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t size) {
    allocations++;
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t bytes) {
    allocations++;
    return __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
    allocations++;
    return __libc_memalign(alignment, bytes);
}
#endif

/* ---- the networks ---------------------------------------------------------------------------- */

enum { BATCH = 2 };

/* Does a step ask the system for memory after the first? The second may: threads that had nothing
 * to do before. */
Test(steps, a_step_allocates_nothing_after_the_first_two) {
    threads_set(2);
    for (const NetKind *const *k = net_kinds; *k; k++) {
        Training t;
        training_start(&t, *k, BATCH, true);
        for (int i = 0; i < 2; i++) training_step(&t);
        size_t before = allocations, small = t.tape.arena.peak, values = t.tape.values.peak;
        size_t extent = arena_extent(&t.tape.values);
        for (int i = 0; i < 2; i++) training_step(&t);
        cr_expect_eq(allocations, before, "%s: %zu allocations", (*k)->name, allocations - before);
        cr_expect_eq(t.tape.arena.peak, small, "%s", (*k)->name);
        cr_expect_eq(t.tape.values.peak, values, "%s", (*k)->name);
        cr_expect_eq(arena_extent(&t.tape.values), extent, "%s", (*k)->name);
        training_free(&t);
    }
}

#ifndef SANITIZED
/* A test that cannot fail is worthless. */
Test(steps, allocations_are_seen) {
    size_t before = allocations;
    Arena a = {0};
    arena_get(&a, 1000);
    cr_assert_eq(allocations, before + 2, "a chunk and its bytes");
    arena_free(&a);
}
#endif

/* What one image adds to values and gradients at their most. The numbers are what was measured; a
 * twentieth more fails. */
Test(steps, values_go_as_early_as_they_did) {
    static const struct {
        const char *name;
        double kilobytes;     /* per image, in float */
    } most[] = {{"vae", 13},    {"dcgan", 508},        {"vqvae", 411}, {"mae", 1586},
                {"unet", 3907}, {"unet_sample", 1181}, {"gpt", 4416},  {"clip", 1742},
                {"glide", 5511}, {"ldm", 6242},      {"sd1", 1583}, {"dvae", 9168},
                {"dalle", 12198}, {"first_stage", 816}};
    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        size_t peak[2];
        for (int j = 0; j < 2; j++) {
            Training t;
            training_start(&t, net_find(most[i].name), j ? 4 : 2, true);
            for (int step = 0; step < 2; step++) training_step(&t);
            peak[j] = t.tape.values.peak;
            training_free(&t);
        }
        double kilobytes = (double)(peak[1] - peak[0]) / 2 / 1024 * 4 / sizeof(real);
        cr_expect(kilobytes <= 1.05 * most[i].kilobytes, "%s: %.1f KB per image, %.1f when measured",
                  most[i].name, kilobytes, most[i].kilobytes);
    }
}
