#include "data/emoji_names.h"

#include "base/printable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- emoji-test.txt -------------------------------------------------------------------------- */

typedef struct {
    EmojiNames *names;
    int room, line;
    const char *group, *subgroup;      /* those we are in; listed with their first emoji */
    char *message;
} Parser;

static bool wrong(const Parser *p, const char *what) {
    snprintf(p->message, EMOJI_MESSAGE, "line %d: %s", p->line, what);
    return false;
}

static const char *after(const char *line, const char *start) {
    size_t n = strlen(start);
    return strncmp(line, start, n) == 0 ? line + n : NULL;
}

static bool is_text(const char *name) {
    return *name && is_printable(name);
}

/* "# group: Animals & Nature", "# subgroup: animal-bird", or any other comment */
static bool parse_comment(Parser *p, const char *line) {
    const char *group = after(line, "# group: "), *subgroup = after(line, "# subgroup: ");
    if (group) {
        p->group = group;
        p->subgroup = NULL;
    } else if (subgroup) {
        p->subgroup = subgroup;
    }
    return is_text(group ? group : subgroup ? subgroup : "any") || wrong(p, "a group has no name");
}

/* Lists the group and the subgroup when they are new. A group is new with a subgroup alone. */
static bool list_labels(Parser *p) {
    EmojiNames *n = p->names;
    if (!p->group || !p->subgroup) return wrong(p, "an emoji before the first subgroup");
    if (n->subgroups && n->subgroup[n->subgroups - 1] == p->subgroup) return true;
    if (n->subgroups == EMOJI_LABELS) return wrong(p, "too many subgroups");
    if (!n->groups || n->group[n->groups - 1] != p->group) n->group[n->groups++] = p->group;
    n->group_of[n->subgroups] = n->groups - 1;
    n->subgroup[n->subgroups++] = p->subgroup;
    return true;
}

/* "1F469 200D 1F680 ;": moves `line` behind the semicolon */
static bool parse_codes(Parser *p, char **line, EmojiName *e) {
    char *s = *line;
    while (*s != ';') {
        size_t digits = strspn(s, "0123456789ABCDEF");
        unsigned long code = strtoul(s, NULL, 16);
        if (digits < 1 || digits > 6 || code > 0x10FFFF) return wrong(p, "no code points");
        if (e->codes == EMOJI_CODES) return wrong(p, "too many code points");
        e->code[e->codes++] = (uint32_t)code;
        s += digits;
        s += strspn(s, " ");
    }
    *line = s + 1;
    return e->codes > 0 || wrong(p, "no code points");
}

/* the name in "# 😀 E1.0 grinning face": after the emoji and the version that brought it */
static const char *find_name(char *line) {
    char *s = strstr(line, "# ");
    s = s ? strstr(s + 2, " E") : NULL;
    s = s ? strchr(s + 1, ' ') : NULL;
    return s ? s + 1 : "";
}

static bool append(Parser *p, EmojiName e) {
    EmojiNames *n = p->names;
    if (n->count == p->room) {
        p->room = 2 * p->room + 1024;
        EmojiName *more = realloc(n->emoji, (size_t)p->room * sizeof *more);
        if (!more) return wrong(p, "out of memory");
        n->emoji = more;
    }
    n->emoji[n->count++] = e;
    return true;
}

static bool parse_line(Parser *p, char *line) {
    if (!*line) return true;
    if (*line == '#') return parse_comment(p, line);
    EmojiName e = {0};
    if (!parse_codes(p, &line, &e)) return false;
    line += strspn(line, " ");
    if (!after(line, "fully-qualified ")) return true;
    e.name = find_name(line);
    if (!is_text(e.name)) return wrong(p, "no name");
    if (!list_labels(p)) return false;
    e.subgroup = p->names->subgroups - 1;
    return append(p, e);
}

/* cuts the text into lines, in place */
static bool parse_lines(Parser *p, char *text) {
    for (char *line = text, *next; line; line = next) {
        p->line++;
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        if (!parse_line(p, line)) return false;
    }
    return p->names->count > 0 || wrong(p, "the file ends, and holds no fully-qualified emoji");
}

bool emoji_names_parse(EmojiNames *names, const char *text, size_t length,
                       char message[static EMOJI_MESSAGE]) {
    *names = (EmojiNames){.text = malloc(length + 1)};
    Parser p = {.names = names, .message = message};
    if (!names->text) return wrong(&p, "out of memory");
    memcpy(names->text, text, length);
    names->text[length] = 0;
    bool good = strlen(names->text) == length ? parse_lines(&p, names->text)
                                              : wrong(&p, "there is a zero byte in the file");
    if (!good) emoji_names_free(names);
    return good;
}

