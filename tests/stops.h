/* stops.h — checks that something ends the program as it should: exit status, and exactly one line on
 * stderr. Included once in a test program. */
#ifndef STOPS_H
#define STOPS_H

#include <criterion/criterion.h>
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

/* Runs run(context) in a process of its own. It must exit with `status` after one line that holds `part`. */
static inline void expect_stop(int status, const char *part, void (*run)(void *), void *context) {
    char line[4096] = "";
    int result;
    FILE *f = tmpfile();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        in_child = true;
        dup2(fileno(f), STDERR_FILENO);
        run(context);
        _exit(0);                         /* it did not stop */
    }
    waitpid(child, &result, 0);
    rewind(f);
    size_t n = fread(line, 1, sizeof line - 1, f);
    line[n] = 0;
    fclose(f);
    cr_assert(WIFEXITED(result) && WEXITSTATUS(result) == status, "exit status %d, %d expected; said: %s",
              WIFEXITED(result) ? WEXITSTATUS(result) : -WTERMSIG(result), status, line);
    cr_assert(n > 1 && strchr(line, '\n') == line + n - 1, "not exactly one line: %s", line);
    cr_assert(strstr(line, part), "'%s' is not in: %s", part, line);
}

#endif
