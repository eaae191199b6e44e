/* prose.h — Markdown to the pages of the book.
 *
 * cmark-gfm parses; what the book adds is done on its tree: formulas are set by KaTeX, quoted functions
 * are figures that the reader's right column follows, links lead to pages of the book, names of
 * functions to their definitions. */
#ifndef BOOK_PROSE_H
#define BOOK_PROSE_H

#include "source.h"

/* a page of the book that comes from a Markdown file */
typedef struct {
    const char *from;        /* "chapters/ae/README.md" */
    const char *name;        /* "ae.html" */
    const char *label;       /* in the contents: "ae" */
    const char *section;     /* the page is this section of the file alone; NULL: the rest of it */
    char *title;             /* its first heading, as text */
    Text body, contents;     /* HTML; the list of its sections */
    const char *record;      /* the page of its records; NULL */
} Page;

/* What can be found: JSON arrays, but for the brackets around all */
typedef struct {
    Text sections;
    Text formulas;           /* [is it displayed?, the formula] each */
    int formula_count;
} Index;

typedef struct {
    Page *page;
    int count;
    const Sources *sources;
    const char *out;         /* the book's folder, for pictures and records that pages show */
    Index index;
} Book;

/* The beginning of a page up to its body; up: from it to the top of the book; class: the body's */
void put_head(Text *t, const char *title, const char *up, const char *class);
/* A page of the files in notebooks-data/CHAPTER; NULL: there are none */
char *prose_record(const Book *b, const char *chapter);
/* A heading's anchor, as code hosts make it; to be freed */
char *prose_anchor(const char *title);
/* Fills title, body and contents. Formulas stand as marks until prose_set_formulas. */
void prose_read(Book *b, Page *p);
/* Has KaTeX set all formulas at once, and puts them where their marks are. */
void prose_set_formulas(Book *b, const char *work, const char *script);

#endif
