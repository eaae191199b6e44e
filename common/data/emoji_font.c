#include "data/emoji_font.h"

#include "data/gsub.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_TRUETYPE_TABLES_H
#include FT_TRUETYPE_TAGS_H

struct EmojiFont {
    const char *path;
    FT_Library library;
    FT_Face face;
    Gsub gsub;
    uint8_t *table;                  /* the bytes of gsub */
    uint8_t square[EMOJI_SQUARE_MAX * EMOJI_SQUARE_MAX * 3];
};

static void check(const EmojiFont *f, FT_Error error, const char *what) {
    if (error) fail("%s: %s: FreeType's error %d", f->path, what, error);
}

static void read_ligatures(EmojiFont *f) {
    FT_ULong length = 0;
    char message[GSUB_MESSAGE];
    check(f, FT_Load_Sfnt_Table(f->face, TTAG_GSUB, 0, NULL, &length), "it has no table GSUB");
    f->table = memory_new(length, 1, "%s", f->path);
    check(f, FT_Load_Sfnt_Table(f->face, TTAG_GSUB, 0, f->table, &length), "its table GSUB");
    if (!gsub_parse(&f->gsub, f->table, length, message)) fail("%s: %s", f->path, message);
}

EmojiFont *emoji_font_open(const char *path) {
    EmojiFont *f = memory_new(1, sizeof *f, "%s", path);
    f->path = path;
    check(f, FT_Init_FreeType(&f->library), "FreeType does not start");
    check(f, FT_New_Face(f->library, path, 0, &f->face), "cannot be read as a font");
    if (!FT_HAS_COLOR(f->face) || f->face->num_fixed_sizes < 1) {
        fail("%s: holds no colour bitmaps (tables CBDT and CBLC)", path);
    }
    check(f, FT_Select_Size(f->face, 0), "its bitmaps");
    read_ligatures(f);
    return f;
}

void emoji_font_close(EmojiFont *f) {
    gsub_free(&f->gsub);
    FT_Done_Face(f->face);
    FT_Done_FreeType(f->library);
    free(f->table);
    free(f);
}

/* the one glyph that a sequence becomes; 0: there is none */
static unsigned glyph_of(EmojiFont *f, const EmojiName *e) {
    uint16_t glyphs[EMOJI_CODES];
    int n = 0;
    for (int i = 0; i < e->codes; i++) {
        /* FE0F asks for colour instead of text style: the font has colour alone, and its ligatures
         * leave it out */
        if (e->code[i] == 0xFE0F) continue;
        glyphs[n++] = (uint16_t)FT_Get_Char_Index(f->face, e->code[i]);
        if (glyphs[n - 1] == 0) return 0;
    }
    return gsub_ligate(&f->gsub, glyphs, n) == 1 ? glyphs[0] : 0;
}

/* FreeType's pixels are B, G, R, A, colours already multiplied by A: what white adds is 255 - A.
 * Both are as a screen shows them (sRGB), the space the font's edges were drawn for. */
static void lay_on_white(const FT_Bitmap *b, int side, uint8_t *square) {
    int top = (side - (int)b->rows) / 2, left = (side - (int)b->width) / 2;
    memset(square, 255, (size_t)side * side * 3);
    for (int y = 0; y < (int)b->rows; y++) {
        const uint8_t *from = b->buffer + (ptrdiff_t)y * b->pitch;
        uint8_t *to = square + ((size_t)(top + y) * side + left) * 3;
        for (int x = 0; x < (int)b->width; x++, from += 4, to += 3) {
            for (int c = 0; c < 3; c++) {
                int v = from[2 - c] + 255 - from[3];
                to[c] = (uint8_t)(v < 255 ? v : 255);
            }
        }
    }
}

const uint8_t *emoji_font_draw(EmojiFont *f, const EmojiName *e, int *side) {
    unsigned glyph = glyph_of(f, e);
    if (!glyph || FT_Load_Glyph(f->face, glyph, FT_LOAD_COLOR)) return NULL;
    const FT_Bitmap *b = &f->face->glyph->bitmap;
    unsigned larger = b->width > b->rows ? b->width : b->rows;
    if (b->pixel_mode != FT_PIXEL_MODE_BGRA || larger < 1 || larger > EMOJI_SQUARE_MAX) return NULL;
    *side = (int)larger;
    lay_on_white(b, *side, f->square);
    return f->square;
}
