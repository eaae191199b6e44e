/* test_classifier.c — the frozen classifiers: on record, right; and what scores in their features say
 * of damaged images. */
#include "base/file.h"
#include "data/emoji.h"
#include "data/sha256.h"
#include "eval/references.h"
#include "programs.h"

#include <math.h>

SUITE(classifier);

/* ---- the classifier -------------------------------------------------------------------------- */

#ifdef REAL_DOUBLE
static Tensor *classifier_loss(Tape *t, void *context) {
    static const int label = 3;
    real x[FASHION_PIXELS];
    test_values("picture", 0, 1, FASHION_PIXELS, x);
    Tensor *images = t_input(t, x, SHAPE(1, FASHION_SIDE, FASHION_SIDE, 1));
    const Classifier *c = context;
    return t_cross_entropy(classifier_logits(c, classifier_features(c, images)), &label);
}

/* One picture, few entries, and a seed with which no difference goes across the kink of a rectifier
 * or from one maximum to another, where there is no slope to compare with. */
Test(classifier, classifier_has_the_right_gradients) {
    Params p = {.seed = 24};
    Classifier c = classifier_new(&p, &classifier_fashion);
    double error = gradient_error(&p, classifier_loss, &c, 2);
    cr_assert(error < 1e-6, "%g", error);
    params_free(&p);
}
#endif

Test(classifier, negative_features_say_nothing) {
    Params p = {.seed = 24};
    Tape t = {.no_grad = true};
    Classifier c = classifier_new(&p, &classifier_fashion);
    Tensor *h = t_input(&t, NULL, SHAPE(1, classifier_fashion.features));
    k_fill(h->len, -1, h->x);
    test_values("bias", -1, 1, c.classes.b->len, c.classes.b->x);
    cr_expect_arr_eq(classifier_logits(&c, h)->x, c.classes.b->x, c.classes.b->len * sizeof(real));
    tape_free(&t);
    params_free(&p);
}

/* Frozen: are these the weights that the record and the calibration were made with? */
Test(classifier, the_classifier_is_the_one_on_record) {
    Frozen f = frozen_load(CLASSIFIER_WEIGHTS, &classifier_fashion);
    size_t length;
    file_unmap(file_map(CLASSIFIER_WEIGHTS, &length), length);
    cr_assert_lt(length, 1000000);
    static const char *records[] = {"metrics.json", "calibration.json", "README.md"};
    for (int i = 0; i < 3; i++) {
        char *path = path_join("notebooks-data/classifier", records[i]), *text = text_of(path);
        cr_assert(strstr(text, f.sha256), "%s does not name the classifier %s", path, f.sha256);
        free(text);
        free(path);
    }
    frozen_free(&f);
}

/* The same of the emoji's, whose validation and test pictures are near each other, noise is far. */
Test(classifier, the_emoji_classifier_is_the_one_on_record) {
    Frozen f = frozen_load(EMOJI_CLASSIFIER_WEIGHTS, &classifier_emoji);
    static const char *records[] = {"emoji-metrics.json", "README.md"};
    for (int i = 0; i < 2; i++) {
        char *path = path_join("notebooks-data/classifier", records[i]), *text = text_of(path);
        cr_assert(strstr(text, f.sha256), "%s does not name the classifier %s", path, f.sha256);
        free(text);
        free(path);
    }
    Arena arena = {0};
    Captioned emoji = emoji_load(32, NULL);
    Reference r = emoji_reference(&arena, &emoji);
    cr_assert_eq(r.test.count, emoji.validation.count + emoji.test.count);
    Evaluator j = evaluator_open(frozen_net(&f), r);
    enum { N = 100, NUMBERS = 32 * 32 * 3 };
    static real x[N * NUMBERS], noise[N * NUMBERS];
    images_get(&r.test, N, NULL, 0, 1, x, NULL);
    Scores real_ones = scores_of(&j, N, x, NULL);
    Rng rng = rng_new(1, "noisy");
    rng_normal(&rng, N * NUMBERS, noise);
    k_axpy(N * NUMBERS, (real)0.2, noise, x, true);
    k_clamp(N * NUMBERS, x, 0, 1, x);
    Scores noisy_ones = scores_of(&j, N, x, NULL);
    cr_assert(real_ones.classes == 99 && real_ones.inception.mean > 4);
    cr_assert_gt(noisy_ones.frechet, 2 * real_ones.frechet);
    cr_assert_lt(noisy_ones.regions.recall, real_ones.regions.recall);
    evaluator_free(&j);
    frozen_free(&f);
    captioned_free(&emoji);
    arena_free(&arena);
}

/* pixels and labels of a few thousand pictures: a set that is scored in seconds */
static Fashion few(int train, int test) {
    Fashion f = fashion_load(NULL);
    f.train.count = train, f.test.count = test;
    return f;
}

static real *first_images(Arena *arena, const Images *set, int n, int *labels) {
    real *x = arena_get(arena, (size_t)n * FASHION_PIXELS * sizeof *x);
    images_get(set, n, NULL, 0, 1, x, labels);
    return x;
}

