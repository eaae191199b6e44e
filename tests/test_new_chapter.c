/* test_new_chapter.c — does README's "Adding a chapter" work, in under 80 lines, and do the tests that
 * it gets by itself pass? */
#include "programs.h"

PROGRAM_SUITE(new_chapter);

Test(new_chapter, the_chapter_of_the_readme_trains_resumes_samples_and_is_tested, .timeout = 900) {
    const char *build = getenv("BUILD");
    char command[300];
    snprintf(command, sizeof command, "sh tests/new_chapter.sh %s %s/tree >%s/log 2>&1",
             build ? build : "build", folder, folder);
    int status = system(command);
    if (status) {
        snprintf(command, sizeof command, "tail -n 40 %s/log >&2", folder);
        cr_expect_eq(system(command), 0);
    }
    cr_expect_eq(status, 0);
}
