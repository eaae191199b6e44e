/* test_programs.c — what all chapters' programs have in common: the command line, the folder of a
 * run, data, resuming, threads. Every folder of chapters/ with a main.c is tested (or those named in
 * $CHAPTERS). A chapter that is slow with its defaults, or trains in several stages or ways, has
 * rows in the table below. */
#include "programs.h"
#include "kernels/kernels.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <time.h>

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
    {"cfg", "--preview 0 --validation 4 --batch 2 --upsampler-batch 2 --noisy-clip-batch 4 "
            "--classes-batch 2",
     "steps upsampler-steps inpaint-steps noisy-clip-steps classes-steps"},
    {"dalle2", "--preview 0 --batch 2 --decoder-batch 2 --upsampler-batch 2 --fit 200",
     "steps ar-steps decoder-steps upsampler-steps"},
    {"ldm", "--preview 0 --validation 4 --factor 8 --batch 2 --diffusion-batch 2 --first-width 8 "
            "--width 32 --disc-start 1", "steps diffusion-steps"},
    {"ldm", "--preview 0 --validation 4 --factor 8 --batch 2 --diffusion-batch 2 --first-width 8 "
            "--width 32 --codes 16 --condition inpaint", "steps diffusion-steps"},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* the rows of a chapter; or one, of defaults */
static int rows_of(const char *chapter, bool all, Row *to) {
    int n = 0;
    for (int i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].chapter, chapter) && (all || !n)) to[n++] = rows[i];
    if (n) return n;
    *to = (Row){.fast = "--batch 3", .stages = "steps"};
    snprintf(to->chapter, sizeof to->chapter, "%.23s", chapter);
    return 1;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const Row *)a)->chapter, ((const Row *)b)->chapter);
}

/* one of $CHAPTERS, if that is set */
static bool is_wanted(const char *chapter) {
    const char *wanted = getenv("CHAPTERS");
    size_t n = strlen(chapter);
    for (const char *w = wanted; w && *w; w += strcspn(w, " "), w += strspn(w, " "))
        if (strcspn(w, " ") == n && !strncmp(w, chapter, n)) return true;
    return !wanted || !*wanted;
}

/* of every folder of chapters/ */
static struct criterion_test_params find_rows(bool all) {
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

#define EACH_CHAPTER(name)                                                                         \
    ParameterizedTestParameters(programs, name) { return find_rows(false); }                      \
    ParameterizedTest(Row *r, programs, name)
#define EACH_ROW(name)                                                                             \
    ParameterizedTestParameters(programs, name) { return find_rows(true); }                       \
    ParameterizedTest(Row *r, programs, name)

PROGRAM_SUITE(programs);

/* ---- calling them ---------------------------------------------------------------------------- */

enum { TEXT = 20000 };

/* a file of the test's folder; "" if there is none */
static void read_text(const char *name, char text[static TEXT]) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    text[f ? fread(text, 1, TEXT - 1, f) : 0] = 0;
    if (f) fclose(f);
}

/* the exit status of a command */
static int shell(const char *format, ...) {
    char command[5000];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256;
}

static const char *program(const char *name) {
    static char path[300];
    const char *build = getenv("BUILD");
    snprintf(path, sizeof path, "%s/%s", build ? build : "build", name);
    return path;
}

/* starts `build/CHAPTER arguments` in a process of its own; what it says goes to out and err in the
 * test's folder */
static pid_t start(const char *chapter, const char *arguments) {
    char command[1400];
    snprintf(command, sizeof command, "exec %s %s >%s/out 2>%s/err", program(chapter), arguments,
             folder, folder);
    pid_t child = fork();
    cr_assert_geq(child, 0, "fork: %s", strerror(errno));    /* kill(-1) would end everything */
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    return child;
}

