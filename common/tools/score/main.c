/* score — says how good a file of pictures is, beside real pictures and noise. */
#include "eval/scores.h"
#include "train/program.h"
#include "io/npy.h"
#include "base/error.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STANDARD "fashion-mnist"

static struct {
    const char *labels, *data, *range, *weights, *neighbours;
    uint64_t seed;
    int threads;
    bool json;
} o = {.data = STANDARD, .range = "auto", .weights = CLASSIFIER_WEIGHTS, .seed = 1};

static Option options[] = {
    {"labels", 'l', .s = &o.labels, .meta = "L.npy",
     .help = "class each picture was meant to be, 0 to 9"},
    {"data", 'd', .s = &o.data, .meta = "NAME|DIR",
     .help = "real pictures: " STANDARD ", or a folder with files of the same names"},
    {"range", 0, .s = &o.range, .choices = "auto|0:1|-1:1|0:255",
     .help = "values of black and white; auto: bytes 0:255, others 0:1 or -1:1 by their values"},
    {"neighbours", 0, .s = &o.neighbours, .meta = "FILE.png",
     .help = "draw the first 16 samples with their nearest training images"},
    {"weights", 'w', .s = &o.weights, .meta = "FILE", .help = "the classifier"},
    {"seed", 's', .u = &o.seed, .meta = "N", .help = "of the noise and of networks trained"},
    {"threads", 't', .i = &o.threads, .min = 0, .max = 256, .meta = "N",
     .help = "0: all processors; results do not depend on it"},
    {"json", 'j', .b = &o.json, .help = "print JSON"},
    {0}};

static Cli cli = {.program = "score",
                  .about = "Scores of a file of pictures (N,28,28), beside real ones and noise.",
                  .operand = "SAMPLES.npy",
                  .options = options};

/* ---- pictures -------------------------------------------------------------------------------- */

/* (N,28,28), (N,28,28,1), (N,1,28,28) and (N,784) all have the same numbers in the same order */
static bool holds_pictures(const Npy *a) {
    const size_t *s = a->shape, side = SCORE_SIDE;
    return (a->rank == 3 && s[1] == side && s[2] == side) ||
           (a->rank == 4 && s[1] == side && s[2] == side && s[3] == 1) ||
           (a->rank == 4 && s[1] == 1 && s[2] == side && s[3] == side) ||
           (a->rank == 2 && s[1] == SCORE_PIXELS);
}

static void shape_text(const Npy *a, char text[static 128]) {
    size_t n = (size_t)snprintf(text, 128, "(");
    for (int i = 0; i < a->rank && n < 100; i++) {
        n += (size_t)snprintf(text + n, 128 - n, i ? ",%zu" : "%zu", a->shape[i]);
    }
    snprintf(text + n, 128 - n, ")");
}

static void check_shape(const Npy *a, const char *path) {
    char shape[128];
    shape_text(a, shape);
    if (!holds_pictures(a)) {
        fail("%s: its shape is %s; pictures are (N,28,28), (N,28,28,1), (N,1,28,28) or (N,784)",
             path, shape);
    }
    if (a->shape[0] > INT_MAX) fail("%s: its shape is %s: too many pictures", path, shape);
}

static void check_count(int n, const char *path, const Fashion *data) {
    int most = score_count(data, INT_MAX);
    if (n < SCORE_MINIMUM || n > most) {
        fail("%s: holds %d pictures; %d to %d can be scored, since scores stand beside those of as "
             "many real ones", path, n, SCORE_MINIMUM, most);
    }
}

/* smallest and largest value; all must be numbers */
static void limits(const Npy *a, const char *path, double *low, double *high) {
    *low = INFINITY, *high = -INFINITY;
    for (size_t i = 0; i < a->len; i++) {
        double v = npy_number(a, i);
        if (!isfinite(v)) {
            fail("%s: picture %zu, pixel %zu is %g, not a number from black to white", path,
                 i / SCORE_PIXELS, i % SCORE_PIXELS, v);
        }
        if (v < *low) *low = v;
        if (v > *high) *high = v;
    }
}

