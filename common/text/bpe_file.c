/* bpe_file.c — files: merges, gzipped or not, and encoder.json. */
#define _GNU_SOURCE              /* memmem */
#include "text/bpe_symbols.h"

#include "base/file.h"
#include "base/memory.h"
#include "io/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

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
    char bytes[BPE_SYMBOL_MOST];
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
            bpe_read_symbol(v->b->style, name, bytes, &length, &ends)
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
    return memcpy(memory_new(bytes + more, 1, "a vocabulary"), from, bytes);
}

/* room for names that are none of our symbols, which are at most as many and as long as the file */
static void make_room(Bpe *b, size_t entries, size_t bytes) {
    Symbol *symbol = copied(b->symbol, (size_t)b->symbols * sizeof *symbol,
                            entries * sizeof *symbol);
    char *memory = copied(b->memory, b->used, bytes);
    for (int i = 0; i < b->symbols; i++) symbol[i].bytes = memory + (symbol[i].bytes - b->memory);
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
        v.symbol_of = memory_new((size_t)v.count, sizeof *v.symbol_of, "%d symbols", v.count);
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
    while ((got = gzread(f, piece, sizeof piece)) > 0 && text.length <= BPE_FILE_MOST) {
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
