#include "base/printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

int utf8_length(const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    static const struct { unsigned char first, last, low, high; int length; } forms[] = {
        {0x00, 0x7F, 0x00, 0xFF, 1}, {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
        if (s[0] < forms[k].first || s[0] > forms[k].last) continue;
        if (forms[k].length == 1) return 1;
        if (s[1] < forms[k].low || s[1] > forms[k].high) return 0;
        for (int i = 2; i < forms[k].length; i++)
            if ((s[i] & 0xC0) != 0x80) return 0;
        return forms[k].length;
    }
    return 0;
}

static uint32_t code_of(const char *s, int length) {
    uint32_t code = (unsigned char)s[0] & (length == 1 ? 0x7F : 0x7F >> length);
    for (int i = 1; i < length; i++) code = code << 6 | ((unsigned char)s[i] & 0x3F);
    return code;
}

static bool is_control(uint32_t code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x2028 && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

bool is_printable(const char *s) {
    for (int n; *s; s += n)
        if (!(n = utf8_length(s)) || is_control(code_of(s, n))) return false;
    return true;
}

void make_printable(char *text, char by) {
    char *to = text;
    for (const char *s = text; *s; ) {
        int n = utf8_length(s);
        if (!n || is_control(code_of(s, n))) {
            *to++ = by;
            s += n ? n : 1;
        } else {
            while (n--) *to++ = *s++;
        }
    }
    *to = 0;
}
