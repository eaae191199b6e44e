/* sheet.c — a score sheet as text, as JSON, its classes as CSV, and the picture of neighbours. */
#include "eval/scores.h"
#include "base/file.h"
#include "io/json.h"
#include "io/picture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- text ------------------------------------------------------------------------------------ */

/* "0.1234", or "-" for what was not measured */
static const char *number(double value, double unit, int digits, char text[static 32]) {
    if (isnan(value)) return strcpy(text, "-");
    snprintf(text, 32, "%.*f", digits, unit * value);
    return text;
}

static void print_row(const char *name, const double value[3], double unit, int digits,
                      const char *remark) {
    char a[32], b[32], c[32];
    printf("  %-30s %10s %10s %10s   %s\n", name, number(value[0], unit, digits, a),
           number(value[1], unit, digits, b), number(value[2], unit, digits, c), remark);
}

static void print_histogram(const ScoreSheet *s) {
    const Scores *column[3] = {&s->samples, &s->real_images, &s->noise};
    printf("\n  share of each class, as the classifier sees it, %%\n");
    for (int k = 0; k < s->samples.classes; k++) {
        double share[3];
        for (int c = 0; c < 3; c++) share[c] = (double)column[c]->histogram[k] / s->n;
        print_row(s->class_names[k], share, 100, 1, "");
    }
}

