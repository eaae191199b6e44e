#include "source.h"
#include "base/file.h"
#include "base/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- highlighting ---------------------------------------------------------------------------- */

#define MARK "/* BOOK "

/* one file of all sources, each behind a line that names it: one start of `highlight` for all */
static void write_all(int count, char **paths, const char *to) {
    AtomicFile f = file_create(to);
    for (int i = 0; i < count; i++) {
        Text t = text_of_file(paths[i]);
        fprintf(f.stream, MARK "%s */\n%s", paths[i], t.text);
        if (t.length && t.text[t.length - 1] != '\n') fputc('\n', f.stream);
        text_clear(&t);
    }
    file_commit(&f);
}

/* the text's lines, which it is cut into; returns how many */
static int cut_lines(char *text, char ***lines) {
    int n = 0;
    size_t room = 0;
    *lines = NULL;
    for (char *end; *text; text = end + 1) {
        *lines = memory_grow(*lines, &room, (size_t)n + 1, sizeof **lines, "%d lines", n + 1);
        (*lines)[n++] = text;
        if (!(end = strchr(text, '\n'))) break;
        *end = 0;
    }
    return n;
}

static void highlight_all(Sources *s, int count, char **paths, const char *work) {
    char *plain = path_join(work, "all.c"), *html = path_join(work, "all.html");
    write_all(count, paths, plain);
    char *command = text_format("highlight --syntax c --out-format html --fragment "
                                "--encoding utf-8 '%s' >'%s'", plain, html);
    if (system(command)) fail("book: `%s` failed; is the package highlight there?", command);
    char **a, **b;
    int n = cut_lines(text_of_file(plain).text, &a), m = cut_lines(text_of_file(html).text, &b);
    if (m < n) fail("book: `highlight` made %d lines of %d", m, n);
    s->source = memory_new((size_t)count, sizeof *s->source, "%d files", count);
    for (int i = 0, file = -1; i < n; i++) {
        if (starts_with(a[i], MARK)) {
            s->source[++file] = (Source){.path = paths[file], .plain = a + i + 1, .html = b + i + 1};
            continue;
        }
        s->source[file].lines++;
    }
    s->count = count;
    free(plain), free(html), free(command);
}

/* ---- functions ------------------------------------------------------------------------------- */

/* The name before the first bracket of a line that may begin a function; NULL: it begins none. */
static char *declared_name(const char *line) {
    const char *bracket = strchr(line, '(');
    if (!isalpha((unsigned char)line[0]) || !bracket || starts_with(line, "typedef")) return NULL;
    const char *end = bracket, *equals = strchr(line, '=');
    if (equals && equals < bracket) return NULL;
    while (end > line && end[-1] == ' ') end--;
    const char *start = end;
    while (start > line && (isalnum((unsigned char)start[-1]) || start[-1] == '_')) start--;
    if (start == end || start == line || !(start[-1] == ' ' || start[-1] == '*')) return NULL;
    return text_format("%.*s", (int)(end - start), start);
}

/* the comment that ends on line `last`, without its stars; "" if none does */
static const char *comment_above(const Source *s, int last) {
    if (last < 0 || !ends_with(s->plain[last], "*/")) return "";
    int first = last;
    while (first > 0 && !strstr(s->plain[first], "/*")) first--;
    if (!starts_with(s->plain[first], "/*") || starts_with(s->plain[first], "/* ----")) return "";
    Text t = {0};
    for (int i = first; i <= last; i++) {
        const char *line = s->plain[i];
        while (*line == ' ' || *line == '/' || *line == '*') line++;
        size_t n = strlen(line);
        if (i == last) n -= 2;
        while (n && line[n - 1] == ' ') n--;
        text_append(&t, line, n);
        if (i < last) text_append(&t, "\n", 1);
    }
    return t.text ? t.text : "";
}

/* the comment behind what ends on this line */
static const char *comment_behind(const char *line) {
    const char *start = strstr(line, "/*"), *end = start ? strstr(start, "*/") : NULL;
    if (!end) return "";
    return text_format("%.*s", (int)(end - start) - 3, start + 3);
}

static void add_function(Sources *s, Function f) {
    size_t n = (size_t)s->functions + 1;
    s->function = memory_grow(s->function, &s->room, n, sizeof f, "%zu functions", n);
    s->function[s->functions++] = f;
}

/* What begins on line i: a definition (1) or a prototype (0) that ends on line *last; -1: neither. */
static int kind_of(const Source *s, int i, int *last) {
    for (int k = i; k < s->lines && k < i + 8; k++) {
        const char *line = s->plain[k], *brace = strchr(line, '{'), *stop = strchr(line, ';');
        if (k > i && !*line) return -1;
        if (brace && (!stop || brace < stop)) {
            *last = k;
            if (k == i && ends_with(line, "}")) return 1;
            while (*last < s->lines - 1 && s->plain[*last][0] != '}') ++*last;
            return 1;
        }
        if (stop) return *last = k, 0;
    }
    return -1;
}

static void find_functions(Sources *s) {
    for (int n = 0; n < s->count; n++)
        for (int i = 0, last; i < s->source[n].lines; i++) {
            const Source *f = &s->source[n];
            char *name = declared_name(f->plain[i]);
            if (!name || !strcmp(name, "Test") || kind_of(f, i, &last) != 1) continue;
            add_function(s, (Function){.name = name, .source = n, .first = i, .last = last,
                                       .is_static = starts_with(f->plain[i], "static"),
                                       .comment = comment_above(f, i - 1), .header = -1});
            i = last;
        }
}