/* its exit status, or minus the signal that ended it */
static int wait_for(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) < 0) cr_assert_eq(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* `train`, fast, on the few images in the test's folder, `n` steps in every stage (0: as it says),
 * in the folder's folder `out`; and more options */
static void train_arguments(char text[static 1000], const Row *r, int n, const char *out,
                            const char *more) {
    char stages[sizeof r->stages];
    int at = snprintf(text, 1000, "train -q --data %s --out %s/%s %s", folder, folder, out, more);
    if (!strstr(more, "--resume")) at += snprintf(text + at, 1000 - (size_t)at, " %s", r->fast);
    strcpy(stages, r->stages);
    for (char *s = strtok(stages, " "); s && n; s = strtok(NULL, " "))
        at += snprintf(text + at, 1000 - (size_t)at, " --%s %d", s, n);
}

static pid_t start_training(const Row *r, int n, const char *out, const char *more) {
    char arguments[1000];
    train_arguments(arguments, r, n, out, more);
    return start(r->chapter, arguments);
}

static void train(const Row *r, int n, const char *out, const char *more) {
    char said[TEXT];
    int status = wait_for(start_training(r, n, out, more));
    read_text("err", said);
    cr_assert_eq(status, 0, "%s, %s: status %d: %s", r->chapter, more, status, said);
}

/* A training that must be refused; it would be short, if it were not. */
static void refuse_training(const Row *r, const char *more, int status, const char *says) {
    char stages[sizeof r->stages], arguments[800];
    int at = snprintf(arguments, sizeof arguments, "train %s %s", r->fast, more);
    strcpy(stages, r->stages);
    for (char *s = strtok(stages, " "); s; s = strtok(NULL, " "))
        at += snprintf(arguments + at, sizeof arguments - (size_t)at, " --%s 1", s);
    expect_refusal(r->chapter, arguments, status, says);
}

static void few_images(void) {
    few_garments(200, 100);
}

/* ---- the command line ------------------------------------------------------------------------ */

/* A chapter that is finished, which its text shows, has all four commands; one that is begun may
 * do without eval and info. */
static bool has_all_commands(const Row *r) {
    char path[100];
    snprintf(path, sizeof path, "chapters/%s/README.md", r->chapter);
    return access(path, F_OK) == 0;
}

/* "  -s, --seed": no letter stands for two options of a command */
static void letters_are_different(const char *chapter, const char *help) {
    int times[128] = {0};
    for (const char *p = help; (p = strstr(p, "\n  -")); p++)
        cr_expect(!times[p[4] & 127]++, "%s: -%c stands for two options:\n%s", chapter, p[4], help);
    cr_expect(times['h'] == 1, "%s: no -h", chapter);
}

/* Does --help name the options and commands that every program has, and does the program know every
 * option and command that --help names? */
EACH_CHAPTER(help_names_every_option) {
    static const char *const common[] = {
        "--config", "--seed", "--steps", "--batch", "--lr", "--threads", "--out", "--weights",
        "--data", "--resume", "--quiet", "--help", "\n  train ", "\n  sample ", "\n  eval ",
        "\n  info "};
    char help[TEXT], of_command[TEXT], arguments[200], said[2000];
    int named = 0;
    cr_assert_eq(wait_for(start(r->chapter, "--help")), 0, "%s", r->chapter);
    read_text("out", help);
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        cr_expect(strstr(help, common[i]) || (i > 13 && !has_all_commands(r)),
                  "%s --help does not name %s", r->chapter, common[i]);
    for (const char *p = help; (p = strstr(p, "--")); p += 2) {
        bool begins = p - help > 6 && (!strncmp(p - 6, "      ", 6) || !strncmp(p - 2, ", ", 2));
        if (!begins) continue;
        int n = 2 + (int)strspn(p + 2, "abcdefghijklmnopqrstuvwxyz0123456789-");
        snprintf(arguments, sizeof arguments, "train --batch 0 %.*s", n, p);
        int status = run_program(r->chapter, arguments, said);
        bool is_help = n == 6 && !strncmp(p, "--help", 6);
        cr_expect(status == (is_help ? 0 : 2) && !strstr(said, "unknown"), "%s %s: %s", r->chapter,
                  arguments, said);
        named++;
    }
    cr_expect(named >= 12, "%s --help names %d options", r->chapter, named);
    for (const char *p = strstr(help, "\ncommands:\n") + 10; p[1] == ' '; p = strchr(p + 1, '\n')) {
        snprintf(arguments, sizeof arguments, "%.*s --help", (int)strcspn(p + 3, " "), p + 3);
        cr_expect_eq(wait_for(start(r->chapter, arguments)), 0, "%s: %s", r->chapter, arguments);
        read_text("out", of_command);
        letters_are_different(r->chapter, of_command);
    }
}

/* Whatever is asked: one line, status 2, nothing made? */
EACH_CHAPTER(what_makes_no_sense_is_refused) {
    static const char *const trainings[][2] = {
        {"--no-such-option 3", "--no-such-option"}, {"surplus", "surplus"},
        {"--batch 0", "--batch"},                   {"--batch ten", "--batch"},
        {"--lr fast", "--lr"},                      {"--lr nan", "--lr"},
        {"--seed -1", "--seed"},                    {"--threads 1000", "--threads"},
        {"--config vgg", "vgg"},                    {"--weights w", "--weights"},
    };
    expect_refusal(r->chapter, "", 2, "command");
    expect_refusal(r->chapter, "paint --out %s/x", 2, "paint");
    expect_refusal(r->chapter, "sample --resume --out %s/x", 2, "--resume");
    expect_refusal(r->chapter, "train --out %s/x --steps -1", 2, "--steps");
    expect_refusal(r->chapter, "train --out %s/x --steps 1.5", 2, "--steps");
    expect_refusal(r->chapter, "train --out %s/x --steps", 2, "--steps");
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++) {
        char more[100];
        snprintf(more, sizeof more, "%s --out %%s/x", trainings[i][0]);
        refuse_training(r, more, 2, trainings[i][1]);
    }
    cr_expect(!file_there("x"), "%s: a folder was made", r->chapter);
}

