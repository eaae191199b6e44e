/* book.c — the book: every text of the repository with the code it speaks of beside it, as plain
 * files that a browser opens from the disk.
 *
 *     book OUT      from the top of the repository; `make book` does it
 *
 * The READMEs and sources are read as they are. OUT/index.html is the first page. */
#include "base/error.h"
#include "base/file.h"
#include "prose.h"
#include "reference.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STORY "gan", "ae", "dae_mae", "vae", "vqvae", "vqvae2", "dalle", "ddpm", "iddpm", "guidance", \
              "cfg", "dalle2", "ldm"

enum { MOST_PAGES = 60 };

/* ---- pages ----------------------------------------------------------------------------------- */

static bool exists(const char *path) {
    return access(path, R_OK) == 0;
}

static Page *add_page(Book *b, char *from, char *name, char *label) {
    if (b->count == MOST_PAGES) die("book: more than %d pages", MOST_PAGES);
    b->page[b->count] = (Page){.from = from, .name = name, .label = label};
    return &b->page[b->count++];
}

static void add_record(Book *b, const char *folder) {
    char *from = text_format("notebooks-data/%s/README.md", folder);
    if (exists(from)) add_page(b, from, text_format("record-%s.html", folder),
                               text_format("record: %s", folder));
}

/* in the order of the story; then the library, the data, the scores, the speed, the tests, the records */
static void list_pages(Book *b) {
    static const char *const story[] = {STORY};
    add_page(b, "README.md", "index.html", "start");
    for (size_t i = 0; i < sizeof story / sizeof story[0]; i++) {
        char *from = text_format("chapters/%s/README.md", story[i]);
        if (!exists(from)) continue;
        add_page(b, from, text_format("%s.html", story[i]), text_format("%s", story[i]));
        if (!strcmp(story[i], "dae_mae")) add_page(b, "chapters/dae_mae/MAE.md", "mae.html", "mae");
    }
    add_page(b, "common/tensor/tensor.h", "tensor.html", "tensor library");
    add_page(b, "README.md", "data.html", "data")->section = "Data";
    add_page(b, "README.md", "scores.html", "scores")->section = "All chapters compared";
    add_page(b, "tests/bench/SPEED.md", "speed.html", "speed");
    add_page(b, "tests/bench/SCALE.md", "scale.html", "several machines");
    add_page(b, "chapters/README.md", "add.html", "add an op, a chapter");
    add_page(b, "tests/README.md", "tests.html", "tests");
    glob_t records;
    if (!glob("notebooks-data/*/README.md", 0, NULL, &records))
        for (size_t i = 0; i < records.gl_pathc; i++) {
            char *folder = text_format("%s", records.gl_pathv[i] + strlen("notebooks-data/"));
            *strchr(folder, '/') = 0;
            add_record(b, folder);
        }
}

/* "chapters/ae/README.md": the page of notebooks-data/ae, which is also that of its own README */
static char *record_of(const Book *b, const char *from) {
    bool chapter = starts_with(from, "chapters/"), record = starts_with(from, "notebooks-data/");
    if (!chapter && !record) return NULL;
    const char *name = strchr(from, '/') + 1, *end = strchr(name, '/');
    if (!end) return NULL;
    char *folder = text_format("%.*s", (int)(end - name), name), *page = prose_record(b, folder);
    free(folder);
    return page;
}

/* ---- what every page has --------------------------------------------------------------------- */

static void put_contents(const Book *b, int number, Text *t) {
    text_put(t, "<nav class=contents aria-label=contents><ol>\n");
    for (int i = 0; i < b->count; i++) {
        bool here = i == number;
        text_put(t, "<li><a href=\"%s\"%s>%s</a>%s\n", b->page[i].name,
                 here ? " aria-current=page" : "", b->page[i].label, here ? "<ol>" : "</li>");
        if (here) text_put(t, "%s</ol></li>\n", b->page[i].contents.text ? b->page[i].contents.text : "");
    }
    text_put(t, "</ol></nav>\n");
}

static void put_neighbours(const Book *b, int i, Text *t) {
    text_put(t, "<nav class=neighbours aria-label=\"pages before and after\">");
    if (i > 0) text_put(t, "<a rel=prev href=\"%s\">← %s</a>", b->page[i - 1].name, b->page[i - 1].label);
    if (i < b->count - 1)
        text_put(t, "<a rel=next href=\"%s\">%s →</a>", b->page[i + 1].name, b->page[i + 1].label);
    text_put(t, "</nav>\n");
}

/* what the right column shows first: the chapter's own code */
static char *first_code(const Book *b, const Page *p) {
    char *path = text_format("chapters/%s/%s.c", p->label, p->label);
    if (!source_at(b->sources, path)) path = text_format("common/tensor/tensor.h");
    return path;
}

