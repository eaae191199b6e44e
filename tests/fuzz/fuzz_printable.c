/* fuzz_printable.c — any bytes as text for the terminal: what comes out is UTF-8 without control
 * characters, is left as it is when it comes again, and good text is not changed. */
#include "fuzz.h"
#include "base/printable.h"

#include <stdlib.h>
#include <string.h>

static void one(const uint8_t *bytes, size_t length) {
    char *text = malloc(length + 1), *again = malloc(length + 1);
    memcpy(text, bytes, length);
    text[length] = 0;
    bool good = is_printable(text);
    strcpy(again, text);
    make_printable(text, '?');
    if (good && strcmp(again, text)) abort();
    if (!is_printable(text) || strlen(text) > length) abort();
    for (const unsigned char *s = (unsigned char *)text; *s; s++)
        if (*s < 32 || *s == 127 || (*s == 0xC2 && s[1] < 0xA0)) abort();
    strcpy(again, text);
    make_printable(again, '?');
    if (strcmp(again, text)) abort();
    free(text);
    free(again);
}

/* The first input has characters of every length. */
static size_t mutate(uint8_t *bytes, size_t length, size_t room, unsigned seed) {
    static const char start[] = "a\x1b[2J \xC3\xAF \xC2\x9B \xE6\x97\xA5 \xF0\x9F\x98\x80";
    (void)seed;
    if (length >= 4 || room < sizeof start) return LLVMFuzzerMutate(bytes, length, room);
    memcpy(bytes, start, sizeof start - 1);
    return sizeof start - 1;
}

const Fuzzer fuzz_printable = {"printable", one, mutate};
