/* docs_numbers [--given | --reorder] README.md... — every number in a text comes from a record, or is given.
 *
 * The numbers of FOLDER/NAME.md are listed in notebooks-data/numbers/FOLDER/NAME.txt, in the order in
 * which they stand in the text. A line without indentation names a record, relative to
 * notebooks-data; indented lines say which of its values are quoted, and how:
 *
 *     given 28 x2 64
 *     gan/metrics.json
 *       scores.samples.frechet_distance = 1.05
 *     given 10,000
 *       scores.samples.recall * 100 = 61
 *     ddpm/steps.csv
 *       frechet_distance@50,small / gan/metrics.json:scores.samples.frechet_distance = 2.3
 *
 * A value of a JSON file is a path of keys; of a CSV file, column@cells, the cells being those that
 * the row begins with, or `last`; column.min and column.max are over all rows. + - * / stand between
 * spaces and are worked out from left to right. The value, rounded to the digits of the text, must
 * be the number of the text; after ~ instead of =, to its digits before trailing zeros. xN: the
 * text shows the number N times in a row. --given prints what `given` must say, for all that no
 * record has; --reorder puts a list that has the right numbers into the order of its text.
 *
 * A table that follows
 *
 *     <!-- table ddpm/steps.csv: =steps | =variance | - | frechet_distance | precision * 100 -->
 *
 * is compared cell by cell: each column is an expression of the record's columns, or two of them
 * with ± between; those after = choose the row (without any, rows are taken in their order), and -
 * is left to the list.
 *
 * Reported: a number that is neither listed nor in a table, a listed one that the record does not
 * have or the text shows more or less often, the first one that stands elsewhere in the text than in
 * the list, and a text of more than 2,500 words.
 * Formulas and commands are text. Functions quoted from the source (docs_check.sh compares them),
 * links, <img> tags, comments and digits within names are not looked at. */
#include "base/error.h"
#include "base/file.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *doc, *list_path;
static int mistakes;
static bool printing_given, reordering;

#define mistake_in(path, line, ...) \
    (mistakes++, fprintf(stderr, "%s:%d: ", path, line), fprintf(stderr, __VA_ARGS__), \
     fputc('\n', stderr))
#define mistake(line, ...) mistake_in(doc, line, __VA_ARGS__)

static char *read_text(const char *path) {
    size_t n;
    const uint8_t *bytes = file_map(path, &n);
    char *text = text_format("%.*s", (int)n, (const char *)bytes);
    file_unmap(bytes, n);
    return text;
}

static int line_of(const char *text, const char *at) {
    int line = 1;
    for (; text < at; text++) line += *text == '\n';
    return line;
}

/* ---- numbers as they are written ------------------------------------------------------------- */

typedef struct {
    double value, unit;          /* unit: of its last digit */
    const char *start, *end;
} Number;

/* "10,000", "0.44", "7"; without a sign */
static Number number_at(const char *s) {
    Number n = {.unit = 1, .start = s};
    for (; isdigit((unsigned char)*s) ||
           (*s == ',' && isdigit((unsigned char)s[1]) && isdigit((unsigned char)s[2]) &&
            isdigit((unsigned char)s[3]) && !isdigit((unsigned char)s[4])); s++)
        if (*s != ',') n.value = 10 * n.value + (*s - '0');
    if (*s == '.' && isdigit((unsigned char)s[1])) {
        for (s++; isdigit((unsigned char)*s); s++)
            n.unit /= 10, n.value += n.unit * (*s - '0');
    }
    n.end = s;
    return n;
}

static bool same_number(Number a, Number b) {
    return a.unit == b.unit && fabs(a.value - b.value) < a.unit / 4;
}

static bool equal(double value, Number n, bool about) {
    double unit = n.unit;
    if (about) {
        while (n.value > 0 && fmod(n.value, unit * 10) == 0) unit *= 10;
    }
    return fabs(fabs(value) - n.value) <= unit * (0.5 + 1e-6);
}

/* ---- records ---------------------------------------------------------------------------------- */

typedef struct {
    char *name, **row;           /* csv: its lines, the first one the columns' names */
    int rows;
    cJSON *json;
} Record;

