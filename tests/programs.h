/* programs.h — for tests of a chapter's program. Included once in a test program.
 *
 *   - PROGRAM_SUITE(name)   each test has a new folder, removed when it ends
 *   - run_program           runs build/NAME, keeps what it says on stderr
 *   - RUN                   the same, and must succeed; sample_as: RUN of `sample`
 *   - expect_refusal        one clear line, the right status, nothing half written;
 *     EXPECT_REFUSALS       for each of an array
 *   - same_file, same_picture, file_there, text_of
 *   - drawn, off_by         pictures in a .npy file; write_picture: a PNG
 *   - expect_own_prompts    is each picture drawn from its own prompt?
 *   - number_in             a number of a JSON file
 *   - few_garments          a folder with a small data set, for --data; few_black: all pixels black
 *
 * In arguments, %s stands for the test's folder (three times at most). */
#ifndef PROGRAMS_H
#define PROGRAMS_H

#include "base/file.h"
#include "data/fashion.h"
#include "data/picture_decode.h"
#include "io/npy.h"
#include "io/picture.h"
#include "testing.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

static char folder[64];

static inline void make_folder(void) {
    signal(SIGINT, SIG_DFL);            /* else programs inherit that it is ignored, if it is */
    strcpy(folder, temporary_folder());
}

#define PROGRAM_SUITE(name) TestSuite(name, .init = make_folder, .fini = after_each_test)

/* the file's text; to be freed */
static inline char *text_of(const char *path) {
    size_t n;
    const uint8_t *bytes = file_map(path, &n);
    char *text = malloc(n + 1);
    memcpy(text, bytes, n);
    text[n] = 0;
    file_unmap(bytes, n);
    return text;
}

/* Runs build/NAME with these arguments; what it prints on stderr goes to `message`. Returns the exit
 * status. */
static inline int run_program(const char *name, const char *arguments, char message[static 2000]) {
    const char *build = getenv("BUILD");
    char command[1200], args[900], path[100];
    snprintf(args, sizeof args, arguments, folder, folder, folder);
    snprintf(path, sizeof path, "%s/stderr", folder);
    snprintf(command, sizeof command, "%s/%s %s >/dev/null 2>%s", build ? build : "build", name,
             args, path);
    int status = system(command);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    size_t n = fread(message, 1, 1999, f);
    message[n] = 0;
    fclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256;
}

#define RUN(name, arguments)                                                            \
    do {                                                                                \
        char message_[2000];                                                            \
        int status_ = run_program(name, arguments, message_);                           \
        cr_assert_eq(status_, 0, "%s %s: status %d: %s", name, arguments, status_, message_); \
    } while (0)

/* samples.npy of `sample OPTIONS` with what was trained into the test's folder's folder "run", kept
 * in the test's folder as `name` */
static inline void sample_as(const char *program_name, const char *name, const char *options) {
    char line[800];
    snprintf(line, sizeof line, "sample -q %s --out %%s/run && cp %%s/run/samples.npy %%s/%s",
             options, name);
    RUN(program_name, line);
}

static inline bool same_file(const char *a, const char *b) {
    char command[300];
    snprintf(command, sizeof command, "cmp -s %s/%s %s/%s", folder, a, folder, b);
    return system(command) == 0;
}

/* are two PNG files of the same pixels? The command lines that they carry may differ. */
static inline bool same_picture(const char *a, const char *b) {
    const char *names[] = {a, b};
    uint8_t *pixels[2];
    int width[2], height[2];
    for (int i = 0; i < 2; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        pixels[i] = picture_read_whole(path, &width[i], &height[i]);
    }
    bool same = width[0] == width[1] && height[0] == height[1] &&
                !memcmp(pixels[0], pixels[1], 3 * (size_t)width[0] * (size_t)height[0]);
    free(pixels[0]), free(pixels[1]);
    return same;
}

/* what a program has drawn into a .npy file of the test's folder: so many pictures of this shape;
 * to be closed */
static inline Npy drawn(const char *name, int count, int height, int width, int channels) {
    const int shape[] = {count, height, width, channels};
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    Npy a = npy_open(path);
    cr_assert_eq(a.rank, 4, "%s", path);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(a.shape[i], (size_t)shape[i], "%s: %zu, not %d", path, a.shape[i], shape[i]);
    return a;
}

/* by how much the numbers of picture i of one such file are off those of picture j of another */
static inline double off_by(const char *one, int i, const char *two, int j) {
    const char *names[] = {one, two};
    Npy a[2];
    double most = 0;
    for (int k = 0; k < 2; k++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", folder, names[k]);
        a[k] = npy_open(path);
    }
    size_t n = a[0].len / a[0].shape[0];
    cr_assert(i < (int)a[0].shape[0] && j < (int)a[1].shape[0] && n == a[1].len / a[1].shape[0]);
    for (size_t v = 0; v < n; v++) {
        double off = fabs(npy_number(&a[0], (size_t)i * n + v) -
                          npy_number(&a[1], (size_t)j * n + v));
        cr_assert(isfinite(off), "%s, %s: number %zu", one, two, v);
        most = fmax(most, off);
    }
    npy_close(&a[0]), npy_close(&a[1]);
    return most;
}

