#include "prose.h"
#include "base/file.h"
#include "base/memory.h"
#include "figure.h"

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- what every page begins with ------------------------------------------------------------- */

void put_head(Text *t, const char *title, const char *up, const char *class) {
    text_put(t, "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\n"
                "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
                "<title>%s</title>\n<link rel=stylesheet href=\"%skatex/katex.min.css\">\n"
                "<link rel=stylesheet href=\"%sbook.css\">\n<script src=\"%sbook.js\" defer></script>\n"
                "</head><body class=%s>\n", title, up, up, up, class);
}

/* ---- formulas -------------------------------------------------------------------------------- */

#define BEGIN_MARK "\xee\x80\x80"       /* U+E000 and U+E001: nobody writes these */
#define END_MARK "\xee\x80\x81"

static void put_json(Text *t, const char *s, size_t n) {
    text_append(t, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"' || s[i] == '\\') text_append(t, "\\", 1);
        if (s[i] == '\n') text_append(t, "\\n", 2);
        else if ((unsigned char)s[i] >= 32) text_append(t, s + i, 1);
    }
    text_append(t, "\"", 1);
}

static void put_formula(Index *x, Text *out, const char *s, size_t n, bool display) {
    text_put(&x->formulas, "%s[%s, ", x->formula_count ? ",\n" : "", display ? "true" : "false");
    put_json(&x->formulas, s, n);
    text_put(&x->formulas, "]");
    text_put(out, BEGIN_MARK "%d" END_MARK, x->formula_count++);
}

/* the formula that begins at s, "$...$" or "$$...$$": its length with the signs; 0: none does */
static size_t formula_at(const char *before, const char *s) {
    if (s[0] != '$') return 0;
    bool display = s[1] == '$';
    const char *start = s + (display ? 2 : 1);
    const char *end = strstr(start, display ? "$$" : "$");
    if (!end || end == start) return 0;
    if (display) return (size_t)(end + 2 - s);
    bool word = before && (isalnum((unsigned char)*before) || *before == '\\');
    if (word || *start == ' ' || end[-1] == ' ' || isdigit((unsigned char)end[1])) return 0;
    const char *blank = strstr(start, "\n\n");
    return blank && blank < end ? 0 : (size_t)(end + 1 - s);
}

/* Replaces formulas by marks, so that Markdown does not read them; code stays as it is. */
static Text without_formulas(Index *x, const char *s) {
    Text out = {0};
    bool fenced = false;
    for (const char *start = s; *s; ) {
        bool line_start = s == start || s[-1] == '\n';
        if (line_start && starts_with(s, "```")) {
            size_t line = strcspn(s, "\n");
            fenced = !fenced;
            text_append(&out, s, line);
            s += line;
            continue;
        }
        size_t n = 1, formula = fenced ? 0 : formula_at(s > start ? s - 1 : NULL, s);
        if (!fenced && *s == '`') {
            size_t ticks = strspn(s, "`");
            char *end = strstr(s + ticks, text_format("%.*s", (int)ticks, s));
            if (end) n = (size_t)(end + ticks - s);
        }
        if (formula) {
            size_t sign = s[1] == '$' ? 2 : 1;
            put_formula(x, &out, s + sign, formula - 2 * sign, sign == 2);
            s += formula;
        } else {
            text_append(&out, s, n);
            s += n;
        }
    }
    return out;
}

static void replace_marks(Text *t, char *const *formula) {
    Text out = {0};
    const char *s = t->text ? t->text : "";
    for (const char *mark; (mark = strstr(s, BEGIN_MARK)); ) {
        text_append(&out, s, (size_t)(mark - s));
        text_put(&out, "%s", formula[atoi(mark + 3)]);
        s = strstr(mark, END_MARK) + 3;
    }
    text_put(&out, "%s", s);
    free(t->text);
    *t = out;
}