static const Record *record_of(const char *name) {
    static Record record[256];
    static int count;
    for (int i = 0; i < count; i++)
        if (!strcmp(record[i].name, name)) return &record[i];
    if (count == 256) die("docs_numbers: more than 256 records");
    Record *r = &record[count++];
    char *path = path_join("notebooks-data", name), *text = read_text(path), *rest = text;
    r->name = text_format("%s", name);
    if (strstr(name, ".json")) {
        r->json = cJSON_Parse(text);
        if (!r->json) fail("%s: is not JSON", path);
        free(text);
    } else {
        for (char *line; (line = strsep(&rest, "\n")); ) {
            line[strcspn(line, "\r")] = 0;
            r->row = realloc(r->row, (size_t)(r->rows + 1) * sizeof *r->row);
            if (*line) r->row[r->rows++] = line;
        }
    }
    free(path);
    return r;
}

/* the k-th cell of a line, as a string of its own */
static const char *cell(const char *line, int k) {
    static char text[4][256];
    static int next;
    char *to = text[next++ % 4];
    for (; k > 0 && line; k--) line = strchr(line, ',') ? strchr(line, ',') + 1 : NULL;
    snprintf(to, sizeof text[0], "%.*s", line ? (int)strcspn(line, ",") : 0, line ? line : "");
    return to;
}

static int column_of(const Record *r, const char *name) {
    int columns = 1;
    for (const char *s = r->row[0]; *s; s++) columns += *s == ',';
    for (int k = 0; k < columns; k++)
        if (!strcmp(cell(r->row[0], k), name)) return k;
    return -1;
}

static bool number_of(const char *text, double *value) {
    char *end;
    *value = strtod(text, &end);
    return *text && !*end;
}

/* the row that begins with these cells */
static int row_of(const Record *r, const char *cells) {
    size_t n = strlen(cells);
    if (!strcmp(cells, "last")) return r->rows - 1;
    for (int i = 1; i < r->rows; i++)
        if (!strncmp(r->row[i], cells, n) && (!r->row[i][n] || r->row[i][n] == ',')) return i;
    return -1;
}

static bool csv_value(const Record *r, const char *key, int row, double *value) {
    char name[256];
    snprintf(name, sizeof name, "%s", key);
    char *at = strchr(name, '@'), *dot = strrchr(name, '.');
    if (at) *at = 0, row = row_of(r, at + 1);
    int sign = dot && !strcmp(dot, ".min") ? -1 : dot && !strcmp(dot, ".max") ? 1 : 0;
    if (sign) *dot = 0;
    int column = column_of(r, name);
    if (column < 0) return false;
    if (!sign) return row > 0 && number_of(cell(r->row[row], column), value);
    *value = -INFINITY * sign;
    double x;
    for (int i = 1; i < r->rows; i++)
        if (number_of(cell(r->row[i], column), &x) && sign * (x - *value) > 0) *value = x;
    return isfinite(*value);
}

static bool json_value(const Record *r, const char *key, double *value) {
    char path[256], *rest = path;
    snprintf(path, sizeof path, "%s", key);
    const cJSON *at = r->json;
    for (char *part; at && (part = strsep(&rest, ".")); )
        at = isdigit((unsigned char)*part) && cJSON_IsArray(at)
                 ? cJSON_GetArrayItem(at, atoi(part)) : cJSON_GetObjectItemCaseSensitive(at, part);
    if (!cJSON_IsNumber(at)) return false;
    *value = at->valuedouble;
    return true;
}

/* a number, a key of the record, or FILE:KEY */
static bool term(const char *text, const char *record, int row, double *value) {
    char file[256];
    const char *colon = strchr(text, ':');
    if (number_of(text, value)) return true;
    snprintf(file, sizeof file, "%.*s", colon ? (int)(colon - text) : 255, colon ? text : record);
    const char *key = colon ? colon + 1 : text;
    if (!*file) return false;
    const Record *r = record_of(file);
    return r->json ? json_value(r, key, value) : csv_value(r, key, row, value);
}

