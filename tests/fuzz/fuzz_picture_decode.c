/* fuzz_picture_decode.c — hostile bytes as a user's PNG or JPEG: refused with one line, or a
 * picture. */
#include "data/picture_decode.h"

#include <stdlib.h>
#include <string.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t length, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t room, unsigned seed);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    char message[DECODE_MESSAGE] = "";
    uint8_t out[8 * 8 * 3];
    if (!picture_decode(bytes, length, 8, out, message)) {
        if (!*message || strchr(message, '\n')) abort();
    }
    return 0;
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

/* The first inputs are small sound pictures of either format. */
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t room, unsigned seed) {
    uint8_t pixels[16 * 16 * 3];
    File f = {bytes, 0, room};
    if (length >= 8) return LLVMFuzzerMutate(bytes, length, room);
    for (int i = 0; i < 16 * 16 * 3; i++) pixels[i] = (uint8_t)(i * 37);
    if (seed % 2) stbi_write_png_to_func(take, &f, 16, 16, 3, pixels, 16 * 3);
    else stbi_write_jpg_to_func(take, &f, 16, 16, 3, pixels, 80);
    return f.length;
}
