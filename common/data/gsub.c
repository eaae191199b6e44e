#include "data/gsub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table ------------------------------------------------------------------------------- */

typedef enum { GOOD, OUTSIDE, OVERLAP, FORMAT, MEMORY } State;

/* Offsets in the table may lead anywhere, also several times to the same place. A sound table is
 * read about once: with as many reads as it has bytes, it is given up. That bounds time and
 * memory. */
typedef struct {
    const uint8_t *bytes;
    size_t length, reads;
    State state;                 /* of the first fault; from then on all numbers are 0 */
    Gsub *g;
    size_t room;
} Parser;

static unsigned big_endian(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

static void fault(Parser *p, State state) {
    if (p->state == GOOD) p->state = state;
}

/* the 16-bit number at byte `at` */
static unsigned u16(Parser *p, size_t at) {
    if (at > p->length || p->length - at < 2) fault(p, OUTSIDE);
    else if (++p->reads > p->length) fault(p, OVERLAP);
    return p->state == GOOD ? big_endian(p->bytes + at) : 0;
}

static void add(Parser *p, Ligature l) {
    Gsub *g = p->g;
    if (g->count == p->room) {
        p->room = 2 * p->room + 64;
        Ligature *more = realloc(g->ligatures, p->room * sizeof *more);
        if (!more) {
            fault(p, MEMORY);
            return;
        }
        g->ligatures = more;
    }
    g->ligatures[g->count++] = l;
}

/* all ligatures that start with the glyph `first`: a LigatureSet */
static void parse_set(Parser *p, size_t at, unsigned lookup, unsigned first) {
    unsigned count = u16(p, at);
    for (unsigned i = 0; i < count && p->state == GOOD; i++) {
        size_t ligature = at + u16(p, at + 2 + 2 * i);
        unsigned glyph = u16(p, ligature), components = u16(p, ligature + 2);
        if (components == 0) fault(p, FORMAT);
        if (components > 1) u16(p, ligature + 2 * components);      /* is its last one inside? */
        if (p->state != GOOD) return;
        add(p, (Ligature){(uint16_t)lookup, (uint16_t)first, (uint16_t)glyph,
                          (uint16_t)(components - 1), p->bytes + ligature + 4});
    }
}

/* A subtable: its coverage lists first glyphs (format 1: one by one; 2: ranges), set i belongs to
 * the i-th of them. */
static void parse_ligatures(Parser *p, size_t at, unsigned lookup) {
    size_t coverage = at + u16(p, at + 2);
    unsigned sets = u16(p, at + 4), format = u16(p, coverage), n = u16(p, coverage + 2);
    if (u16(p, at) != 1 || (format != 1 && format != 2)) fault(p, FORMAT);
    unsigned set = 0;
    for (unsigned i = 0; i < n && p->state == GOOD; i++) {
        size_t entry = coverage + 4 + (format == 1 ? 2 : 6) * (size_t)i;
        unsigned first = u16(p, entry), last = format == 1 ? first : u16(p, entry + 2);
        for (unsigned glyph = first; glyph <= last && set < sets && p->state == GOOD; glyph++) {
            parse_set(p, at + u16(p, at + 6 + 2 * set), lookup, glyph);
            set++;
        }
    }
}

/* a subtable of type 7 leads to one of another type, farther away than 16 bits can tell */
static void parse_subtable(Parser *p, size_t at, unsigned type, unsigned lookup) {
    if (type == 7) {
        type = u16(p, at + 2);
        at += (size_t)u16(p, at + 4) << 16 | u16(p, at + 6);
    }
    if (type == 4) parse_ligatures(p, at, lookup);
}

static void parse_lookups(Parser *p) {
    if (u16(p, 0) != 1) fault(p, FORMAT);
    size_t list = u16(p, 8);
    unsigned lookups = u16(p, list);
    for (unsigned i = 0; i < lookups && p->state == GOOD; i++) {
        size_t at = list + u16(p, list + 2 + 2 * i);
        unsigned type = u16(p, at), subtables = u16(p, at + 4);
        for (unsigned k = 0; k < subtables && p->state == GOOD; k++) {
            parse_subtable(p, at + u16(p, at + 6 + 2 * k), type, i);
        }
    }
}

bool gsub_parse(Gsub *g, const uint8_t *bytes, size_t length, char message[static GSUB_MESSAGE]) {
    static const char *const words[] = {
        [OUTSIDE] = "an offset leads outside of it",
        [OVERLAP] = "its parts overlap",
        [FORMAT] = "it holds a format that the standard does not have",
        [MEMORY] = "out of memory"};
    *g = (Gsub){0};
    Parser p = {.bytes = bytes, .length = length, .g = g};
    parse_lookups(&p);
    if (p.state == GOOD) return true;
    gsub_free(g);
    snprintf(message, GSUB_MESSAGE, "its GSUB table of %zu bytes cannot be used: %s", length,
             words[p.state]);
    return false;
}

void gsub_free(Gsub *g) {
    free(g->ligatures);
    *g = (Gsub){0};
}

/* ---- sequences ------------------------------------------------------------------------------- */

static bool matches(const Ligature *l, const uint16_t *glyphs, int n) {
    if (l->first != glyphs[0] || l->count >= n) return false;
    for (int i = 0; i < l->count; i++) {
        if (big_endian(l->rest + 2 * i) != glyphs[1 + i]) return false;
    }
    return true;
}

/* the ligatures begin..end-1, of one lookup, at every place of the sequence */
static int apply(const Gsub *g, size_t begin, size_t end, uint16_t *glyphs, int n) {
    for (int i = 0; i < n; i++) {
        const Ligature *l = g->ligatures + begin, *stop = g->ligatures + end;
        while (l < stop && !matches(l, glyphs + i, n - i)) l++;
        if (l == stop) continue;
        glyphs[i] = l->glyph;
        n -= l->count;
        memmove(glyphs + i + 1, glyphs + i + 1 + l->count, (size_t)(n - i - 1) * sizeof *glyphs);
    }
    return n;
}

int gsub_ligate(const Gsub *g, uint16_t *glyphs, int n) {
    for (size_t begin = 0, end; begin < g->count; begin = end) {
        end = begin;
        while (end < g->count && g->ligatures[end].lookup == g->ligatures[begin].lookup) end++;
        n = apply(g, begin, end, glyphs, n);
    }
    return n;
}
