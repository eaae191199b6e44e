/* gsub.h — ligatures of an OpenType font: which glyph stands for a sequence of glyphs.
 *
 * A flag is two regional letters, a skin tone a second character: the font's GSUB table says which
 * picture they make together. Read are its ligature lookups (type 4, also inside type 7), applied
 * in their order; other types, which serve scripts and fallbacks, are passed over.
 *
 * Interface:
 *   - gsub_parse   checks bytes in memory, prints nothing; an error leaves nothing allocated
 *   - gsub_ligate  puts the ligatures into a sequence */
#ifndef GSUB_H
#define GSUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GSUB_MESSAGE = 200 };

/* `first` and the glyphs of `rest` become `glyph` */
typedef struct {
    uint16_t lookup, first, glyph, count;     /* count: glyphs in rest */
    const uint8_t *rest;                      /* big-endian, in the table's bytes */
} Ligature;

typedef struct {
    Ligature *ligatures;                      /* by lookup, then as the font prefers them */
    size_t count;
} Gsub;

/* Fills `g`, whose rests point into `bytes`; or returns false with one line in `message`. */
bool gsub_parse(Gsub *g, const uint8_t *bytes, size_t length, char message[static GSUB_MESSAGE]);
int  gsub_ligate(const Gsub *g, uint16_t *glyphs, int n);    /* in place; returns the new n */
void gsub_free(Gsub *g);

#endif