/* Comments of public functions stand above their prototypes. */
static void find_prototypes(Sources *s) {
    for (int n = 0; n < s->count; n++) {
        const Source *f = &s->source[n];
        if (!ends_with(f->path, ".h")) continue;
        for (int i = 0, last; i < f->lines; i++) {
            char *name = declared_name(f->plain[i]);
            if (!name || kind_of(f, i, &last) != 0) continue;
            const char *comment = comment_above(f, i - 1);
            if (!*comment) comment = comment_behind(f->plain[last]);
            for (int k = 0; k < s->functions; k++) {
                Function *d = &s->function[k];
                if (d->is_static || strcmp(d->name, name) || d->header >= 0) continue;
                d->header = n, d->line = i;
                if (*comment) d->comment = comment;
            }
        }
    }
}

Sources sources_read(int count, char **paths, const char *work) {
    Sources s = {0};
    highlight_all(&s, count, paths, work);
    find_functions(&s);
    find_prototypes(&s);
    return s;
}

const Source *source_at(const Sources *s, const char *path) {
    for (int i = 0; i < s->count; i++)
        if (!strcmp(s->source[i].path, path)) return &s->source[i];
    return NULL;
}

/* is the file in the folder of the other? */
static bool beside(const char *path, const char *other) {
    size_t n = (size_t)(strrchr(path, '/') - path);
    return !strncmp(path, other, n + 1) && !strchr(other + n + 1, '/');
}

const Function *function_named(const Sources *s, const char *name, int from) {
    const Function *near = NULL, *public = NULL;
    int publics = 0;
    for (int k = 0; k < s->functions; k++) {
        const Function *f = &s->function[k];
        if (strcmp(f->name, name)) continue;
        if (f->source == from) return f;
        if (f->is_static) continue;
        if (from >= 0 && beside(s->source[from].path, s->source[f->source].path)) near = f;
        public = f;
        publics++;
    }
    return near ? near : publics == 1 ? public : NULL;
}

/* ---- pages ----------------------------------------------------------------------------------- */

/* a link to f; `here`: on the page of its file, where the rest of the page is */
static void put_call(const Sources *s, const Function *f, const char *up, bool here, Text *page) {
    enum { LONGEST = 400 };
    if (here) text_put(page, "<a class=call href=\"#%s\"", f->name);
    else text_put(page, "<a class=call%s href=\"%scode/%s.html#%s\"", *up ? "" : " target=code", up,
                  s->source[f->source].path, f->name);
    if (*f->comment) {
        size_t n = strlen(f->comment);
        text_put(page, " title=\"");
        text_escaped(page, f->comment, n < LONGEST ? n : LONGEST);
        text_put(page, n < LONGEST ? "\"" : " ...\"");
    }
    text_put(page, ">%s</a>", f->name);
}

/* a line of highlighted code, in which the names of functions become links */
static void put_line(const Sources *s, int from, const char *line, const char *up, bool here,
                     Text *page) {
    static const char call[] = "<span class=\"hl kwd\">";
    for (const char *next; (next = strstr(line, call)); ) {
        const char *start = next + sizeof call - 1, *end = strstr(start, "</span>");
        if (!end) break;
        char *name = text_format("%.*s", (int)(end - start), start);
        const Function *f = function_named(s, name, from);
        text_append(page, line, (size_t)(next - line));
        if (f) put_call(s, f, up, here && f->source == from, page);
        else text_put(page, "%s%s</span>", call, name);
        line = end + 7;
        free(name);
    }
    text_put(page, "%s", line);
}

void source_lines(const Sources *s, int number, int first, int last, const char *up, Text *page) {
    for (int i = first; i <= last; i++) {
        put_line(s, number, s->source[number].html[i], up, false, page);
        text_append(page, "\n", 1);
    }
}

/* the function that begins on this line */
static const Function *begins(const Sources *s, int number, int line) {
    for (int k = 0; k < s->functions; k++)
        if (s->function[k].source == number && s->function[k].first == line)
            return &s->function[k];
    return NULL;
}

/* Of several functions of one name, each for another build, links lead to the first. */
static void put_beginning(const Sources *s, const Function *f, Text *page) {
    bool first = function_named(s, f->name, f->source) == f;
    text_put(page, "<span class=fn");
    if (first) text_put(page, " id=\"%s\"", f->name);
    text_put(page, ">");
}

void source_page(const Sources *s, int number, Text *page) {
    const Source *f = &s->source[number];
    Text up = {0};
    text_put(&up, "../");
    for (const char *c = f->path; *c; c++)
        if (*c == '/') text_put(&up, "../");
    const Function *inside = NULL;
    text_put(page, "<pre class=source>");
    for (int i = 0; i < f->lines; i++) {
        const Function *here = begins(s, number, i);
        if (here) inside = here, put_beginning(s, here, page);
        text_put(page, "<span class=n id=L%d></span>", i + 1);
        put_line(s, number, f->html[i], up.text, true, page);
        bool ends = inside && inside->last == i;
        if (ends) text_put(page, "</span>"), inside = NULL;
        else text_put(page, "\n");
    }
    text_put(page, "</pre>\n");
    text_clear(&up);
}
