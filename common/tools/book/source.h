/* source.h — the C files of the repository, highlighted, and the functions that stand in them. */
#ifndef BOOK_SOURCE_H
#define BOOK_SOURCE_H

#include "text.h"

/* a function's definition */
typedef struct {
    const char *name;
    int source;              /* its number in Sources */
    int first, last;         /* lines, from 0 */
    bool is_static;
    const char *comment;     /* above its prototype, or else its definition; "" */
    int header, line;        /* where its prototype stands; -1 */
} Function;

typedef struct {
    char *path;              /* from the top of the repository */
    int lines;
    char **plain, **html;    /* (lines) */
} Source;

typedef struct {
    Source *source;
    int count;
    Function *function;
    int functions;
    size_t room;
} Sources;

/* Reads all and has `highlight` colour them; work: a folder for its files. */
Sources sources_read(int count, char **paths, const char *work);
const Source *source_at(const Sources *s, const char *path);      /* NULL: none of them */
/* The function that `name` means where it is used in the file of number `from` (-1: in a text): of that
 * file, of its folder, or else the only one that is not static. NULL: none, or several. */
const Function *function_named(const Sources *s, const char *name, int from);

/* The page of a file. Each function is an element of its name; each call is a link to what is
 * called, with its comment. */
void source_page(const Sources *s, int number, Text *page);
/* lines first..last of a source, as they stand on its page; `up`: from the reader's page to the top
 * of the book */
void source_lines(const Sources *s, int number, int first, int last, const char *up, Text *page);

#endif