/* Does a program do the same wherever it is called, and whether the dynamic loader is named or not? */
static void expect_same_anywhere(const char *name) {
    static const char *const loaders[] = {"/lib64/ld-linux-x86-64.so.2",
                                          "/lib/ld-linux-aarch64.so.1"};
    char here[4096];
    cr_assert(getcwd(here, sizeof here));
    cr_assert_eq(shell("%s info >%s/here", program(name), folder), 0, "%s info", name);
    cr_assert_eq(shell("cd / && %s/%s info >%s/elsewhere", here, program(name), folder), 0);
    cr_expect(same_file("here", "elsewhere"), "%s info, from another folder", name);
    for (int i = 0; i < 2; i++) {
        if (access(loaders[i], X_OK)) continue;
        cr_assert_eq(shell("cd / && %s %s/%s info >%s/loaded", loaders[i], here, program(name),
                           folder), 0, "%s info, by %s", name, loaders[i]);
        cr_expect(same_file("here", "loaded"), "%s info, by %s", name, loaders[i]);
    }
}

EACH_CHAPTER(programs_run_from_anywhere) {
    if (has_all_commands(r)) expect_same_anywhere(r->chapter);
}

Test(programs, tools_run_from_anywhere) {
    static const char *const tools[] = {"classifier", "caption_evaluator", "clip", "tokenizer"};
    for (int i = 0; i < 4 && is_wanted("tools"); i++) expect_same_anywhere(tools[i]);
}

EACH_CHAPTER(what_cannot_be_written_is_said) {
    static const char *const printing[] = {"info >/dev/full", "info >&-", "--help >/dev/full"};
    for (int i = has_all_commands(r) ? 0 : 2; i < 3; i++) {
        char said[TEXT];
        int status = shell("%s %s 2>%s/err", program(r->chapter), printing[i], folder);
        read_text("err", said);
        char *end = strchr(said, '\n');
        cr_expect(status == 1 && end && !end[1] && strstr(said, "standard output"),
                  "%s %s: status %d: %s", r->chapter, printing[i], status, said);
    }
    few_images();
    refuse_training(r, "--data %s --out %s/stderr/x", 1, "stderr");
}

/* ---- data and weights ------------------------------------------------------------------------ */

static void write_bytes(const char *name, const void *bytes, size_t n) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(bytes, 1, n, f) == n && !fclose(f), "%s", path);
}

/* Images of 14x14 pixels, a file that ends too early, an empty one, something else; fewer labels
 * than images; hardly any images; none */
EACH_CHAPTER(data_that_do_not_fit_are_refused) {
    static const uint8_t labels[199], small[16 + 200 * 14 * 14] =
        {0, 0, 8, 3, 0, 0, 0, 200, 0, 0, 0, 14, 0, 0, 0, 14};
    static const char other[] = "P6 28 28 255";
    const struct {
        const void *bytes;
        size_t n;
    } images[] = {{small, sizeof small}, {small, 300}, {"", 0}, {other, sizeof other}};
    few_images();
    for (int i = 0; i < 4; i++) {
        write_bytes(fashion_files[0], images[i].bytes, images[i].n);
        refuse_training(r, "--data %s --out %s/x", 1, fashion_files[0]);
    }
    few_images();
    write_idx(fashion_files[1], labels, sizeof labels, 1);
    refuse_training(r, "--data %s --out %s/x", 1, "199 labels");
    refuse_training(r, "--data %s/nothing --out %s/x", 1, "nothing");
    char said[2000];
    few_garments(40, 4);                    /* said after a note that it is not Fashion-MNIST */
    cr_expect_eq(run_program(r->chapter, "train --steps 1 --data %s --out %s/x", said), 1, "%s",
                 said);
    cr_expect(strstr(said, "are needed"), "%s: %s", r->chapter, said);
}

EACH_CHAPTER(weights_of_others_are_refused) {
    static const char *const commands[] = {"sample", "eval"};
    const char *other = strcmp(r->chapter, "ae") ? "ae" : "vae";
    char arguments[300], says[40];
    snprintf(says, sizeof says, "was made by %s", other);
    for (int i = 0; i < (has_all_commands(r) ? 2 : 1); i++) {
        snprintf(arguments, sizeof arguments, "%s --weights notebooks-data/%s/weights.safetensors "
                 "--out %%s/x", commands[i], other);
        expect_refusal(r->chapter, arguments, 1, says);
        snprintf(arguments, sizeof arguments, "%s --weights %%s/none.safetensors --out %%s/x",
                 commands[i]);
        expect_refusal(r->chapter, arguments, 1, "none.safetensors");
        snprintf(arguments, sizeof arguments, "%s --weights %%s/stderr --out %%s/x", commands[i]);
        expect_refusal(r->chapter, arguments, 1, "stderr");
        snprintf(arguments, sizeof arguments, "%s --out %%s/x", commands[i]);
        expect_refusal(r->chapter, arguments, 1, "weights.safetensors");
        snprintf(arguments, sizeof arguments, "%s --weights tests/golden/dcgan_g.safetensors "
                 "--out %%s/x", commands[i]);
        expect_refusal(r->chapter, arguments, 1, "dcgan_g.safetensors");
    }
}