/* Two pictures of two prompts: is each the same as where its prompt is the only one, and the second
 * off by more than `least` from that of the first prompt? `options` ask for two pictures. */
static inline void expect_own_prompts(const char *program_name, const char *options,
                                      double least) {
    static const char *const names[] = {"both", "first", "second"},
        *const prompts[] = {"--prompt 'a red dress' --prompt 'two blue bags'",
                            "--prompt 'a red dress'", "--prompt 'two blue bags'"};
    for (int i = 0; i < 3; i++) {
        char all[400];
        snprintf(all, sizeof all, "%s %s", options, prompts[i]);
        sample_as(program_name, names[i], all);
    }
    double first = off_by("both", 0, "first", 0), second = off_by("both", 1, "second", 1);
    cr_expect(first == 0 && second == 0, "%s: off by %g, %g", program_name, first, second);
    double other = off_by("both", 1, "first", 1);
    cr_expect(other > least, "%s: two prompts, off by %g", program_name, other);
}

/* a PNG in the test's folder, of numbers (height,width,channels) from 0 to 1 */
static inline void write_picture(const char *name, int height, int width, int channels,
                                 const real *x) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    picture_save(path, x, (Grid){.count = 1, .height = height, .width = width,
                                 .channels = channels, .high = 1}, NULL);
}

static inline bool file_there(const char *name) {
    char path[200];
    struct stat s;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return stat(path, &s) == 0 && s.st_size > 0;
}

/* the first number of this key in a JSON file of the test's folder */
static inline double number_in(const char *name, const char *key) {
    char path[200], quoted[60];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    char *text = text_of(path);
    const char *at = strstr(text, quoted);
    cr_assert(at, "%s: no %s", name, key);
    double number = strtod(at + strlen(quoted), NULL);
    free(text);
    return number;
}

/* The program must end with this status after one line that holds `says`, and leave no half-written
 * file. */
static inline void expect_refusal(const char *name, const char *arguments, int status,
                                  const char *says) {
    char message[2000], command[200];
    int got = run_program(name, arguments, message);
    char *end = strchr(message, '\n');
    cr_expect_eq(got, status, "%s %s: status %d: %s", name, arguments, got, message);
    cr_expect(end && end[1] == 0 && end - message < 300, "%s %s: not one line: %s", name, arguments,
              message);
    cr_expect(strstr(message, says), "%s %s says: %s", name, arguments, message);
    snprintf(command, sizeof command, "! find %s -name '*.tmp' | grep -q .", folder);
    cr_expect(system(command) == 0, "%s %s leaves a half-written file", name, arguments);
}

typedef struct {
    const char *arguments;
    int status;
    const char *says;
} Refusal;

/* several; EXPECT_REFUSALS: a whole array */
static inline void expect_refusals(const char *name, size_t n, const Refusal *cases) {
    for (size_t i = 0; i < n; i++)
        expect_refusal(name, cases[i].arguments, cases[i].status, cases[i].says);
}
#define EXPECT_REFUSALS(name, cases)                                                              \
    expect_refusals(name, sizeof(cases) / sizeof *(cases), cases)

static inline void write_idx(const char *name, const uint8_t *data, int n, int pixels) {
    uint8_t head[16] = {0, 0, 8, pixels > 1 ? 3 : 1, 0, 0, (uint8_t)(n >> 8), (uint8_t)n,
                        0, 0, 0, 28, 0, 0, 0, 28};
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    fwrite(head, 1, pixels > 1 ? 16 : 8, f);
    fwrite(data, (size_t)pixels, (size_t)n, f);
    fclose(f);
}

/* the first n numbers, `bytes` each, of a published file, without its header */
static inline void read_published(const char *name, size_t header, uint8_t *to, size_t n,
                                  size_t bytes) {
    char path[200];
    snprintf(path, sizeof path, FASHION_FOLDER "/%s", name);
    if (access(path, R_OK)) strcat(path, ".gz");
    gzFile f = gzopen(path, "rb");
    cr_assert(f && gzread(f, to, (unsigned)header) == (int)header, "%s", path);
    cr_assert_eq(gzread(f, to, (unsigned)(n * bytes)), (int)(n * bytes), "%s", path);
    gzclose(f);
}

/* The first `train` and `test` pictures of Fashion-MNIST, in the test's folder; read without what
 * comes after them, which would take most of a test's time. */
static inline void few_garments(int train, int test) {
    static uint8_t numbers[500 * 28 * 28];
    cr_assert(train <= 500 && test <= 500);
    for (int k = 0; k < 4; k++) {
        int n = k < 2 ? train : test, pixels = k % 2 ? 1 : 28 * 28;
        read_published(fashion_files[k], k % 2 ? 8 : 16, numbers, (size_t)n, (size_t)pixels);
        write_idx(fashion_files[k], numbers, n, pixels);
    }
}

/* as many black images: there is nothing to learn from them */
static inline void few_black(int train, int test) {
    static const uint8_t black[28 * 28 * 500], labels[500];
    for (int k = 0; k < 4; k++)
        write_idx(fashion_files[k], k % 2 ? labels : black, k < 2 ? train : test,
                  k % 2 ? 1 : 28 * 28);
}

#endif
