/* test_docs.c — does build/docs_numbers notice a wrong number? On a small text and record of its
 * own, and on every text of the repository with a digit changed. */
#include "base/file.h"
#include "programs.h"

#include <ctype.h>
#include <glob.h>

PROGRAM_SUITE(docs);

#define LIST_FILE "notebooks-data/numbers/text.txt"

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    cr_assert_eq(fclose(f), 0);
}

static char *read_text(const char *path) {
    size_t n;
    const uint8_t *bytes = file_map(path, &n);
    char *text = text_format("%.*s", (int)n, (const char *)bytes);
    file_unmap(bytes, n);
    return text;
}

/* exit status and message of docs_numbers for a file, run in `folder`, where notebooks-data is */
static int run(const char *option, const char *doc, char message[static 2000]) {
    char path[120], command[600];
    const char *build = getenv("BUILD");
    snprintf(command, sizeof command, "p=$PWD; cd %s && $p/%s/docs_numbers %s %s >said 2>&1",
             folder, build ? build : "build", option, doc);
    int status = system(command);
    snprintf(path, sizeof path, "%s/said", folder);
    char *said = read_text(path);
    snprintf(message, 2000, "%s", said);
    free(said);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256;
}

/* writes text.md and the list of its numbers, which follows in `both` */
static void write_both(const char *both) {
    char path[120];
    const char *list = strstr(both, "LIST\n");
    char *text = text_format("%.*s", (int)(list - both), both);
    snprintf(path, sizeof path, "%s/text.md", folder);
    write_text(path, text);
    snprintf(path, sizeof path, "%s/" LIST_FILE, folder);
    write_text(path, list + strlen("LIST\n"));
    free(text);
}

static int check(const char *both, char message[static 2000]) {
    write_both(both);
    return run("", "text.md", message);
}

