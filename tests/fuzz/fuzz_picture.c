/* fuzz_picture.c — any text as a picture's parameters: the PNG's chunks must be whole, and their
 * CRCs right. */
#include "fuzz.h"
#include "io/picture.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void one(const uint8_t *bytes, size_t length) {
    real x = 0;
    size_t n, at = 8;
    char *text = malloc(length + 1);
    memcpy(text, bytes, length);
    text[length] = 0;
    Grid g = {.count = 1, .height = 1, .width = 1, .channels = 1, .low = 0, .high = 1};
    uint8_t *png = picture_encode(&x, g, text, &n);
    while (at < n) {
        uint32_t chunk = big_endian(png + at);
        if (chunk > n - at - 12) abort();
        if (big_endian(png + at + 8 + chunk) != crc32(0, png + at + 4, chunk + 4)) abort();
        at += 12 + chunk;
    }
    free(png);
    free(text);
}

/* The first input is a command line. */
static size_t mutate(uint8_t *bytes, size_t length, size_t room, unsigned seed) {
    static const char start[] = "build/ae sample --out 'na\xC3\xAFve \xE6\x97\xA5'";
    (void)seed;
    if (length >= 4 || room < sizeof start) return LLVMFuzzerMutate(bytes, length, room);
    memcpy(bytes, start, sizeof start - 1);
    return sizeof start - 1;
}

const Fuzzer fuzz_picture = {"picture", one, mutate};
