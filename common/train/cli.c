#include "train/cli.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- small helpers --------------------------------------------------------------------------- */

/* is `word` one of the words of `list`? */
static bool in_list(const char *list, const char *word, char separator) {
    size_t n = strlen(word);
    if (strchr(word, separator)) return false;
    for (const char *p = list; p; p = strchr(p, separator), p = p ? p + 1 : NULL) {
        if (strncmp(p, word, n) == 0 && (p[n] == separator || !p[n])) return true;
    }
    return false;
}

/* Texts that option fields point to, for the rest of the run: listed, so that no leak is reported. */
static const char *keep_text(char *text) {
    static struct Kept { struct Kept *next; char *text; } *all;
    struct Kept *k = memory_new(1, sizeof *k, "an option's text");
    *k = (struct Kept){all, text};
    all = k;
    return text;
}

static Option *find(const Cli *c, const char *name) {
    for (Option *o = c->options; o->name; o++) {
        if (strcmp(o->name, name) == 0) return o;
    }
    return NULL;
}

bool cli_applies(const Option *o, const char *command) {
    return !o->only || !command || in_list(o->only, command, ' ');
}

char *shell_quote(const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=./:,@%";
    if (*word && strspn(word, plain) == strlen(word)) return text_format("%s", word);
    char *quoted = memory_new(4 * strlen(word) + 3, 1, "a command line"), *q = quoted;
    *q++ = '\'';
    for (; *word; word++) {
        if (*word == '\'') q = stpcpy(q, "'\\''");      /* close, a quoted quote, open again */
        else *q++ = *word;
    }
    strcpy(q, "'");
    return quoted;
}

static char *quoted_line(int argc, char **argv) {
    char *line = text_format("%s", "");
    for (int i = 0; i < argc; i++) {
        char *word = shell_quote(argv[i]);
        char *longer = text_format("%s%s%s", line, i ? " " : "", word);
        free(word);
        free(line);
        line = longer;
    }
    return line;
}

/* ---- values ---------------------------------------------------------------------------------- */

static char *out_of_range(const Option *o, const char *value) {
    if (isfinite(o->max)) return text_format("%s is not in %.10g to %.10g", value, o->min, o->max);
    return text_format("%s is below %.10g", value, o->min);
}

static bool in_range(const Option *o, double x) {
    return (o->min == 0 && o->max == 0) || (x >= o->min && x <= o->max);
}

/* The set_ functions: why `value` cannot be the option's value, to be freed; NULL: it is set. */
static char *set_int(const Option *o, const char *value) {
    char *end;
    errno = 0;
    long long x = strtoll(value, &end, 10);
    if (end == value || *end) return text_format("'%s' is not a whole number", value);
    if (errno || x != (int)x || !in_range(o, (double)x)) return out_of_range(o, value);
    if (o->multiple && x % o->multiple)
        return text_format("%s is no multiple of %d", value, o->multiple);
    *o->i = (int)x;
    return NULL;
}

static char *set_seed(const Option *o, const char *value) {
    char *end;
    errno = 0;
    unsigned long long x = strtoull(value, &end, 10);
    if (end == value || *end || errno || strchr(value, '-')) {
        return text_format("'%s' is not a whole number from 0 to 2^64-1", value);
    }
    *o->u = x;
    return NULL;
}

static char *set_double(const Option *o, const char *value) {
    char *end;
    double x = strtod(value, &end);
    if (end == value || *end || !isfinite(x)) return text_format("'%s' is not a number", value);
    if (!in_range(o, x)) return out_of_range(o, value);
    *o->d = x;
    return NULL;
}

static char *set_text(const Option *o, const char *value) {
    if (!*value) return text_format("its value is empty");
    if (o->choices && !in_list(o->choices, value, '|')) {
        return text_format("'%s' is not one of %s", value, o->choices);
    }
    *o->s = value;
    return NULL;
}

