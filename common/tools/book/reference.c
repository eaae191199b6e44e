#include "reference.h"
#include "base/error.h"
#include "base/file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define HEADER "common/tensor/tensor.h"

/* is `name` a word of this line? */
static bool has_word(const char *line, const char *name) {
    size_t n = strlen(name);
    for (const char *c = line; (c = strstr(c, name)); c += n) {
        bool before = c > line && (isalnum((unsigned char)c[-1]) || c[-1] == '_');
        if (!before && !isalnum((unsigned char)c[n]) && c[n] != '_') return true;
    }
    return false;
}

/* the files that call it, those of the library itself aside */
static void put_uses(const Book *b, const Function *f, Text *t) {
    enum { MOST = 10 };
    int n = 0;
    for (int i = 0; i < b->sources->count; i++) {
        const Source *s = &b->sources->source[i];
        if (starts_with(s->path, "common/tensor/") || starts_with(s->path, "tests/") ||
            strstr(s->path, "/test_")) continue;
        bool found = false;
        for (int k = 0; k < s->lines && !found; k++) found = has_word(s->plain[k], f->name);
        if (!found) continue;
        if (n < MOST)
            text_put(t, "%s<a target=code href=\"code/%s.html\">%s</a>", n ? ", " : "Used in ",
                     s->path, s->path);
        n++;
    }
    if (n > MOST) text_put(t, " and %d more files", n - MOST);
    text_put(t, n ? ".\n" : "Used in no file but tests.\n");
}

/* the comment above the definition, where it is another than the prototype's: formulas */
static Text comment_of_definition(const Book *b, const Function *f) {
    const Source *s = &b->sources->source[f->source];
    Text t = {0};
    int last = f->first - 1, first = last;
    while (last >= 0 && s->plain[last][0] && !ends_with(s->plain[last], "*/")) last--;
    if (last < 0 || !ends_with(s->plain[last], "*/")) return t;
    for (first = last; first > 0 && !strstr(s->plain[first], "/*"); ) first--;
    for (int i = first; i <= last; i++) text_put(&t, "%s\n", s->plain[i]);
    return t;
}

static void put_op(Book *b, const Function *f, Page *p) {
    const Source *header = &b->sources->source[f->header];
    Text *t = &p->body;
    text_put(t, "<h3 id=\"%s\"><code>%s</code> <a class=anchor href=\"#%s\" aria-label=\"link to "
                "this op\">#</a></h3>\n<pre>", f->name, f->name, f->name);
    int last = f->line;
    while (last < header->lines - 1 && !strchr(header->plain[last], ';')) last++;
    source_lines(b->sources, f->header, f->line, last, "", t);
    text_put(t, "</pre>\n<p>");
    text_escaped(t, f->comment, strlen(f->comment));
    text_put(t, "</p>\n");
    Text comment = comment_of_definition(b, f);
    if (comment.length) {
        text_put(t, "<pre class=formula>");
        text_escaped(t, comment.text, comment.length);
        text_put(t, "</pre>\n");
    }
    text_put(t, "<p>Stands in <a target=code href=\"code/%s.html#%s\">%s</a>. ",
             b->sources->source[f->source].path, f->name, b->sources->source[f->source].path);
    put_uses(b, f, t);
    text_put(t, "</p>\n");
    text_put(&b->index.sections, "%s[\"%s\", \"%s\", \"%s\", \"\"]",
             b->index.sections.length ? ",\n" : "", p->name, f->name, f->name);
    text_clear(&comment);
}

static const Function *declared_at(const Sources *s, int header, int line) {
    for (int k = 0; k < s->functions; k++)
        if (s->function[k].header == header && s->function[k].line == line)
            return &s->function[k];
    return NULL;
}

/* "---- name ----" */
static void put_section_heading(Page *p, const char *line) {
    const char *start = line + strlen("/* ---- "), *end = strstr(start, " --");
    char *name = text_format("%.*s", end ? (int)(end - start) : (int)strlen(start), start);
    char *anchor = prose_anchor(name);
    text_put(&p->body, "<h2 id=\"%s\">%s</h2>\n", anchor, name);
    text_put(&p->contents, "<li class=h2><a href=\"#%s\">%s</a></li>\n", anchor, name);
    free(name), free(anchor);
}

void reference_page(Book *b, Page *p) {
    const Source *header = source_at(b->sources, HEADER);
    if (!header) fail("book: no %s; start it at the top of the repository", HEADER);
    int number = (int)(header - b->sources->source);
    p->title = text_format("The tensor library");
    text_put(&p->body, "<h1>The tensor library</h1>\n<p>Every function of <a target=code href=\"code/"
             HEADER ".html\">tensor.h</a>, in its order: what it does, the formulas of its value "
             "and its gradients, and who uses it.</p>\n");
    int section = -1;                /* the line of its heading, until that is written */
    for (int i = 0; i < header->lines; i++) {
        if (starts_with(header->plain[i], "/* ---- ")) section = i;
        const Function *f = declared_at(b->sources, number, i);
        if (f && section >= 0) put_section_heading(p, header->plain[section]), section = -1;
        if (f) put_op(b, f, p);
    }
}
