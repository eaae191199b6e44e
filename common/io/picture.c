#include "io/picture.h"

#include "base/file.h"
#include "io/lettering.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* zlib: films and pictures are a third smaller than by stb's own packer */
static unsigned char *pack(unsigned char *bytes, int n, int *packed_n, int quality) {
    uLongf length = compressBound((uLong)n);
    unsigned char *packed = malloc(length);
    if (!packed || compress2(packed, &length, bytes, (uLong)n, quality) != Z_OK) {
        free(packed);
        return NULL;
    }
    *packed_n = (int)length;
    return packed;
}

#define STBIW_ZLIB_COMPRESS pack
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

/* ---- pixels ---------------------------------------------------------------------------------- */

/* stb_image_write counts bytes in an int; packed they may be a few more */
enum { BYTES_MAX = 2000000000 };

/* the picture that a grid makes, in bytes */
typedef struct {
    int columns, rows, image_height, cell_height, cell_width, gap, height, width;
    int left, top;               /* of the grid: what labels need */
} Layout;

enum { ROW_LABEL = 96, LABEL = 80 };      /* pixels; letters */

/* The i-th of "a|b|c"; "" if there are fewer. */
static const char *label_of(const char *labels, int i, char text[static LABEL]) {
    for (; labels && i > 0; i--) labels = strchr(labels, '|') ? strchr(labels, '|') + 1 : NULL;
    snprintf(text, LABEL, "%.*s", labels ? (int)strcspn(labels, "|") : 0, labels ? labels : "");
    return text;
}

/* pixels above the columns, enough for the longest label */
static int column_label_height(Grid g, int columns) {
    int lines = 0;
    char text[LABEL];
    for (int j = 0; j < columns; j++) {
        int n = lettering_lines(label_of(g.column_labels, j, text), g.width * g.enlarge);
        if (n > lines) lines = n;
    }
    return lines ? lines * LINE_HEIGHT + 2 : 0;
}

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
    Layout l = {.columns = columns, .rows = rows, .gap = gap,
                .image_height = g.height * g.enlarge, .cell_width = g.width * g.enlarge,
                .left = g.row_labels ? ROW_LABEL : 0, .top = column_label_height(g, columns)};
    l.cell_height = l.image_height + caption_height(g);
    int64_t height = (int64_t)rows * (l.cell_height + gap) + gap + l.top,
            width = (int64_t)columns * (l.cell_width + gap) + gap + l.left;
    if (height > BYTES_MAX || width > BYTES_MAX || height * (width * g.channels + 1) > BYTES_MAX)
        fail("a picture of %d images would have %lldx%lld pixels, more than %d bytes; choose fewer",
             g.count, (long long)width, (long long)height, BYTES_MAX);
    l.height = (int)height;
    l.width = (int)width;
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

/* black on white, to the left of the rows and above the columns */
static void draw_labels(Grid g, Layout l, uint8_t *pixels) {
    size_t row = (size_t)l.width * (size_t)g.channels;
    char text[LABEL];
    memset(pixels, 255, (size_t)l.top * row);
    for (int y = l.top; y < l.height; y++)
        memset(pixels + (size_t)y * row, 255, (size_t)l.left * (size_t)g.channels);
    for (int j = 0; l.top && j < l.columns; j++) {
        int left = l.left + l.gap + j * (l.cell_width + l.gap);
        lettering_draw(label_of(g.column_labels, j, text), l.cell_width, g.channels,
                       pixels + (size_t)(left * g.channels), (int)row);
    }
    for (int i = 0; l.left && i < l.rows; i++) {
        label_of(g.row_labels, i, text);
        int lines = lettering_lines(text, l.left);
        int top = l.top + l.gap + i * (l.cell_height + l.gap) +
                  (l.image_height - lines * LINE_HEIGHT) / 2;
        if (lines && top >= 0)
            lettering_draw(text, l.left, g.channels, pixels + (size_t)top * row, (int)row);
    }
}

