/* trainings.h — for tests that train by the programs of all chapters. Included once in a test program.
 *
 *   - EACH_CHAPTER, EACH_ROW   a test for every folder of chapters/ with a main.c (or those named in
 *     $CHAPTERS). A chapter that is slow with its defaults, or trains in several stages or ways, has
 *     rows in the table below
 *   - start, wait_for          a program in a process of its own
 *   - train, start_training    a short training on few images
 *   - expect_same_training     do two trainings leave the same files? */
#ifndef TRAININGS_H
#define TRAININGS_H

#include "programs.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>

#include <criterion/parameterized.h>

/* ---- the chapters ---------------------------------------------------------------------------- */

typedef struct {
    char chapter[24];
    char fast[200];              /* options of train that make its steps fast */
    char stages[100];            /* options that say how many steps, "steps prior-steps" */
} Row;

/* Several rows: several ways to train, each of which must be resumed bit for bit. The first one
 * stands for the chapter. */
static const Row rows[] = {
    {"ae", "--batch 3", "steps"},
    {"vae", "--batch 3", "steps"},
    {"vae", "--batch 3 --likelihood gaussian --conditional", "steps"},
    {"gan", "--batch 3", "steps"},
    {"gan", "--batch 3 --config goodfellow", "steps"},
    {"dae_mae", "--batch 3 --norm-targets --schedule 9000", "steps"},
    {"dae_mae", "--config dae --batch 3", "steps"},
    {"dae_mae", "--config vincent2008", "steps"},
    {"vqvae", "--hidden 8 --residual 4 --codes 16 --dim 4 --layers 4 --width 8 --head 8 --batch 3 "
              "--revive 20", "steps prior-steps"},
    {"vqvae2", "--batch 3 --prior-batch 3 --width 8 --codes 16 --prior-channels 16",
     "steps top-steps bottom-steps"},
    {"dalle", "--width 4 --codes 16 --batch 3 --prior-batch 3 --prior-width 16 --prior-depth 2 "
              "--prior-heads 2 --validation 12", "steps prior-steps"},
    {"dalle", "--width 4 --codes 16 --batch 3 --prior-batch 3 --prior-width 8 --prior-depth 1 "
              "--prior-heads 2 --validation 12 --quantiser vq --grid 16", "steps prior-steps"},
    {"ddpm", "--preview 0 --batch 2", "steps"},
    {"ddpm", "--preview 0 --batch 2 --predict mean --dropout 0.1", "steps"},
    {"iddpm", "--preview 0 --batch 2 --classes 10 --timesteps 50 --dropout 0.3", "steps"},
    {"iddpm", "--preview 0 --batch 3 --objective vlb --timesteps 2", "steps"},
    {"guidance", "--preview 0 --batch 2 --classifier-batch 4", "steps classifier-steps"},
    {"guidance", "--preview 0 --batch 2 --classifier-batch 4 --conditional --dropout 0.3",
     "steps classifier-steps"},
    {"cfg", "--emoji 0 --preview 0 --validation 4 --batch 2 --upsampler-batch 2 "
            "--noisy-clip-batch 4 --classes-batch 2",
     "steps upsampler-steps inpaint-steps noisy-clip-steps classes-steps"},
    {"dalle2", "--emoji 0 --preview 0 --batch 2 --decoder-batch 2 --upsampler-batch 2 --fit 200",
     "steps ar-steps decoder-steps upsampler-steps"},
    {"ldm", "--preview 0 --validation 4 --factor 8 --batch 2 --diffusion-batch 2 --first-width 8 "
            "--width 32 --disc-start 1", "steps diffusion-steps"},
    {"ldm", "--preview 0 --validation 4 --factor 8 --batch 2 --diffusion-batch 2 --first-width 8 "
            "--width 32 --codes 16 --condition inpaint", "steps diffusion-steps"},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* the rows of a chapter; or one, of defaults */
static inline int rows_of(const char *chapter, bool all, Row *to) {
    int n = 0;
    for (int i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].chapter, chapter) && (all || !n)) to[n++] = rows[i];
    if (n) return n;
    *to = (Row){.fast = "--batch 3", .stages = "steps"};
    snprintf(to->chapter, sizeof to->chapter, "%.23s", chapter);
    return 1;
}

