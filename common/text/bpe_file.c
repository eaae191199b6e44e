/* bpe_file.c — the official files: a list of merges, and encoder.json. */
#define _GNU_SOURCE              /* memmem */
#include "text/bpe_symbols.h"

#include "base/error.h"
#include "base/file.h"
#include "io/json.h"
#include "text/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { FILE_MOST = 64 << 20, SYMBOL_MOST = 1000 };

/* ---- merges ---------------------------------------------------------------------------------- */

/* What is read, and where. */
typedef struct {
    const char *at, *end;
    int line;
    char *message;
} Reader;

__attribute__((format(printf, 2, 3)))
static bool wrong(const Reader *r, const char *format, ...) {
    int n = snprintf(r->message, BPE_MESSAGE, "line %d: ", r->line);
    va_list list;
    va_start(list, format);
    vsnprintf(r->message + n, BPE_MESSAGE - (size_t)n, format, list);
    va_end(list);
    return false;
}

/* the next line, without its end; false: there is none */
static bool next_line(Reader *r, Word *line) {
    if (r->at >= r->end) return false;
    const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
    size_t n = (size_t)((end ? end : r->end) - r->at);
    *line = (Word){r->at, n && r->at[n - 1] == '\r' ? n - 1 : n};
    r->at += n + (end != NULL);
    r->line++;
    return true;
}

/* One symbol as a file spells it, as bytes in `out`: false if it is none. */
static bool read_symbol(BpeStyle style, Word w, char *out, size_t *length, bool *ends) {
    size_t mark = strlen(END_OF_WORD), bytes;
    *length = 0;
    *ends = style == BPE_CLIP && w.length > mark &&
            !memcmp(w.text + w.length - mark, END_OF_WORD, mark);
    if (*ends) w.length -= mark;
    for (size_t i = 0; i < w.length; i += bytes) {
        int byte = bpe_byte(utf8_get(w.text + i, w.length - i, &bytes));
        if (byte < 0 || *length == SYMBOL_MOST) return false;
        out[(*length)++] = (char)byte;
    }
    return *length > 0;
}

static bool read_part(const Bpe *b, const Reader *r, Word w, const char *which, int *symbol) {
    char bytes[SYMBOL_MOST];
    size_t length;
    bool ends;
    if (!read_symbol(b->style, w, bytes, &length, &ends)) {
        return wrong(r, "its %s part is not spelled in the letters that stand for bytes", which);
    }
    *symbol = bpe_find(b, bytes, length, ends);
    return *symbol >= 0 || wrong(r, "its %s part is no byte, and no merge before makes it", which);
}

static bool read_merge(Bpe *b, const Reader *r, Word line) {
    const char *space = memchr(line.text, ' ', line.length);
    size_t n = space ? (size_t)(space - line.text) : 0;
    if (!n || n + 1 == line.length || memchr(space + 1, ' ', line.length - n - 1)) {
        return wrong(r, "a merge is two symbols with one space between");
    }
    int left, right;
    if (!read_part(b, r, (Word){line.text, n}, "first", &left)) return false;
    if (!read_part(b, r, (Word){space + 1, line.length - n - 1}, "second", &right)) return false;
    if (b->symbol[left].ends) return wrong(r, "its first part ends a word");
    return bpe_add_merge(b, left, right) || wrong(r, "this merge stands in an earlier line");
}

static bool is_head(Word line) {
    return memmem(line.text, line.length, "#version", 8) != NULL;
}

static bool read_merges(Bpe *b, Reader *r) {
    int most = b->style == BPE_CLIP ? BPE_CLIP_MERGES : INT32_MAX;
    for (Word line; b->merges < most && next_line(r, &line); ) {
        if (r->line == 1 && is_head(line)) continue;
        if (!line.length && r->at == r->end) break;          /* an empty line may end the file */
        if (!read_merge(b, r, line)) return false;
    }
    return true;
}

static int count_lines(const char *text, size_t length) {
    int n = 1;
    for (size_t i = 0; i < length; i++) n += text[i] == '\n';
    return n;
}

bool bpe_parse(Bpe *b, BpeStyle style, const char *text, size_t length,
               char message[static BPE_MESSAGE]) {
    Reader r = {text, text + length, 0, message};
    if (length > FILE_MOST) {
        snprintf(message, BPE_MESSAGE, "has %zu bytes, too many for a list of merges", length);
        return false;
    }
    int most = count_lines(text, length);
    if (style == BPE_CLIP && most > BPE_CLIP_MERGES) most = BPE_CLIP_MERGES;
    *b = bpe_new(style, most, length);
    if (!read_merges(b, &r)) {
        bpe_free(b);
        return false;
    }
    bpe_finish(b, b->merges < BPE_CLIP_MERGES && length && text[length - 1] == '\n');
    return true;
}

/* ---- encoder.json ---------------------------------------------------------------------------- */

/* Reads the ids into `id_of` (symbols and further ones), -1 where none is said. */
typedef struct {
    Bpe *b;
    char *message;
    int *symbol_of, count;       /* by id, -1: nothing yet; as many as the object has entries */
} Vocabulary;

/* a name that is none of our symbols: it can be decoded, as <|endoftext|> */
static int add_further(Bpe *b, const char *name) {
    b->symbol[b->symbols] = (Symbol){.bytes = b->memory + b->used, .length = strlen(name),
                                     .special = true};
    memcpy(b->memory + b->used, name, strlen(name));
    b->used += strlen(name);
    return b->symbols++;
}