static uint8_t *grid_pixels(const real *images, Grid g, Layout l) {
    size_t bytes = (size_t)l.height * l.width * g.channels;
    uint8_t *pixels = memory_new(bytes, 1, "a picture of %dx%d pixels", l.width, l.height);
    memset(pixels, 128, bytes);     /* gaps and empty places: grey, unlike paper and unlike ink */
    draw_labels(g, l, pixels);
    for (int i = 0; i < g.count; i++) {
        size_t top = l.top + l.gap + (size_t)(i / l.columns) * (l.cell_height + l.gap);
        size_t left = l.left + l.gap + (size_t)(i % l.columns) * (l.cell_width + l.gap);
        uint8_t *corner = pixels + (top * l.width + left) * g.channels;
        draw(images + (size_t)i * g.height * g.width * g.channels, g, l, corner);
        if (g.captions) draw_caption(g.captions[i], g, l, corner);
    }
    return pixels;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

/* A file as it grows: the signature, then chunks. */
typedef struct {
    uint8_t *bytes;
    size_t length, room;
} Png;

static void put(Png *p, const void *bytes, size_t n) {
    p->bytes = memory_grow(p->bytes, &p->room, p->length + n, 1, "the bytes of a picture");
    memcpy(p->bytes + p->length, bytes, n);
    p->length += n;
}

static void put_big_endian(Png *p, int size, uint32_t value) {
    for (int i = size - 1; i >= 0; i--) put(p, &(uint8_t){(uint8_t)(value >> (8 * i))}, 1);
}

/* A chunk: length of its data, its type, the data, CRC of type and data. Between chunk_start and
 * chunk_end the data are put. */
static size_t chunk_start(Png *p, const char *type) {
    size_t at = p->length;
    put_big_endian(p, 4, 0);
    put(p, type, 4);
    return at;
}

static void chunk_end(Png *p, size_t at) {
    size_t n = p->length - at - 8;
    for (int i = 0; i < 4; i++) p->bytes[at + (size_t)i] = (uint8_t)(n >> (24 - 8 * i));
    put_big_endian(p, 4, (uint32_t)crc32(0, p->bytes + at + 4, (unsigned)n + 4));
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

/* PNG wants Latin-1: what it has not is written as \u{hex}. */
static void put_latin1(Png *p, const char *text) {
    for (const uint8_t *at = (const uint8_t *)text; *at; ) {
        uint32_t c = next_character(&at);
        bool printable = (c >= 32 && c < 127) || (c >= 160 && c < 256) || c == '\n';
        char escaped[16];
        if (printable) put_big_endian(p, 1, c);
        else put(p, escaped, (size_t)sprintf(escaped, "\\u{%x}", (unsigned)c));
    }
}

static void put_text(Png *p, const char *text) {
    size_t at = chunk_start(p, "tEXt");
    put(p, "parameters", sizeof "parameters");          /* its final 0 ends the keyword */
    put_latin1(p, text);
    chunk_end(p, at);
}

/* ---- a still picture ------------------------------------------------------------------------- */

enum { IHDR_END = 33 };         /* 8 bytes of signature, 25 of IHDR */

/* one grid as stb writes it: signature, IHDR, one IDAT, IEND; to be freed */
static uint8_t *encode(const real *images, Grid g, size_t *length) {
    Layout l = layout(g);
    uint8_t *pixels = grid_pixels(images, g, l);
    int n;
    uint8_t *png = stbi_write_png_to_mem(pixels, l.width * g.channels, l.width, l.height,
                                         g.channels, &n);
    free(pixels);
    if (!png) fail("out of memory: a picture of %dx%d pixels", l.width, l.height);
    *length = (size_t)n;
    return png;
}

static Grid checked(Grid g) {
    if (!g.enlarge) g.enlarge = 1;
    if (g.count < 1 || (g.channels != 1 && g.channels != 3) || !(g.low < g.high)) {
        die("picture: %d images of %d channels in the range %g to %g", g.count, g.channels, g.low,
            g.high);
    }
    return g;
}

uint8_t *picture_encode(const real *images, Grid g, const char *parameters, size_t *length) {
    Png p = {0};
    size_t n;
    uint8_t *png = encode(images, checked(g), &n);
    put(&p, png, IHDR_END);
    if (parameters) put_text(&p, parameters);
    put(&p, png + IHDR_END, n - IHDR_END);
    free(png);
    *length = p.length;
    return p.bytes;
}

static void save(const char *path, uint8_t *png, size_t length) {
    file_write(path, png, length);
    free(png);
}

void picture_save(const char *path, const real *images, Grid g, const char *parameters) {
    size_t length;
    uint8_t *png = picture_encode(images, g, parameters, &length);
    save(path, png, length);
}

/* ---- a moving one ---------------------------------------------------------------------------- */

/* fcTL: what comes is a frame as large as the whole, shown so long, in place of the one before */
static void put_frame_control(Png *p, uint32_t number, const uint8_t *size, double seconds) {
    size_t at = chunk_start(p, "fcTL");
    put_big_endian(p, 4, number);
    put(p, size, 8);                                    /* width and height, as in IHDR */
    put(p, (uint8_t[8]){0}, 8);                         /* its place: the upper left corner */
    put_big_endian(p, 2, (uint32_t)(1000 * seconds + 0.5));
    put_big_endian(p, 2, 1000);
    put(p, (uint8_t[2]){0}, 2);                         /* nothing to dispose of, no blending */
    chunk_end(p, at);
}

/* The first frame's pixels are the still picture's IDAT, so that programs without animation
 * show it; the others' are fdAT, the same behind a number. fcTL and fdAT are counted together. */
uint8_t *film_encode(const real *images, Grid g, Film f, const char *parameters, size_t *length) {
    enum { CHUNK_HEAD = 8, SIZE_AT = 16, IDAT = IHDR_END + CHUNK_HEAD, CRC_AND_IEND = 4 + 12 };
    if (f.frames < 1 || !(f.seconds >= 0 && f.seconds < 65) || !(f.last >= 0 && f.last < 65))
        die("film: %d frames of %g seconds, the last %g", f.frames, f.seconds, f.last);
    g = checked(g);
    Png p = {0};
    uint32_t number = 0;
    for (int i = 0; i < f.frames; i++) {
        size_t n, at, image = (size_t)g.height * (size_t)g.width * (size_t)g.channels;
        uint8_t *png = encode(images + (size_t)i * (size_t)g.count * image, g, &n);
        if (i == 0) {
            put(&p, png, IHDR_END);
            if (parameters) put_text(&p, parameters);
            at = chunk_start(&p, "acTL");
            put_big_endian(&p, 4, (uint32_t)f.frames);
            put_big_endian(&p, 4, 0);                   /* plays for ever */
            chunk_end(&p, at);
        }
        put_frame_control(&p, number++, png + SIZE_AT, i < f.frames - 1 ? f.seconds : f.last);
        at = chunk_start(&p, i ? "fdAT" : "IDAT");
        if (i) put_big_endian(&p, 4, number++);
        put(&p, png + IDAT, n - IDAT - CRC_AND_IEND);
        chunk_end(&p, at);
        free(png);
    }
    chunk_end(&p, chunk_start(&p, "IEND"));
    *length = p.length;
    return p.bytes;
}

void film_save(const char *path, const real *images, Grid g, Film f, const char *parameters) {
    size_t length;
    uint8_t *png = film_encode(images, g, f, parameters, &length);
    save(path, png, length);
}
