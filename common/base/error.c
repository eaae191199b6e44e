#include "base/error.h"

#include "base/printable.h"
#include "base/processes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Without malloc: it may be memory that has run out. The rest of a very long line is left out. */
static void print_line(const char *format, va_list args) {
    char line[8192];
    vsnprintf(line, sizeof line, format, args);
    make_printable(line, '?');
    fflush(stdout);
    fprintf(stderr, "%s\n", line);
    fflush(stderr);
}

void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    print_line(format, args);
    abort();
}

void fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    print_line(format, args);
    exit(1);
}

void usage_error(const char *format, ...) {
    va_list args;
    va_start(args, format);
    print_line(format, args);
    exit(2);
}

void notice(const char *format, ...) {
    if (process_rank()) return;      /* the others have noticed the same */
    va_list args;
    va_start(args, format);
    print_line(format, args);
    va_end(args);
}
