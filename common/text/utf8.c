#include "text/utf8.h"

/* How many bytes a character has whose first byte is this, and which second bytes are allowed: they
 * exclude overlong forms, surrogates and what is above U+10FFFF. */
static int lead(uint8_t first, uint8_t *low, uint8_t *high) {
    *low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    *high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (first < 0x80) return 1;
    if (first < 0xC2 || first > 0xF4) return 0;
    return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

int32_t utf8_get(const char *text, size_t length, size_t *bytes) {
    const uint8_t *s = (const uint8_t *)text;
    uint8_t low, high;
    int n = lead(s[0], &low, &high);
    *bytes = 1;
    if (n <= 1) return n ? s[0] : UTF8_BAD;
    int32_t code = s[0] & (0x7F >> n);
    for (int i = 1; i < n; i++) {
        if ((size_t)i >= length || s[i] < low || s[i] > high) return UTF8_BAD;
        code = code << 6 | (s[i] & 0x3F);
        low = 0x80, high = 0xBF;
        *bytes = (size_t)i + 1;
    }
    return code;
}

size_t utf8_put(int32_t code, char out[static 4]) {
    int n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t mark[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (int i = n - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(mark[n] | code);
    return (size_t)n;
}