void score_sheet_print(const ScoreSheet *s) {
    const Scores *a = &s->samples, *b = &s->real_images, *c = &s->noise;
    printf("scores of N = %d pictures against %d training images, network %.12s\n\n", s->n,
           s->reference, s->sha256);
    printf("  %-30s %10s %10s %10s\n", "", "samples", "test set", "noise");
#define ROW(name, of, unit, digits, remark)                                                       \
    print_row(name, (double[]){a->of, b->of, c->of}, unit, digits, remark)
    ROW("Frechet distance", frechet, 1, 4, "lower is better; biased, falls with N");
    ROW("kernel distance", kernel.mean, 1, 4, "lower is better; unbiased");
    ROW("  deviation over subsets", kernel.deviation, 1, 4, "");
    if (a->classes) {
        char remark[64];
        snprintf(remark, sizeof remark, "1 to %d, higher is better", a->classes);
        ROW("Inception-style score", inception.mean, 1, 3, remark);
        ROW("  deviation over splits", inception.deviation, 1, 3, "");
    }
    ROW("precision, %", regions.precision, 100, 1, "means nothing without the next two");
    ROW("recall, %", regions.recall, 100, 1, "diversity");
    ROW("coverage, %", regions.coverage, 100, 1, "both");
    ROW("sharpness", sharpness, 1, 4, "best near the test set's");
    if (a->classes) {
        ROW("intended class is seen, %", accuracy, 100, 1, "");
        ROW("trained on it, tested on real, %", trained_on, 100, 1, "");
    }
#undef ROW
    if (s->samples.classes && s->samples.classes <= 20) print_histogram(s);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* JSON has no NaN: what was not measured is null */
static void add(cJSON *to, const char *name, double value) {
    if (isnan(value)) json_item(to, name, NULL);
    else json_number(to, name, value);
}

cJSON *scores_json(const Scores *s) {
    cJSON *j = json_object();
    add(j, "frechet_distance", s->frechet);
    add(j, "kernel_distance", s->kernel.mean);
    add(j, "kernel_distance_deviation", s->kernel.deviation);
    add(j, "inception_score", s->inception.mean);
    add(j, "inception_score_deviation", s->inception.deviation);
    add(j, "precision", s->regions.precision);
    add(j, "recall", s->regions.recall);
    add(j, "coverage", s->regions.coverage);
    add(j, "sharpness", s->sharpness);
    add(j, "intended_class_accuracy", s->accuracy);
    add(j, "classification_accuracy_score", s->trained_on);
    json_item(j, "class_histogram", json_ints(s->histogram, s->classes));
    return j;
}

cJSON *score_sheet_json(const ScoreSheet *s) {
    cJSON *j = json_object();
    json_number(j, "n", s->n);
    json_number(j, "reference_images", s->reference);
    json_text(j, "classifier_sha256", s->sha256);
    json_item(j, "samples", scores_json(&s->samples));
    json_item(j, "test_images", scores_json(&s->real_images));
    json_item(j, "noise", scores_json(&s->noise));
    return j;
}

/* ---- CSV ------------------------------------------------------------------------------------- */

void score_sheet_classes(const ScoreSheet *s, const char *path) {
    AtomicFile f = file_create(path);
    fprintf(f.stream, "class,name,samples,test\n");
    for (int k = 0; k < s->samples.classes; k++)
        fprintf(f.stream, "%d,%s,%.5g,%.5g\n", k, s->class_names[k],
                (double)s->samples.histogram[k] / s->n, (double)s->real_images.histogram[k] / s->n);
    file_commit(&f);
}

/* ---- neighbours ------------------------------------------------------------------------------ */

enum { NEAREST = 5, COLUMNS = 1 + 2 * (1 + NEAREST) };

static void nearest_by_pixels(const Evaluator *e, int count, const real *x, int *index) {
    enum { AT_ONCE = 1000 };
    const Images *train = &e->data.train;
    size_t picture = picture_size(&e->net);
    Arena arena = {0};
    real *block = arena_get(&arena, AT_ONCE * picture * sizeof *block);
    real *distance = arena_get(&arena, (size_t)count * NEAREST * sizeof *distance);
    int *from = arena_get(&arena, AT_ONCE * sizeof *from);
    for (int i = 0; i < train->count; i += AT_ONCE) {
        int n = train->count - i < AT_ONCE ? train->count - i : AT_ONCE;
        for (int k = 0; k < n; k++) from[k] = i + k;
        images_get(train, n, from, 0, 1, block, NULL);
        nearest_neighbours((int)picture, count, x, n, block, i, NEAREST, index, distance);
    }
    arena_free(&arena);
}

static void nearest_by_features(const Evaluator *e, int count, const real *x, int *index) {
    Arena arena = {0};
    real *features = arena_get(&arena, (size_t)(count * e->net.features) * sizeof *features);
    real *distance = arena_get(&arena, (size_t)count * NEAREST * sizeof *distance);
    evaluator_features(e, count, x, features, NULL);
    nearest_neighbours(e->net.features, count, features, e->data.train.count, e->features, 0,
                       NEAREST, index, distance);
    arena_free(&arena);
}

void neighbours_picture(const Evaluator *e, int count, const real *x, const char *path,
                        const char *parameters) {
    Arena arena = {0};
    int *by[2];
    for (int b = 0; b < 2; b++) by[b] = arena_get(&arena, (size_t)count * NEAREST * sizeof(int));
    nearest_by_pixels(e, count, x, by[0]);
    nearest_by_features(e, count, x, by[1]);
    size_t picture = picture_size(&e->net), numbers = (size_t)count * COLUMNS * picture;
    real *grid = arena_get(&arena, numbers * sizeof *grid), *to = grid;
    k_fill(numbers, (real)0.5, grid);               /* empty columns in the grey of the gaps */
    for (int i = 0; i < count; i++) {
        memcpy(to, x + (size_t)i * picture, picture * sizeof *to);
        to += picture;
        for (int b = 0; b < 2; b++) {
            to += picture;
            images_get(&e->data.train, NEAREST, by[b] + i * NEAREST, 0, 1, to, NULL);
            to += NEAREST * picture;
        }
    }
    picture_save(path, grid,
                 (Grid){.count = count * COLUMNS, .height = e->net.height, .width = e->net.width,
                        .channels = e->net.channels, .columns = COLUMNS,
                        .enlarge = e->net.height < 50 ? 2 : 1, .low = 0, .high = 1,
                        .column_labels = "sample||by pixels: 1|2|3|4|5||by features: 1|2|3|4|5"},
                 parameters);
    arena_free(&arena);
}
