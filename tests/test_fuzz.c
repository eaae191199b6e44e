/* test_fuzz.c — each fuzzer of tests/fuzz for a moment: no input may harm. `make fuzz` does it for long,
 * `make test` also under the sanitizers. */
#include "base/file.h"
#include "fuzz/fuzz.h"
#include "testing.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

SUITE(fuzz);

#define FUZZERS(F)                                                                            \
    F(bpe) F(captions) F(emoji_names) F(gsub) F(idx) F(npy) F(picture) F(picture_decode)      \
    F(printable) F(safetensors)

static Rng chance;

static size_t below(size_t n) {
    return rng_below(&chance, (uint32_t)(n ? n : 1));
}

/* A byte or a bit becomes another, some bytes are taken out, or put in, or moved on. */
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t length, size_t room) {
    static const uint8_t odd[] = {0, 1, 0x7F, 0x80, 0xFF, '0', '-', '"', '\\', '{', '[', ',', '\n'};
    for (size_t changes = 1 + below(4); changes; changes--) {
        size_t at = below(length + 1), n = 1 + below(8), kind = length ? below(5) : 3;
        if (n > length - at) n = length - at;
        if (kind < 2 && at < length) bytes[at] = kind ? odd[below(sizeof odd)] : (uint8_t)below(256);
        if (kind == 2 && at < length) bytes[at] ^= (uint8_t)(1 << below(8));
        if (kind == 3 && length + 1 <= room) {
            memmove(bytes + at + 1, bytes + at, length - at);
            bytes[at] = odd[below(sizeof odd)];
            length++;
        }
        if (kind == 4) {
            memmove(bytes + at, bytes + at + n, length - at - n);
            length -= n;
        }
    }
    return length;
}

/* in memory of just this size, so that a sanitizer sees what is read beyond */
static void try(const Fuzzer *f, const uint8_t *bytes, size_t length) {
    uint8_t *exact = malloc(length ? length : 1);
    memcpy(exact, bytes, length);
    f->one(exact, length);
    free(exact);
}

/* Sound inputs, changed more and more; begun anew every 40 changes. */
static void try_many(const Fuzzer *f) {
    enum { INPUTS = 2000, ROOM = 4096, CHANGES = 40 };
    uint8_t bytes[ROOM];
    size_t length = 0;
    chance = rng_new(1, f->name);
    for (int i = 0; i < INPUTS; i++) {
        if (i % CHANGES == 0) length = 0;
        length = f->mutate(bytes, length, ROOM, (unsigned)below(1 << 30));
        try(f, bytes, length);
    }
}

/* what once did harm: tests/fuzz/found/NAME/... */
static void try_found(const Fuzzer *f) {
    char *folder = text_format("tests/fuzz/found/%s", f->name);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)); ) {
        if (*e->d_name == '.') continue;
        char *path = path_join(folder, e->d_name);
        size_t length;
        const uint8_t *bytes = file_map(path, &length);
        try(f, bytes, length);
        file_unmap(bytes, length);
        free(path);
    }
    if (d) closedir(d);
    free(folder);
}

#define TEST(fuzzer)                                          \
    extern const Fuzzer fuzz_##fuzzer;                        \
    Test(fuzz, fuzzer) {                                      \
        cr_assert_str_eq(fuzz_##fuzzer.name, #fuzzer);        \
        try_found(&fuzz_##fuzzer);                            \
        try_many(&fuzz_##fuzzer);                             \
    }
FUZZERS(TEST)

/* Is every fuzzer of the folder in the list above? */
Test(fuzz, all_are_tried) {
#define NAME(fuzzer) " " #fuzzer " "
    static const char listed[] = FUZZERS(NAME);
    DIR *d = opendir("tests/fuzz");
    int count = 0;
    cr_assert(d);
    for (struct dirent *e; (e = readdir(d)); ) {
        char name[64], word[70];
        if (sscanf(e->d_name, "fuzz_%60[a-z_].c", name) != 1) continue;
        snprintf(word, sizeof word, " %s ", name);
        cr_expect(strstr(listed, word), "%s", name);
        count++;
    }
    closedir(d);
    cr_assert_geq(count, 10);
}
