/* test_mutants.c — does every row of mutants.tsv still fit the source? `make mutants`, which tries the
 * rows, takes an hour; one whose file, line or test has another name by now would try nothing until
 * then. */
#define _GNU_SOURCE   /* FNM_EXTMATCH */
#include "programs.h"

#include <fnmatch.h>
#include <ftw.h>

static char *files[3000];
static int file_count;

static int note_file(const char *path, const struct stat *s, int type, struct FTW *place) {
    (void)s, (void)place;
    if (type != FTW_F) return 0;
    cr_assert(file_count < (int)(sizeof files / sizeof *files));
    files[file_count++] = strdup(path);
    return 0;
}

static void find_files(void) {
    static const char *const folders[] = {"common", "chapters", "tests"};
    for (int i = 0; i < 3; i++) cr_assert_eq(nftw(folders[i], note_file, 16, FTW_PHYS), 0);
}

TestSuite(mutants, .init = find_files, .fini = after_each_test);

/* the file whose path is this, or ends with it behind a /; "": none; NULL: several */
static const char *file_called(const char *name) {
    const char *found = "";
    for (int i = 0; i < file_count; i++) {
        size_t n = strlen(files[i]), k = strlen(name);
        bool ends = n >= k && !strcmp(files[i] + n - k, name);
        if (!ends || (n > k && files[i][n - k - 1] != '/')) continue;
        if (*found) return NULL;
        found = files[i];
    }
    return found;
}

static bool stands_once(const char *path, const char *part) {
    char *text = text_of(path), *first = *part ? strstr(text, part) : NULL;
    bool once = first && !strstr(first + strlen(part), part);
    free(text);
    return once;
}

/* has this file a test whose suite/name fits the pattern? */
static bool file_has_test(const char *path, const char *pattern) {
    char *text = text_of(path), suite[60], test[100], name[200];
    bool found = false;
    for (char *line = text; line && !found; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (sscanf(line, "Test(%59[^,], %99[^,)]", suite, test) != 2 &&
            sscanf(line, "EACH_%*[A-Z](%59[^,], %99[^,)]", suite, test) != 2)
            continue;
        snprintf(name, sizeof name, "%s/%s", suite, test);
        found = !fnmatch(pattern, name, FNM_EXTMATCH);
    }
    free(text);
    return found;
}

/* +PROGRAM: is it built from one of these? */
static bool is_program(const char *name) {
    static const char *const sources[] = {"chapters/%s/main.c", "common/tools/%s/main.c",
                                          "tests/%s.c"};
    char path[200];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, sources[i], name);
        if (access(path, R_OK) == 0) return true;
    }
    return false;
}

/* PROGRAM-float[:PATTERN] or -double: has it such a test? */
static bool is_test(const char *word) {
    char program[60], precision[10], pattern[200] = "*", sources[2][100];
    int n = 0;
    if (sscanf(word, "%59[^-:]-%9[a-z]%n:%n%190s", program, precision, &n, &n, pattern) < 2)
        return false;
    if (strcmp(precision, "float") && strcmp(precision, "double")) return false;
    if (!strchr(pattern, '/')) memmove(pattern + 2, pattern, strlen(pattern) + 1),
                               memcpy(pattern, "*/", 2);
    snprintf(sources[0], sizeof *sources, "tests/test_%s.c", program);
    snprintf(sources[1], sizeof *sources, "chapters/%s/test_*.c", program);
    for (int i = 0; i < file_count; i++)
        for (int k = 0; k < 2; k++)
            if (!fnmatch(sources[k], files[i], FNM_PATHNAME) && file_has_test(files[i], pattern))
                return true;
    return false;
}

/* What is wrong with a row? NULL: nothing. Its tabs become ends of strings. */
static const char *misfit(char *row) {
    char *column[4] = {row};
    for (int i = 1; i < 4; i++) {
        column[i] = strchr(column[i - 1], '\t');
        if (!column[i]) return "fewer than four columns";
        *column[i]++ = 0;
    }
    if (strchr(column[3], '\t')) return "more than four columns";
    const char *path = file_called(column[0]);
    if (!path) return "several files of this name";
    if (!*path) return "no file of this name";
    if (!stands_once(path, column[2])) return "OLD does not stand there once";
    if (!strcmp(column[2], column[3])) return "nothing is changed";
    for (char *word = strtok(column[1], " "); word; word = strtok(NULL, " ")) {
        if (*word == '+' && !is_program(word + 1)) return "no such program";
        if (*word != '+' && !is_test(word)) return "no such test";
    }
    return NULL;
}

Test(mutants, every_row_fits_the_source) {
    char *table = text_of("tests/mutants.tsv"), *rest = table;
    int number = 0, rows = 0;
    for (char *line; (line = strsep(&rest, "\n"));) {
        number++;
        if (!*line || *line == '#') continue;
        const char *wrong = misfit(line);
        cr_expect(!wrong, "mutants.tsv:%d: %s: %s", number, line, wrong);
        rows++;
    }
    cr_expect(rows > 400, "%d rows", rows);
    free(table);
}

Test(mutants, a_row_that_no_longer_fits_is_noticed) {
    static const char *const rows[][2] = {
        {"tests/testing.c\tgrad-float\tdouble log_normal_density(\tint f(", NULL},
        {"testing.c\tgrad-float:* +ae\tdouble log_normal_density(\t", NULL},
        {"testing.c\tgrad-float programs-float:programs/a_resumed*\tdouble log_normal_density(\t",
         NULL},
        {"esting.c\tgrad-float\tdouble log_normal_density(\t", "no file of this name"},
        {"main.c\tgrad-float\tint main(\t", "several files of this name"},
        {"testing.c\tgrad-float\tdouble no_such_density(\t", "OLD does not stand there once"},
        {"testing.c\tgrad-float\treturn\t", "OLD does not stand there once"},
        {"testing.c\tgrad-float\t\tx", "OLD does not stand there once"},
        {"testing.c\tgrad-float\tdouble log_normal_density(\tdouble log_normal_density(",
         "nothing is changed"},
        {"testing.c\tgrads-float\tdouble log_normal_density(\t", "no such test"},
        {"testing.c\tgrad-floats\tdouble log_normal_density(\t", "no such test"},
        {"testing.c\tgrad\tdouble log_normal_density(\t", "no such test"},
        {"testing.c\tgrad-float nn-float:no_such*\tdouble log_normal_density(\t", "no such test"},
        {"testing.c\tprograms-float:processes/*\tdouble log_normal_density(\t", "no such test"},
        {"testing.c\tgrad-float +aa\tdouble log_normal_density(\t", "no such program"},
        {"testing.c\tgrad-float\tdouble log_normal_density(", "fewer than four columns"},
        {"testing.c\tgrad-float\tdouble log_normal_density(\t\t", "more than four columns"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char row[200];
        strcpy(row, rows[i][0]);
        const char *wrong = misfit(row), *right = rows[i][1];
        cr_expect(wrong == right || (wrong && right && !strcmp(wrong, right)), "%s: %s", rows[i][0],
                  wrong ? wrong : "fits");
    }
}
