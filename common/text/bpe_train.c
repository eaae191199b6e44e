/* bpe_train.c — learning merges (Sennrich, Haddow & Birch 2016, algorithm 1): the most frequent
 * pair of neighbours inside of words becomes a symbol, and so on. */
#include "text/bpe_symbols.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* ---- words, each once ------------------------------------------------------------------------ */

typedef struct {
    char *text;                  /* owned */
    size_t length;
    long count;                  /* how often it stands in the texts */
    int *symbol, symbols;        /* its spelling so far */
} Entry;

typedef struct {
    Entry *entry;
    int count;
    size_t room;
    int *table, table_size;      /* hash table: an entry's number plus one */
} Lexicon;

static uint64_t hash_word(Word w) {
    uint64_t h = 0xCBF29CE484222325;
    for (size_t i = 0; i < w.length; i++) h = (h ^ (uint8_t)w.text[i]) * 0x100000001B3;
    return h ^ h >> 32;
}

static int *place_in(const Lexicon *l, Word w) {
    int mask = l->table_size - 1, at = (int)(hash_word(w) & (uint64_t)mask);
    for (; l->table[at]; at = (at + 1) & mask) {
        const Entry *e = &l->entry[l->table[at] - 1];
        if (e->length == w.length && !memcmp(e->text, w.text, w.length)) break;
    }
    return &l->table[at];
}

static void grow(Lexicon *l) {
    size_t more = (size_t)l->count + 1;
    l->entry = memory_grow(l->entry, &l->room, more, sizeof *l->entry, "%zu words", more);
    free(l->table);
    for (l->table_size = 1; (size_t)l->table_size < 2 * l->room; ) l->table_size *= 2;
    l->table = memory_new((size_t)l->table_size, sizeof *l->table, "%zu words", more);
    for (int i = 0; i < l->count; i++) {
        *place_in(l, (Word){l->entry[i].text, l->entry[i].length}) = i + 1;
    }
}

static void add_word(Lexicon *l, Word w) {
    if ((size_t)l->count == l->room) grow(l);
    int *place = place_in(l, w);
    if (!*place) {
        char *text = memory_new(w.length, 1, "a word");
        memcpy(text, w.text, w.length);
        l->entry[l->count] = (Entry){.text = text, .length = w.length};
        *place = ++l->count;
    }
    l->entry[*place - 1].count++;
}

static void add_text(Lexicon *l, BpeStyle style, const char *text) {
    Buffer clean = {0};
    if (style == BPE_CLIP) text_clean(text, strlen(text), &clean);
    else buffer_add(&clean, text, strlen(text));
    size_t at = 0;
    for (Word w; word_next(style, clean.text, clean.length, &at, &w); ) add_word(l, w);
    free(clean.text);
}

static size_t spell_words(Lexicon *l, const Bpe *b) {
    size_t longest = 0;
    for (int i = 0; i < l->count; i++) {
        Entry *e = &l->entry[i];
        e->symbols = (int)e->length;
        e->symbol = memory_new(e->length, sizeof *e->symbol, "the symbols of a word");
        for (int k = 0; k < e->symbols; k++) {
            bool ends = b->style == BPE_CLIP && k == e->symbols - 1;
            e->symbol[k] = b->byte[ends][(uint8_t)e->text[k]];
        }
        if (e->length > longest) longest = e->length;
    }
    return longest;
}

static void lexicon_free(Lexicon *l) {
    for (int i = 0; i < l->count; i++) {
        free(l->entry[i].text);
        free(l->entry[i].symbol);
    }
    free(l->entry);
    free(l->table);
}

/* ---- pairs ----------------------------------------------------------------------------------- */

typedef struct {
    int left, right;
    long count;                  /* 0: an empty place */
} Frequency;

/* Counts all pairs anew. A pair is in the table as often as there are symbols, at most. */
static Frequency most_frequent(const Lexicon *l, Frequency *table, size_t mask) {
    memset(table, 0, (mask + 1) * sizeof *table);
    for (int i = 0; i < l->count; i++) {
        const Entry *e = &l->entry[i];
        for (int k = 0; k + 1 < e->symbols; k++) {
            uint64_t left = (uint32_t)e->symbol[k], right = (uint32_t)e->symbol[k + 1];
            size_t at = (left << 32 | right) * 0x9E3779B97F4A7C15 >> 32 & mask;
            while (table[at].count &&
                   (table[at].left != (int)left || table[at].right != (int)right)) {
                at = (at + 1) & mask;
            }
            table[at].left = (int)left, table[at].right = (int)right;
            table[at].count += e->count;
        }
    }
    Frequency best = {0};
    for (size_t i = 0; i <= mask; i++) {
        Frequency f = table[i];
        bool first = f.left != best.left ? f.left < best.left : f.right < best.right;
        if (f.count > best.count || (f.count && f.count == best.count && first)) best = f;
    }
    return best;
}

static void replace(Lexicon *l, int left, int right, int product) {
    for (int i = 0; i < l->count; i++) {
        Entry *e = &l->entry[i];
        int n = 0;
        for (int k = 0; k < e->symbols; n++) {
            bool pair = k + 1 < e->symbols && e->symbol[k] == left && e->symbol[k + 1] == right;
            e->symbol[n] = pair ? product : e->symbol[k];
            k += pair ? 2 : 1;
        }
        e->symbols = n;
    }
}

static void learn(Bpe *b, Lexicon *l, int merges) {
    size_t symbols = 0, mask = 1;
    for (int i = 0; i < l->count; i++) symbols += l->entry[i].length;
    while (mask < 2 * symbols) mask *= 2;
    Frequency *table = memory_new(mask--, sizeof *table, "%zu pairs of symbols", symbols);
    while (b->merges < merges) {
        Frequency best = most_frequent(l, table, mask);
        if (best.count < 2) break;
        bpe_add_merge(b, best.left, best.right);    /* or it is there: its right part came anew */
        int merge = bpe_find_merge(b, best.left, best.right);
        replace(l, best.left, best.right, b->merge[3 * (size_t)merge + 2]);
    }
    free(table);
}

Bpe bpe_train(BpeStyle style, int count, const char *const *texts, int merges) {
    Lexicon l = {0};
    grow(&l);
    for (int i = 0; i < count; i++) add_text(&l, style, texts[i]);
    Bpe bytes = bpe_new(style, 0, 0);
    size_t longest = spell_words(&l, &bytes);
    bpe_free(&bytes);
    Bpe b = bpe_new(style, merges, (size_t)merges * longest);
    learn(&b, &l, merges);
    bpe_finish(&b, true);         /* as bpe_save will write it */
    lexicon_free(&l);
    return b;
}