void prose_set_formulas(Book *b, const char *work, const char *script) {
    char *in = path_join(work, "formulas.json"), *out = path_join(work, "formulas.html");
    Text json = {0};
    text_put(&json, "[%s]\n", b->index.formulas.text ? b->index.formulas.text : "");
    file_write(in, json.text, json.length);
    char *command = text_format("node '%s' '%s' >'%s'", script, in, out);
    if (system(command)) fail("book: `%s` failed; are node and the package katex there?", command);
    Text set = text_of_file(out);
    char **formula = memory_new((size_t)b->index.formula_count + 1, sizeof *formula, "formulas");
    char *line = set.text;
    for (int i = 0; i < b->index.formula_count; i++) {
        char *end = strchr(line, '\n');
        if (!end) fail("book: KaTeX set %d formulas of %d", i, b->index.formula_count);
        *end = 0;
        formula[i] = line;
        line = end + 1;
    }
    for (int i = 0; i < b->count; i++) {
        replace_marks(&b->page[i].body, formula);
        replace_marks(&b->page[i].contents, formula);
    }
    free(in), free(out), free(command), free(formula), text_clear(&json), text_clear(&set);
}

/* ---- links ----------------------------------------------------------------------------------- */

/* "chapters/ae/../gan" as "chapters/gan" */
static char *plain_path(const char *path) {
    char *copy = text_format("%s", path), *part[64], *save = NULL;
    int n = 0;
    for (char *p = strtok_r(copy, "/", &save); p; p = strtok_r(NULL, "/", &save)) {
        if (!strcmp(p, "..") && n) n--;
        else if (strcmp(p, ".") && n < 64) part[n++] = p;
    }
    Text t = {0};
    for (int i = 0; i < n; i++) text_put(&t, "%s%s", i ? "/" : "", part[i]);
    free(copy);
    return t.text ? t.text : text_format(".");
}

/* a heading's anchor, as code hosts make it */
char *prose_anchor(const char *title) {
    Text t = {0};
    for (const char *c = title; *c; c++) {
        if (isalnum((unsigned char)*c) || *c == '-' || *c == '_' || (*c & 0x80))
            text_put(&t, "%c", tolower((unsigned char)*c));
        else if (*c == ' ') text_put(&t, "-");
    }
    return t.text ? t.text : text_format("section");
}

/* is it this section that the page is made of? hash: "#data" */
static bool is_section(const Page *p, const char *hash) {
    char *anchor = p->section && hash ? prose_anchor(p->section) : NULL;
    bool is = anchor && !strcmp(anchor, hash + 1);
    free(anchor);
    return is;
}

/* The page of a file, or of a folder's README: of the section `hash` (NULL: none is named), if that
 * has a page of its own. NULL: there is none. */
static const Page *page_at(const Book *b, const char *path, const char *hash) {
    const Page *whole = NULL;
    for (int i = 0; i < b->count; i++) {
        const char *from = b->page[i].from;
        size_t n = strlen(from) - strlen("README.md");
        bool folder = ends_with(from, "/README.md") && strlen(path) == n - 1 && !strncmp(from, path, n - 1);
        if (strcmp(from, path) && !folder) continue;
        if (is_section(&b->page[i], hash)) return &b->page[i];
        if (!b->page[i].section) whole = &b->page[i];
    }
    return whole;
}

/* copies a file into the book, under files/ */
static void take_file(const Book *b, const char *path) {
    char *to = text_format("%s/files/%s", b->out, path);
    char *folder = text_format("%.*s", (int)(strrchr(to, '/') - to), to);
    folder_create(folder);
    size_t n;
    const uint8_t *bytes = file_map(path, &n);
    file_write(to, bytes, n);
    file_unmap(bytes, n);
    free(to), free(folder);
}

/* A page that lists a folder's files: code leads to its page, weights stay in the repository, the
 * rest is copied. */
