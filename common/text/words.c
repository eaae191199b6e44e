#include "text/words.h"

#include "text/html.h"
#include "text/unicode.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

/* ---- cleaning -------------------------------------------------------------------------------- */

/* Python's str.strip() takes these four control characters for space, \s does not. */
static bool is_stripped(int32_t code) {
    return unicode_is_space(code) || (code >= 0x1C && code <= 0x1F);
}

static void strip(const char **text, size_t *length) {
    size_t bytes, end = 0;
    while (*length && is_stripped(utf8_get(*text, *length, &bytes))) {
        *text += bytes;
        *length -= bytes;
    }
    for (size_t i = 0; i < *length; i += bytes) {
        if (!is_stripped(utf8_get(*text + i, *length - i, &bytes))) end = i + bytes;
    }
    *length = end;
}

/* Is the next character that is not case-ignorable cased? */
static bool cased_follows(const char *text, size_t length) {
    size_t bytes;
    for (size_t i = 0; i < length; i += bytes) {
        int32_t code = utf8_get(text + i, length - i, &bytes);
        if (!unicode_is_case_ignorable(code)) return unicode_is_cased(code);
    }
    return false;
}

/* Lower case, white space collapsed if that is asked for. A sigma is final after a cased letter when none follows
 * (Unicode 15, table 3-17); `cased`: the last character that is not case-ignorable is. */
static void lower(const char *text, size_t length, bool collapse, Buffer *out) {
    enum { DOTTED_I = 0x130, DOT_ABOVE = 0x307, SIGMA = 0x3A3, FINAL_SIGMA = 0x3C2 };
    bool cased = false, space = false;
    size_t bytes;
    for (size_t i = 0; i < length; i += bytes) {
        int32_t code = utf8_get(text + i, length - i, &bytes);
        bool is_space = collapse && unicode_is_space(code);
        if (is_space && !space) buffer_add(out, " ", 1);
        space = is_space;
        if (code == UTF8_BAD) buffer_add(out, text + i, bytes);
        else if (code == SIGMA && cased && !cased_follows(text + i + bytes, length - i - bytes)) {
            buffer_add_code(out, FINAL_SIGMA);
        } else if (!space) buffer_add_code(out, code == DOTTED_I ? 'i' : unicode_lower(code));
        if (code == DOTTED_I) buffer_add_code(out, DOT_ABOVE);
        if (!unicode_is_case_ignorable(code)) cased = unicode_is_cased(code);
    }
}

void text_clean(const char *text, size_t length, Buffer *out) {
    Buffer once = {0}, twice = {0};
    html_unescape(text, length, &once);
    html_unescape(buffer_end(&once), once.length, &twice);
    const char *start = buffer_end(&twice);
    size_t n = twice.length;
    strip(&start, &n);
    lower(start, n, true, out);
    buffer_end(out);
    free(once.text);
    free(twice.text);
}

void text_lower(const char *text, size_t length, Buffer *out) {
    lower(text, length, false, out);
    buffer_end(out);
}

/* ---- words ----------------------------------------------------------------------------------- */

typedef enum { SPACE, LETTER, NUMBER, OTHER } Kind;

static Kind kind_at(const char *text, size_t length, size_t *bytes) {
    int32_t code = utf8_get(text, length, bytes);
    return unicode_is_letter(code) ? LETTER : unicode_is_number(code) ? NUMBER
         : unicode_is_space(code) ? SPACE : OTHER;
}

/* how many bytes from the start are of one kind */
static size_t run(const char *text, size_t length, Kind kind) {
    size_t n = 0, bytes;
    while (n < length && kind_at(text + n, length - n, &bytes) == kind) n += bytes;
    return n;
}

/* Does text start with `what`? `fold`: the long s, which lower-casing keeps, counts as an s, as it
 * does in a pattern that ignores case. Returns how many bytes it takes; 0: no. */
static size_t starts_with(const char *text, size_t length, const char *what, bool fold) {
    size_t n = 0;
    for (; *what; what++) {
        if (n < length && text[n] == *what) n++;
        else if (fold && *what == 's' && n + 1 < length && !memcmp(text + n, "\xC5\xBF", 2)) n += 2;
        else return 0;
    }
    return n;
}

static size_t first_of(const char *text, size_t length, const char *const *list, bool fold) {
    size_t n = 0;
    while (*list && !n) n = starts_with(text, length, *list++, fold);
    return n;
}

static const char *const specials[] = {START_OF_TEXT, END_OF_TEXT, NULL};
static const char *const contractions[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d", NULL};

/* bytes of the word that starts here; here is no white space */
static size_t clip_word(const char *text, size_t length) {
    size_t bytes, n = 0;
    if (*text == '<') n = first_of(text, length, specials, true);
    else if (*text == '\'') n = first_of(text, length, contractions, true);
    if (n) return n;
    Kind kind = kind_at(text, length, &bytes);
    return kind == NUMBER ? bytes : run(text, length, kind);
}

/* White space before a word leaves its last character to that word, if it is a space; a last one of
 * another sort stands alone. */
static size_t gpt2_space(const char *text, size_t length) {
    size_t n = run(text, length, SPACE), last = 0, bytes;
    if (n == length) return n;
    for (size_t i = 0; i < n; i += bytes) {
        utf8_get(text + i, n - i, &bytes);
        last = bytes;
    }
    return n > last ? n - last : n;
}

static size_t gpt2_word(const char *text, size_t length) {
    size_t bytes, n = *text == '\'' ? first_of(text, length, contractions, false) : 0;
    if (n) return n;
    size_t before = *text == ' ' && length > 1 && kind_at(text + 1, length - 1, &bytes) != SPACE;
    Kind kind = kind_at(text + before, length - before, &bytes);
    if (kind == SPACE) return gpt2_space(text, length);
    return before + run(text + before, length - before, kind);
}

bool word_next(BpeStyle style, const char *text, size_t length, size_t *at, Word *word) {
    if (*at >= length) return false;
    if (style == BPE_CLIP) *at += run(text + *at, length - *at, SPACE);
    if (*at >= length) return false;
    size_t rest = length - *at;
    *word = (Word){text + *at, style == BPE_CLIP ? clip_word(text + *at, rest)
                                                 : gpt2_word(text + *at, rest)};
    *at += word->length;
    return true;
}
