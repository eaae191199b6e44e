#include "data/picture_decode.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/printable.h"
#include "data/images.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* A few compressed bytes can ask for any amount of memory. What stb_image may take at once is what
 * the largest picture needs in its largest form, four channels of 16 bits. */
enum { BLOCK_MAX = 8 * DECODE_PIXELS_MAX };

static void *limited_realloc(void *old, size_t n) {
    return n <= (size_t)BLOCK_MAX ? realloc(old, n) : NULL;
}

#define STBI_MALLOC(n) limited_realloc(NULL, n)
#define STBI_REALLOC(p, n) limited_realloc(p, n)
#define STBI_FREE(p) free(p)
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

/* ---- what stb_image takes on trust ----------------------------------------------------------- */

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The place of the next marker from `at` on, behind its 0xFF; picture data hold FF 00 and the
 * restart markers D0 to D7, which are none. */
static size_t next_marker(const uint8_t *b, size_t n, size_t at) {
    for (; at + 1 < n; at++) {
        uint8_t m = b[at + 1];
        if (b[at] == 0xFF && m != 0 && m != 0xFF && (m < 0xD0 || m > 0xD7)) return at + 1;
    }
    return n;
}

/* Tables of Huffman codes: for each, a byte, how many codes there are of 1 to 16 bits, and their
 * values. There are 256 values; stb_image writes past its table when a file declares more. */
static bool huffman_tables_fit(const uint8_t *b, size_t n) {
    while (n > 0) {
        size_t codes = 0;
        if (n < 17) return false;
        for (int i = 1; i <= 16; i++) codes += b[i];
        if (codes > 256 || n < 17 + codes) return false;
        b += 17 + codes;
        n -= 17 + codes;
    }
    return true;
}

/* What is wrong with a JPEG file that stb_image would not see; NULL: nothing. All markers up to the
 * end, D9, start with their length, so that a preview inside of one is passed over. */
static const char *jpeg_fault(const uint8_t *b, size_t n) {
    enum { HUFFMAN = 0xC4, END = 0xD9 };
    for (size_t at = next_marker(b, n, 2); at < n; at = next_marker(b, n, at)) {
        if (b[at] == END) return NULL;
        size_t length = n - at < 3 ? n : (size_t)b[at + 1] << 8 | b[at + 2];
        if (length < 2 || length > n - at - 1) break;
        if (b[at] == HUFFMAN && !huffman_tables_fit(b + at + 3, length - 2)) return "is broken";
        at += 1 + length;
    }
    return "is cut short";       /* stb_image would show what there is, and leave the rest grey */
}

/* What is wrong with a PNG file that stb_image would not see: it skips the checksum behind each
 * chunk's length, type and data. Chunks that need not be understood, whose types begin with a small
 * letter, may have wrong ones. NULL: nothing, or stb_image will find it. */
static const char *png_fault(const uint8_t *b, size_t n) {
    for (size_t at = 8; at + 12 <= n; ) {
        size_t length = big_endian(b + at);
        const uint8_t *type = b + at + 4;
        if (length > n - at - 12) return "is cut short";
        bool needed = !(type[0] & 0x20) || !memcmp(type, "tRNS", 4);
        if (needed && crc32(0, type, (uInt)length + 4) != big_endian(type + 4 + length))
            return "is damaged: a checksum does not match";
        if (!memcmp(type, "IEND", 4)) return NULL;
        at += 12 + length;
    }
    return NULL;
}

/* the format of a file that is neither PNG nor JPEG, by its first bytes; NULL: unknown */
static const char *other_format(const uint8_t *b, size_t n) {
    static const struct { int at; const char *bytes, *name; } formats[] = {
        {8, "WEBP", "WebP"}, {0, "BM", "BMP"}, {0, "GIF8", "GIF"}, {0, "II*", "TIFF"},
        {0, "MM", "TIFF"}, {4, "ftypavif", "AVIF"}, {4, "ftyp", "HEIF"}, {0, "8BPS", "Photoshop"}};
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
        size_t at = (size_t)formats[k].at, length = strlen(formats[k].bytes);
        if (n >= at + length && !memcmp(b + at, formats[k].bytes, length)) return formats[k].name;
    }
    return NULL;
}

/* ---- pixels ---------------------------------------------------------------------------------- */

