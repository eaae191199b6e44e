/* lettering.c — small text in pictures, with the font of stb_easy_font: each letter is a few
 * rectangles. */
#include "io/lettering.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include <stb/stb_easy_font.h>
#pragma GCC diagnostic pop

enum { LINE = 100, VERTEX = 16, QUADS = LINE * 16 };    /* letters in a line; bytes of a corner */

/* A code point becomes one letter: bytes that continue one are skipped. */
static void to_ascii(const char *text, char ascii[static LINE * CAPTION_LINES]) {
    int n = 0;
    for (const char *p = text; *p && n < LINE * CAPTION_LINES - 1; p++) {
        if ((*p & 0xc0) == 0x80) continue;
        ascii[n++] = *p >= ' ' && *p <= '~' ? *p : '?';
    }
    ascii[n] = 0;
}

static int width_of(const char *text, int letters) {
    char line[LINE + 1];
    snprintf(line, sizeof line, "%.*s", letters, text);
    return stb_easy_font_width(line);
}

/* Letters of the next line: as many whole words as fit, or part of one that is too long. */
static int line_length(const char *text, int width) {
    int fits = 0, words = 0;
    while (text[fits] && fits < LINE && width_of(text, fits + 1) <= width) {
        fits++;
        if (text[fits] == ' ' || !text[fits]) words = fits;
    }
    return words ? words : fits ? fits : text[0] != 0;
}

/* Cuts ASCII text into lines; `draw` is called for each. Returns their number. */
static int for_lines(const char *text, int width, void (*draw)(void *, int, const char *, int),
                     void *context) {
    char ascii[LINE * CAPTION_LINES];
    to_ascii(text, ascii);
    int lines = 0;
    for (const char *p = ascii; *p && lines < CAPTION_LINES; lines++) {
        int n = line_length(p, width);
        if (draw) draw(context, lines, p, n);
        p += n;
        while (*p == ' ') p++;
    }
    return lines;
}

int lettering_lines(const char *text, int width) {
    return for_lines(text, width, NULL, NULL);
}

typedef struct {
    int width, channels, row;
    uint8_t *corner;
} Area;

static void fill(const Area *a, int left, int top, int right, int bottom) {
    for (int y = top; y < bottom; y++)
        for (int x = left < 0 ? 0 : left; x < right && x < a->width; x++)
            memset(a->corner + (size_t)y * (size_t)a->row + (size_t)(x * a->channels), 0,
                   (size_t)a->channels);
}

static void draw_line(void *area, int index, const char *text, int letters) {
    const Area *a = area;
    static char corners[QUADS * 4 * VERTEX];
    char line[LINE + 1];
    snprintf(line, sizeof line, "%.*s", letters, text);
    int left = (a->width - stb_easy_font_width(line)) / 2, top = index * LINE_HEIGHT + 2;
    int quads = stb_easy_font_print(0, 0, line, NULL, corners, sizeof corners);
    for (int i = 0; i < quads; i++) {
        float from[2], to[2];                   /* corners 0 and 2 are opposite ones */
        memcpy(from, corners + (size_t)(4 * i) * VERTEX, sizeof from);
        memcpy(to, corners + (size_t)(4 * i + 2) * VERTEX, sizeof to);
        int bottom = top + (int)to[1], end = (index + 1) * LINE_HEIGHT;
        fill(a, left + (int)from[0], top + (int)from[1], left + (int)to[0],
             bottom < end ? bottom : end);
    }
}

void lettering_draw(const char *text, int width, int channels, uint8_t *corner, int row) {
    for_lines(text, width, draw_line, &(Area){width, channels, row, corner});
}
