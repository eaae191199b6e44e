/* test_allocations.c — one allocation after the other fails: is it said, and is nothing lost? */
#define _GNU_SOURCE   /* memmem */
#include "base/file.h"
#include "io/safetensors.h"
#include "stops.h"
#include "base/sanitize.h"
#include "testing.h"

#include <errno.h>

SUITE(allocations);

#ifndef SANITIZED     /* a sanitizer brings an allocator of its own */
/* The allocation that is to fail, counted from now on; 0: none. These take the place of the C
 * library's, cJSON's calls included. */
static long fail_at;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t n);

static bool fails(void) {
    if (!fail_at || --fail_at) return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t n) { return fails() ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t size) { return fails() ? NULL : __libc_calloc(n, size); }
void *realloc(void *old, size_t n) { return fails() ? NULL : __libc_realloc(old, n); }

static const char *path;

static void write_file(float value) {
    const float x[3] = {value, value, value};
    StOutput out[] = {{.name = "a.weight", .type = ST_F32, .rank = 2, .shape = {3, 1}, .source = x},
                      {.name = "b", .type = ST_F32, .rank = 1, .shape = {2}, .source = x}};
    const char *const metadata[] = {"chapter", "ae", "option.steps", "100", NULL};
    safetensors_write(path, out, 2, metadata);
}

static void write_failing(void *at) {
    fail_at = *(long *)at;
    write_file(2);
    if (fail_at) _exit(77);                   /* so many allocations there were not */
}

static void read_failing(void *at) {
    fail_at = *(long *)at;
    Safetensors s = safetensors_open(path);
    if (fail_at) _exit(77);
    safetensors_close(&s);
}

/* what the file holds: all tensors and texts, with the value 1 or 2 */
static void check_file(long at) {
    Safetensors s = safetensors_open(path);
    float x;
    cr_assert(s.count == 2 && safetensors_find(&s, "a.weight") && safetensors_find(&s, "b"));
    memcpy(&x, safetensors_find(&s, "b")->data, sizeof x);
    cr_assert((double)x == 1 || (double)x == 2, "allocation %ld: %g", at, (double)x);
    cr_assert_str_eq(safetensors_metadata(&s, "option.steps"), "100");
    safetensors_close(&s);
}

/* Whichever allocation fails while a file is written over another: is the old or the new one there,
 * whole, and is the failure said? */
Test(allocations, a_file_is_whole_whichever_allocation_fails) {
    path = place("weights.safetensors");
    int status = 0;
    long at = 0, said_so = 0;
    while (status != 77 && ++at < 1000) {
        char said[4096];
        write_file(1);
        status = stop_and_listen(write_failing, &at, said);
        cr_assert(status == 77 || status == 1 || status == 0, "allocation %ld: status %d: %s", at,
                  status, said);
        bool memory = strstr(said, "emory") != NULL;        /* "out of memory", "Cannot allocate memory" */
        cr_assert(status != 1 || memory, "allocation %ld: %s", at, said);
        said_so += memory;
        check_file(at);
    }
    cr_assert(at > 30 && said_so > 30, "%ld allocations, %ld failures said", at, said_so);
}

/* And while it is read: is it never called broken? */
Test(allocations, a_good_file_is_not_called_broken) {
    path = place("weights.safetensors");
    write_file(1);
    int status = 0;
    long at = 0;
    while (status != 77 && ++at < 1000) {
        char said[4096];
        status = stop_and_listen(read_failing, &at, said);
        cr_assert(status == 77 || (status == 1 && strstr(said, "out of memory")),
                  "allocation %ld: status %d: %s", at, status, said);
    }
    cr_assert(at > 30, "%ld allocations", at);
}
#else
Test(allocations, nothing_fails_here) {}
#endif