static inline int by_name(const void *a, const void *b) {
    return strcmp(((const Row *)a)->chapter, ((const Row *)b)->chapter);
}

/* one of $CHAPTERS, if that is set */
static inline bool is_wanted(const char *chapter) {
    const char *wanted = getenv("CHAPTERS");
    size_t n = strlen(chapter);
    for (const char *w = wanted; w && *w; w += strcspn(w, " "), w += strspn(w, " "))
        if (strcspn(w, " ") == n && !strncmp(w, chapter, n)) return true;
    return !wanted || !*wanted;
}

/* of every folder of chapters/ */
static inline struct criterion_test_params find_rows(bool all) {
    enum { MOST = 100 };
    Row *found = cr_malloc(MOST * sizeof *found);
    size_t n = 0;
    DIR *d = opendir("chapters");
    for (struct dirent *e; d && (e = readdir(d)) && n < MOST - ROWS;) {
        char path[300];
        snprintf(path, sizeof path, "chapters/%s/main.c", e->d_name);
        if (is_wanted(e->d_name) && access(path, F_OK) == 0)
            n += (size_t)rows_of(e->d_name, all, found + n);
    }
    if (d) closedir(d);
    qsort(found, n, sizeof *found, by_name);
    return cr_make_param_array(Row, found, n);
}

#define EACH_CHAPTER(suite, name)                                                                  \
    ParameterizedTestParameters(suite, name) { return find_rows(false); }                         \
    ParameterizedTest(Row *r, suite, name)
#define EACH_ROW(suite, name)                                                                      \
    ParameterizedTestParameters(suite, name) { return find_rows(true); }                          \
    ParameterizedTest(Row *r, suite, name)

/* What cannot be trained in micro-batches: rows of these chapters with this among their options; the
 * stage of them that can, or "" */
static const struct {
    const char *chapter, *option, *stage;
} whole[] = {{"gan", "", ""},
             {"vqvae", "", "prior"},
             {"vqvae2", "", "top"},
             {"dalle", "--quantiser vq", "prior"},
             {"iddpm", "--objective vlb", ""},
             {"ldm", "--codes", "diffusion"}};

/* NULL: all stages of the row can */
static inline const char *only_stage(const Row *r) {
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (!strcmp(r->chapter, whole[i].chapter) && strstr(r->fast, whole[i].option))
            return whole[i].stage;
    return NULL;
}

/* ---- calling them ---------------------------------------------------------------------------- */

enum { TEXT = 20000 };

/* a file of the test's folder; "" if there is none */
static inline void read_text(const char *name, char text[static TEXT]) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    text[f ? fread(text, 1, TEXT - 1, f) : 0] = 0;
    if (f) fclose(f);
}

/* the exit status of a command */
static inline int shell(const char *format, ...) {
    char command[5000];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256;
}

static inline const char *program(const char *name) {
    static char path[300];
    const char *build = getenv("BUILD");
    snprintf(path, sizeof path, "%s/%s", build ? build : "build", name);
    return path;
}

/* starts a command of the shell in a process of its own */
static inline pid_t start_shell(const char *command) {
    pid_t child = fork();
    cr_assert_geq(child, 0, "fork: %s", strerror(errno));    /* kill(-1) would end everything */
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    return child;
}

/* starts `build/CHAPTER arguments`; what it says goes to out and err in the test's folder */
static inline pid_t start(const char *chapter, const char *arguments) {
    char command[2000];
    snprintf(command, sizeof command, "exec %s %s >%s/out 2>%s/err", program(chapter), arguments,
             folder, folder);
    return start_shell(command);
}

