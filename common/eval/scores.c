#include "eval/scores.h"

#include "base/memory.h"
#include "eval/classifier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NEIGHBOURS = 3, SPLITS = 10, SUBSETS = 50, SUBSET = 1000, AT_ONCE = 1000 };

/* ---- the evaluator --------------------------------------------------------------------------- */

/* images first..first+n-1 of a set, in [0,1] */
static void images_from(const Images *set, int first, int n, real *x, int *labels) {
    Images part = images_part(set, first, n);
    images_get(&part, n, NULL, 0, 1, x, labels);
}

/* (x - mean) scale, in place */
static void standardise(const Evaluator *e, int n, real *features) {
    size_t d = (size_t)e->net.features;
    for (size_t i = 0; i < (size_t)n * d; i++) {
        features[i] = (features[i] - e->mean[i % d]) * e->scale;
    }
}

void evaluator_features(const Evaluator *e, int n, const real *x, real *features,
                        real *probabilities) {
    e->net.apply(e->net.net, n, x, features, probabilities);
    standardise(e, n, features);
}

static void check_geometry(const FeatureNet *net, const Images *m) {
    if (m->height == net->height && m->width == net->width && m->channels == net->channels) return;
    die("evaluator_open: images (%d,%d,%d) for a network of (%d,%d,%d)", m->height, m->width,
        m->channels, net->height, net->width, net->channels);
}

Evaluator evaluator_open(FeatureNet net, Reference data) {
    Evaluator e = {.data = data, .net = net};
    int n = data.train.count, d = net.features;
    size_t picture = picture_size(&net);
    check_geometry(&net, &data.train);
    check_geometry(&net, &data.test);
    e.features = arena_get(&e.arena, (size_t)n * (size_t)d * sizeof *e.features);
    e.mean = arena_get(&e.arena, (size_t)d * sizeof *e.mean);
    Arena scratch = {0};
    real *x = arena_get(&scratch, AT_ONCE * picture * sizeof *x);
    for (int i = 0; i < n; i += AT_ONCE) {
        int m = n - i < AT_ONCE ? n - i : AT_ONCE;
        images_from(&data.train, i, m, x, NULL);
        net.apply(net.net, m, x, e.features + (size_t)i * (size_t)d, NULL);
    }
    Gaussian raw = gaussian_fit(&scratch, n, d, e.features);
    for (int k = 0; k < d; k++) e.mean[k] = (real)raw.mean[k];
    e.scale = (real)sqrt(d / gaussian_trace(&raw));
    standardise(&e, n, e.features);
    e.gaussian = gaussian_fit(&e.arena, n, d, e.features);
    arena_free(&scratch);
    return e;
}

Evaluator evaluator_new(const Fashion *data, const char *weights) {
    Frozen *f = memory_new(1, sizeof *f, "a network");
    *f = frozen_load(weights, &classifier_fashion);
    Evaluator e = evaluator_open(frozen_net(f), (Reference){data->train, data->test, data->classes,
                                                    data->class_names});
    e.owned = f;
    return e;
}

void evaluator_free(Evaluator *e) {
    if (e->owned) frozen_free(e->owned);
    free(e->owned);
    arena_free(&e->arena);
}

int score_most(const Reference *data) {
    return data->test.count < data->train.count ? data->test.count : data->train.count;
}

int score_count(const Fashion *data, int wanted) {
    int most = score_most(&(Reference){.train = data->train, .test = data->test});
    if (most < SCORE_MINIMUM)
        fail("scores: %d images for training and %d for testing; samples are compared with real "
             "ones, of which at least %d and %d are needed", data->train.count, data->test.count,
             SCORE_MINIMUM, SCORE_MINIMUM);
    return wanted < most ? wanted : most;
}

/* ---- one column ------------------------------------------------------------------------------ */

static void count_classes(int n, int classes, const real *probabilities, const int *labels,
                          Scores *s) {
    int right = 0;
    for (int i = 0; i < n; i++) {
        int class = most_probable(classes, probabilities + (size_t)i * (size_t)classes);
        s->histogram[class]++;
        right += labels && labels[i] == class;
    }
    s->accuracy = labels ? (double)right / n : NAN;
}

