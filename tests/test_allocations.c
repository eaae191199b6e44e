/* test_allocations.c — one allocation after the other fails: is it said, and is nothing lost? */
#include "base/file.h"
#include "eval/scores.h"
#include "io/safetensors.h"
#include "train/checkpoint.h"
#include "train/record.h"
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

/* ---- writing --------------------------------------------------------------------------------- */

typedef struct {
    void (*write)(int version);
    long at;
} Failure;

static void write_failing(void *context) {
    const Failure *f = context;
    fail_at = f->at;
    f->write(2);
    if (fail_at) _exit(77);                   /* so many allocations there were not */
}

static bool file_is(const uint8_t *bytes, size_t n) {
    size_t length;
    const uint8_t *x = file_map(path, &length);
    bool same = length == n && !memcmp(x, bytes, n);
    file_unmap(x, length);
    return same;
}

/* Whichever allocation fails while a file is written over another: is the old or the new one there,
 * whole, the new one if the program says nothing, and is the failure said? */
static void expect_whole_files(void (*write)(int version)) {
    Failure f = {.write = write};
    int status = 0;
    long said_so = 0;
    size_t n[3];
    write(1);
    const uint8_t *older = file_map(path, &n[1]);    /* what was mapped stays when it is replaced */
    write(2);
    const uint8_t *newer = file_map(path, &n[2]);
    cr_assert(!file_is(older, n[1]));
    while (status != 77 && ++f.at < 3000) {
        char said[4096];
        write(1);
        status = stop_and_listen(write_failing, &f, said);
        cr_assert(status == 77 || status == 1 || status == 0, "allocation %ld: status %d: %s", f.at,
                  status, said);
        bool memory = strstr(said, "emory") != NULL;        /* "out of memory", "Cannot allocate memory" */
        cr_assert(status != 1 || memory, "allocation %ld: %s", f.at, said);
        said_so += memory;
        cr_assert(file_is(newer, n[2]) || (status == 1 && file_is(older, n[1])),
                  "allocation %ld, status %d: the file is broken", f.at, status);
    }
    cr_assert(f.at > 30 && said_so > 30, "%ld allocations, %ld failures said", f.at, said_so);
    file_unmap(older, n[1]), file_unmap(newer, n[2]);
}

static void write_file(int version) {
    float value = (float)version;
    const float x[3] = {value, value, value};
    StOutput out[] = {{.name = "a.weight", .type = ST_F32, .rank = 2, .shape = {3, 1}, .source = x},
                      {.name = "b", .type = ST_F32, .rank = 1, .shape = {2}, .source = x}};
    const char *const metadata[] = {"chapter", "ae", "option.steps", "100", NULL};
    safetensors_write(path, out, 2, metadata);
}

Test(allocations, a_file_is_whole_whichever_allocation_fails) {
    path = place("weights.safetensors");
    expect_whole_files(write_file);
    write_file(2);                            /* what was compared with: all tensors and texts */
    Safetensors s = safetensors_open(path);
    float x;
    cr_assert(s.count == 2 && safetensors_find(&s, "a.weight") && safetensors_find(&s, "b"));
    memcpy(&x, safetensors_find(&s, "b")->data, sizeof x);
    cr_assert_eq((double)x, 2);
    cr_assert_str_eq(safetensors_metadata(&s, "option.steps"), "100");
    safetensors_close(&s);
}

/* the command line of a program, for checkpoints and records */
static CommonOptions common;
static Option options[] = {COMMON_OPTIONS(common, "default"), {0}};
static Cli cli;

static void call(void) {
    static char *argv[] = {"build/toy", "train", "--steps", "7", NULL};
    static const Command commands[] = {{"train", "", NULL}, {0}};
    common = (CommonOptions){.seed = 3, .batch = 2, .lr = 0.1, .config = "default", .out = "x"};
    cli = (Cli){.program = "toy", .common = &common, .options = options, .commands = commands};
    cli_parse(&cli, 4, argv);
}

static Params params;

static void write_checkpoint(int version) {
    int64_t step = version;
    uint64_t noise = 5;
    Checkpoint c = {.cli = &cli, .params = {{"", &params}},
                    .numbers = {{"step", .i = &step}, {"noise", .u = &noise}},
                    .texts = {{"trained_on", "nothing"}}};
    checkpoint_save(path, &c);
}

Test(allocations, a_checkpoint_is_whole_whichever_allocation_fails) {
    path = place("checkpoint.safetensors");
    call();
    params.seed = 1;
    param(scope(&params, "layer"), "w", INIT_NORMAL, 1, SHAPE(2, 3));
    param(scope(&params, "layer"), "b", INIT_NORMAL, 1, SHAPE(3));
    expect_whole_files(write_checkpoint);
    params_free(&params);
}

/* what run.json and metrics.json hold: options, texts, numbers, scores, lists */
static void write_record(int version) {
    ScoreSheet sheet = {.n = version, .samples = {.classes = 3, .trained_on = (double)NAN}};
    cJSON *record = record_new(&cli), *rounds = json_array();
    json_text(record, "started", "a time");
    json_item(record, "scores", score_sheet_json(&sheet));
    json_append(rounds, json_object());
    json_item(record, "rounds", rounds);
    json_bool(record, "better", false);
    json_save(path, record);
    cJSON_Delete(record);
}

Test(allocations, a_record_is_whole_whichever_allocation_fails) {
    path = place("metrics.json");
    call();
    expect_whole_files(write_record);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void read_failing(void *at) {
    fail_at = *(long *)at;
    Safetensors s = safetensors_open(path);
    if (fail_at) _exit(77);
    safetensors_close(&s);
}

/* Is a file that is being read never called broken? */
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