/* Within the range? A thousandth of it, a quarter of a byte's step, may be rounding. */
static bool are_within(double low, double high, double black, double white) {
    double hair = 1e-3 * (white - black);
    return low >= black - hair && high <= white + hair;
}

/* what black and white are. A guess is made only where it is safe: pictures in -1:1 have a black
 * background, so some value is near -1. */
static void find_range(const Npy *a, const char *path, double *black, double *white) {
    double low, high;
    limits(a, path, &low, &high);
    if (strcmp(o.range, "auto") != 0) {
        sscanf(o.range, "%lf:%lf", black, white);
        if (!are_within(low, high, *black, *white)) {
            fail("%s: its values are %g to %g, outside --range %s; clamp them before saving", path,
                 low, high, o.range);
        }
        return;
    }
    *black = 0, *white = a->type == NPY_U8 ? 255 : 1;
    if (are_within(low, high, 0, *white)) return;
    *black = -1;
    if (low < -0.5 && are_within(low, high, -1, 1)) return;
    fail("%s: its values are %g to %g: neither in 0 to 1, nor in -1 to 1 with a black near -1, nor "
         "bytes; say --range, or clamp them before saving", path, low, high);
}

/* the pictures, brought to [0,1] */
static real *load_pictures(Arena *arena, const char *path, int *n) {
    Npy a = npy_open(path);
    double black, white;
    check_shape(&a, path);
    *n = (int)a.shape[0];
    find_range(&a, path, &black, &white);
    real *x = arena_get(arena, a.len * sizeof *x);
    for (size_t i = 0; i < a.len; i++) {
        double unit = (npy_number(&a, i) - black) / (white - black);
        x[i] = (real)fmin(fmax(unit, 0), 1);
    }
    npy_close(&a);
    if (!o.json) printf("%s: %d pictures, %g is black, %g is white\n", path, *n, black, white);
    return x;
}

static int *load_labels(Arena *arena, const char *path, int n) {
    Npy a = npy_open(path);
    char shape[128];
    shape_text(&a, shape);
    if (a.rank != 1 || a.shape[0] != (size_t)n) {
        fail("%s: its shape is %s; labels of %d pictures are (%d)", path, shape, n, n);
    }
    int *labels = arena_get(arena, (size_t)n * sizeof *labels);
    for (int i = 0; i < n; i++) {
        double v = npy_number(&a, (size_t)i);
        if (!(v >= 0 && v < SCORE_CLASSES) || v != floor(v)) {
            fail("%s: label %d is %g, 0 to %d is expected", path, i, v, SCORE_CLASSES - 1);
        }
        labels[i] = (int)v;
    }
    npy_close(&a);
    return labels;
}

/* ---- main ------------------------------------------------------------------------------------ */

static void print_json(const ScoreSheet *sheet, const char *path) {
    cJSON *j = score_sheet_json(sheet);
    cJSON_AddStringToObject(j, "samples_file", path);
    cJSON_AddStringToObject(j, "command", cli.line);
    char *text = cJSON_Print(j);
    if (!text) fail("out of memory");
    puts(text);
    free(text);
    cJSON_Delete(j);
}

static int score(void) {
    if (o.threads) threads_set(o.threads);
    const char *path = cli.command;
    Arena arena = {0};
    int n;
    real *x = load_pictures(&arena, path, &n);
    int *labels = o.labels ? load_labels(&arena, o.labels, n) : NULL;
    Fashion data = fashion_load(strcmp(o.data, STANDARD) ? o.data : NULL);
    check_count(n, path, &data);
    char *weights = own_file(o.weights);
    Judge judge = judge_new(&data, weights);
    free(weights);
    ScoreSheet sheet = score_sheet(&judge, n, x, labels, o.seed);
    if (o.json) print_json(&sheet, path);
    else score_sheet_print(&sheet);
    if (o.neighbours) {
        neighbours_picture(&judge, n < 16 ? n : 16, x, o.neighbours, cli.line);
        if (!o.json) printf("\n%s\n", o.neighbours);
    }
    judge_free(&judge);
    fashion_free(&data);
    arena_free(&arena);
    return 0;
}

int main(int argc, char **argv) {
    cli.run = score;
    return program_main(&cli, argc, argv);
}
