/* stops.h — for tests of files and command lines. Included once in a test program.
 *
 *   - stop_and_listen    something in a process of its own: its exit status, and what it says
 *   - expect_stop        something ends the program with its status and one line on stderr
 *   - place              a path in a folder of this test's own */
#ifndef STOPS_H
#define STOPS_H

#include "base/file.h"
#include "testing.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* LeakSanitizer asks this: in the forked process it could not look at what its parent allocated. */
static bool in_child;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
    return in_child;
}

/* Runs run(context) in a process of its own; what it says on stderr goes to `said`. Returns its exit
 * status, or minus the signal that ended it. */
static inline int stop_and_listen(void (*run)(void *), void *context, char said[static 4096]) {
    int result, ends[2];
    cr_assert_eq(pipe(ends), 0);             /* no file, whose size a test may limit */
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        in_child = true;
        close(ends[0]), dup2(ends[1], STDERR_FILENO), close(ends[1]);
        run(context);
        _exit(0);                         /* it did not stop */
    }
    close(ends[1]);
    FILE *f = fdopen(ends[0], "r");
    said[fread(said, 1, 4095, f)] = 0;
    while (fgetc(f) != EOF) {}
    fclose(f);
    waitpid(child, &result, 0);
    return WIFEXITED(result) ? WEXITSTATUS(result) : -WTERMSIG(result);
}

/* The same must exit with `status` after one line that holds `part`. */
static inline void expect_stop(int status, const char *part, void (*run)(void *), void *context) {
    char line[4096];
    int got = stop_and_listen(run, context, line);
    size_t n = strlen(line);
    cr_assert(got == status, "exit status %d, %d expected; said: %s", got, status, line);
    cr_assert(n > 1 && strchr(line, '\n') == line + n - 1, "not exactly one line: %s", line);
    cr_assert(strstr(line, part), "'%s' is not in: %s", part, line);
}

/* FOLDER/name in a folder of this test's own */
static inline const char *place(const char *name) {
    static char *folder, path[8][256];
    static int next;
    if (!folder) folder = temporary_folder();
    char *p = path[next++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

#endif