static void list_folder(const Book *b, const char *path) {
    Text t = {0}, up = {0};
    struct dirent **entry;
    int n = scandir(path, &entry, NULL, alphasort);
    for (const char *c = path; *c; c++)
        if (*c == '/') text_put(&up, "../");
    text_put(&up, "../../");
    put_head(&t, path, up.text, "folder");
    text_put(&t, "<h1><a href=\"%sindex.html\">book</a> / %s</h1>\n<ul>\n", up.text, path);
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name;
        char *file = path_join(path, name);
        struct stat s;
        if (name[0] == '.' || stat(file, &s) || !S_ISREG(s.st_mode)) continue;
        const Page *page = page_at(b, file, NULL);
        if (page) text_put(&t, "<li><a href=\"%s%s\">%s</a></li>\n", up.text, page->name, name);
        else if (source_at(b->sources, file))
            text_put(&t, "<li><a href=\"%scode/%s.html\">%s</a></li>\n", up.text, file, name);
        else if (ends_with(name, ".safetensors"))
            text_put(&t, "<li>%s: %ld bytes, in the repository</li>\n", name, (long)s.st_size);
        else take_file(b, file), text_put(&t, "<li><a href=\"%s\">%s</a></li>\n", name, name);
        free(file);
    }
    text_put(&t, "</ul>\n</body></html>\n");
    char *to = text_format("%s/files/%s", b->out, path), *page = path_join(to, "index.html");
    folder_create(to);
    file_write(page, t.text, t.length);
    text_clear(&t), text_clear(&up), free(to), free(page);
}

/* where the book keeps a file or folder of the repository that is no page; it is put there */
static char *taken_along(const Book *b, const char *path) {
    struct stat s;
    if (stat(path, &s)) fail("book: a text leads to %s, which is not there", path);
    if (S_ISDIR(s.st_mode)) {
        list_folder(b, path);
        return text_format("files/%s/index.html", path);
    }
    take_file(b, path);
    return text_format("files/%s", path);
}

/* what a link of page p names, from the top of the repository, without its anchor */
static char *linked_path(const Page *p, const char *url) {
    const char *slash = strrchr(p->from, '/');
    int folder = slash ? (int)(slash - p->from) + 1 : 0;
    char *joined = text_format("%.*s%.*s", folder, p->from, (int)strcspn(url, "#"), url);
    char *path = plain_path(joined);
    free(joined);
    return path;
}

/* where a link of page p leads in the book */
static char *book_link(const Book *b, const Page *p, const char *url) {
    if (starts_with(url, "http")) return text_format("%s", url);
    const char *hash = strchr(url, '#');
    char *path = url[0] == '#' ? text_format("%s", p->from) : linked_path(p, url);
    const Page *to = page_at(b, path, hash);
    char *link;
    if (to) link = text_format("%s%s", to == p && hash ? "" : to->name, hash ? hash : "");
    else if (source_at(b->sources, path)) link = text_format("code/%s.html", path);
    else link = taken_along(b, path);
    free(path);
    return link;
}

/* ---- what is changed in the tree ------------------------------------------------------------- */

/* without marks of formulas */
static void put_words(const char *s, Text *t) {
    for (const char *mark; (mark = strstr(s, BEGIN_MARK)); s = strstr(mark, END_MARK) + 3)
        text_append(t, s, (size_t)(mark - s));
    text_put(t, "%s", s);
}

/* the text of a node and what is below it */
static void put_text(cmark_node *node, Text *t) {
    const char *literal = cmark_node_get_literal(node);
    cmark_node_type type = cmark_node_get_type(node);
    if (literal && type != CMARK_NODE_HTML_INLINE && type != CMARK_NODE_HTML_BLOCK)
        put_words(literal, t);
    if (type == CMARK_NODE_SOFTBREAK || type == CMARK_NODE_LINEBREAK) text_put(t, " ");
    for (cmark_node *c = cmark_node_first_child(node); c; c = cmark_node_next(c)) put_text(c, t);
    bool block = type == CMARK_NODE_PARAGRAPH || type == CMARK_NODE_ITEM;
    if (block) text_put(t, " ");
}