/* Where OUT/try has a module for the chapter, it is offered before the first section. */
static void put_body(const Book *b, const Page *p, Text *t) {
    char *name = text_format("%.*s", (int)strcspn(p->name, "."), p->name);
    char *module = text_format("%s/try/%s.js", b->out, name);
    const char *section = strstr(p->body.text, "<h2");
    if (exists(module) && section) {
        text_append(t, p->body.text, (size_t)(section - p->body.text));
        text_put(t, "<div class=try data-try=%s><button>Try it here</button></div>\n", name);
        text_put(t, "<script src=\"try.js\" defer></script>\n%s", section);
    } else {
        text_put(t, "%s", p->body.text);
    }
    free(name), free(module);
}

static void write_page(const Book *b, int i) {
    const Page *p = &b->page[i];
    Text t = {0};
    put_head(&t, p->title, "", "page");
    text_put(&t, "<header><button id=menu aria-label=contents aria-expanded=false>☰</button>"
                 "<input id=search type=search placeholder=\"search all pages\" aria-label=search>"
                 "<button id=theme aria-label=\"light or dark\">◐</button><div id=found></div></header>\n");
    put_contents(b, i, &t);
    text_put(&t, "<main>\n");
    put_body(b, p, &t);
    put_neighbours(b, i, &t);
    char *code = first_code(b, p), *path = path_join(b->out, p->name);
    text_put(&t, "</main>\n<iframe name=code title=\"source code\" src=\"code/%s.html\"></iframe>\n"
                 "</body></html>\n", code);
    file_write(path, t.text, t.length);
    text_clear(&t), free(code), free(path);
}

static void write_source(const Book *b, int number) {
    const Source *s = &b->sources->source[number];
    Text t = {0}, up = {0};
    text_put(&up, "../");
    for (const char *c = s->path; *c; c++)
        if (*c == '/') text_put(&up, "../");
    put_head(&t, s->path, up.text, "code");
    text_put(&t, "<h1><a href=\"%sindex.html\" target=_top>book</a> / %s</h1>\n", up.text, s->path);
    source_page(b->sources, number, &t);
    text_put(&t, "</body></html>\n");
    char *path = text_format("%s/code/%s.html", b->out, s->path);
    char *folder = text_format("%.*s", (int)(strrchr(path, '/') - path), path);
    folder_create(folder);
    file_write(path, t.text, t.length);
    text_clear(&t), text_clear(&up), free(path), free(folder);
}

static void write_index(const Book *b) {
    Text t = {0};
    char *path = path_join(b->out, "search.js");
    text_put(&t, "const SECTIONS = [\n%s];\n", b->index.sections.text);
    file_write(path, t.text, t.length);
    text_clear(&t), free(path);
}

/* ---- the book -------------------------------------------------------------------------------- */

static Sources read_sources(const char *work) {
    static const char *const patterns[] = {"common/*/*.[ch]", "common/tools/*/*.[ch]", "chapters/*/*.[ch]",
        "chapters/*/experiments/*.[ch]", "tests/*.[ch]", "tests/*/*.[ch]"};
    glob_t files = {0};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &files);
    if (!files.gl_pathc) fail("book: no sources here; start it at the top of the repository");
    return sources_read((int)files.gl_pathc, files.gl_pathv, work);
}

/* styles and scripts of ours, KaTeX's style and fonts */
static void take_styles(const char *out) {
    char *command = text_format(
        "cp common/tools/book/*.css common/tools/book/book.js common/tools/book/try.js '%s'/ && mkdir -p '%s'/katex && "
        "cp -rL /usr/share/javascript/katex/katex.min.css /usr/share/javascript/katex/fonts '%s'/katex/",
        out, out, out);
    if (system(command)) fail("book: `%s` failed; is the package katex there?", command);
    free(command);
}

int main(int argc, char **argv) {
    if (argc != 2) usage_error("usage: book OUT");
    char *work = text_format("%s.tmp", argv[1]);
    folder_create(argv[1]), folder_create(work);
    static Page pages[MOST_PAGES];
    Sources sources = read_sources(work);
    Book b = {.page = pages, .sources = &sources, .out = argv[1]};
    list_pages(&b);
    for (int i = 0; i < b.count; i++) b.page[i].record = record_of(&b, b.page[i].from);
    for (int i = 0; i < b.count; i++)
        if (ends_with(b.page[i].from, ".h")) reference_page(&b, &b.page[i]);
        else prose_read(&b, &b.page[i]);
    prose_set_formulas(&b, work, "common/tools/book/math.js");
    take_styles(b.out);
    for (int i = 0; i < b.count; i++) write_page(&b, i);
    for (int i = 0; i < sources.count; i++) write_source(&b, i);
    write_index(&b);
    printf("%s/index.html: %d pages, %d files of code, %d functions, %d formulas\n", b.out, b.count,
           sources.count, sources.functions, b.index.formula_count);
    return 0;
}