void emoji_names_free(EmojiNames *names) {
    free(names->emoji);
    free(names->text);
    *names = (EmojiNames){0};
}

/* ---- concepts -------------------------------------------------------------------------------- */

enum { JOINER = 0x200D };

/* what one emoji adds to another without changing what is shown: tone, hair, gender, direction */
static bool is_variation(uint32_t code) {
    return (code >= 0x1F3FB && code <= 0x1F3FF) || (code >= 0x1F9B0 && code <= 0x1F9B3) ||
           code == 0x2640 || code == 0x2642 || code == 0x27A1;
}

/* what is shown by emoji of their own, though it is a variation of another */
static const struct { const char *key, *same_as; } aliases[] = {
    {"1F471", "1F9D1"}, {"1F9D4", "1F9D1"},                       /* blond, bearded person */
    {"1F466", "1F9D2"}, {"1F467", "1F9D2"},                       /* boy, girl: child */
    {"1F474", "1F9D3"}, {"1F475", "1F9D3"},                       /* old man, woman: older person */
    {"1F934", "1FAC5"}, {"1F478", "1FAC5"},                       /* prince, princess */
    {"1F930", "1FAC4"}, {"1FAC3", "1FAC4"},                       /* pregnant woman, man */
    {"1F385", "1F9D1-1F384"}, {"1F936", "1F9D1-1F384"},           /* Santa, Mrs. Claus */
    {"1F57A", "1F483"},                                           /* man, woman dancing */
    {"1FAF1-1FAF2", "1F91D"},                                     /* handshake in two tones */
};

const char *emoji_concept(const EmojiNames *names, int k, char text[static EMOJI_CONCEPT]) {
    const EmojiName *e = &names->emoji[k];
    if (!strcmp(names->subgroup[e->subgroup], "family")) return strcpy(text, "family");
    int n = 0;
    text[0] = 0;
    for (int i = 0; i < e->codes; i++) {
        uint32_t code = e->code[i];
        bool alone = e->codes == 1;                 /* a skin tone by itself is a picture, too */
        if (code == 0xFE0F || code == JOINER || (is_variation(code) && !alone && i > 0)) continue;
        if (code == 0x1F468 || code == 0x1F469) code = 0x1F9D1;      /* man, woman: person */
        n += snprintf(text + n, (size_t)(EMOJI_CONCEPT - n), n ? "-%X" : "%X", (unsigned)code);
    }
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        if (!strcmp(text, aliases[i].key)) return strcpy(text, aliases[i].same_as);
    }
    return text;
}

/* ---- held out -------------------------------------------------------------------------------- */

const char *const emoji_held_out_triples[] = {
    "woman pilot: dark skin tone",             "man pilot: light skin tone",
    "woman firefighter: dark skin tone",       "man firefighter: medium skin tone",
    "woman astronaut: medium-dark skin tone",  "astronaut: light skin tone",
    "man cook: medium-light skin tone",        "cook: dark skin tone",
    "woman scientist: light skin tone",        "man scientist: medium-dark skin tone",
    "woman mechanic: medium skin tone",        "man mechanic: dark skin tone",
    "woman detective: medium-light skin tone", "man detective: medium skin tone",
    "woman singer: dark skin tone",            "man singer: light skin tone",
    "teacher: light skin tone",                "man teacher: medium-dark skin tone",
    "woman construction worker: medium skin tone", "man swimming: dark skin tone",
    "woman running: light skin tone",          "person running: medium-dark skin tone",
    "woman superhero: medium-light skin tone", "man mage: medium skin tone",
    NULL};

/* without a tone and in all five: six pictures each */
const char *const emoji_held_out_pairs[] = {
    "woman judge", "man farmer", "woman biking", "man student", NULL};

static bool in_list(const char *const *list, const char *name) {
    while (*list && strcmp(*list, name)) list++;
    return *list != NULL;
}

/* Newer versions of Unicode have mirror images, "woman running facing right: light skin tone", which
 * must not stand in training where the picture itself is held out. */
static void without_direction(const char *name, char text[static EMOJI_CONCEPT]) {
    static const char direction[] = " facing right";
    const char *at = strstr(name, direction);
    int n = at ? (int)(at - name) : (int)strlen(name);
    snprintf(text, EMOJI_CONCEPT, "%.*s%s", n, name, at ? at + sizeof direction - 1 : "");
}

bool emoji_held_out(const char *name) {
    char triple[EMOJI_CONCEPT], pair[EMOJI_CONCEPT];
    without_direction(name, triple);
    snprintf(pair, sizeof pair, "%.*s", (int)strcspn(triple, ":"), triple);
    return in_list(emoji_held_out_triples, triple) || in_list(emoji_held_out_pairs, pair);
}