/* its exit status, or minus the signal that ended it */
static inline int wait_for(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) < 0) cr_assert_eq(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* `train`, fast, on the few images in the test's folder, `n` steps in every stage (0: as it says),
 * in the folder's folder `out`; and more options */
static inline void train_arguments(char text[static 1000], const Row *r, int n, const char *out,
                            const char *more) {
    char stages[sizeof r->stages];
    int at = snprintf(text, 1000, "train -q --data %s --out %s/%s %s", folder, folder, out, more);
    if (!strstr(more, "--resume")) at += snprintf(text + at, 1000 - (size_t)at, " %s", r->fast);
    strcpy(stages, r->stages);
    for (char *s = strtok(stages, " "); s && n; s = strtok(NULL, " "))
        at += snprintf(text + at, 1000 - (size_t)at, " --%s %d", s, n);
}

static inline pid_t start_training(const Row *r, int n, const char *out, const char *more) {
    char arguments[1000];
    train_arguments(arguments, r, n, out, more);
    return start(r->chapter, arguments);
}

static inline void train(const Row *r, int n, const char *out, const char *more) {
    char said[TEXT];
    int status = wait_for(start_training(r, n, out, more));
    read_text("err", said);
    cr_assert_eq(status, 0, "%s, %s: status %d: %s", r->chapter, more, status, said);
}

static inline void few_images(void) {
    few_garments(200, 100);
}

/* ---- comparing trainings --------------------------------------------------------------------- */

enum { MOST_FILES = 40 };
typedef char Name[64];

/* the names of the files that a training has left in the folder's folder `in` */
static inline int files_of(const char *in, Name names[static MOST_FILES]) {
    char path[200];
    int n = 0;
    snprintf(path, sizeof path, "%s/%s", folder, in);
    DIR *d = opendir(path);
    cr_assert(d, "%s", path);
    for (struct dirent *e; (e = readdir(d)) && n < MOST_FILES;)
        if (e->d_name[0] != '.') snprintf(names[n++], sizeof *names, "%.63s", e->d_name);
    closedir(d);
    return n;
}

static inline bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), k = strlen(end);
    return n >= k && !strcmp(name + n - k, end);
}

/* log.csv without its seconds, the second column */
static inline void without_seconds(char *log) {
    char *to = log;
    for (int column = 0; *log; log++) {
        if (*log == ',' || *log == '\n') column = *log == ',' ? column + 1 : 0;
        if (column != 1 || *log == '\n') *to++ = *log;
    }
    *to = 0;
}

/* a PNG without its text, which holds the command line */
static inline size_t without_text(uint8_t *png, size_t n) {
    size_t to = 8;
    for (size_t at = 8, length; at + 12 <= n; at += length) {
        const uint8_t *b = png + at;
        length = 12 + ((size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3]);
        if (at + length > n) break;
        if (memcmp(png + at + 4, "tEXt", 4)) memmove(png + to, png + at, length), to += length;
    }
    return to;
}

/* what a file holds of the training, and nothing of when and how it was called */
static inline uint8_t *content(const char *in, const char *name, size_t *n) {
    enum { MOST = 100 << 20 };
    static uint8_t *text[2];
    static int next;
    char path[300];
    snprintf(path, sizeof path, "%s/%s/%s", folder, in, name);
    FILE *f = fopen(path, "rb");
    cr_assert(f, "%s is missing", path);
    uint8_t *bytes = text[next] = realloc(text[next], MOST + 1);
    next = 1 - next;
    *n = fread(bytes, 1, MOST, f);
    bytes[*n] = 0;
    fclose(f);
    if (ends_with(name, "log.csv")) without_seconds((char *)bytes), *n = strlen((char *)bytes);
    if (ends_with(name, ".png")) *n = without_text(bytes, *n);
    return bytes;
}

static bool differs;               /* has expect_same_training found a difference? */

/* Do two trainings have the same files, with the same in them? run.json tells of time and place. */
static inline void expect_same_training(const Row *r, const char *one, const char *two) {
    Name names[MOST_FILES], others[MOST_FILES];
    int n = files_of(one, names), compared = 0;
    cr_expect_eq(files_of(two, others), n, "%s %s: %d files", r->chapter, r->fast, n);
    for (int i = 0; i < n; i++) {
        size_t a, b;
        if (ends_with(names[i], "run.json")) continue;
        const uint8_t *x = content(one, names[i], &a), *y = content(two, names[i], &b);
        bool same = a == b && !memcmp(x, y, a);
        cr_expect(same, "%s %s: %s and %s differ in %s", r->chapter, r->fast, one, two, names[i]);
        differs |= !same;
        compared++;
    }
    cr_expect(compared >= 3, "%s: only %d files compared", r->chapter, compared);
}
#endif