/* R, G, B, A to R, G, B on white, in place; the bytes are mixed as a screen would */
static void lay_on_white(uint8_t *pixels, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned a = pixels[4 * i + 3];
        for (int c = 0; c < 3; c++) {
            pixels[3 * i + c] = (uint8_t)((pixels[4 * i + c] * a + 255 * (255 - a) + 127) / 255);
        }
    }
}

static bool check_size(const uint8_t *bytes, size_t length, int *width, int *height,
                       char *message) {
    const char *fault, *format;
    int channels;
    if (length > DECODE_BYTES_MAX) {
        snprintf(message, DECODE_MESSAGE, "has %zu bytes, at most %d are read", length,
                 DECODE_BYTES_MAX);
    } else if (length && bytes[0] == 0xFF && (fault = jpeg_fault(bytes, length))) {
        snprintf(message, DECODE_MESSAGE, "%s", fault);
    } else if ((format = other_format(bytes, length))) {
        snprintf(message, DECODE_MESSAGE, "is a %s file; PNG and JPEG are read", format);
    } else if (!stbi_info_from_memory(bytes, (int)length, width, height, &channels)) {
        snprintf(message, DECODE_MESSAGE, "cannot be read as PNG or JPEG");
    } else if ((int64_t)*width * *height > DECODE_PIXELS_MAX) {
        snprintf(message, DECODE_MESSAGE, "has %dx%d pixels, at most %d in all are read", *width,
                 *height, DECODE_PIXELS_MAX);
    } else if (bytes[0] == 0x89 && (fault = png_fault(bytes, length))) {
        snprintf(message, DECODE_MESSAGE, "%s", fault);
    } else {
        return true;
    }
    return false;
}

uint8_t *picture_decode_whole(const uint8_t *bytes, size_t length, int *width, int *height,
                              char message[static DECODE_MESSAGE]) {
    int channels;
    if (!check_size(bytes, length, width, height, message)) return NULL;
    uint8_t *pixels = stbi_load_from_memory(bytes, (int)length, width, height, &channels, 4);
    if (!pixels) {
        snprintf(message, DECODE_MESSAGE, "is broken: %s", stbi_failure_reason());
        make_printable(message, '?');                /* the reason may quote the file */
        return NULL;
    }
    lay_on_white(pixels, (size_t)*width * (size_t)*height);
    return pixels;
}

uint8_t *picture_read_whole(const char *path, int *width, int *height) {
    char message[DECODE_MESSAGE];
    size_t length;
    const uint8_t *bytes = file_map(path, &length);
    uint8_t *pixels = picture_decode_whole(bytes, length, width, height, message);
    if (!pixels) fail("%s: %s", path, message);
    file_unmap(bytes, length);
    return pixels;
}

void pictures_of_one_shape(const char *picture, const char *mask) {
    int width[2], height[2];
    free(picture_read_whole(picture, width, height));
    free(picture_read_whole(mask, width + 1, height + 1));
    double ratio = (double)width[0] * height[1] / ((double)width[1] * height[0]);
    if (ratio < 0.99 || ratio > 1.01)
        fail("%s: %dx%d, and %s: %dx%d; their shapes differ", mask, width[1], height[1], picture,
             width[0], height[0]);
}

bool picture_decode(const uint8_t *bytes, size_t length, int size, uint8_t *out,
                    char message[static DECODE_MESSAGE]) {
    int width, height;
    uint8_t *pixels = picture_decode_whole(bytes, length, &width, &height, message);
    if (!pixels) return false;
    int side = width < height ? width : height;
    size_t top = (size_t)(height - side) / 2, left = (size_t)(width - side) / 2;
    area_average(pixels + (top * (size_t)width + left) * 3, (size_t)width * 3, side, size, out);
    free(pixels);
    return true;
}

void picture_read(const char *path, int size, double low, double high, real *x) {
    char message[DECODE_MESSAGE];
    size_t length, values = (size_t)size * (size_t)size * 3;
    const uint8_t *bytes = file_map(path, &length);
    uint8_t *pixels = memory_new(values, 1, "%s", path);
    if (!picture_decode(bytes, length, size, pixels, message)) fail("%s: %s", path, message);
    for (size_t i = 0; i < values; i++) x[i] = (real)(low + (high - low) * pixels[i] / 255);
    free(pixels);
    file_unmap(bytes, length);
}
