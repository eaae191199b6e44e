#include "text/html.h"

#include "text/html_entities.h"
#include "text/utf8.h"

#include <stdbool.h>
#include <string.h>

enum { NAME_MOST = 32 };          /* characters of a name, without its semicolon */

/* ---- numbers --------------------------------------------------------------------------------- */

static int digit(char c, int base) {
    int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
          : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
    return d < base ? d : -1;
}

static void add_number(int32_t number, Buffer *out) {
    for (size_t i = 0; i < sizeof odd_numbers / sizeof *odd_numbers; i++) {
        if (odd_numbers[i][0] == number) {
            buffer_add_code(out, odd_numbers[i][1]);
            return;
        }
    }
    if (number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF)) number = UTF8_REPLACEMENT;
    for (size_t i = 0; i < sizeof no_characters / sizeof *no_characters; i++) {
        if (number >= no_characters[i][0] && number <= no_characters[i][1]) return;
    }
    buffer_add_code(out, number);
}

/* text starts with "&#". Returns how many bytes the reference takes; 0: it is none. */
static size_t number_reference(const char *text, size_t length, Buffer *out) {
    bool hexadecimal = length > 2 && (text[2] == 'x' || text[2] == 'X');
    size_t first = hexadecimal ? 3 : 2, i = first;
    int32_t number = 0;
    for (int d, base = hexadecimal ? 16 : 10; i < length && (d = digit(text[i], base)) >= 0; i++) {
        if (number <= 0x10FFFF) number = number * base + d;
    }
    if (i == first) return 0;
    add_number(number, out);
    return i + (i < length && text[i] == ';');
}

/* ---- names ----------------------------------------------------------------------------------- */

/* how many bytes after an & may belong to a name, its semicolon included */
static size_t name_length(const char *text, size_t length) {
    size_t i = 0, bytes;
    for (int n = 0; i < length && n < NAME_MOST && !memchr("\t\n\f <&#;", text[i], 8); n++) {
        utf8_get(text + i, length - i, &bytes);
        i += bytes;
    }
    return i && i < length && text[i] == ';' ? i + 1 : i;
}

/* The longest name that `text` starts with: its length, and the text it stands for; 0: none. */
static size_t find_name(const char *text, size_t length, const char **meaning) {
    size_t longest = 0;
    for (const char *e = entities; *e; e += strlen(e) + 1) {
        size_t n = strcspn(e, " ");
        if (n > longest && n <= length && !memcmp(e, text, n)) {
            longest = n;
            *meaning = e + n + 1;
        }
    }
    return longest;
}

static size_t named_reference(const char *text, size_t length, Buffer *out) {
    const char *meaning;
    size_t n = find_name(text + 1, name_length(text + 1, length - 1), &meaning);
    if (!n) return 0;
    buffer_add(out, meaning, strlen(meaning));
    return 1 + n;
}

void html_unescape(const char *text, size_t length, Buffer *out) {
    for (size_t i = 0; i < length; ) {
        const char *next = memchr(text + i, '&', length - i);
        size_t plain = next ? (size_t)(next - text) - i : length - i;
        buffer_add(out, text + i, plain);
        if ((i += plain) == length) return;
        size_t rest = length - i;
        size_t n = rest > 1 && text[i + 1] == '#' ? number_reference(text + i, rest, out)
                                                  : named_reference(text + i, rest, out);
        if (!n) buffer_add(out, "&", 1);
        i += n ? n : 1;
    }
}
