/* fuzz_picture_decode.c — hostile bytes as a user's PNG or JPEG: refused with one line, or a
 * picture. */
#include "fuzz.h"
#include "data/picture_decode.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

static void one(const uint8_t *bytes, size_t length) {
    char message[DECODE_MESSAGE] = "";
    uint8_t out[8 * 8 * 3];
    if (!picture_decode(bytes, length, 8, out, message)) {
        if (!*message || strchr(message, '\n')) abort();
    }
}

typedef struct {
    uint8_t *bytes;
    size_t length, room;
} File;

static void take(void *context, void *data, int n) {
    File *f = context;
    if (f->length + (size_t)n > f->room) return;
    memcpy(f->bytes + f->length, data, (size_t)n);
    f->length += (size_t)n;
}

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Most changes of a PNG would be refused for a chunk's checksum: it is put right. */
static void repair(uint8_t *bytes, size_t length) {
    for (size_t at = 8; at + 12 <= length; ) {
        size_t n = big_endian(bytes + at);
        if (n > length - at - 12) return;
        uint32_t sum = (uint32_t)crc32(0, bytes + at + 4, (uInt)n + 4);
        for (int i = 0; i < 4; i++) bytes[at + 8 + n + (size_t)i] = (uint8_t)(sum >> (24 - 8 * i));
        at += 12 + n;
    }
}

/* The first inputs are small sound pictures of either format. */
static size_t mutate(uint8_t *bytes, size_t length, size_t room, unsigned seed) {
    uint8_t pixels[16 * 16 * 3];
    File f = {bytes, 0, room};
    if (length >= 8) {
        length = LLVMFuzzerMutate(bytes, length, room);
        if (seed % 4 && length && bytes[0] == 0x89) repair(bytes, length);
        return length;
    }
    for (int i = 0; i < 16 * 16 * 3; i++) pixels[i] = (uint8_t)(i * 37);
    if (seed % 2) stbi_write_png_to_func(take, &f, 16, 16, 3, pixels, 16 * 3);
    else stbi_write_jpg_to_func(take, &f, 16, 16, 3, pixels, 80);
    return f.length;
}

const Fuzzer fuzz_picture_decode = {"picture_decode", one, mutate};
