/* bpe.c — encoding and decoding. How a Bpe is built: bpe_symbols.c; from merges: bpe_merges.c; from
 * files: bpe_file.c; from captions: bpe_train.c. */
#include "text/bpe_symbols.h"

#include "base/memory.h"
#include "text/utf8.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- one word -------------------------------------------------------------------------------- */

enum { NO_MERGE = INT_MAX };

/* A word on its way: n symbols, and for each but the last the merge with the one after it. */
typedef struct {
    int n, *symbol, *merge;
    int *allowed;                /* the same, without those that dropout passes over now */
} Spelling;

static int merge_of(const Bpe *b, int left, int right) {
    int m = bpe_find_merge(b, left, right);
    return m < 0 ? NO_MERGE : m;
}

static void spell_bytes(const Bpe *b, Word w, Spelling *s) {
    s->n = (int)w.length;
    for (int i = 0; i < s->n; i++) s->symbol[i] = b->byte[0][(uint8_t)w.text[i]];
    if (b->style == BPE_CLIP) s->symbol[s->n - 1] = b->byte[1][(uint8_t)w.text[s->n - 1]];
    for (int i = 0; i + 1 < s->n; i++) s->merge[i] = merge_of(b, s->symbol[i], s->symbol[i + 1]);
}

static void drop_some(const BpeDropout *dropout, Spelling *s) {
    for (int i = 0; i + 1 < s->n; i++) {
        s->allowed[i] = s->merge[i];
        if (s->merge[i] == NO_MERGE) continue;
        if (rng_below(dropout->rng, 1 << 24) < dropout->p * (1 << 24)) s->allowed[i] = NO_MERGE;
    }
}

static int best_merge(int n, const int *merge) {
    int best = NO_MERGE;
    for (int i = 0; i + 1 < n; i++) {
        if (merge[i] < best) best = merge[i];
    }
    return best;
}

/* every allowed occurrence of the pair becomes its product, from left to right */
static void merge_all(const Bpe *b, int best, const int *allowed, Spelling *s) {
    int n = 0, product = b->merge[3 * (size_t)best + 2];
    bool fresh = false;                          /* the symbol before is such a product */
    for (int i = 0; i < s->n; n++) {
        bool merged = i + 1 < s->n && allowed[i] == best;
        int between = i ? s->merge[i - 1] : NO_MERGE;
        s->symbol[n] = merged ? product : s->symbol[i];
        if (n) {
            s->merge[n - 1] = merged || fresh ? merge_of(b, s->symbol[n - 1], s->symbol[n])
                                              : between;
        }
        fresh = merged;
        i += merged ? 2 : 1;
    }
    s->n = n;
}

static void encode_word(const Bpe *b, Word w, const BpeDropout *dropout, Spelling *s) {
    spell_bytes(b, w, s);
    const int *allowed = dropout ? s->allowed : s->merge;
    for (;;) {
        if (dropout) drop_some(dropout, s);
        int best = best_merge(s->n, allowed);
        if (best == NO_MERGE) break;
        merge_all(b, best, allowed, s);
    }
}

/* ---- text ------------------------------------------------------------------------------------ */

static int special_id(const Bpe *b, Word w) {
    static const size_t n = sizeof START_OF_TEXT - 1, m = sizeof END_OF_TEXT - 1;
    if (b->style != BPE_CLIP) return -1;
    if (w.length == n && !memcmp(w.text, START_OF_TEXT, n)) return b->start;
    return w.length == m && !memcmp(w.text, END_OF_TEXT, m) ? b->end : -1;
}

