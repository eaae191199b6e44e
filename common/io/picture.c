#include "io/picture.h"

#include "io/file.h"
#include "io/lettering.h"
#include "tensor/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

/* ---- pixels ---------------------------------------------------------------------------------- */

/* the picture that a grid makes, in bytes */
typedef struct {
    int columns, image_height, cell_height, cell_width, gap, height, width;
} Layout;

/* pixels under each image, enough for the longest caption */
static int caption_height(Grid g) {
    int lines = 0;
    for (int i = 0; g.captions && i < g.count; i++) {
        int n = lettering_lines(g.captions[i], g.width * g.enlarge);
        if (n > lines) lines = n;
    }
    return lines ? lines * LINE_HEIGHT + 2 : 0;
}

static Layout layout(Grid g) {
    int columns = g.columns ? g.columns : (int)ceil(sqrt(g.count));
    if (columns > g.count) columns = g.count;
    int rows = (g.count + columns - 1) / columns, gap = g.count > 1 ? g.enlarge : 0;
    Layout l = {.columns = columns, .gap = gap, .image_height = g.height * g.enlarge,
                .cell_width = g.width * g.enlarge};
    l.cell_height = l.image_height + caption_height(g);
    l.height = rows * (l.cell_height + gap) + gap;
    l.width = columns * (l.cell_width + gap) + gap;
    return l;
}

static uint8_t to_byte(real value, Grid g, int channel) {
    if (isnan(value)) return channel == 0 ? 255 : 0;
    double v = (value - g.low) / (g.high - g.low) * 255;
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)(v + 0.5);
}

static void draw(const real *image, Grid g, Layout l, uint8_t *corner) {
    for (int y = 0; y < l.image_height; y++) {
        for (int x = 0; x < l.cell_width; x++) {
            const real *from = image + (y / g.enlarge * g.width + x / g.enlarge) * g.channels;
            uint8_t *to = corner + ((size_t)y * l.width + x) * g.channels;
            for (int c = 0; c < g.channels; c++) to[c] = to_byte(from[c], g, c);
        }
    }
}

static void draw_caption(const char *text, Grid g, Layout l, uint8_t *corner) {
    int row = l.width * g.channels;
    uint8_t *below = corner + (size_t)l.image_height * row;
    for (int y = 0; y < l.cell_height - l.image_height; y++)
        memset(below + (size_t)y * row, 255, (size_t)l.cell_width * g.channels);
    lettering_draw(text, l.cell_width, g.channels, below, row);
}

static uint8_t *grid_pixels(const real *images, Grid g, Layout l) {
    size_t bytes = (size_t)l.height * l.width * g.channels;
    uint8_t *pixels = malloc(bytes);
    if (!pixels) fail("out of memory: a picture of %dx%d pixels", l.width, l.height);
    memset(pixels, 128, bytes);     /* gaps and empty places: grey, unlike paper and unlike ink */
    for (int i = 0; i < g.count; i++) {
        size_t top = l.gap + (size_t)(i / l.columns) * (l.cell_height + l.gap);
        size_t left = l.gap + (size_t)(i % l.columns) * (l.cell_width + l.gap);
        uint8_t *corner = pixels + (top * l.width + left) * g.channels;
        draw(images + (size_t)i * g.height * g.width * g.channels, g, l, corner);
        if (g.captions) draw_caption(g.captions[i], g, l, corner);
    }
    return pixels;
}

/* ---- the text chunk -------------------------------------------------------------------------- */

static void put_big_endian(uint8_t *p, uint32_t value) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Next character of UTF-8 text; a byte that is not UTF-8 stands for itself. */
static uint32_t next_character(const uint8_t **text) {
    const uint8_t *p = *text;
    int more = p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : p[0] >= 0xc0 ? 1 : 0;
    uint32_t c = more ? p[0] & (0x3f >> more) : p[0];
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            *text = p + 1;
            return p[0];
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    *text = p + 1 + more;
    return c;
}

/* PNG wants Latin-1: what it has not is written as \u{hex}. Returns the length: at most 10 times
 * that of the text. */
static size_t to_latin1(const char *text, uint8_t *out) {
    size_t n = 0;
    for (const uint8_t *p = (const uint8_t *)text; *p; ) {
        uint32_t c = next_character(&p);
        bool printable = (c >= 32 && c < 127) || (c >= 160 && c < 256) || c == '\n';
        if (printable) out[n++] = (uint8_t)c;
        else n += (size_t)sprintf((char *)out + n, "\\u{%x}", (unsigned)c);
    }
    return n;
}

/* The chunk: length of its data, "tEXt", keyword, 0, text, CRC of all but the length. To be freed. */
static uint8_t *text_chunk(const char *text, size_t *length) {
    static const char head[] = "tEXtparameters";        /* its final 0 ends the keyword */
    uint8_t *chunk = malloc(4 + sizeof head + 10 * strlen(text) + 4);
    if (!chunk) fail("out of memory");
    memcpy(chunk + 4, head, sizeof head);
    size_t n = sizeof head + to_latin1(text, chunk + 4 + sizeof head);
    put_big_endian(chunk, (uint32_t)(n - 4));
    put_big_endian(chunk + 4 + n, (uint32_t)crc32(0, chunk + 4, (unsigned)n));
    *length = n + 8;
    return chunk;
}

/* ---- the file -------------------------------------------------------------------------------- */

uint8_t *picture_encode(const real *images, Grid g, const char *parameters, size_t *length) {
    if (!g.enlarge) g.enlarge = 1;
    if (g.count < 1 || (g.channels != 1 && g.channels != 3) || !(g.low < g.high)) {
        die("picture: %d images of %d channels in the range %g to %g", g.count, g.channels, g.low,
            g.high);
    }
    Layout l = layout(g);
    uint8_t *pixels = grid_pixels(images, g, l);
    int png_length;
    uint8_t *png = stbi_write_png_to_mem(pixels, l.width * g.channels, l.width, l.height,
                                         g.channels, &png_length);
    free(pixels);
    if (!png) fail("out of memory: a picture of %dx%d pixels", l.width, l.height);
    *length = (size_t)png_length;
    if (!parameters) return png;

    enum { AFTER_IHDR = 33 };       /* 8 bytes of signature, 25 of IHDR */
    size_t n;
    uint8_t *chunk = text_chunk(parameters, &n), *all = malloc(*length + n);
    if (!all) fail("out of memory");
    memcpy(all, png, AFTER_IHDR);
    memcpy(all + AFTER_IHDR, chunk, n);
    memcpy(all + AFTER_IHDR + n, png + AFTER_IHDR, *length - AFTER_IHDR);
    free(png);
    free(chunk);
    *length += n;
    return all;
}

void picture_save(const char *path, const real *images, Grid g, const char *parameters) {
    size_t length;
    uint8_t *png = picture_encode(images, g, parameters, &length);
    file_write(path, png, length);
    free(png);
}
