/* fuzz_idx.c — hostile bytes as an IDX file: refused with one line, or all its data lie within the
 * bytes. */
#include "fuzz.h"
#include "data/idx.h"

#include <stdlib.h>
#include <string.h>

static void one(const uint8_t *bytes, size_t length) {
    char message[IDX_MESSAGE] = "";
    Idx idx;
    if (!idx_parse(&idx, bytes, length, message)) {
        if (!*message || strchr(message, '\n')) abort();
        return;
    }
    size_t len = 1;
    for (int i = 0; i < idx.rank; i++) len *= (size_t)idx.shape[i];
    if (len != idx.len || idx.data + idx.len != bytes + length) abort();
}

/* The first input is two pictures of 2x3 pixels. */
static size_t mutate(uint8_t *bytes, size_t length, size_t room, unsigned seed) {
    static const uint8_t start[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3,
                                    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    (void)seed;
    if (length >= 8 || room < sizeof start) return LLVMFuzzerMutate(bytes, length, room);
    memcpy(bytes, start, sizeof start);
    return sizeof start;
}

const Fuzzer fuzz_idx = {"idx", one, mutate};