static void replace_node(cmark_node *node, cmark_node_type type, const char *html) {
    cmark_node *new = cmark_node_new(type);
    cmark_node_set_literal(new, html);
    cmark_node_replace(node, new);
    cmark_node_free(node);
}

static void change_heading(Page *p, cmark_node *node) {
    Text title = {0}, html = {0};
    put_text(node, &title);
    int level = cmark_node_get_heading_level(node);
    char *anchor = prose_anchor(title.text), *inner = cmark_render_html(node, CMARK_OPT_UNSAFE, NULL);
    char *start = strchr(inner, '>') + 1, *end = strrchr(inner, '<');
    text_put(&html, "<h%d id=\"%s\">%.*s <a class=anchor href=\"#%s\" aria-label=\"link to this section\">#</a></h%d>\n",
             level, anchor, (int)(end - start), start, anchor, level);
    if (level == 1 && !p->title) p->title = text_format("%s", title.text);
    if (level > 1 && level < 4)
        text_put(&p->contents, "<li class=h%d><a href=\"#%s\">%.*s</a></li>\n", level, anchor,
                 (int)(end - start), start);
    replace_node(node, CMARK_NODE_HTML_BLOCK, html.text);
    text_clear(&title), text_clear(&html), free(anchor), free(inner);
}

/* "c file=X fn=Y": the function as the source has it */
static void change_quote(const Book *b, cmark_node *node, const char *info) {
    char file[300], name[200];
    if (sscanf(info, "c file=%299s fn=%199s", file, name) != 2) return;
    const Source *s = source_at(b->sources, file);
    int number = s ? (int)(s - b->sources->source) : -1;
    const Function *f = s ? function_named(b->sources, name, number) : NULL;
    if (!f) fail("book: a text quotes %s of %s, which is not there", name, file);
    Text html = {0};
    text_put(&html, "<figure class=quote data-code=\"code/%s.html#%s\"><figcaption><a target=code "
                    "href=\"code/%s.html#%s\">%s</a></figcaption><pre>", file, name, file, name, file);
    source_lines(b->sources, f->source, f->first, f->last, "", &html);
    text_put(&html, "</pre></figure>\n");
    replace_node(node, CMARK_NODE_HTML_BLOCK, html.text);
    text_clear(&html);
}

/* `name` in the text, if it is a function's */
static void change_code(const Book *b, cmark_node *node) {
    const char *literal = cmark_node_get_literal(node);
    cmark_node *above = cmark_node_parent(node);
    if (above && cmark_node_get_type(above) == CMARK_NODE_LINK) return;
    char *name = text_format("%.*s", (int)strcspn(literal, "("), literal);
    const Function *f = function_named(b->sources, name, -1);
    if (f) {
        Text html = {0};
        text_put(&html, "<a class=call target=code href=\"code/%s.html#%s\" title=\"",
                 b->sources->source[f->source].path, f->name);
        text_escaped(&html, f->comment, strlen(f->comment));
        text_put(&html, "\"><code>");
        text_escaped(&html, literal, strlen(literal));
        text_put(&html, "</code></a>");
        replace_node(node, CMARK_NODE_HTML_INLINE, html.text);
        text_clear(&html);
    }
    free(name);
}

/* A picture, and under it the command that made it, its records, its film. alt: escaped; width: as
 * HTML has it, NULL: its own. */
static void put_figure(const Book *b, const Page *p, const char *url, const char *alt,
                       const char *width, Text *t) {
    char *link = book_link(b, p, url), *path = linked_path(p, url), *command = figure_command(path);
    char *film = figure_film(path), *played = film ? taken_along(b, film) : NULL;
    text_put(t, "<span class=figure");
    if (width) text_put(t, " style=\"display: inline-block; width: %s\"", width);
    text_put(t, "><a href=\"%s\"><img loading=lazy src=\"%s\" alt=\"%s\"></a><span class=from>", link, link, alt);
    if (command) {
        text_put(t, "<code>");
        text_escaped(t, command, strlen(command));
        text_put(t, "</code> ");
    }
    if (p->record) text_put(t, "<a href=\"%s\">record</a> ", p->record);
    if (film) text_put(t, "<a class=film href=\"%s\">play</a>", played);
    text_put(t, "</span></span>");
    free(link), free(path), free(command), free(film), free(played);
}

