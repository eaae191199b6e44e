/* fuzz_gsub.c — hostile bytes as a font's ligatures: refused with one line, or sequences only get
 * shorter and nothing outside of the table is read. */
#include "fuzz.h"
#include "data/gsub.h"

#include <stdlib.h>
#include <string.h>

static void one(const uint8_t *bytes, size_t length) {
    char message[GSUB_MESSAGE] = "";
    Gsub g;
    if (!gsub_parse(&g, bytes, length, message)) {
        if (!*message || strchr(message, '\n')) abort();
        return;
    }
    uint16_t glyphs[8];
    for (size_t i = 0; i < 8; i++) glyphs[i] = length ? bytes[i * 7 % length] % 9 : 0;
    int n = gsub_ligate(&g, glyphs, 8);
    if (n < 1 || n > 8) abort();
    if (g.count > length) abort();
    gsub_free(&g);
}

/* The first input is a small sound table: 5 7 8 becomes 20. */
static size_t mutate(uint8_t *bytes, size_t length, size_t room, unsigned seed) {
    static const uint8_t start[] = {0, 1, 0, 0, 0, 0, 0, 0, 0, 10,
                                    0, 1, 0, 4,  0, 4, 0, 0, 0, 1, 0, 8,
                                    0, 1, 0, 8, 0, 1, 0, 14,  0, 1, 0, 1, 0, 5,
                                    0, 1, 0, 4,  0, 20, 0, 3, 0, 7, 0, 8};
    (void)seed;
    if (length >= 10 || room < sizeof start) return LLVMFuzzerMutate(bytes, length, room);
    memcpy(bytes, start, sizeof start);
    return sizeof start;
}

const Fuzzer fuzz_gsub = {"gsub", one, mutate};