/* colour pictures as grey ones, the mean of their channels */
static double sharpness_of(const FeatureNet *net, int n, const real *x) {
    if (net->channels == 1) return sharpness(n, net->height, net->width, x);
    Arena arena = {0};
    size_t pixels = (size_t)n * (size_t)net->height * (size_t)net->width;
    size_t channels = (size_t)net->channels;
    real *grey = arena_get(&arena, pixels * sizeof *grey);
    for (size_t k = 0; k < pixels; k++) {
        real sum = 0;
        for (size_t c = 0; c < channels; c++) sum += x[k * channels + c];
        grey[k] = sum / (real)channels;
    }
    double value = sharpness(n, net->height, net->width, grey);
    arena_free(&arena);
    return value;
}

static void score_classes(const Evaluator *e, int n, const real *probabilities, const int *labels,
                          Scores *s) {
    s->classes = e->net.classes;
    s->inception = inception_score(n, e->net.classes, probabilities, SPLITS, 1);
    count_classes(n, e->net.classes, probabilities, labels, s);
}

Scores scores_of(const Evaluator *e, int n, const real *x, const int *labels) {
    int d = e->net.features, classes = e->net.classes, train = e->data.train.count;
    if (n < SCORE_MINIMUM || n > train) {
        die("scores_of: %d pictures, %d training images", n, train);
    }
    if (!k_all_finite((size_t)n * picture_size(&e->net), x)) {
        fail("scores: the samples hold numbers that are not finite; the network that made them "
             "diverged");
    }
    Arena arena = {0};
    real *features = arena_get(&arena, (size_t)n * (size_t)d * sizeof *features);
    real *probabilities = NULL;
    if (classes) probabilities = arena_get(&arena, (size_t)n * (size_t)classes * sizeof(real));
    evaluator_features(e, n, x, features, probabilities);
    Gaussian g = gaussian_fit(&arena, n, d, features);
    int subset = n < SUBSET ? n : SUBSET;
    Scores s = {
        .frechet = frechet_distance(&e->gaussian, &g),
        .kernel = kernel_distance(d, train, e->features, n, features, SUBSETS, subset, 1),
        .inception = {NAN, NAN},
        .regions = precision_recall(d, n, e->features, n, features, NEIGHBOURS),
        .sharpness = sharpness_of(&e->net, n, x),
        .accuracy = NAN,
        .trained_on = NAN,
    };
    if (classes) score_classes(e, n, probabilities, labels, &s);
    arena_free(&arena);
    return s;
}

/* ---- the sheet ------------------------------------------------------------------------------- */

/* trained_on, of the samples and of as many training images */
static void score_training(const Evaluator *e, int n, const real *x, const int *labels,
                           uint64_t seed, ScoreSheet *s) {
    Arena arena = {0};
    int classes = e->data.classes;
    real *other = arena_get(&arena, (size_t)n * picture_size(&e->net) * sizeof *other);
    int *other_labels = arena_get(&arena, (size_t)n * sizeof *other_labels);
    images_from(&e->data.train, 0, n, other, other_labels);
    s->samples.trained_on =
        classification_accuracy_score(n, x, labels, &e->data.test, classes, seed);
    s->real_images.trained_on =
        classification_accuracy_score(n, other, other_labels, &e->data.test, classes, seed);
    arena_free(&arena);
}

ScoreSheet score_sheet(const Evaluator *e, int n, const real *x, const int *labels, uint64_t seed) {
    const Reference *data = &e->data;
    if (n > data->test.count) die("score_sheet: %d pictures, %d test images", n, data->test.count);
    ScoreSheet s = {.n = n, .reference = data->train.count,
                    .class_names = data->class_names};
    bool known = data->classes == e->net.classes;         /* else it knows nothing of the labels */
    if (!known) labels = NULL;
    Arena arena = {0};
    size_t len = (size_t)n * picture_size(&e->net);
    real *other = arena_get(&arena, len * sizeof *other);
    int *other_labels = arena_get(&arena, (size_t)n * sizeof *other_labels);
    Rng rng = rng_new(seed, "noise");
    strcpy(s.sha256, e->net.sha256);
    s.samples = scores_of(e, n, x, labels);
    rng_uniform(&rng, len, other);
    s.noise = scores_of(e, n, other, NULL);
    images_from(&data->test, 0, n, other, other_labels);
    s.real_images = scores_of(e, n, other, known ? other_labels : NULL);
    arena_free(&arena);
    if (labels) score_training(e, n, x, labels, seed, &s);
    return s;
}
