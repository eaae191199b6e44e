/* bpe_merges.c — a list of merges, as the official files have it. */
#define _GNU_SOURCE              /* memmem */
#include "text/bpe_symbols.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

static bool read_part(const Bpe *b, const Reader *r, Word w, const char *which, int *symbol) {
    char bytes[BPE_SYMBOL_MOST];
    size_t length;
    bool ends;
    if (!bpe_read_symbol(b->style, w, bytes, &length, &ends)) {
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
    if (length > BPE_FILE_MOST) {
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