static void change_image(const Book *b, const Page *p, cmark_node *node) {
    Text words = {0}, alt = {0}, html = {0};
    for (cmark_node *c = cmark_node_first_child(node); c; c = cmark_node_next(c)) put_text(c, &words);
    text_escaped(&alt, words.text ? words.text : "", words.length);
    put_figure(b, p, cmark_node_get_url(node), alt.text ? alt.text : "", NULL, &html);
    replace_node(node, CMARK_NODE_HTML_INLINE, html.text);
    text_clear(&words), text_clear(&alt), text_clear(&html);
}

static void change_link(const Book *b, const Page *p, cmark_node *node) {
    char *link = book_link(b, p, cmark_node_get_url(node));
    cmark_node_set_url(node, link);
    free(link);
}

/* the value of alt="..." in a tag; NULL: it has none. To be freed. */
static char *attribute(const char *tag, const char *name) {
    char *start = text_format(" %s=\"", name);
    const char *value = strstr(tag, start), *end = strchr(tag, '>');
    bool has = value && value < end;
    if (has) value += strlen(start);
    free(start);
    return has ? text_format("%.*s", (int)strcspn(value, "\""), value) : NULL;
}

/* pictures that are written in HTML */
static void change_html(const Book *b, const Page *p, cmark_node *node, const char *html) {
    Text t = {0};
    for (const char *tag; (tag = strstr(html, "<img ")); html = strchr(tag, '>') + 1) {
        if (!strchr(tag, '>')) fail("%s: a picture's tag has no end: %.60s", p->from, tag);
        char *url = attribute(tag, "src"), *alt = attribute(tag, "alt"), *width = attribute(tag, "width");
        if (!url || !alt) fail("%s: a picture without src or alt: %.60s", p->from, tag);
        text_append(&t, html, (size_t)(tag - html));
        put_figure(b, p, url, alt, width, &t);
        free(url), free(alt), free(width);
    }
    text_put(&t, "%s", html);
    cmark_node_set_literal(node, t.text);
    text_clear(&t);
}

static void change(Book *b, Page *p, cmark_node *node) {
    const char *literal = cmark_node_get_literal(node);
    switch (cmark_node_get_type(node)) {
    case CMARK_NODE_HEADING: change_heading(p, node); break;
    case CMARK_NODE_CODE_BLOCK: change_quote(b, node, cmark_node_get_fence_info(node)); break;
    case CMARK_NODE_CODE: change_code(b, node); break;
    case CMARK_NODE_IMAGE: change_image(b, p, node); break;
    case CMARK_NODE_LINK: change_link(b, p, node); break;
    case CMARK_NODE_HTML_BLOCK:
        if (starts_with(literal, "<!--")) cmark_node_unlink(node), cmark_node_free(node);
        else change_html(b, p, node, literal);
        break;
    case CMARK_NODE_HTML_INLINE: change_html(b, p, node, literal); break;
    default: break;
    }
}

/* ---- the search index ------------------------------------------------------------------------ */

/* one section: its page, anchor, heading and words */
static void put_section(Book *b, const Page *p, const Text *title, const Text *words) {
    if (!words->length && !title->length) return;
    char *anchor = title->length ? prose_anchor(title->text) : text_format("%s", "");
    Text *t = &b->index.sections;
    text_put(t, "%s[\"%s\", \"%s\", ", t->length ? ",\n" : "", p->name, anchor);
    put_json(t, title->text ? title->text : "", title->length);
    text_append(t, ", ", 2);
    put_json(t, words->text ? words->text : "", words->length);
    text_append(t, "]", 1);
    free(anchor);
}