/* a op b op c, from left to right */
static bool expression(const char *text, const char *record, int row, double *value) {
    char part[256], op = 0;
    for (*value = 0;; text++) {
        const char *end = text;
        while (*end && !(end[0] == ' ' && strchr("+-*/", end[1]) && end[2] == ' ')) end++;
        snprintf(part, sizeof part, "%.*s", (int)(end - text), text);
        double x;
        if (!term(part, record, row, &x)) return false;
        *value = op == '+' ? *value + x : op == '-' ? *value - x : op == '*' ? *value * x
               : op == '/' ? *value / x : x;
        if (!*end) return true;
        op = end[1], text = end + 2;
    }
}

/* ---- the list --------------------------------------------------------------------------------- */

typedef struct {
    Number number;
    int line, times, seen;       /* times: as often as the list has it, seen: as the text has it */
    bool given;
} Listed;

static struct {
    Listed *item;
    int count;
} list;

static Listed *listed(Number n) {
    for (int i = 0; i < list.count; i++) {
        if (same_number(list.item[i].number, n)) return &list.item[i];
    }
    return NULL;
}

static Listed *list_add(Number n, int line) {
    list.item = realloc(list.item, (size_t)(list.count + 1) * sizeof *list.item);
    list.item[list.count] = (Listed){.number = n, .line = line};
    return &list.item[list.count++];
}

/* numbers one by one, as the list and as the text have them */
typedef struct {
    Number number;
    int line;
    char *record, *value;        /* "recall * 100 = 61"; NULL: given */
} Place;

typedef struct {
    Place *item;
    int count;
} Places;

static Places in_list, in_text;

static void place_add(Places *p, Number n, int line, const char *record, const char *value) {
    p->item = realloc(p->item, (size_t)(p->count + 1) * sizeof *p->item);
    p->item[p->count++] = (Place){n, line, value ? text_format("%s", record) : NULL,
                                  value ? text_format("%s", value) : NULL};
}

static void places_clear(Places *p) {
    while (p->count) p->count--, free(p->item[p->count].record), free(p->item[p->count].value);
}

/* "64" or "64 x3" -> what follows */
static const char *list_number(const char *s, int line, const char *record, const char *value) {
    Number n = number_at(s);
    Listed *l = listed(n);
    bool given = !value;
    int times = 1, length = 0;
    if (sscanf(n.end, " x%d%n", &times, &length) == 1) n.end += length;
    if (!l) l = list_add(n, line);
    if (!given || !printing_given) l->times += times;
    l->given |= given;
    for (int i = 0; i < times; i++) place_add(&in_list, n, line, record, value);
    return n.end;
}

static void list_value(const char *line, const char *record, int at) {
    const char *sign = NULL;
    for (const char *s = line; *s; s++)
        if (!strncmp(s, " = ", 3) || !strncmp(s, " ~ ", 3)) sign = s;
    if (!sign || !isdigit((unsigned char)sign[3])) {
        mistake_in(list_path, at, "\"%s\": expected VALUE = NUMBER", line);
        return;
    }
    char *value = text_format("%.*s", (int)(sign - line), line);
    double x;
    if (!expression(value, record, 0, &x))
        mistake_in(list_path, at, "%s has no \"%s\"", *record ? record : "no record", value);
    else if (!equal(x, number_at(sign + 3), sign[1] == '~'))
        mistake_in(list_path, at, "%s: %s is %.6g, not %s", record, value, x, sign + 3);
    free(value);
    value = text_format("%.*s", (int)(number_at(sign + 3).end - line), line);
    list_number(sign + 3, at, record, value);
    free(value);
}

static void read_list(void) {
    list.count = 0;
    if (access(list_path, F_OK) != 0) {
        if (!printing_given) mistake(1, "has no list of its numbers: expected %s", list_path);
        return;
    }
    char *text = read_text(list_path), *rest = text, record[1024] = "";
    int at = 1;
    for (char *line; (line = strsep(&rest, "\n")); at++) {
        if (!strncmp(line, "given ", 6)) {
            for (const char *s = line + 6; *s; )
                s = isdigit((unsigned char)*s) ? list_number(s, at, NULL, NULL) : s + 1;
        } else if (*line == ' ') {
            list_value(line + strspn(line, " "), record, at);
        } else if (*line) {
            snprintf(record, sizeof record, "%s", line);
        }
    }
    free(text);
}

