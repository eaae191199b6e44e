/* error.h — the two ways to stop, and a way to go on.
 *
 * The program is wrong (shapes, ranks, misuse): die() prints one line and aborts, so that a
 * debugger stops in the reader's own line.
 * The world is wrong (files, options, memory): fail() prints one line saying what was read, what
 * was expected and what to do, and exits with status 1; usage_error() is the same with status 2,
 * for a command line that cannot be carried out.
 * notice() prints one line, and the program goes on.
 *
 * All print to stderr, through make_printable: what comes from a file cannot steer the terminal. */
#ifndef ERROR_H
#define ERROR_H

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void notice(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