static void index_sections(Book *b, const Page *p, cmark_node *document) {
    Text title = {0}, words = {0};
    for (cmark_node *c = cmark_node_first_child(document); c; c = cmark_node_next(c)) {
        if (cmark_node_get_type(c) == CMARK_NODE_HEADING) {
            put_section(b, p, &title, &words);
            text_clear(&title), text_clear(&words);
            put_text(c, &title);
        } else {
            put_text(c, &words);
        }
    }
    put_section(b, p, &title, &words);
    text_clear(&title), text_clear(&words);
}

/* ---- a page ---------------------------------------------------------------------------------- */

char *prose_record(const Book *b, const char *chapter) {
    char *folder = text_format("notebooks-data/%s", chapter);
    struct stat s;
    return stat(folder, &s) ? NULL : taken_along(b, folder);
}

/* Does the heading begin a section that has a page? NULL: no */
static const Page *begun(const Book *b, const char *from, cmark_node *heading) {
    Text title = {0};
    put_text(heading, &title);
    char *anchor = prose_anchor(title.text), *hash = text_format("#%s", anchor);
    const Page *p = page_at(b, from, hash);
    text_clear(&title), free(hash), free(anchor);
    return p;
}

/* Of a file whose sections are several pages, what stands on this one is left. */
static void keep_own_sections(const Book *b, const Page *p, cmark_node *document) {
    const Page *on = page_at(b, p->from, NULL);
    for (cmark_node *next, *c = cmark_node_first_child(document); c; c = next) {
        next = cmark_node_next(c);
        bool heading = cmark_node_get_type(c) == CMARK_NODE_HEADING;
        if (heading && cmark_node_get_heading_level(c) == 2) {
            on = begun(b, p->from, c);
            if (on == p && p->section) cmark_node_set_heading_level(c, 1);
        }
        if (on != p) cmark_node_unlink(c), cmark_node_free(c);
    }
}

void prose_read(Book *b, Page *p) {
    Text file = text_of_file(p->from), text = without_formulas(&b->index, file.text);
    cmark_gfm_core_extensions_ensure_registered();
    cmark_parser *parser = cmark_parser_new(CMARK_OPT_UNSAFE);
    cmark_parser_attach_syntax_extension(parser, cmark_find_syntax_extension("table"));
    cmark_parser_attach_syntax_extension(parser, cmark_find_syntax_extension("strikethrough"));
    cmark_parser_feed(parser, text.text, text.length);
    cmark_node *document = cmark_parser_finish(parser);
    keep_own_sections(b, p, document);
    index_sections(b, p, document);
    int n = 0;
    size_t room = 0;
    cmark_node **all = NULL;
    cmark_iter *iter = cmark_iter_new(document);
    for (cmark_event_type e; (e = cmark_iter_next(iter)) != CMARK_EVENT_DONE; ) {
        if (e == CMARK_EVENT_EXIT && cmark_node_first_child(cmark_iter_get_node(iter)) == NULL &&
            cmark_node_get_type(cmark_iter_get_node(iter)) == CMARK_NODE_DOCUMENT) break;
        /* leaves before what holds them: a heading is rendered when its code and links are changed */
        bool leaf = e == CMARK_EVENT_ENTER && !cmark_node_first_child(cmark_iter_get_node(iter));
        if (!leaf && e != CMARK_EVENT_EXIT) continue;
        all = memory_grow(all, &room, (size_t)n + 1, sizeof *all, "%d nodes", n + 1);
        all[n++] = cmark_iter_get_node(iter);
    }
    cmark_iter_free(iter);
    for (int i = 0; i < n; i++)
        if (i == 0 || all[i] != all[i - 1]) change(b, p, all[i]);
    char *html = cmark_render_html(document, CMARK_OPT_UNSAFE, cmark_parser_get_syntax_extensions(parser));
    text_put(&p->body, "%s", html);
    if (!p->title) p->title = text_format("%s", p->label);
    free(html), free(all);
    cmark_node_free(document);
    cmark_parser_free(parser);
    text_clear(&file), text_clear(&text);
}