/* ---- what is not text --------------------------------------------------------------------------- */

static char *blank_until(char *s, const char *end) {
    char *to = strstr(s, end);
    to = to ? to + strlen(end) : s + strlen(s);
    for (; s < to; s++)
        if (*s != '\n') *s = ' ';
    return to;
}

/* quoted functions, comments, <img> tags and the targets of links become spaces */
static void blank_the_rest(char *s) {
    while (*s) {
        if (!strncmp(s, "```c file=", 10)) memset(s, ' ', 3), s = blank_until(s, "```");
        else if (!strncmp(s, "<!--", 4)) s = blank_until(s, "-->");
        else if (!strncmp(s, "](", 2)) s = blank_until(s, ")");
        else if (!strncmp(s, "<img ", 5)) s = blank_until(s, ">");
        else if (!strncmp(s, "http", 4)) while (*s && !isspace((unsigned char)*s)) *s++ = ' ';
        else s++;
    }
}

/* ---- tables ------------------------------------------------------------------------------------- */

enum { COLUMNS = 24 };

static int split(char *line, char **part) {
    int n = 0;
    for (char *s; n < COLUMNS && (s = strsep(&line, "|")); n++) {
        while (*s == ' ') s++;
        size_t end = strlen(s);
        while (end && s[end - 1] == ' ') s[--end] = 0;
        part[n] = s;
    }
    return n;
}

/* without emphasis */
static void plain(char *s) {
    char *to = s;
    for (; *s; s++)
        if (*s != '*') *to++ = *s;
    *to = 0;
}

static bool same_cell(const char *csv, const char *text) {
    double x;
    if (number_of(csv, &x) && isdigit((unsigned char)*text))
        return fabs(fabs(x) - number_at(text).value) < 1e-6;
    return !strcmp(csv, text);
}

static int table_row(const Record *r, char **want, char **have, int n, int in_order) {
    bool keys = false;
    for (int i = 1; i < r->rows; i++) {
        bool same = true;
        for (int k = 0; k < n; k++) {
            if (want[k][0] != '=') continue;
            keys = true;
            int column = column_of(r, want[k] + 1);
            same &= column >= 0 && same_cell(cell(r->row[i], column), have[k]);
        }
        if (keys && same) return i;
    }
    return keys ? -1 : in_order < r->rows ? in_order : -1;
}

/* what follows the number of a cell */
static const char *check_number(const char *want, const char *have, const char *record, int row,
                                int line) {
    const char *s = have;
    double x;
    while (*s && !isdigit((unsigned char)*s)) s++;
    if (!expression(want, record, row, &x)) {
        if (*s) mistake(line, "%s has no \"%s\" for \"%s\"", record, want, have);
    } else if (!*s || !equal(x, number_at(s), false)) {
        mistake(line, "%s: %s is %.6g, not %s", record, want, x, have);
    }
    return *s ? number_at(s).end : s;
}

/* one number, or two with +- between them, as in the column's expression */
static void check_cell(const char *want, const char *have, const char *record, int row, int line) {
    const char *both = strstr(want, " ± ");
    char *first = text_format("%.*s", both ? (int)(both - want) : (int)strlen(want), want);
    const char *rest = check_number(first, have, record, row, line);
    if (both) rest = check_number(both + strlen(" ± "), rest, record, row, line);
    if (strpbrk(rest, "0123456789"))
        mistake(line, "\"%s\": nothing is said of \"%s\"", have, rest);
    free(first);
}

