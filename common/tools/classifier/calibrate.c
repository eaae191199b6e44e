#include "calibrate.h"

#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = FASHION_SIDE, PIXELS = FASHION_PIXELS };

/* A way to spoil a set: x (n,28,28,1) in [0,1] and labels (n) are changed in place; returns how
 * many pictures are left. */
typedef struct {
    const char *name;
    int (*spoil)(int n, real *x, int *labels, double strength);
    double strength;
    enum { FROM_TEST, FROM_VALIDATION, FROM_TRAIN } from;
} Spoilt;

/* ---- ways to spoil --------------------------------------------------------------------------- */

static int leave(int n, real *x, int *labels, double strength) {
    (void)x, (void)labels, (void)strength;
    return n;
}

/* N(0, strength^2) added to each pixel, then clamped: a picture has no values outside [0,1] */
static int add_noise(int n, real *x, int *labels, double strength) {
    (void)labels;
    Rng rng = rng_new(1, "added noise");
    size_t len = (size_t)n * PIXELS;
    Arena arena = {0};
    real *noise = arena_get(&arena, len * sizeof *noise);
    rng_normal(&rng, len, noise);
    k_axpy(len, (real)strength, noise, x, true);
    k_clamp(len, x, 0, 1, x);
    arena_free(&arena);
    return n;
}

/* each pixel becomes what `of` says of the old picture */
static int each_pixel(int n, real *x, real (*of)(const real *old, int i, int j, int by), int by) {
    real old[PIXELS];
    for (int p = 0; p < n; p++, x += PIXELS) {
        memcpy(old, x, sizeof old);
        for (int k = 0; k < PIXELS; k++) x[k] = of(old, k / SIDE, k % SIDE, by);
    }
    return n;
}

static real pixel(const real *x, int i, int j) {
    return i < 0 || j < 0 || i >= SIDE || j >= SIDE ? 0 : x[i * SIDE + j];
}

static real mean_of_square(const real *old, int i, int j, int by) {
    real sum = 0;
    for (int u = -by; u <= by; u++) {
        for (int v = -by; v <= by; v++) sum += pixel(old, i + u, j + v);
    }
    return sum / (real)((2 * by + 1) * (2 * by + 1));
}

static real from_the_left(const real *old, int i, int j, int by) {
    return pixel(old, i, j - by);
}

static real mirrored(const real *old, int i, int j, int by) {
    (void)by;
    return pixel(old, i, SIDE - 1 - j);
}

static int blur(int n, real *x, int *labels, double strength) {
    (void)labels;
    return each_pixel(n, x, mean_of_square, (int)strength);
}

static int shift(int n, real *x, int *labels, double strength) {
    (void)labels;
    return each_pixel(n, x, from_the_left, (int)strength);
}

static int mirror(int n, real *x, int *labels, double strength) {
    (void)labels;
    return each_pixel(n, x, mirrored, (int)strength);
}

static int drop_class(int n, real *x, int *labels, double class) {
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (labels[i] == (int)class) continue;
        memmove(x + (size_t)kept * PIXELS, x + (size_t)i * PIXELS, PIXELS * sizeof *x);
        labels[kept++] = labels[i];
    }
    return kept;
}

/* the first `count` over and over */
static int repeat(int n, real *x, int *labels, double count) {
    for (int i = (int)count; i < n; i++) {
        int from = i % (int)count;
        memcpy(x + (size_t)i * PIXELS, x + (size_t)from * PIXELS, PIXELS * sizeof *x);
        labels[i] = labels[from];
    }
    return n;
}

static int uniform_noise(int n, real *x, int *labels, double strength) {
    (void)labels, (void)strength;
    Rng rng = rng_new(1, "noise");
    rng_uniform(&rng, (size_t)n * PIXELS, x);
    return n;
}

static const Spoilt spoilt_sets[] = {
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

static Scores scores_of_set(const Judge *j, const Fashion *data, const Spoilt *s, int *n) {
    const Images *sets[] = {&data->test, &data->validation, &data->train};
    int most = sets[s->from]->count < data->test.count ? sets[s->from]->count
                                                        : data->test.count;
    Arena arena = {0};
    real *x = arena_get(&arena, (size_t)most * PIXELS * sizeof *x);
    int *labels = arena_get(&arena, (size_t)most * sizeof *labels);
    images_get(sets[s->from], most, NULL, 0, 1, x, labels);
    *n = s->spoil(most, x, labels, s->strength);
    Scores scores = scores_of(j, *n, x, labels);
    arena_free(&arena);
    return scores;
}

static void csv_row(FILE *f, const char *name, int n, const Scores *s) {
    fprintf(f, "%s,%d,%.6g,%.6g,%.6g,%.6g,%.6g,%.4f,%.4f,%.4f,%.5g,%.4f\n", name, n, s->frechet,
            s->kernel.mean, s->kernel.deviation, s->inception.mean, s->inception.deviation,
            s->regions.precision, s->regions.recall, s->regions.coverage, s->sharpness,
            s->accuracy);
}

void calibrate_sets(const Judge *j, const Fashion *data, const char *folder, const char *command,
                    bool quiet) {
    char *csv = path_join(folder, "calibration.csv"), *json = path_join(folder, "calibration.json");
    cJSON *record = cJSON_CreateObject();
    cJSON_AddStringToObject(record, "command", command);
    cJSON_AddStringToObject(record, "classifier_sha256", j->net.sha256);
    cJSON_AddNumberToObject(record, "reference_images", j->data.train.count);
    cJSON *sets = cJSON_AddArrayToObject(record, "sets");
    AtomicFile f = file_create(csv);
    fprintf(f.stream, "set,n,frechet,kernel,kernel_deviation,inception,inception_deviation,"
                      "precision,recall,coverage,sharpness,accuracy\n");
    for (const Spoilt *s = spoilt_sets; s->name; s++) {
        int n;
        Scores scores = scores_of_set(j, data, s, &n);
        csv_row(f.stream, s->name, n, &scores);
        if (!quiet) csv_row(stdout, s->name, n, &scores);
        cJSON *one = scores_json(&scores);
        cJSON_AddStringToObject(one, "set", s->name);
        cJSON_AddNumberToObject(one, "n", n);
        cJSON_AddItemToArray(sets, one);
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
static void size_row(const Judge *j, int n, const real *x, FILE *f) {
    Sums frechet = {0}, kernel = {0}, recall = {0};
    int sets = j->data.test.count / n < 10 ? j->data.test.count / n : 10;
    for (int i = 0; i < sets; i++) {
        Scores s = scores_of(j, n, x + (size_t)i * (size_t)n * PIXELS, NULL);
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

void calibrate_sizes(const Judge *j, const char *folder) {
    static const int sizes[] = {50, 100, 200, 500, 1000, 2000, 5000, 10000};
    char *path = path_join(folder, "sizes.csv");
    Arena arena = {0};
    int count = j->data.test.count;
    real *x = arena_get(&arena, (size_t)count * PIXELS * sizeof *x);
    images_get(&j->data.test, count, NULL, 0, 1, x, NULL);
    AtomicFile f = file_create(path);
    fprintf(f.stream, "n,sets,frechet,frechet_deviation,kernel,kernel_deviation,recall,"
                      "recall_deviation\n");
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes && sizes[k] <= count; k++) {
        size_row(j, sizes[k], x, f.stream);
    }
    file_commit(&f);
    arena_free(&arena);
    free(path);
}