static char *set_list(const Option *o, const char *value) {
    int most = (int)(sizeof o->list->text / sizeof *o->list->text);
    if (!*value) return text_format("its value is empty");
    if (o->list->count == most) return text_format("is given more than %d times", most);
    o->list->text[o->list->count++] = value;
    return NULL;
}

static char *set_flag(const Option *o, const char *value) {
    if (!in_list("true|false", value, '|')) return text_format("'%s' is not true or false", value);
    *o->b = value[0] == 't';
    return NULL;
}

static char *set_value(const Option *o, const char *value) {
    return o->i ? set_int(o, value) : o->u ? set_seed(o, value) : o->d ? set_double(o, value) :
           o->s ? set_text(o, value) : o->list ? set_list(o, value) : set_flag(o, value);
}

/* Does setting `value` leave the option as it is? */
static bool same_value(const Option *o, const char *value) {
    char text[CLI_TEXT];
    const char *now = cli_text(o, text);
    return now && strcmp(now, value) == 0;
}

const char *cli_text(const Option *o, char text[static CLI_TEXT]) {
    if (o->i) snprintf(text, CLI_TEXT, "%d", *o->i);
    else if (o->u) snprintf(text, CLI_TEXT, "%llu", (unsigned long long)*o->u);
    else if (o->b) snprintf(text, CLI_TEXT, "%s", *o->b ? "true" : "false");
    else if (o->list || (o->s && !*o->s)) return NULL;
    else if (o->s) snprintf(text, CLI_TEXT, "%s", *o->s);
    else {
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(text, CLI_TEXT, "%.*g", digits, *o->d);
            if (strtod(text, NULL) == *o->d) break;
        }
    }
    return text;
}

/* ---- presets --------------------------------------------------------------------------------- */

/* Sets what the chosen --config sets, except what the user gave. A preset that does not fit the
 * table is a mistake in the program. */