static void make_records(void) {
    char path[120];
    snprintf(path, sizeof path, "%s/notebooks-data", folder);
    cr_assert_eq(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/notebooks-data/numbers", folder);
    cr_assert_eq(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/notebooks-data/metrics.json", folder);
    write_text(path, "{\"score\": {\"distance\": 1.053, \"recall\": [0.6079, 0.25]},"
                     " \"n\": 10000}");
    snprintf(path, sizeof path, "%s/notebooks-data/steps.csv", folder);
    write_text(path, "steps,variance,distance\n10,small,9.05\n10,large,31.16\n50,small,2.87\n");
}

static const char good[] =
    "# A text\n\n1. The distance is 1.05 with 10,000 samples of 28x28 pixels, $\\sigma^2 = 4$; "
    "recall 607.9.\n"
    "2. A third of 31.2 is 10.4, from 2.9 to 31; in 2014 it was 1.05, too.\n\n"
    "    build/x eval --samples 500\n\n"
    "<!-- table steps.csv: =steps | =variance | distance | - -->\n"
    "| steps | variance | distance | |\n|---|---|---|---|\n"
    "| 50 | small | **2.87** | a |\n| 10 | large | 31.2 | 7 |\n"
    "LIST\nmetrics.json\n  score.distance = 1.05\n  n = 10,000\ngiven 28 x2 2 4\n"
    "  score.recall.0 * 1000 = 607.9\nsteps.csv\n  distance@10,large = 31.2\n"
    "  distance@10,large / 3 = 10.4\n  distance.min = 2.9\n  distance@10,large = 31\n"
    "given 2014\nmetrics.json\n  score.distance = 1.05\ngiven 500 7\n";

/* every digit of prose, formula, command, table and list, made another one */
Test(docs, every_changed_digit_is_noticed) {
    char message[2000], *text = text_format("%s", good);
    make_records();
    cr_assert_eq(check(text, message), 0, "%s", message);
    int changed = 0;
    for (char *s = text; *s; s++) {
        bool of_a_list = (s == text || s[-1] == '\n') && s[1] == '.' && s[2] == ' ';
        bool key = (s > text && s[-1] == '.' && s[1] == ' ' && s[2] == '*') ||
                   (s > text && s[-1] == 'x' && s[-2] == ' ');
        if (!isdigit((unsigned char)*s) || of_a_list || key) continue;
        char digit = *s;
        *s = digit == '9' ? '8' : digit + 1;
        cr_expect_eq(check(text, message), 1, "%.30s...", s > text + 20 ? s - 20 : text);
        *s = digit, changed++;
    }
    cr_assert(changed >= 80, "%d digits", changed);
    free(text);
}

/* `good` with the first `from` replaced */
static int check_with(const char *from, const char *to, char message[static 2000]) {
    const char *at = strstr(good, from);
    char *text = text_format("%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
    int status = check(text, message);
    free(text);
    return status;
}

Test(docs, what_is_wrong_is_said) {
    char message[2000];
    make_records();
    static const struct { const char *from, *to, *says; } wrong[] = {
        {"recall 607.9", "recall 607.9 of 62", "text.md:3: 62 is neither in the list"},
        {"  n = 10,000\n", "", "10,000 is neither in the list"},
        {"metrics.json\n  score.distance = 1.05\ngiven 500", "given 500",
         "1.05 stands 2 times in the text and 1 times"},
        {"given 28", "given 3 28", "3 stands 0 times in the text"},
        {"10.4, from 2.9", "2.9, from 10.4",
         "text.md:4: 2.9 stands where " LIST_FILE ":8 has 10.4"},
        {"in 2014 it was 1.05", "in 1.05 it was 2014",
         "1.05 stands where " LIST_FILE ":11 has 2014"},
        {"31.2 is 10.4", "10.4 is 31.2", "10.4 stands where " LIST_FILE ":7 has 31.2"},
        {"score.recall.0", "score.recal.0", "has no \"score.recal.0 * 1000\""},
        {"distance.min", "distance@60", "has no \"distance@60\""},
        {"| 50 | small", "| 60 | small", "has no such row"},
        {"**2.87**", "2.8", "distance is 2.87, not 2.8"},
        {"**2.87**", "2.87 ± 1", "nothing is said of"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_expect_eq(check_with(wrong[i].from, wrong[i].to, message), 1, "%s", wrong[i].says);
        cr_expect_not_null(strstr(message, wrong[i].says), "\"%s\": %s", wrong[i].says, message);
    }
    char *many = text_format("\n%s", good);
    for (int i = 0; i < 250; i++) {
        char *more = text_format("a b c d e f g h i j\n%s", many);
        free(many), many = more;
    }
    cr_expect_eq(check(many, message), 1);
    cr_expect_not_null(strstr(message, "words, and 2500 is the most"), "%s", message);
    free(many);
    char path[120];
    snprintf(path, sizeof path, "%s/" LIST_FILE, folder);
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(run("", "text.md", message), 1);
    cr_expect_not_null(strstr(message, "has no list of its numbers: expected notebooks-data/"));
}

/* The list with its entries in another order: --reorder makes it the one it was, and leaves a list
 * alone that has other numbers than its text. */
Test(docs, a_list_is_put_into_the_order_of_its_text) {
    char message[2000], path[120];
    const char *at = strstr(good, "given 28 x2 2 4\n"), *list = strstr(good, "LIST\n");
    make_records();
    char *text = text_format("%.*s%sgiven 4 2 28 x2\n", (int)(at - good), good, at + 16);
    cr_assert_eq(check(text, message), 1);
    cr_expect_not_null(strstr(message, "28 stands where"), "%s", message);
    cr_assert_eq(run("--reorder", "text.md", message), 0, "%s", message);
    snprintf(path, sizeof path, "%s/" LIST_FILE, folder);
    char *mended = read_text(path);
    cr_expect_str_eq(mended, list + strlen("LIST\n"));
    *strstr(text, "31;") = '4';
    write_both(text);
    cr_assert_neq(run("--reorder", "text.md", message), 0);
    char *left = read_text(path);
    cr_expect_str_eq(left, strstr(text, "LIST\n") + strlen("LIST\n"));
    free(text), free(mended), free(left);
}

/* digits of prose and tables that are neither in names, quotes, links nor comments */
static size_t plain_digits(const char *text, const char **at, size_t most) {
    size_t n = 0;
    bool quoted = false, comment = false;
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (!strncmp(line, "```", 3)) quoted = !quoted;
        comment |= !strncmp(line, "<!--", 4);
        size_t length = strcspn(line, "\n");
        for (size_t i = 2; i < length && !quoted && !comment; i++)
            if (isdigit((unsigned char)line[i]) && line[i - 1] == ' ' && n < most)
                at[n++] = line + i;
        for (size_t i = 0; i + 3 <= length; i++) comment &= strncmp(line + i, "-->", 3) != 0;
    }
    return n;
}

Test(docs, ten_changed_digits_of_every_text_are_noticed) {
    char message[2000], path[200], command[800];
    static const char *const where[] = {"README.md", "tests/README.md",
                                        "tests/bench/SCALE.md", "chapters/*.md",
                                        "chapters/*/*.md", "notebooks-data/*/README.md"};
    glob_t files;
    for (int i = 0; i < 6; i++) glob(where[i], i ? GLOB_APPEND : 0, NULL, &files);
    cr_assert(files.gl_pathc >= 10, "%zu texts", files.gl_pathc);
    snprintf(command, sizeof command, "cp -rs $PWD/notebooks-data %s", folder);
    cr_assert_eq(system(command), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        const char *doc = files.gl_pathv[i], *at[2000];
        char *text = read_text(doc);
        size_t n = plain_digits(text, at, 2000);
        snprintf(command, sizeof command, "cd %s && mkdir -p $(dirname %s) && rm -f %s", folder,
                 doc, doc);
        cr_assert_eq(system(command), 0);
        snprintf(path, sizeof path, "%s/%s", folder, doc);
        write_text(path, text);
        cr_expect_eq(run("", doc, message), 0, "%s: %s", doc, message);
        for (size_t k = 0; k < 10 && k < n; k++) {
            char *s = text + (at[k * n / (n < 10 ? n : 10)] - text), digit = *s;
            *s = digit == '9' ? '8' : digit + 1;
            write_text(path, text);
            cr_expect_eq(run("", doc, message), 1, "%s: %.40s", doc, s);
            *s = digit;
        }
        free(text);
    }
    globfree(&files);
}