static bool take_id(Vocabulary *v, const cJSON *entry) {
    char bytes[SYMBOL_MOST];
    size_t length;
    bool ends;
    double id = entry->valuedouble;
    if (!cJSON_IsNumber(entry) || !(id >= 0 && id < v->count) || id != (int)id) {
        snprintf(v->message, BPE_MESSAGE, "the id of \"%.60s\" is no whole number from 0 to %d",
                 entry->string, v->count - 1);
        return false;
    }
    if (v->symbol_of[(int)id] >= 0) {
        snprintf(v->message, BPE_MESSAGE, "the id %d is given twice", (int)id);
        return false;
    }
    Word name = {entry->string, strlen(entry->string)};
    int s = strcmp(name.text, END_OF_TEXT) &&
            read_symbol(v->b->style, name, bytes, &length, &ends)
            ? bpe_find(v->b, bytes, length, ends) : -1;
    if (s < 0) s = add_further(v->b, name.text);
    if (!strcmp(name.text, END_OF_TEXT)) v->b->end = (int)id;
    v->b->symbol[s].id = (int)id;
    v->symbol_of[(int)id] = s;
    return true;
}

static bool take_ids(Vocabulary *v, const cJSON *object) {
    Bpe *b = v->b;
    for (int i = 0; i < b->symbols; i++) b->symbol[i].id = -1;
    b->end = -1;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, object) {
        if (!take_id(v, entry)) return false;
    }
    for (int i = 0; i < b->symbols; i++) {
        if (b->symbol[i].id >= 0 || b->symbol[i].special) continue;
        Buffer name = {0};
        bpe_spell(&b->symbol[i], &name);
        snprintf(v->message, BPE_MESSAGE, "has no id for \"%.60s\", which the merges make",
                 buffer_end(&name));
        free(name.text);
        return false;
    }
    return true;
}

static void *copied(const void *from, size_t bytes, size_t more) {
    return memcpy(bpe_memory(bytes + more), from, bytes);
}

/* room for names that are none of our symbols, which are at most as many and as long as the file */
static void make_room(Bpe *b, size_t entries, size_t bytes) {
    Symbol *symbol = copied(b->symbol, (size_t)b->symbols * sizeof *symbol,
                            entries * sizeof *symbol);
    char *memory = copied(b->memory, b->used, bytes);
    for (int i = 0; i < b->symbols; i++) symbol[i].bytes += memory - b->memory;
    free(b->symbol);
    free(b->memory);
    b->symbol = symbol;
    b->memory = memory;
}

bool bpe_vocabulary(Bpe *b, const char *json, size_t length, char message[static BPE_MESSAGE]) {
    cJSON *object = cJSON_ParseWithLength(json, length);
    Vocabulary v = {b, message, NULL, cJSON_IsObject(object) ? cJSON_GetArraySize(object) : 0};
    bool good = v.count > 0;
    if (good) {
        make_room(b, (size_t)v.count, length);
        v.symbol_of = bpe_memory((size_t)v.count * sizeof *v.symbol_of);
        for (int i = 0; i < v.count; i++) v.symbol_of[i] = -1;
        good = take_ids(&v, object);
    } else {
        snprintf(message, BPE_MESSAGE, "is no JSON object {\"symbol\": id, ...}");
    }
    cJSON_Delete(object);
    if (!good) {
        free(v.symbol_of);
        bpe_free(b);
        return false;
    }
    free(b->symbol_of);
    b->symbol_of = v.symbol_of;
    b->size = v.count;
    return true;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* the whole file, decompressed if it is gzipped; to be freed */
static char *read_file(const char *path, size_t *length) {
    gzFile f = gzopen(path, "rbe");
    if (!f) fail("%s: cannot be read: %s", path, strerror(errno));
    Buffer text = {0};
    char piece[1 << 14];
    int got, error;
    while ((got = gzread(f, piece, sizeof piece)) > 0 && text.length <= FILE_MOST) {
        buffer_add(&text, piece, (size_t)got);
    }
    const char *why = gzerror(f, &error);
    if (got < 0 || error != Z_OK) {
        fail("%s: cannot be read: %s", path, error == Z_ERRNO ? strerror(errno) :
             error == Z_BUF_ERROR ? "the compressed data is cut short" : why);
    }
    gzclose(f);
    *length = text.length;
    return buffer_end(&text);
}

static Bpe load(const char *path, bool clip_too) {
    size_t length;
    char message[BPE_MESSAGE], *text = read_file(path, &length);
    Bpe b;
    bool word_ends = memmem(text, length, END_OF_WORD, strlen(END_OF_WORD)) != NULL;
    BpeStyle style = clip_too && word_ends ? BPE_CLIP : BPE_GPT2;
    bool good = bpe_parse(&b, style, text, length, message);
    free(text);
    if (!good) fail("%s: %s", path, message);
    return b;
}

Bpe bpe_load(const char *path) {
    char *own = path ? NULL : own_file(BPE_CAPTIONS);
    Bpe b = load(path ? path : own, true);
    free(own);
    return b;
}

Bpe bpe_load_gpt2(const char *merges, const char *vocabulary) {
    Bpe b = load(merges, false);
    size_t length;
    char message[BPE_MESSAGE], *json = read_file(vocabulary, &length);
    bool good = bpe_vocabulary(&b, json, length, message);
    free(json);
    if (!good) fail("%s: %s", vocabulary, message);
    return b;
}

void bpe_save(const Bpe *b, const char *path) {
    Buffer text = {0};
    buffer_add(&text, "#version: 0.2\n", 14);
    for (int i = 0; i < b->merges; i++) {
        const int *m = b->merge + 3 * (size_t)i;
        bpe_spell(&b->symbol[m[0]], &text);
        buffer_add(&text, " ", 1);
        bpe_spell(&b->symbol[m[1]], &text);
        buffer_add(&text, "\n", 1);
    }
    file_write(path, text.text, text.length);
    free(text.text);
}