/* `at`: the marker in the original text; the table's cells that it covers become spaces in `text` */
static void check_table(const char *original, const char *at, char *text) {
    char marker[1024], *want[COLUMNS], *have[COLUMNS];
    snprintf(marker, sizeof marker, "%.*s", (int)(strstr(at, "-->") - at), at);
    char *record = marker + strlen("<!-- table "), *colon = strchr(record, ':');
    int line = line_of(original, at), row = 0;
    if (!colon) {
        mistake(line, "expected <!-- table FILE: column | column ... -->");
        return;
    }
    *colon = 0;
    int n = split(colon + 1, want);
    const Record *r = record_of(record);
    const char *s = strstr(at, "-->");
    while (*s && *s != '|') s++;
    for (line = line_of(original, s); *s == '|'; line++, row++) {
        size_t length = strcspn(s, "\n");
        char *copy = text_format("%.*s", (int)length - 1, s + 1);
        int cells = split(copy, have);
        char *to = text + (s - original) + 1;
        for (int k = 0; k < cells; k++) plain(have[k]);
        int found = row < 2 ? 0 : table_row(r, want, have, n, row - 1);
        if (row >= 2 && found < 0) mistake(line, "%s has no such row", record);
        for (int k = 0; k < n && k < cells; k++, to += *to == '|') {
            bool covered = row >= 2 && strcmp(want[k], "-");
            if (covered && want[k][0] != '=' && found > 0)
                check_cell(want[k], have[k], record, found, line);
            for (; *to && *to != '|' && *to != '\n'; to++)
                if (covered) *to = ' ';
        }
        free(copy);
        s += length, s += *s == '\n';
    }
}

/* ---- a text ------------------------------------------------------------------------------------- */

enum { WORDS = 2500 };

static bool in_a_name(const char *text, const char *s) {
    if (s == text) return false;
    bool times = s[-1] == 'x' && s - 1 > text && isdigit((unsigned char)s[-2]);   /* 28x28 */
    return !times && (isalpha((unsigned char)s[-1]) || s[-1] == '_');
}

static void count_numbers(const char *text) {
    for (const char *s = text; *s; s++) {
        if (!isdigit((unsigned char)*s)) continue;
        Number n = number_at(s);
        bool of_a_list = (s == text || s[-1] == '\n') && !strncmp(n.end, ". ", 2);
        Listed *l = listed(n);
        bool counts = !in_a_name(text, s) && !of_a_list;
        if (counts) place_add(&in_text, n, line_of(text, s), NULL, NULL);
        if (!counts) ;
        else if (l) l->seen++;
        else if (printing_given) list_add(n, 0)->seen++;
        else mistake(line_of(text, s), "%.*s is neither in the list of numbers nor in a table of "
                     "records", (int)(n.end - s), s);
        s = n.end - 1;
    }
}

static void check_counts(void) {
    for (int i = 0; i < list.count; i++) {
        const Listed *l = &list.item[i];
        int digits = (int)lround(-log10(l->number.unit));
        if (l->seen != l->times)
            mistake_in(list_path, l->line,
                       "%.*f stands %d times in the text and %d times in its list", digits,
                       l->number.value, l->seen, l->times);
    }
}

static void check_length(const char *original) {
    char *text = text_format("%s", original);
    int words = 0;
    for (char *s = text, *rest = text; (s = strsep(&rest, " \t\n")); ) words += *s != 0;
    if (words > WORDS) mistake(1, "%d words, and %d is the most", words, WORDS);
    free(text);
}

/* 10,000 */
static void print_number(FILE *f, Number n) {
    int digits = (int)lround(-log10(n.unit)), from = n.value >= 1e4 ? 3 : 99;
    char *s = text_format("%.*f", digits, n.value);
    int whole = (int)strcspn(s, ".");
    for (int i = 0; s[i]; i++)
        fprintf(f, "%s%c", i && i < whole && (whole - i) % from == 0 ? "," : "", s[i]);
    free(s);
}

static int by_value(const void *a, const void *b) {
    double x = ((const Listed *)a)->number.value, y = ((const Listed *)b)->number.value;
    return (x > y) - (x < y);
}

static void print_given(void) {
    qsort(list.item, (size_t)list.count, sizeof *list.item, by_value);
    for (int i = 0, k = 0; i < list.count; i++) {
        const Listed *l = &list.item[i];
        if (l->seen <= l->times) continue;
        printf(k++ % 16 ? " " : k > 1 ? "\ngiven " : "given ");
        print_number(stdout, l->number);
        if (l->seen - l->times > 1) printf(" x%d", l->seen - l->times);
    }
    printf("\n");
}

