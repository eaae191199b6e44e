/* fuzz_bpe.c — hostile merges, a hostile text and a hostile encoder.json, zero bytes between:
 * refused with one line, or every id exists and decoding gives the text back. */
#include "fuzz.h"
#include "text/bpe.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

static void check_message(const char *message) {
    if (!*message || strchr(message, '\n') || strlen(message) >= BPE_MESSAGE) abort();
}

/* the part up to the next zero byte, which *bytes moves behind */
static Word cut(const uint8_t **bytes, size_t *length) {
    const uint8_t *end = *length ? memchr(*bytes, 0, *length) : NULL;
    size_t n = end ? (size_t)(end - *bytes) : *length, skip = n + (end != NULL);
    Word w = {(const char *)*bytes, n};
    *bytes += skip;
    *length -= skip;
    return w;
}

static bool is_utf8(Word w) {
    size_t n;
    for (size_t i = 0; i < w.length; i += n)
        if (utf8_get(w.text + i, w.length - i, &n) == UTF8_BAD) return false;
    return true;
}

static void check_text(const Bpe *b, Word w, const BpeDropout *dropout) {
    int room = (int)(4 * w.length + 16), *ids = malloc((size_t)room * sizeof *ids);
    size_t length;
    int n = bpe_encode(b, w.text, w.length, dropout, ids, room);
    if (n > room) abort();
    for (int i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= b->size) abort();
    char *text = bpe_decode(b, ids, n, &length);
    if (!is_utf8((Word){text, length})) abort();
    if (b->style == BPE_GPT2 && is_utf8(w) &&
        (length != w.length || (length && memcmp(text, w.text, length)))) abort();
    free(text);
    free(ids);
}

static void one(const uint8_t *bytes, size_t length) {
    char message[BPE_MESSAGE] = "";
    Bpe b;
    if (!length) return;
    BpeStyle style = *bytes % 2 ? BPE_CLIP : BPE_GPT2;
    bytes++, length--;
    Word merges = cut(&bytes, &length), text = cut(&bytes, &length);
    Word json = {(const char *)bytes, length};
    if (!bpe_parse(&b, style, merges.text, merges.length, message)) {
        check_message(message);
        return;
    }
    Rng rng = rng_new(1, "dropout");
    check_text(&b, text, NULL);
    check_text(&b, text, &(BpeDropout){0.5, &rng});
    if (json.length && !bpe_vocabulary(&b, json.text, json.length, message)) check_message(message);
    else check_text(&b, text, NULL), bpe_free(&b);
}

/* The first inputs are small sound ones of either style. */
static size_t mutate(uint8_t *bytes, size_t length, size_t room, unsigned seed) {
    static const char clip[] = "1#version: 0.2\na b\nab c</w>\n\0ABC abc &amp; it's <|endoftext|>",
                      gpt2[] = "2a b\nab c\n\xC4\xA0 abc\n\0abc  abc\xE2\x82\xAC\0{\"a\": 0}";
    size_t n = seed % 2 ? sizeof clip - 1 : sizeof gpt2 - 1;
    if (length >= 10 || room < n) return LLVMFuzzerMutate(bytes, length, room);
    memcpy(bytes, seed % 2 ? clip : gpt2, n);
    return n;
}

const Fuzzer fuzz_bpe = {"bpe", one, mutate};
