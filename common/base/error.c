#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void print_line(const char *format, va_list args) {
    fflush(stdout);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
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