/* ---- the order of the list ---------------------------------------------------------------------- */

static void check_order(void) {
    for (int i = 0; i < in_text.count; i++) {
        const Place *have = &in_text.item[i], *want = &in_list.item[i];
        if (same_number(have->number, want->number)) continue;
        char *next = text_format("%.*f", (int)lround(-log10(want->number.unit)),
                                 want->number.value);
        mistake(have->line, "%.*s stands where %s:%d has %s; if the text is right, "
                "docs_numbers --reorder mends the list",
                (int)(have->number.end - have->number.start), have->number.start, list_path,
                want->line, next);
        free(next);
        return;
    }
}

static bool same_entry(const Place *a, const Place *b) {
    if (!a->value || !b->value) return !a->value && !b->value && same_number(a->number, b->number);
    return !strcmp(a->record, b->record) && !strcmp(a->value, b->value);
}

/* the list's entries in the order of the text: of equal numbers the first comes first */
static void sort_places(const Place **sorted) {
    bool *used = calloc((size_t)in_list.count, sizeof *used);
    for (int i = 0; i < in_text.count; i++) {
        int k = 0;
        while (used[k] || !same_number(in_list.item[k].number, in_text.item[i].number)) k++;
        used[k] = true, sorted[i] = &in_list.item[k];
    }
    free(used);
}

static void print_places(FILE *f, const Place *const *sorted) {
    const char *record = "";
    int row = 0;                 /* numbers in the line of those given */
    for (int i = 0, times; i < in_text.count; i += times) {
        const Place *p = sorted[i];
        for (times = 1; i + times < in_text.count && same_entry(p, sorted[i + times]); ) times++;
        if (p->value) {
            if (row) fputc('\n', f);
            if (strcmp(record, p->record)) fprintf(f, "%s\n", record = p->record);
            fprintf(f, "  %s", p->value);
        } else {
            fputs(row % 16 ? " " : row ? "\ngiven " : "given ", f);
            print_number(f, p->number);
        }
        if (times > 1) fprintf(f, " x%d", times);
        if (p->value) fputc('\n', f);
        row = p->value ? 0 : row + 1;
    }
    if (row) fputc('\n', f);
}

static void reorder(void) {
    const Place **sorted = calloc((size_t)in_text.count + 1, sizeof *sorted);
    AtomicFile f = file_create(list_path);
    sort_places(sorted);
    print_places(f.stream, sorted);
    file_commit(&f);
    free(sorted);
}

/* notebooks-data/numbers/FOLDER/NAME.txt of FOLDER/NAME.md */
static char *list_of(const char *path) {
    size_t n = strlen(path), ending = strlen(".md");
    if (n > ending && !strcmp(path + n - ending, ".md")) n -= ending;
    return text_format("notebooks-data/numbers/%.*s.txt", (int)n, path);
}

static void check(const char *path) {
    int before = mistakes;
    char *beside = list_of(path);
    doc = path, list_path = beside;
    places_clear(&in_list), places_clear(&in_text);
    char *original = read_text(path), *text = text_format("%s", original);
    read_list();
    blank_the_rest(text);
    for (const char *at = original; (at = strstr(at, "\n<!-- table ")); at++)
        check_table(original, at + 1, text);
    count_numbers(text);
    if (printing_given) print_given();
    else check_counts(), check_length(original);
    if (reordering && mistakes == before) reorder();
    else if (!printing_given && mistakes == before) check_order();
    free(original), free(text), free(beside);
}

int main(int argc, char **argv) {
    printing_given = argc > 1 && !strcmp(argv[1], "--given");
    reordering = argc > 1 && !strcmp(argv[1], "--reorder");
    for (int i = 1 + (printing_given || reordering); i < argc; i++) check(argv[i]);
    places_clear(&in_list), places_clear(&in_text);
    if (mistakes) fprintf(stderr, "docs_numbers: %d mistakes\n", mistakes);
    else if (!printing_given) printf("docs_numbers: every number is its record's, or given\n");
    return mistakes != 0;
}