/* the chapter's committed weights in the test's folder, as `name`, after `more` was put in front of
 * their list of tensors; *data: where the numbers begin. false: there are none */
static uint8_t *committed_weights(const char *chapter, const char *more, size_t *n, size_t *data) {
    char path[200];
    snprintf(path, sizeof path, "notebooks-data/%s/weights.safetensors", chapter);
    if (access(path, R_OK)) return NULL;
    size_t length = strlen(more), list = 0;
    const uint8_t *bytes = file_map(path, n);
    uint8_t *copy = malloc(*n + length + 8);
    for (int i = 8; i-- > 0;) list = list << 8 | bytes[i];
    *data = 8 + list + length;
    memcpy(copy, bytes, 9), memcpy(copy + 9, more, length);
    memcpy(copy + 9 + length, bytes + 9, *n - 9);
    list += length;
    for (int i = 0; i < 8; i++) copy[i] = (uint8_t)(list >> 8 * i);
    file_unmap(bytes, *n);
    *n += length;
    return copy;
}

/* Numbers that are not finite: are they found before pictures are ruined? */
EACH_CHAPTER(weights_that_are_not_finite_are_refused) {
    size_t n, data;
    uint8_t *w = committed_weights(r->chapter, "", &n, &data);
    if (!w) return;
    memset(w + data, 255, 4);                /* NaN in half and in single precision */
    write_bytes("nan.safetensors", w, n);
    free(w);
    expect_refusal(r->chapter, "sample --weights %s/nan.safetensors --out %s/x", 1, "is -nan; no");
}

/* PyTorch's batch normalisations count batches, in files that are exported from there. */
Test(programs, a_count_of_batches_among_the_weights_is_left_out) {
    static const char sample[] = "sample -q --weights %s/w.safetensors --out %s/pictures";
    char more[200];
    size_t n, data;
    if (!is_wanted("gan")) return;
    uint8_t *w = committed_weights("gan", "", &n, &data);
    write_bytes("w.safetensors", w, n);
    RUN("gan", sample);
    cr_assert_eq(shell("mv %s/pictures %s/without", folder, folder), 0);
    snprintf(more, sizeof more, "\"norm.0.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],"
             "\"data_offsets\":[%zu,%zu]},", n - data, n - data + 8);
    free(w);
    w = committed_weights("gan", more, &n, &data);
    memset(w + n, 0, 8), w[n] = 7;
    write_bytes("w.safetensors", w, n + 8);
    free(w);
    RUN("gan", sample);
    cr_expect(same_file("pictures/samples.png", "without/samples.png"));
}

/* Results of another folder's files, in another: are they those of here? */
Test(programs, scores_are_the_same_from_anywhere) {
    static const char eval[] = "eval -q --samples 20 --weights";
    char here[4096];
    cr_assert(getcwd(here, sizeof here));
    if (!is_wanted("gan")) return;
    few_images();
    cr_assert_eq(shell("cp notebooks-data/gan/weights.safetensors %s/w; %s %s %s/w --data %s "
                       "--out %s/a 2>%s/err", folder, program("gan"), eval, folder, folder, folder,
                       folder), 0);
    cr_assert_eq(shell("cd %s && %s/%s %s w --data . --out b 2>err", folder, here, program("gan"),
                       eval), 0);
    cr_expect(same_file("a/classes.csv", "b/classes.csv") && file_there("b/metrics.json"));
}

/* ---- training -------------------------------------------------------------------------------- */

enum { MOST_FILES = 40 };
typedef char Name[64];

/* the names of the files that a training has left in the folder's folder `in` */
static int files_of(const char *in, Name names[static MOST_FILES]) {
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

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), k = strlen(end);
    return n >= k && !strcmp(name + n - k, end);
}

/* log.csv without its seconds, the second column */
static void without_seconds(char *log) {
    char *to = log;
    for (int column = 0; *log; log++) {
        if (*log == ',' || *log == '\n') column = *log == ',' ? column + 1 : 0;
        if (column != 1 || *log == '\n') *to++ = *log;
    }
    *to = 0;
}