/* 91 % of the test images at least */
Test(classifier, the_classifier_names_test_images) {
    enum { N = 1000 };
    Fashion data = few(1, N);
    Arena arena = {0};
    static real p[N * FASHION_CLASSES];
    static int labels[N];
    Frozen f = frozen_load(CLASSIFIER_WEIGHTS, &classifier_fashion);
    frozen_apply(&f, N, first_images(&arena, &data.test, N, labels), NULL, p);
    int right = 0;
    for (int i = 0; i < N; i++) {
        right += most_probable(FASHION_CLASSES, p + i * FASHION_CLASSES) == labels[i];
    }
    cr_assert_geq(right, 0.91 * N);
    frozen_free(&f);
    arena_free(&arena);
    fashion_free(&data);
}

/* ---- scores of corrupted images -------------------------------------------------------------- */

enum { FEW = 200 };

/* x + strength * noise, clamped */
static Scores noisy(const Evaluator *j, const real *x, double strength) {
    static real y[FEW * FASHION_PIXELS];
    Rng rng = rng_new(1, "noisy");
    rng_normal(&rng, FEW * FASHION_PIXELS, y);
    for (int i = 0; i < FEW * FASHION_PIXELS; i++) {
        y[i] = (real)fmin(fmax((double)x[i] + strength * (double)y[i], 0), 1);
    }
    return scores_of(j, FEW, y, NULL);
}

/* Do distances grow with the damage? Is precision fooled by one picture repeated, and coverage and
 * the distances not? */
Test(classifier, distances_rank_damage) {
    threads_set(1);               /* little work at a time: threads would mostly wait */
    Fashion data = few(600, FEW);
    Arena arena = {0};
    int labels[FEW];
    real *x = first_images(&arena, &data.test, FEW, labels);
    Evaluator j = evaluator_new(&data, CLASSIFIER_WEIGHTS);
    cr_assert_float_eq(gaussian_trace(&j.gaussian), j.net.features, 1e-3);
    Scores last = scores_of(&j, FEW, x, labels), best = last;
    cr_assert(last.accuracy > 0.88 && last.inception.mean > 6);
    static const double strengths[] = {0.1, 0.2, 0.5};
    for (int k = 0; k < 3; k++) {
        Scores s = noisy(&j, x, strengths[k]);
        cr_assert(s.frechet > last.frechet && s.kernel.mean > last.kernel.mean &&
                      s.regions.coverage < last.regions.coverage && s.sharpness > last.sharpness,
                  "noise %g", strengths[k]);
        last = s;
    }
    for (int i = 1; i < FEW; i++) memcpy(x + i * FASHION_PIXELS, x, FASHION_PIXELS * sizeof *x);
    Scores one = scores_of(&j, FEW, x, NULL);
    cr_assert_eq(one.regions.precision, 1);
    cr_assert(one.regions.recall < 0.01 && one.regions.coverage < 0.05);
    cr_assert_float_eq(one.inception.mean, 1, 1e-4);
    cr_assert(one.frechet > 20 * best.frechet && isnan(one.accuracy));
    evaluator_free(&j);
    arena_free(&arena);
    fashion_free(&data);
}

/* the same bits for any number of threads */
Test(classifier, scores_do_not_depend_on_threads) {
    Fashion data = few(200, 60);
    Arena arena = {0};
    Scores s[2];
    int labels[60];
    real *x = first_images(&arena, &data.test, 60, labels);
    for (int i = 0; i < 2; i++) {
        threads_set(i + 1);
        Evaluator j = evaluator_new(&data, CLASSIFIER_WEIGHTS);
        s[i] = scores_of(&j, 60, x, labels);
        evaluator_free(&j);
    }
    cr_assert_eq(s[0].frechet, s[1].frechet);
    cr_assert_eq(s[0].kernel.mean, s[1].kernel.mean);
    cr_assert_eq(s[0].inception.mean, s[1].inception.mean);
    cr_assert_eq(s[0].regions.coverage, s[1].regions.coverage);
    cr_assert_eq(s[0].accuracy, s[1].accuracy);
    arena_free(&arena);
    fashion_free(&data);
}

#ifndef REAL_DOUBLE
/* Trained on real pictures far better than chance; with labels that say nothing, chance */
Test(classifier, classification_accuracy_score_knows_labels) {
    threads_set(1);               /* little work at a time: threads would mostly wait */
    enum { N = 160 };
    Fashion data = few(N, N);
    Arena arena = {0};
    int labels[N], wrong[N];
    real *x = first_images(&arena, &data.train, N, labels);
    Rng rng = rng_new(1, "labels");
    for (int i = 0; i < N; i++) wrong[i] = (int)rng_below(&rng, FASHION_CLASSES);
    double good = classification_accuracy_score(N, x, labels, &data.test, FASHION_CLASSES, 1);
    double bad = classification_accuracy_score(N, x, wrong, &data.test, FASHION_CLASSES, 1);
    cr_assert(good > 0.6 && bad < 0.3, "%g and %g", good, bad);
    arena_free(&arena);
    fashion_free(&data);
}

#endif