static int encode_words(const Bpe *b, const char *text, size_t length, const BpeDropout *dropout,
                        int *ids, int room) {
    int count = 0;
    size_t at = 0, row = length ? length : 1;
    int *memory = memory_new(3 * row, sizeof *memory, "a text of %zu bytes", length);
    Spelling s = {0, memory, memory + row, memory + 2 * row};
    for (Word w; word_next(b->style, text, length, &at, &w); ) {
        int special = special_id(b, w);
        if (special < 0) encode_word(b, w, dropout, &s);
        else s.n = 1;
        for (int i = 0; i < s.n; i++, count++) {
            if (count < room) ids[count] = special < 0 ? b->symbol[s.symbol[i]].id : special;
        }
    }
    free(memory);
    return count;
}

int bpe_encode(const Bpe *b, const char *text, size_t length, const BpeDropout *dropout, int *ids,
               int room) {
    if (!length) return 0;
    if (length > INT_MAX / 4) fail("a text of %zu bytes is too long to be encoded", length);
    if (b->style != BPE_CLIP) return encode_words(b, text, length, dropout, ids, room);
    Buffer clean = {0};
    text_clean(text, length, &clean);
    int n = encode_words(b, clean.text, clean.length, dropout, ids, room);
    free(clean.text);
    return n;
}

int bpe_tokenize(const Bpe *b, const char *text, const BpeDropout *dropout, int context, int *ids) {
    int first = b->start >= 0, most = context - first - 1;
    if (most < 0) die("bpe_tokenize: a context of %d ids", context);
    int n = bpe_encode(b, text, strlen(text), dropout, ids + first, most);
    if (n > most) n = most;
    if (first) ids[0] = b->start;
    ids[first + n] = b->end;
    for (int i = first + n + 1; i < context; i++) ids[i] = 0;
    return first + n + 1;
}

int bpe_tokenize_filled(const Bpe *b, const char *text, int context, int *ids) {
    int n = bpe_tokenize(b, text, NULL, context, ids);
    for (int i = n; i < context; i++) ids[i] = b->end;
    return n;
}

int bpe_tokenize_masked(const Bpe *b, const char *text, int context, int *ids, uint8_t *mask) {
    Buffer lower = {0};
    text_lower(text, strlen(text), &lower);
    int n = bpe_encode(b, lower.text, lower.length, NULL, ids, context);
    free(lower.text);
    for (int i = 0; i < context; i++) {
        mask[i] = i < n;
        if (!mask[i]) ids[i] = b->end;
    }
    return n;
}

/* ---- decoding -------------------------------------------------------------------------------- */

static const Symbol *symbol_at(const Bpe *b, int id) {
    if (id < 0 || id >= b->size) die("bpe: id %d; there are 0 to %d", id, b->size - 1);
    return &b->symbol[b->symbol_of[id]];
}

/* adds the bytes as UTF-8, what is none replaced, and each "</w>" as a space if `words` */
static void add_text(const Buffer *bytes, bool words, Buffer *out) {
    size_t n, end = strlen(END_OF_WORD);
    for (size_t i = 0; i < bytes->length; i += n) {
        const char *at = bytes->text + i;
        if (words && bytes->length - i >= end && !memcmp(at, END_OF_WORD, end)) {
            buffer_add(out, " ", 1);
            n = end;
        } else if (utf8_get(at, bytes->length - i, &n) == UTF8_BAD) {
            buffer_add_code(out, UTF8_REPLACEMENT);
        } else {
            buffer_add(out, at, n);
        }
    }
}

char *bpe_decode(const Bpe *b, const int *ids, int n, size_t *length) {
    Buffer bytes = {0}, out = {0};
    for (int i = 0; i < n; i++) {
        const Symbol *s = symbol_at(b, ids[i]);
        buffer_add(&bytes, s->bytes, s->length);
        if (s->ends) buffer_add(&bytes, END_OF_WORD, strlen(END_OF_WORD));
    }
    add_text(&bytes, b->style == BPE_CLIP, &out);
    free(bytes.text);
    if (length) *length = out.length;
    return buffer_end(&out);
}

char *bpe_symbol(const Bpe *b, int id) {
    Buffer out = {0};
    bpe_spell(symbol_at(b, id), &out);
    return buffer_end(&out);
}