/* a PNG without its text, which holds the command line */
static size_t without_text(uint8_t *png, size_t n) {
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
static uint8_t *content(const char *in, const char *name, size_t *n) {
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
static void expect_same_training(const Row *r, const char *one, const char *two) {
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

/* Waits until a training in `in` has begun, or ended. */
static void wait_for_start(const char *in) {
    Name names[MOST_FILES];
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, in);
    for (int i = 0; i < 20000; i++) {
        int n = access(path, F_OK) ? 0 : files_of(in, names);
        while (n-- > 0)
            if (ends_with(names[n], "run.json")) return;
        usleep(1000);
    }
    cr_assert_fail("%s: no training has begun", path);
}

/* Interrupts a training of n steps in its course. Returns its status: 130, or 0 if it was over
 * already, or -SIGINT if it had not begun to listen. */
static int interrupt(const Row *r, int n, int milliseconds) {
    cr_assert_eq(shell("rm -rf %s/resumed", folder), 0);
    pid_t child = start_training(r, n, "resumed", "--threads 1");
    wait_for_start("resumed");
    usleep(1000 * (unsigned)milliseconds);
    kill(child, SIGINT);
    return wait_for(child);
}

/* Ctrl-C at some step, then --resume, with one thread; the same never stopped, with two: the same in
 * every file? If not, the second comparison tells which of the two it is. Another seed: other
 * weights? */
EACH_ROW(a_resumed_run_equals_one_that_was_never_stopped) {
    char said[TEXT];
    int n = 3, wait = 0, status;
    few_images();
    while ((status = interrupt(r, n, wait)) != 130) {
        cr_assert(n < 10000 && wait < 1000, "%s: status %d", r->chapter, status);
        if (status == 0) n *= 3;
        else wait += 10;
    }
    read_text("err", said);
    cr_expect(strstr(said, "to go on:") && strstr(said, "--resume"), "%s: %s", r->chapter, said);
    train(r, 0, "resumed", "--resume --threads 1");
    train(r, n, "straight", "--threads 2");
    expect_same_training(r, "straight", "resumed");
    if (differs) {
        train(r, n, "one-thread", "--threads 1");
        expect_same_training(r, "straight", "one-thread");
    }
    train(r, n, "seed2", "--seed 2");
    cr_expect(!same_file("straight/weights.safetensors", "seed2/weights.safetensors"),
              "%s: the seed", r->chapter);
}

/* A step, then another: does --resume take a larger --steps? And does it say so if there is
 * nothing to go on from? (The first stage of several then begins.) */
EACH_CHAPTER(a_run_goes_on_beyond_its_end) {
    char said[TEXT];
    few_images();
    bool staged = strchr(r->stages, ' ');
    if (!staged)
        refuse_training(r, "--resume --out %s/x", 1, "nothing to go on from");
    train(r, 1, "run", "");
    train(r, 2, "run", "--resume");
    cr_assert_eq(wait_for(start_training(r, 2, "run", "--resume")), 0);
    read_text("err", said);
    cr_expect(strstr(said, "steps already"), "%s: %s", r->chapter, said);
}

/* One training in a folder at a time: is the second one refused, and the first one left alone? */
EACH_CHAPTER(a_second_training_in_the_folder_is_refused) {
    few_images();
    pid_t child = start_training(r, 4000, "run", "");
    wait_for_start("run");
    kill(child, SIGSTOP);
    refuse_training(r, "--data %s --out %s/run", 1, "is training in this folder");
    kill(child, SIGKILL);
    cr_assert_eq(wait_for(child), -SIGKILL);
    train(r, 1, "run", "");                  /* the lock went with the process */
}

/* Does a start that fails change nothing? A new training in the same folder: are the earlier ones'
 * files kept, and named? */
EACH_CHAPTER(an_earlier_run_is_kept) {
    char said[TEXT];
    Name names[MOST_FILES], log = "";
    char old[sizeof log + 16];
    few_images();
    train(r, 1, "run", "");
    cr_assert_eq(shell("cp -r %s/run %s/copy", folder, folder), 0);
    cr_assert_eq(wait_for(start_training(r, 1, "run", "--data nothing")), 1);
    expect_same_training(r, "copy", "run");
    for (int n = files_of("run", names); n-- > 0;)
        if (ends_with(names[n], "log.csv")) strcpy(log, names[n]);
    cr_assert_eq(shell("cp %s/run/%s %s/first", folder, log, folder), 0);
    for (int k = 1; k <= 2; k++) {
        train(r, 1, "run", "");
        read_text("err", said);
        snprintf(old, sizeof old, k == 1 ? "%s.old" : "%s.old%d", log, k);
        cr_expect(strstr(said, old) && strstr(said, "weights.safetensors.old"), "%s: %s",
                  r->chapter, said);
    }
    snprintf(old, sizeof old, "run/%s.old", log);
    cr_expect(same_file("first", old), "%s: %s is not the first run's", r->chapter, old);
}

/* ---- micro-batches and several processes ----------------------------------------------------- */

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
static const char *only_stage(const Row *r) {
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (!strcmp(r->chapter, whole[i].chapter) && strstr(r->fast, whole[i].option))
            return whole[i].stage;
    return NULL;
}

/* Is it said, in one line, before anything is made? */
EACH_ROW(what_needs_whole_batches_says_so) {
    if (!only_stage(r)) return;
    few_images();
    refuse_training(r, "--micro 3 --data %s --out %s/x", 2, "--micro 3: ");
    cr_expect(!file_there("x"), "%s: a folder was made", r->chapter);
}

/* The tests of several processes are those of `make test-mpi`, which sets $MPIRUN. */
static struct criterion_test_params shared_rows(bool all) {
    return getenv("MPIRUN") ? find_rows(all) : cr_make_param_array(Row, NULL, 0);
}

/* the row with batches of so many */
static Row in_batches_of(const Row *r, int n) {
    Row row = *r;
    const char *from = r->fast;
    char *to = row.fast, as[16];
    snprintf(as, sizeof as, "batch %d", n);
    while (*from) {
        bool batch = !strncmp(from, "batch ", 6);
        if (batch) from += 6, from += strspn(from, "0123456789"), to = stpcpy(to, as);
        else *to++ = *from++;
    }
    *to = 0;
    if (!strstr(row.fast, "--batch")) strcat(strcat(row.fast, " --"), as);
    return row;
}

/* starts P processes of `build/CHAPTER arguments` */
static pid_t start_processes(const char *chapter, int P, const char *arguments) {
    char command[1600];
    if (P == 1) return start(chapter, arguments);
    snprintf(command, sizeof command, "exec %s -n %d %s %s >%s/out 2>%s/err", getenv("MPIRUN"), P,
             program(chapter), arguments, folder, folder);
    pid_t child = fork();
    cr_assert_geq(child, 0, "fork: %s", strerror(errno));
    if (child) return child;
    execl("/bin/sh", "sh", "-c", command, NULL);
    _exit(127);
}

static pid_t start_shared(const Row *r, int P, int n, const char *out, const char *more) {
    char arguments[1000];
    train_arguments(arguments, r, n, out, more);
    return start_processes(r->chapter, P, arguments);
}

static void expect_success(const char *chapter, int P, const char *arguments) {
    char said[TEXT];
    int status = wait_for(start_processes(chapter, P, arguments));
    read_text("err", said);
    cr_assert_eq(status, 0, "%s %s: %d processes: status %d: %s", chapter, arguments, P, status,
                 said);
}

static void train_shared(const Row *r, int P, int n, const char *out, const char *more) {
    char arguments[1000];
    train_arguments(arguments, r, n, out, more);
    expect_success(r->chapter, P, arguments);
}

TestSuite(processes, .init = make_folder, .fini = remove_test_folder);

/* Six micro-batches by one process, two and three: the same files, bit for bit? */
ParameterizedTestParameters(processes, train_the_same_weights) { return shared_rows(true); }
ParameterizedTest(Row *r, processes, train_the_same_weights) {
    static const char *const out[] = {"", "one", "two", "three"};
    const char *stage = only_stage(r);
    char more[60] = "--threads 1 --micro 6";
    Row six = in_batches_of(r, 6);
    if (stage && !*stage) return;            /* what_needs_whole_batches_says_so */
    few_images();
    if (stage) {
        train(&six, 1, "one", "--threads 1");
        cr_assert_eq(shell("cd %s; cp -r one two; cp -r one three", folder), 0);
        snprintf(more, sizeof more, "--threads 1 --micro 6 --stage %s", stage);
    }
    for (int P = 1; P <= 3; P++) train_shared(&six, P, 2, out[P], more);
    expect_same_training(&six, "one", "two"), expect_same_training(&six, "one", "three");
}

/* Processes of several threads: the same as one of one? */
ParameterizedTestParameters(processes, of_several_threads) { return shared_rows(false); }
ParameterizedTest(Row *r, processes, of_several_threads) {
    if (strcmp(r->chapter, "ddpm")) return;
    Row four = in_batches_of(r, 4);
    few_images();
    train_shared(&four, 1, 2, "one", "--micro 4 --threads 1");
    train_shared(&four, 2, 2, "two", "--micro 4 --threads 2");
    train_shared(&four, 4, 2, "four", "--micro 4 --threads 1");
    expect_same_training(&four, "one", "two"), expect_same_training(&four, "one", "four");
}

/* a number of a record in the test's folder */
static double recorded(const char *file, const char *key) {
    char said[TEXT], quoted[60];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    read_text(file, said);
    const char *at = strstr(said, quoted);
    cr_assert(at, "%s: no %s: %s", file, key, said);
    return atof(at + strlen(quoted));
}

/* Of two processes each has the moments of half the parameters, and sums of half the gradients: is
 * the peak of the first one, which has all averages when it evaluates, as much smaller than that of
 * one process alone, but for what MPI and sending take? */
ParameterizedTestParameters(processes, divide_the_memory) { return shared_rows(false); }
ParameterizedTest(Row *r, processes, divide_the_memory) {
    enum { HALVES = 3 };                     /* of both moments, and of the sums */
    Row large = *r;
    if (strcmp(r->chapter, "dalle")) return;
    strcpy(large.fast, "--width 4 --codes 16 --batch 2 --prior-batch 2 --prior-width 512 "
                       "--prior-depth 6 --prior-heads 8");
    few_images();
    for (int P = 1; P <= 2; P++)
        train_shared(&large, P, 1, P == 1 ? "one" : "two", "--threads 1 --micro 2");
    double half = recorded("one/prior-run.json", "parameters") * sizeof(float) / 2;
    double less = recorded("one/prior-run.json", "peak_memory_bytes") -
                  recorded("two/prior-run.json", "peak_memory_bytes");
    cr_expect(less > 0.7 * HALVES * half, "%.1f MB less, of %.1f", less / 1e6, HALVES * half / 1e6);
}

/* what makes `sample` fast, with pictures for two groups (diffusion/drawing.h) */
static const struct {
    const char *chapter, *options;
} sampling[] = {{"dalle", "-n 2 --best-of 66 --prompt 'a red bag' --prompt 'a coat'"},
                {"ddpm", "--steps 2 -n 18"},
                {"iddpm", "--respace 2 -n 18"},
                {"guidance", "--respace 2 -n 18"},
                {"cfg", "--respace 2 --upsampler-respace 2 -n 18"},
                {"dalle2", "--prior none --respace 2 -n 33 -p 'a dress'"},
                {"ldm", "--steps 2 --pictures 33"}};

/* One process draws, and two do: the same files, bit for bit? And the scores of ddpm's samples? */
ParameterizedTestParameters(processes, draw_the_same_pictures) { return shared_rows(false); }
ParameterizedTest(Row *r, processes, draw_the_same_pictures) {
    static const char *const out[] = {"", "one", "two"};
    char arguments[600], scoring[600];
    const char *options = "";
    for (size_t i = 0; i < sizeof sampling / sizeof *sampling; i++)
        if (!strcmp(r->chapter, sampling[i].chapter)) options = sampling[i].options;
    few_images();
    train(r, 1, "trained", "--threads 1");
    snprintf(arguments, sizeof arguments, "sample -q --threads 1 --data %s --out %s/run %s", folder,
             folder, options);
    snprintf(scoring, sizeof scoring, "eval -q --threads 1 --data %s --out %s/run --steps 2 "
             "--samples 34 --bound 18", folder, folder);
    for (int P = 1; P <= 2; P++) {
        cr_assert_eq(shell("cp -r %s/trained %s/run", folder, folder), 0);
        expect_success(r->chapter, P, arguments);
        if (!strcmp(r->chapter, "ddpm")) {
            expect_success(r->chapter, P, scoring);
            cr_assert_eq(shell("sed -i /seconds_a_picture/d %s/run/metrics.json", folder), 0);
        }
        cr_assert_eq(shell("mv %s/run %s/%s", folder, folder, out[P]), 0);
    }
    cr_expect(shell("diff -rq %s/trained %s/one >/dev/null", folder, folder), "nothing was drawn");
    expect_same_training(r, "one", "two");
}

/* the process of this rank that mpirun `parent` has started, once it has; 0: the job is over */
static pid_t process_of(pid_t parent, int rank) {
    char command[200];
    int pid = 0;
    snprintf(command, sizeof command, "for p in $(pgrep -P %d); do tr '\\0' '\\n' "
             "</proc/$p/environ | grep -qx OMPI_COMM_WORLD_RANK=%d && echo $p; done 2>&-",
             (int)parent, rank);
    siginfo_t ended = {0};
    while (!pid && !waitid(P_PID, (id_t)parent, &ended, WEXITED | WNOHANG | WNOWAIT) &&
           !ended.si_pid) {
        FILE *f = popen(command, "r");
        if (f && fscanf(f, "%d", &pid) != 1) pid = 0;
        if (f) pclose(f);
        usleep(10000);
    }
    return pid;
}

/* mpirun ends the others, but does not wait for one that is still writing: at most a minute */
static void expect_end_of(const pid_t p[3]) {
    cr_expect_eq(shell("for i in $(seq 600); do ps -o stat= -p %d,%d,%d | grep -q '^[^Z]' || "
                       "exit 0; sleep 0.1; done; exit 1", (int)p[0], (int)p[1], (int)p[2]), 0,
                 "the job is over, a process is not");
}

/* Is one line said of the death, with the rank? */
static void expect_one_line_of(int rank, int status) {
    char said[TEXT], who[40];
    int lines = 0;
    snprintf(who, sizeof who, " rank %d with PID", rank);
    read_text("err", said);
    for (const char *p = said; (p = strstr(p, "signal 9")); p++) lines++;
    cr_expect(status == 128 + SIGKILL && lines == 1 && strstr(said, who),
              "process %d was killed; status %d: %s", rank, status, said);
}

typedef struct {
    int rank, microseconds;      /* which of three processes, and how long after its start */
    int on;                      /* how many processes then go on */
} Kill;

/* Does the job end, is the last checkpoint whole, and is the end reached from there the same? false:
 * the job was over before */
static bool kill_and_resume(const Row *r, Kill k) {
    cr_assert_eq(shell("rm -rf %s/killed", folder), 0);
    pid_t job = start_shared(r, 3, 12, "killed", "--threads 1 --micro 6");
    pid_t all[3];
    for (int i = 0; i < 3; i++) all[i] = process_of(job, i);
    usleep((unsigned)k.microseconds);
    bool hit = all[k.rank] && !kill(all[k.rank], SIGKILL);
    int status = wait_for(job);
    if (hit) expect_end_of(all);
    if (status) expect_one_line_of(k.rank, status);
    if (file_there("killed/checkpoint.safetensors")) {
        train_shared(r, k.on, 0, "killed", "--resume --threads 1");
    } else {
        train_shared(r, k.on, 12, "killed", "--threads 1 --micro 6");
        cr_assert_eq(shell("rm -f %s/killed/*.old", folder), 0);
    }
    expect_same_training(r, "straight", "killed");
    return status != 0;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Every rank in turn is killed, three times or $KILLS, at a random moment ($SEED) of as long as a job
 * takes. When the job was over by then, another kill is tried. */
ParameterizedTestParameters(processes, go_on_when_one_was_killed) { return shared_rows(false); }
ParameterizedTest(Row *r, processes, go_on_when_one_was_killed) {
    const char *kills = getenv("KILLS"), *given = getenv("SEED");
    unsigned seed = given ? (unsigned)atoi(given) : (unsigned)time(NULL);
    int wanted = kills ? atoi(kills) : 3, hits = 0;
    Row six = in_batches_of(r, 6);
    if (strcmp(r->chapter, "ae")) return;
    few_images();
    double start = now();
    train_shared(&six, 3, 12, "straight", "--threads 1 --micro 6");
    uint32_t microseconds = (uint32_t)(1e6 * (now() - start));
    Rng rng = rng_new(seed, "kills");
    int first = (int)rng_below(&rng, 3);
    for (int k = 0; k < 2 * wanted && hits < wanted; k++)
        hits += kill_and_resume(&six, (Kill){(first + hits) % 3,
                                             (int)rng_below(&rng, microseconds), 1 + k % 3});
    cr_expect(wanted > 0 && hits == wanted, "%d kills hit a job, of %d wanted", hits, wanted);
    cr_expect(!differs, "SEED=%u", seed);
}

/* No host has the emoji yet, and two processes share one: does each draw and read its own? */
ParameterizedTestParameters(processes, begin_without_a_cache) { return shared_rows(false); }
ParameterizedTest(Row *r, processes, begin_without_a_cache) {
    const char *run = getenv("MPIRUN");
    char call[700], said[TEXT];
    if (strcmp(r->chapter, "cfg")) return;
    few_images();
    char *path = realpath(program(r->chapter), NULL);
    cr_assert(path);
    snprintf(call, sizeof call, "%s train -q --stage base --threads 1 --micro 3 --batch 3 --steps 1 "
             "--emoji 0.5 --preview 0 --validation 4 --data %s --out %s/run", path, folder, folder);
    free(path);
    int status = shell("mkdir %s/a %s/b; %s -wdir %s/a -n 1 %s : -wdir %s/b -n 2 %s 2>%s/err",
                       folder, folder, run, folder, call, folder, call, folder);
    read_text("err", said);
    cr_expect_eq(status, 0, "status %d: %s", status, said);
    cr_expect(same_file("a/build/data/emoji-64.safetensors", "b/build/data/emoji-64.safetensors"));
    cr_expect(shell("find %s -name '*.tmp' | grep .", folder), "a half-written file is left");
}

/* Are two hosts that differ in this found before the first step, and named? What each runs, as
 * mpirun takes it. */
static void expect_named(const char *what, const char *first, const char *second) {
    char said[TEXT], says[60];
    snprintf(says, sizeof says, ": its %s (sha256 ", what);
    cr_expect_neq(shell("cd %s && %s %s : %s 2>err", folder, getenv("MPIRUN"), first, second), 0,
                  "%s", what);
    read_text("err", said);
    cr_expect(strstr(said, "process 1 on ") && strstr(said, says), "%s: %s", what, said);
}

ParameterizedTestParameters(processes, that_differ_are_named) { return shared_rows(false); }
ParameterizedTest(Row *r, processes, that_differ_are_named) {
    static const char options[] = "train -q --micro 2 --batch 6 --steps 3 --out x --data";
    if (strcmp(r->chapter, "ae")) return;
    char one[1000], other[1100], again[1100], *ae = realpath(program("ae"), NULL);
    few_images();
    cr_assert_eq(shell("cd %s && mkdir x other a b && cp *ubyte* other && cp %s ae && echo >>ae && "
                       "printf X | dd conv=notrunc of=other/%s bs=1 seek=500 2>/dev/null", folder,
                       ae, fashion_files[0]), 0);
    snprintf(one, sizeof one, "-n 1 %s %s .", ae, options);
    snprintf(other, sizeof other, "%s --lr 0.5", one);
    expect_named("options", one, other);
    snprintf(other, sizeof other, "-n 1 %s %s other", ae, options);
    expect_named("data", one, other);
    snprintf(other, sizeof other, "-n 1 ./ae %s .", options);
    expect_named("program", one, other);
    cr_expect(!file_there("x/checkpoint.safetensors"));
    for (int k = 1; k <= 2; k++)             /* a step, or two: a host has another checkpoint */
        cr_assert_eq(shell("cd %s/%c && %s %s .. --steps %d 2>../err", folder, "ab"[k - 1], ae,
                           options, k), 0);
    snprintf(one, sizeof one, "-wdir a -n 1 %s %s .. --resume", ae, options);
    snprintf(again, sizeof again, "-wdir b -n 1 %s %s .. --resume", ae, options);
    expect_named("weights", one, again);
    free(ae);
}
