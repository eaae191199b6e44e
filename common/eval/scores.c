#include "eval/scores.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

enum { NEIGHBOURS = 3, SPLITS = 10, SUBSETS = 50, SUBSET = 1000, AT_ONCE = 1000 };

/* ---- the judge ------------------------------------------------------------------------------- */

/* images first..first+n-1 of a set, in [0,1] */
static void images_from(const Images *set, int first, int n, real *x, int *labels) {
    Images part = images_part(set, first, n);
    images_get(&part, n, NULL, 0, 1, x, labels);
}

/* (x - mean) scale, in place */
static void standardise(const Judge *j, int n, real *features) {
    for (size_t i = 0; i < (size_t)n * SCORE_FEATURES; i++) {
        features[i] = (features[i] - j->mean[i % SCORE_FEATURES]) * j->scale;
    }
}

void judge_look(const Judge *j, int n, const real *x, real *features, real *probabilities) {
    frozen_apply(&j->net, n, x, features, probabilities);
    standardise(j, n, features);
}

Judge judge_new(const Fashion *data, const char *weights) {
    Judge j = {.data = data, .net = frozen_load(weights)};
    int n = data->train.count;
    j.features = arena_get(&j.arena, (size_t)n * SCORE_FEATURES * sizeof *j.features);
    Arena scratch = {0};
    real *x = arena_get(&scratch, (size_t)AT_ONCE * SCORE_PIXELS * sizeof *x);
    for (int i = 0; i < n; i += AT_ONCE) {
        int m = n - i < AT_ONCE ? n - i : AT_ONCE;
        images_from(&data->train, i, m, x, NULL);
        frozen_apply(&j.net, m, x, j.features + (size_t)i * SCORE_FEATURES, NULL);
    }
    Gaussian raw = gaussian_fit(&scratch, n, SCORE_FEATURES, j.features);
    for (int k = 0; k < SCORE_FEATURES; k++) j.mean[k] = (real)raw.mean[k];
    j.scale = (real)sqrt(SCORE_FEATURES / gaussian_trace(&raw));
    standardise(&j, n, j.features);
    j.gaussian = gaussian_fit(&j.arena, n, SCORE_FEATURES, j.features);
    arena_free(&scratch);
    return j;
}

void judge_free(Judge *j) {
    frozen_free(&j->net);
    arena_free(&j->arena);
}

int score_count(const Fashion *data, int wanted) {
    int most = data->test.count < data->train.count ? data->test.count : data->train.count;
    if (most < SCORE_MINIMUM)
        fail("scores: %d images for training and %d for testing; samples are compared with real "
             "ones, of which at least %d and %d are needed", data->train.count, data->test.count,
             SCORE_MINIMUM, SCORE_MINIMUM);
    return wanted < most ? wanted : most;
}

/* ---- one column ------------------------------------------------------------------------------ */

static void count_classes(int n, const real *probabilities, const int *labels, Scores *s) {
    int right = 0;
    for (int i = 0; i < n; i++) {
        int class = most_probable(probabilities + (size_t)i * SCORE_CLASSES);
        s->histogram[class]++;
        right += labels && labels[i] == class;
    }
    s->accuracy = labels ? (double)right / n : NAN;
}

Scores scores_of(const Judge *j, int n, const real *x, const int *labels) {
    if (n < SCORE_MINIMUM || n > j->data->train.count) {
        die("scores_of: %d pictures, %d training images", n, j->data->train.count);
    }
    if (!k_all_finite((size_t)n * SCORE_PIXELS, x)) {
        fail("scores: the samples hold numbers that are not finite; the network that made them diverged");
    }
    Arena arena = {0};
    real *features = arena_get(&arena, (size_t)n * SCORE_FEATURES * sizeof *features);
    real *probabilities = arena_get(&arena, (size_t)n * SCORE_CLASSES * sizeof *probabilities);
    judge_look(j, n, x, features, probabilities);
    Gaussian g = gaussian_fit(&arena, n, SCORE_FEATURES, features);
    int subset = n < SUBSET ? n : SUBSET;
    Scores s = {
        .frechet = frechet_distance(&j->gaussian, &g),
        .kernel = kernel_distance(SCORE_FEATURES, j->data->train.count, j->features, n, features,
                                  SUBSETS, subset, 1),
        .inception = inception_score(n, SCORE_CLASSES, probabilities, SPLITS, 1),
        .regions = precision_recall(SCORE_FEATURES, n, j->features, n, features, NEIGHBOURS),
        .sharpness = sharpness(n, SCORE_SIDE, SCORE_SIDE, x),
        .trained_on = NAN,
    };
    count_classes(n, probabilities, labels, &s);
    arena_free(&arena);
    return s;
}

/* ---- the sheet ------------------------------------------------------------------------------- */

ScoreSheet score_sheet(const Judge *j, int n, const real *x, const int *labels, uint64_t seed) {
    const Fashion *data = j->data;
    if (n > data->test.count) die("score_sheet: %d pictures, %d test images", n, data->test.count);
    ScoreSheet s = {.n = n, .reference = data->train.count, .class_names = data->class_names};
    if (data->classes > SCORE_CLASSES) labels = NULL;     /* of which the classifier knows nothing */
    Arena arena = {0};
    real *other = arena_get(&arena, (size_t)n * SCORE_PIXELS * sizeof *other);
    int *other_labels = arena_get(&arena, (size_t)n * sizeof *other_labels);
    Rng rng = rng_new(seed, "noise");
    strcpy(s.sha256, j->net.sha256);
    s.samples = scores_of(j, n, x, labels);
    rng_uniform(&rng, (size_t)n * SCORE_PIXELS, other);
    s.noise = scores_of(j, n, other, NULL);
    images_from(&data->test, 0, n, other, other_labels);
    s.real_images = scores_of(j, n, other, other_labels);
    if (labels) {
        s.samples.trained_on = classification_accuracy_score(n, x, labels, &data->test, seed);
        images_from(&data->train, 0, n, other, other_labels);
        s.real_images.trained_on =
            classification_accuracy_score(n, other, other_labels, &data->test, seed);
    }
    arena_free(&arena);
    return s;
}
