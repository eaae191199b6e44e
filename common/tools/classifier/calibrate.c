#include "calibrate.h"

#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* of the pictures; `background`: what lies outside of them */
typedef struct {
    int height, width, channels;
    real background;
} Shape;

/* A way to corrupt a set: x (n,h,w,c) in [0,1] and labels (n) are changed in place; returns how many
 * pictures are left. */
typedef struct {
    const char *name;
    int (*corrupt)(const Shape *g, int n, real *x, int *labels, double strength);
    double strength;
    enum { FROM_TEST, FROM_VALIDATION, FROM_TRAIN } from;
} Corruption;

/* ---- ways to corrupt ------------------------------------------------------------------------- */

static size_t size_of(const Shape *g) {
    return (size_t)g->height * (size_t)g->width * (size_t)g->channels;
}

static int leave(const Shape *g, int n, real *x, int *labels, double strength) {
    (void)g, (void)x, (void)labels, (void)strength;
    return n;
}

/* N(0, strength^2) added to each pixel, then clamped: a picture has no values outside [0,1] */
static int add_noise(const Shape *g, int n, real *x, int *labels, double strength) {
    (void)labels;
    Rng rng = rng_new(1, "added noise");
    size_t len = (size_t)n * size_of(g);
    Arena arena = {0};
    real *noise = arena_get(&arena, len * sizeof *noise);
    rng_normal(&rng, len, noise);
    k_axpy(len, (real)strength, noise, x, true);
    k_clamp(len, x, 0, 1, x);
    arena_free(&arena);
    return n;
}

/* a number of the old picture, channel c of pixel (i,j) */
typedef struct {
    const Shape *g;
    const real *old;
    int i, j, c;
} Place;

static real pixel(Place p, int i, int j) {
    const Shape *g = p.g;
    if (i < 0 || j < 0 || i >= g->height || j >= g->width) return g->background;
    return p.old[(i * g->width + j) * g->channels + p.c];
}

/* each number becomes what `of` says of the old picture */
static int each_number(const Shape *g, int n, real *x, real (*of)(Place p, int by), int by) {
    int size = (int)size_of(g), row = g->width * g->channels;
    Arena arena = {0};
    real *old = arena_get(&arena, size_of(g) * sizeof *old);
    for (int m = 0; m < n; m++, x += size) {
        memcpy(old, x, size_of(g) * sizeof *old);
        for (int k = 0; k < size; k++) {
            x[k] = of((Place){g, old, k / row, k % row / g->channels, k % g->channels}, by);
        }
    }
    arena_free(&arena);
    return n;
}

static real mean_of_square(Place p, int by) {
    real sum = 0;
    for (int u = -by; u <= by; u++) {
        for (int v = -by; v <= by; v++) sum += pixel(p, p.i + u, p.j + v);
    }
    return sum / (real)((2 * by + 1) * (2 * by + 1));
}

static real from_the_left(Place p, int by) {
    return pixel(p, p.i, p.j - by);
}

static real mirrored(Place p, int by) {
    (void)by;
    return pixel(p, p.i, p.g->width - 1 - p.j);
}

static int blur(const Shape *g, int n, real *x, int *labels, double strength) {
    (void)labels;
    return each_number(g, n, x, mean_of_square, (int)strength);
}

static int shift(const Shape *g, int n, real *x, int *labels, double strength) {
    (void)labels;
    return each_number(g, n, x, from_the_left, (int)strength);
}

static int mirror(const Shape *g, int n, real *x, int *labels, double strength) {
    (void)labels, (void)strength;
    return each_number(g, n, x, mirrored, 0);
}

static int drop_class(const Shape *g, int n, real *x, int *labels, double class) {
    int kept = 0;
    size_t size = size_of(g);
    for (int i = 0; i < n; i++) {
        if (labels[i] == (int)class) continue;
        memmove(x + (size_t)kept * size, x + (size_t)i * size, size * sizeof *x);
        labels[kept++] = labels[i];
    }
    return kept;
}

/* the first `count` over and over */
static int repeat(const Shape *g, int n, real *x, int *labels, double count) {
    size_t size = size_of(g);
    for (int i = (int)count; i < n; i++) {
        int from = i % (int)count;
        memcpy(x + (size_t)i * size, x + (size_t)from * size, size * sizeof *x);
        labels[i] = labels[from];
    }
    return n;
}

static int uniform_noise(const Shape *g, int n, real *x, int *labels, double strength) {
    (void)labels, (void)strength;
    Rng rng = rng_new(1, "noise");
    rng_uniform(&rng, (size_t)n * size_of(g), x);
    return n;
}

static const Corruption corruptions[] = {
    {"training images", leave, 0, FROM_TRAIN},
    {"test images", leave, 0, FROM_TEST},
    {"validation images", leave, 0, FROM_VALIDATION},
    {"noise 0.05", add_noise, 0.05, FROM_TEST},
    {"noise 0.1", add_noise, 0.1, FROM_TEST},
    {"noise 0.2", add_noise, 0.2, FROM_TEST},
    {"noise 0.5", add_noise, 0.5, FROM_TEST},
    {"blur 3x3", blur, 1, FROM_TEST},
    {"blur 5x5", blur, 2, FROM_TEST},
    {"shift by 1 pixel", shift, 1, FROM_TEST},
    {"shift by 2 pixels", shift, 2, FROM_TEST},
    {"mirrored", mirror, 0, FROM_TEST},
    {"T-shirts dropped", drop_class, 0, FROM_TEST},
    {"100 images repeated", repeat, 100, FROM_TEST},
    {"one image repeated", repeat, 1, FROM_TEST},
    {"uniform noise", uniform_noise, 0, FROM_TEST},
    {0}};                                         /* the last has no name */

