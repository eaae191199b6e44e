#include "text/bpe_symbols.h"

#include "base/memory.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { SPECIALS = 3 };

/* ---- the alphabet ---------------------------------------------------------------------------- */

static bool can_be_seen(int byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/* The n-th byte that cannot be seen: 0 to 32, 127 to 160, 173; and which one a byte is. */
enum { UNSEEN = 68, SEEN = 256 - UNSEEN };

static int nth_unseen(int n) {
    return n < 33 ? n : n < UNSEEN - 1 ? n - 33 + 127 : 173;
}

static int place_among_unseen(int byte) {
    return byte < 33 ? byte : byte < 173 ? byte - 127 + 33 : UNSEEN - 1;
}

int32_t bpe_letter(int byte) {
    return can_be_seen(byte) ? byte : 256 + place_among_unseen(byte);
}

int bpe_nth_byte(int n) {
    if (n >= SEEN) return nth_unseen(n - SEEN);
    return n < 94 ? 33 + n : n < 106 ? 161 + n - 94 : 174 + n - 106;
}

int bpe_byte(int32_t letter) {
    if (letter >= 256 && letter < 256 + UNSEEN) return nth_unseen(letter - 256);
    return letter >= 0 && letter < 256 && can_be_seen(letter) ? letter : -1;
}

void bpe_spell(const Symbol *s, Buffer *out) {
    for (size_t i = 0; i < s->length; i++) {
        if (s->special) buffer_add(out, s->bytes + i, 1);
        else buffer_add_code(out, bpe_letter((uint8_t)s->bytes[i]));
    }
    if (s->ends) buffer_add(out, END_OF_WORD, strlen(END_OF_WORD));
}

bool bpe_read_symbol(BpeStyle style, Word w, char *out, size_t *length, bool *ends) {
    size_t mark = strlen(END_OF_WORD), bytes;
    *length = 0;
    *ends = style == BPE_CLIP && w.length > mark &&
            !memcmp(w.text + w.length - mark, END_OF_WORD, mark);
    if (*ends) w.length -= mark;
    for (size_t i = 0; i < w.length; i += bytes) {
        int byte = bpe_byte(utf8_get(w.text + i, w.length - i, &bytes));
        if (byte < 0 || *length == BPE_SYMBOL_MOST) return false;
        out[(*length)++] = (char)byte;
    }
    return *length > 0;
}

/* ---- symbols --------------------------------------------------------------------------------- */

static uint32_t hash_bytes(const char *bytes, size_t length, bool ends) {
    uint64_t h = 0xCBF29CE484222325 ^ ends;                      /* FNV-1a */
    for (size_t i = 0; i < length; i++) h = (h ^ (uint8_t)bytes[i]) * 0x100000001B3;
    return (uint32_t)(h ^ h >> 32);
}

/* the place in the table where this string is, or would be: it holds a symbol's number plus one */
static uint32_t *place_of(const Bpe *b, const char *bytes, size_t length, bool ends) {
    uint32_t at = hash_bytes(bytes, length, ends) & b->table_mask;
    for (; b->table[at]; at = (at + 1) & b->table_mask) {
        const Symbol *s = &b->symbol[b->table[at] - 1];
        if (s->ends == ends && s->length == length && !memcmp(s->bytes, bytes, length)) break;
    }
    return &b->table[at];
}

int bpe_find(const Bpe *b, const char *bytes, size_t length, bool ends) {
    return (int)*place_of(b, bytes, length, ends) - 1;
}

int bpe_add_symbol(Bpe *b, const char *bytes, size_t length, bool ends) {
    uint32_t *place = place_of(b, bytes, length, ends);
    if (*place) return (int)*place - 1;
    char *copy = b->memory + b->used;
    memmove(copy, bytes, length);
    b->used += length;
    b->symbol[b->symbols] = (Symbol){.bytes = copy, .length = length, .ends = ends};
    *place = (uint32_t)++b->symbols;
    return b->symbols - 1;
}

static uint32_t power_of_two(size_t least) {
    uint32_t n = 1;
    while (n < least) n *= 2;
    return n;
}

Bpe bpe_new(BpeStyle style, int merges, size_t bytes) {
    Bpe b = {.style = style, .start = -1, .end = -1};
    size_t most = (size_t)merges + 512 + SPECIALS;
    b.symbol = memory_new(most, sizeof *b.symbol, "%zu symbols", most);
    b.symbol_of = memory_new(most, sizeof *b.symbol_of, "%zu symbols", most);
    b.merge = memory_new((size_t)merges, 3 * sizeof *b.merge, "%d merges", merges);
    b.memory = memory_new(bytes + 512 + 64, 1, "symbols of %zu bytes", bytes);
    b.table_mask = power_of_two(2 * most) - 1;
    b.table = memory_new(b.table_mask + (size_t)1, sizeof *b.table, "%zu symbols", most);
    b.pair_mask = power_of_two(2 * (size_t)merges + 1) - 1;
    b.pair = memory_new(b.pair_mask + (size_t)1, sizeof *b.pair, "%d merges", merges);
    for (uint32_t i = 0; i <= b.pair_mask; i++) b.pair[i].left = -1;
    for (int ends = 0; ends < (style == BPE_CLIP ? 2 : 1); ends++) {
        for (int n = 0; n < 256; n++) {
            char byte = (char)bpe_nth_byte(n);
            b.byte[ends][(uint8_t)byte] = bpe_add_symbol(&b, &byte, 1, ends);
        }
    }
    return b;
}

void bpe_free(Bpe *b) {
    free(b->symbol);
    free(b->symbol_of);
    free(b->merge);
    free(b->memory);
    free(b->table);
    free(b->pair);
    *b = (Bpe){0};
}

/* ---- merges ---------------------------------------------------------------------------------- */

static Pair *pair_place(const Bpe *b, int left, int right) {
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15;
    uint32_t at = (uint32_t)(h >> 32) & b->pair_mask;
    while (b->pair[at].left >= 0 && (b->pair[at].left != left || b->pair[at].right != right)) {
        at = (at + 1) & b->pair_mask;
    }
    return &b->pair[at];
}

int bpe_find_merge(const Bpe *b, int left, int right) {
    const Pair *p = pair_place(b, left, right);
    return p->left < 0 ? -1 : p->merge;
}

bool bpe_add_merge(Bpe *b, int left, int right) {
    Pair *p = pair_place(b, left, right);
    if (p->left >= 0) return false;
    const Symbol *l = &b->symbol[left], *r = &b->symbol[right];
    size_t length = l->length + r->length;
    char *product = b->memory + b->used;        /* where it will stay, if it is new */
    memcpy(product, l->bytes, l->length);
    memcpy(product + l->length, r->bytes, r->length);
    int *merge = b->merge + 3 * (size_t)b->merges;
    merge[0] = left, merge[1] = right;
    merge[2] = bpe_add_symbol(b, product, length, r->ends);
    *p = (Pair){left, right, b->merges++};
    return true;
}

/* ---- ids ------------------------------------------------------------------------------------- */

static int add_special(Bpe *b, const char *text) {
    int s = b->symbols;
    char *copy = b->memory + b->used;
    b->used += strlen(text);
    memcpy(copy, text, strlen(text));
    b->symbol[b->symbols++] = (Symbol){copy, strlen(text), .special = true, .id = b->size};
    b->symbol_of[b->size] = s;
    return b->size++;
}

/* Two merges can make the same string: both have an id, and text is encoded as the later one. */
void bpe_finish(Bpe *b, bool empty_line) {
    int bytes = b->style == BPE_CLIP ? 512 : 256;
    for (int i = 0; i < bytes + b->merges; i++) {
        int s = i < bytes ? i : b->merge[3 * (size_t)(i - bytes) + 2];
        b->symbol[s].id = i;
        b->symbol_of[i] = s;
    }
    b->size = bytes + b->merges;
    if (b->style == BPE_CLIP && empty_line) add_special(b, "");
    if (b->style == BPE_CLIP) b->start = add_special(b, START_OF_TEXT);
    b->end = add_special(b, END_OF_TEXT);
}
