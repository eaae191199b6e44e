/* test_base.c — what everything stands on: text made safe for a terminal, messages, memory. */
#include "base/memory.h"
#include "base/printable.h"
#include "base/sanitize.h"
#include "stops.h"
#include "testing.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

SUITE(base);

/* Is whatever a terminal obeys replaced, and everything else left as it is? */
Test(base, control_characters_are_replaced) {
    static const struct { const char *text, *printable; } rows[] = {
        {"", ""},
        {"plain text, 100 %", "plain text, 100 %"},
        {"na\xC3\xAFve \xE6\x97\xA5 \xF0\x9F\x98\x80", "na\xC3\xAFve \xE6\x97\xA5 \xF0\x9F\x98\x80"},
        {"a\x1b[2Jb", "a?[2Jb"},                          /* clear the screen */
        {"a\x1b]0;title\x07" "b", "a?]0;title?b"},
        {"two\nlines\r\tand\x7F", "two?lines??and?"},
        {"C1 \xC2\x9B" "2J, \xC2\x9D title \xC2\x9C", "C1 ?2J, ? title ?"},    /* U+009B, 9D, 9C */
        {"no-break\xC2\xA0space", "no-break\xC2\xA0space"},                     /* U+00A0 is none */
        {"a byte \x9B" "2J", "a byte ?2J"},               /* C1 of Latin-1 */
        {"\xC3", "?"},
        {"\xE6\x97", "??"},
        {"\xE6\x97" "a", "??a"},
        {"overlong \xC0\x9B, \xE0\x80\x9B, \xF0\x80\x80\x9B", "overlong ??, ???, ????"},
        {"\xED\xA0\x80 surrogate", "??? surrogate"},
        {"\xF4\x90\x80\x80 beyond", "???? beyond"},
        {"gpj.\xE2\x80\xAE" "exe", "gpj.?exe"},           /* U+202E: right to left */
        {"line\xE2\x80\xA8separator", "line?separator"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[100];
        strcpy(text, rows[i].text);
        make_printable(text, '?');
        cr_expect_str_eq(text, rows[i].printable, "row %zu: %s", i, text);
        cr_expect_eq(is_printable(rows[i].text), !strcmp(rows[i].text, rows[i].printable),
                     "row %zu", i);
        cr_expect(is_printable(text), "row %zu", i);
    }
}

static const char hostile[] = "w\x1b[2J\xC2\x9B" "31m\n.png";

static void fail_with(void *text) { fail("%s: cannot be read", (const char *)text); }
static void usage_with(void *text) { usage_error("--data %s", (const char *)text); }
static void notice_with(void *text) { notice("%s: left out", (const char *)text); }

/* Does every message that may quote a file come in one line without control characters? */
Test(base, messages_hold_no_control_characters) {
    expect_stop(1, "w?[2J?31m?.png: cannot be read", fail_with, (void *)hostile);
    expect_stop(2, "--data w?[2J?31m?.png", usage_with, (void *)hostile);
    expect_stop(0, "w?[2J?31m?.png: left out", notice_with, (void *)hostile);
}

Test(base, memory_is_cleared_and_keeps_what_it_held) {
    int *x = memory_new(3, sizeof *x, "numbers");
    cr_assert(!x[0] && !x[1] && !x[2]);
    size_t room = 3;
    x[2] = 7;
    cr_assert_eq(memory_grow(x, &room, 3, sizeof *x, "numbers"), x);
    for (size_t n = 4; n < 100000; n++) {
        x = memory_grow(x, &room, n, sizeof *x, "numbers");
        cr_assert(room >= n && room <= 2 * n && x[2] == 7 && !x[n - 1] && !x[room - 1]);
        x[n - 1] = x[room - 1] = 0;
    }
    free(x);
    free(memory_new(0, 8, "nothing"));
}

/* more things than all of memory would hold, which as bytes are few again */
static const size_t many = SIZE_MAX / 8 + 2;

static void new_with(void *text) { memory_new(many, 8, "%s", (const char *)text); }

static void grow_with(void *text) {
    size_t room = 0;
    memory_grow(NULL, &room, many, 8, "%s", (const char *)text);
}

Test(base, memory_that_is_not_there_is_said_to_be_out) {
#ifndef SANITIZED     /* a sanitizer stops the program itself */
    expect_stop(1, "out of memory: w?[2J?31m?.png", new_with, (void *)hostile);
#else
    (void)new_with;
#endif
    expect_stop(1, "out of memory: w?[2J?31m?.png", grow_with, (void *)hostile);
}