/* ---- sets ------------------------------------------------------------------------------------ */

static Scores scores_of_set(const Evaluator *e, const Images *validation, const Corruption *s,
                            int *n) {
    const Images *sets[] = {&e->data.test, validation, &e->data.train}, *set = sets[s->from];
    const Shape g = {set->height, set->width, set->channels, set->channels > 1};
    int most = set->count < e->data.test.count ? set->count : e->data.test.count;
    Arena arena = {0};
    real *x = arena_get(&arena, (size_t)most * size_of(&g) * sizeof *x);
    int *labels = arena_get(&arena, (size_t)most * sizeof *labels);
    images_get(set, most, NULL, 0, 1, x, labels);
    *n = s->corrupt(&g, most, x, labels, s->strength);
    Scores scores = scores_of(e, *n, x, labels);
    arena_free(&arena);
    return scores;
}

static void csv_row(FILE *f, const char *name, int n, const Scores *s) {
    fprintf(f, "%s,%d,%.6g,%.6g,%.6g,%.6g,%.6g,%.4f,%.4f,%.4f,%.5g,%.4f\n", name, n, s->frechet,
            s->kernel.mean, s->kernel.deviation, s->inception.mean, s->inception.deviation,
            s->regions.precision, s->regions.recall, s->regions.coverage, s->sharpness,
            s->accuracy);
}

void calibrate_sets(const Evaluator *e, const Images *validation, const char *folder,
                    const char *command, bool quiet) {
    char *csv = path_join(folder, "calibration.csv"), *json = path_join(folder, "calibration.json");
    cJSON *record = json_object(), *sets = json_array();
    json_text(record, "command", command);
    json_text(record, "classifier_sha256", e->net.sha256);
    json_number(record, "reference_images", e->data.train.count);
    json_item(record, "sets", sets);
    AtomicFile f = file_create(csv);
    fprintf(f.stream, "set,n,frechet,kernel,kernel_deviation,inception,inception_deviation,"
                      "precision,recall,coverage,sharpness,accuracy\n");
    for (const Corruption *s = corruptions; s->name; s++) {
        int n;
        if (s->from == FROM_VALIDATION && !validation) continue;
        if (s->corrupt == drop_class && e->net.channels > 1) continue;      /* no T-shirts there */
        Scores scores = scores_of_set(e, validation, s, &n);
        csv_row(f.stream, s->name, n, &scores);
        if (!quiet) csv_row(stdout, s->name, n, &scores);
        cJSON *one = scores_json(&scores);
        json_text(one, "set", s->name);
        json_number(one, "n", n);
        json_append(sets, one);
    }
    file_commit(&f);
    json_save(json, record);
    cJSON_Delete(record);
    free(csv);
    free(json);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

typedef struct {
    double sum, squares;
} Sums;

static void take(Sums *s, double value) {
    s->sum += value;
    s->squares += value * value;
}

/* mean and standard deviation; a single value has none, and its cell stays empty */
static void put(FILE *f, const Sums *s, int count) {
    double mean = s->sum / count, variance = (s->squares - count * mean * mean) / (count - 1);
    fprintf(f, ",%.6g,", mean);
    if (count > 1) fprintf(f, "%.6g", sqrt(variance > 0 ? variance : 0));
}

/* up to ten sets of n test images, without overlap */
static void size_row(const Evaluator *e, int n, const real *x, FILE *f) {
    Sums frechet = {0}, kernel = {0}, recall = {0};
    int sets = e->data.test.count / n < 10 ? e->data.test.count / n : 10;
    for (int i = 0; i < sets; i++) {
        Scores s = scores_of(e, n, x + (size_t)i * (size_t)n * picture_size(&e->net), NULL);
        take(&frechet, s.frechet);
        take(&kernel, s.kernel.mean);
        take(&recall, s.regions.recall);
    }
    fprintf(f, "%d,%d", n, sets);
    put(f, &frechet, sets);
    put(f, &kernel, sets);
    put(f, &recall, sets);
    fprintf(f, "\n");
}

void calibrate_sizes(const Evaluator *e, const char *folder) {
    static const int sizes[] = {50, 100, 200, 500, 1000, 2000, 5000, 10000};
    char *path = path_join(folder, "sizes.csv");
    Arena arena = {0};
    int count = e->data.test.count;
    real *x = arena_get(&arena, (size_t)count * picture_size(&e->net) * sizeof *x);
    images_get(&e->data.test, count, NULL, 0, 1, x, NULL);
    AtomicFile f = file_create(path);
    fprintf(f.stream, "n,sets,frechet,frechet_deviation,kernel,kernel_deviation,recall,"
                      "recall_deviation\n");
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes && sizes[k] <= count; k++) {
        size_row(e, sizes[k], x, f.stream);
    }
    file_commit(&f);
    arena_free(&arena);
    free(path);
}