static void apply_preset(Cli *c) {
    const Option *config = find(c, "config");
    if (!config || !c->presets) return;
    const Preset *p = c->presets;
    while (p->config && strcmp(p->config, *config->s) != 0) p++;
    if (!p->config) return;
    char *settings = text_format("%s", p->settings), *save;
    keep_text(settings);
    for (char *s = strtok_r(settings, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
        char *value = strchr(s, '=');
        if (value) *value++ = 0;
        Option *o = find(c, s);
        if (!o || !value) die("preset %s: '%s' is not the setting of an option", p->config, s);
        char *error = o->given ? NULL : set_value(o, value);
        if (error) die("preset %s: %s: %s", p->config, s, error);
    }
}

/* ---- help ------------------------------------------------------------------------------------ */

/* how its value is written in --help */
static const char *meta(const Option *o) {
    return o->b ? "" : o->choices ? o->choices : o->meta ? o->meta : "VALUE";
}

static void print_option(const Option *o) {
    char text[CLI_TEXT], letter[8] = "    ";
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    const char *value = o->b ? NULL : cli_text(o, text);
    int left = printf("  %s--%s%s%s", letter, o->name, o->b ? "" : " ", meta(o));
    if (left > 28) printf("\n"), left = 0;
    printf("%*s%s", 30 - left, "", o->help);
    if (value) printf(" (default: %s)", value);
    printf("\n");
}

static _Noreturn void print_help(const Cli *c) {
    const char *command = c->operand ? NULL : c->command;
    printf("usage: %s %s [options]\n", c->path, c->operand ? c->operand : "COMMAND");
    if (c->about) printf("%s: %s\n", c->program, c->about);
    if (!c->operand) printf("\ncommands:\n");
    for (const Command *k = c->commands; !c->operand && k->name; k++) {
        bool shown = !command || strcmp(command, k->name) == 0;
        if (shown) printf("  %-10s  %s\n", k->name, k->help);
    }
    printf("\noptions%s%s:\n", command ? " of " : "", command ? command : "");
    for (const Option *o = c->options; o->name; o++) {
        if (cli_applies(o, command)) print_option(o);
    }
    print_option(&(Option){.name = "help", .letter = 'h', .b = &(bool){0}, .help = "this text"});
    for (const Preset *p = c->presets; p && p->config; p++) {
        if (p == c->presets) printf("\nwhat --config sets, unless given:\n");
        printf("  %-10s  %s\n", p->config, p->settings);
    }
    if (fflush(stdout) || ferror(stdout)) fail("standard output cannot be written");
    exit(0);
}

/* ---- parsing --------------------------------------------------------------------------------- */

/* getopt_long returns 1 for a word, FIRST + index for a long option, else a letter */
enum { MAX_OPTIONS = 64, WORD = 1, FIRST = 256 };

/* What the user wrote, in order. Which option is meant is known once the command is: -n and --steps
 * may be one option in train and two in sample. */
typedef struct {
    int index;                           /* of the first option of this name or letter */
    bool letter;                         /* as -n, not --name */
    const char *value;
} Word;

typedef struct {
    Word *words;
    int count;
    bool help;
} Given;

static void build_tables(const Cli *c, struct option *longs, char *letters) {
    int n = 0;
    *letters++ = ':';                                    /* report a missing value as ':' */
    for (const Option *o = c->options; o->name; o++, n++) {
        if (n == MAX_OPTIONS - 1) die("cli: more than %d options", MAX_OPTIONS - 1);
        int argument = o->b ? no_argument : required_argument;
        int first = (int)(find(c, o->name) - c->options);      /* of this name */
        longs[n] = (struct option){o->name, argument, NULL, FIRST + first};
        if (o->letter) letters = stpcpy(letters, (char[]){o->letter, o->b ? 0 : ':', 0});
    }
    longs[n] = (struct option){"help", no_argument, NULL, 'h'};
    longs[n + 1] = (struct option){0};
    strcpy(letters, "h");
}

/* The option that getopt_long's code stands for: FIRST + index, or a letter. */
static int option_index(const Cli *c, int code) {
    if (code >= FIRST) return code - FIRST;
    int k = 0;
    while (c->options[k].name && c->options[k].letter != code) k++;
    return k;
}

static _Noreturn void refuse(const Cli *c, int code, char **argv) {
    bool named = c->command && !c->operand;
    const char *word = argv[optind - 1], *see = named ? c->command : "", *space = named ? " " : "";
    if (code == ':') {
        const Option *o = &c->options[option_index(c, optopt)];
        usage_error("--%s needs a value: --%s %s", o->name, o->name, meta(o));
    }
    if (optopt >= FIRST || (optopt == 'h' && word[1] == '-')) {
        usage_error("%s: this option takes no value", word);
    }
    if (optopt) {
        usage_error("unknown option -%c; see %s %s%s--help", optopt, c->path, see, space);
    }
    usage_error("unknown or ambiguous option %s; see %s %s%s--help", word, c->path, see, space);
}

static void set_command(Cli *c, const char *word) {
    if (c->command) {
        usage_error("surplus argument '%s' after %s%s", word, c->operand ? "" : "the command ",
                    c->command);
    }
    if (c->operand) {
        c->command = word;
        return;
    }
    for (const Command *k = c->commands; k->name; k++) {
        if (strcmp(k->name, word) == 0) c->command = k->name;
    }
    if (!c->command) usage_error("unknown command '%s'; see %s --help", word, c->path);
}

/* All words, in the order they were written; nothing is set yet. */
static void read_words(Cli *c, int argc, char **argv, Given *given) {
    struct option longs[MAX_OPTIONS + 1];
    char letters[2 * MAX_OPTIONS + 4] = "-";             /* '-': other words come in order, too */
    build_tables(c, longs, letters + 1);
    optind = 0;                                  /* start anew: tests parse more than once */
    opterr = 0;
    for (int code; (code = getopt_long(argc, argv, letters, longs, NULL)) != -1; ) {
        if (code == '?' || code == ':') {
            refuse(c, code, argv);
        } else if (code == 'h') {
            given->help = true;
        } else if (code == WORD) {
            set_command(c, optarg);
        } else {
            int k = option_index(c, code);
            given->words[given->count++] =
                (Word){k, code < FIRST, c->options[k].b ? "true" : optarg};
        }
    }
    while (optind < argc) set_command(c, argv[optind++]);   /* after "--" */
}

/* The option that was meant: with this one's name or letter, for the command. */
static Option *meant(const Cli *c, Option *o, bool letter) {
    for (Option *p = c->options; p->name; p++) {
        bool same = letter ? p->letter == o->letter : !strcmp(p->name, o->name);
        if (same && cli_applies(p, c->command)) return p;
    }
    return o;
}

static void set_given(Cli *c, const Given *given) {
    for (const Word *w = given->words; w < given->words + given->count; w++) {
        Option *o = meant(c, &c->options[w->index], w->letter);
        if (!cli_applies(o, c->command)) {
            usage_error("--%s means nothing to %s %s, only to: %s", o->name, c->program, c->command,
                        o->only);
        }
        char *error = set_value(o, w->value);
        if (error) usage_error("--%s: %s", o->name, error);
        o->given = true;
    }
}

void cli_parse(Cli *c, int argc, char **argv) {
    c->path = argc > 0 ? argv[0] : c->program;
    c->command = NULL;
    c->line = keep_text(quoted_line(argc, argv));
    for (Option *o = c->options; o->name; o++) o->given = false;
    if (c->common && !c->common->micro) c->common->micro = 1;
    size_t most = (size_t)argc + strlen(c->line);
    Given given = {.words = memory_new(most, sizeof *given.words, "a command line")};
    read_words(c, argc, argv, &given);
    if (given.help) print_help(c);
    if (!c->command) {
        usage_error("no %s given; see %s --help", c->operand ? c->operand : "command", c->path);
    }
    set_given(c, &given);
    free(given.words);
    apply_preset(c);
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

bool cli_kept(const Cli *c, const Option *o) {
    return o->keep != KEEP_NOT && cli_applies(o, c->command);
}

bool cli_given(const Cli *c, const char *name) {
    if (!find(c, name)) die("cli_given: there is no option --%s", name);
    for (const Option *o = c->options; o->name; o++)         /* for other commands, others */
        if (o->given && !strcmp(o->name, name)) return true;
    return false;
}

void cli_refuse(const Cli *c, const char *names, const char *what) {
    char name[64];
    for (const char *at = names; sscanf(at, " %63s", name) == 1;) {
        if (cli_given(c, name)) usage_error("--%s is for %s", name, what);
        at = strstr(at, name) + strlen(name);
    }
}

Cli cli_before(const Cli *c, const char *name) {
    Cli part = *c;
    size_t n = (size_t)(find(c, name) - c->options);
    Option *rows = memory_new(n + 1, sizeof *rows, "%zu options", n);
    memcpy(rows, c->options, n * sizeof *rows);
    part.options = rows, part.presets = NULL;
    keep_text((char *)rows);
    return part;
}

void cli_adopt(Cli *c, const char *path, const char *name, const char *value, bool resume) {
    Option *o = find(c, name);
    if (!o) die("cli_adopt: there is no option --%s", name);
    if (o->keep == KEEP_NOT || (!resume && o->keep != KEEP_MODEL)) return;
    if (o->given) {
        if (o->keep != KEEP_DEFAULT && !same_value(o, value)) {
            char text[CLI_TEXT];
            usage_error("--%s %s contradicts %s, which was made with --%s %s; leave the option out",
                        name, cli_text(o, text), path, name, value);
        }
        return;
    }
    char *error = set_value(o, keep_text(text_format("%s", value)));
    if (error) fail("%s: its option --%s: %s", path, name, error);
    if (strcmp(name, "config") == 0) apply_preset(c);
}
