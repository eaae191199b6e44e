/* scores.h — everything this project measures of a set of pictures, on one sheet.
 *
 *     Evaluator evaluator = evaluator_new(&data, CLASSIFIER_WEIGHTS);
 *     ScoreSheet sheet = score_sheet(&evaluator, n, samples, labels, seed);
 *     score_sheet_print(&sheet);
 *     cJSON_AddItemToObject(metrics, "scores", score_sheet_json(&sheet));
 *     evaluator_free(&evaluator);
 *
 * A score means little alone. A sheet has three columns of the same n: the samples; real pictures
 * that neither the generator nor the classifier has seen (the test images), which is as good as a
 * score can be expected to get at this n; and uniform noise. All three are compared with the
 * training images, whose mean and covariance the Frechet distance uses in full, and n of which the
 * precision, recall and coverage use.
 *
 * Features are moved and scaled by constants of the training images, whose features then have mean
 * 0 and variance 1 on average: distances are in these units.
 *
 * evaluator_new is for Fashion-MNIST. Any other pictures are scored by a network that was trained
 * on their like (feature_net.h), through evaluator_open.
 *
 * Nothing here reads or writes samples: score/main.c does for files. */
#ifndef SCORES_H
#define SCORES_H

#include "data/fashion.h"
#include "eval/classifier.h"
#include "eval/frechet.h"
#include "eval/measures.h"
#include "eval/precision_recall.h"
#include "io/json.h"

enum { SCORE_MINIMUM = 20,       /* pictures; at most as many as there are test images */
       SCORE_CLASSES = 256 };    /* at most */

/* Of `wanted` pictures as many as can be scored: there must be as many test images, and as many
 * training images. Ends the program with one line if that is too few. */
int score_count(const Fashion *data, int wanted);

typedef struct {
    double frechet;
    Estimate kernel, inception;
    PrecisionRecall regions;
    double sharpness;
    int classes;             /* that the network names; 0: inception and accuracy are NAN */
    int histogram[SCORE_CLASSES];     /* pictures that it puts into each */
    double accuracy;                   /* share whose class is the intended one; NAN: no labels */
    /* Ravuri & Vinyals 2019: of a network trained on these pictures, on real ones; or NAN */
    double trained_on;
} Scores;

/* real pictures of the network's geometry */
typedef struct {
    Images train, test;          /* compared with; the column of real pictures */
    int classes;                 /* of their labels; other than the network's: they are not used */
    const char *const *class_names;
} Reference;

/* the most pictures that can be scored: as many as there are test and training images */
int score_most(const Reference *data);

typedef struct {
    Reference data;
    FeatureNet net;
    Arena arena;                 /* holds the rest */
    real *mean, scale;           /* of features: (x - mean) scale */
    real *features;              /* (data.train.count,net.features), of the training images */
    Gaussian gaussian;           /* fitted to them */
    struct Frozen *owned;        /* the network, where evaluator_new loaded it */
} Evaluator;

/* reads all training images: seconds. What `data` and `net` point at must outlive the evaluator. */
Evaluator evaluator_open(FeatureNet net, Reference data);
/* of Fashion-MNIST, by the classifier with these weights */
Evaluator evaluator_new(const Fashion *data, const char *weights);
void  evaluator_free(Evaluator *e);

/* x (n,height,width,channels) in [0,1], labels (n) or NULL; all but trained_on, which takes long */
Scores scores_of(const Evaluator *e, int n, const real *x, const int *labels);

/* features (n,net.features) and, unless NULL, probabilities (n,net.classes), as scores use them */
void evaluator_features(const Evaluator *e, int n, const real *x, real *features,
                        real *probabilities);

/* Share of `test` that a small network names rightly after it was trained on x, from scratch. */
double classification_accuracy_score(int n, const real *x, const int *labels, const Images *test,
                                     int classes, uint64_t seed);

typedef struct {
    int n, reference;            /* pictures in each column; training images compared with */
    char sha256[65];             /* of the network */
    const char *const *class_names;
    Scores samples, real_images, noise;
} ScoreSheet;

/* The three columns. With labels trained_on too: for real pictures of n training images, since the
 * test images are what it is tested on. */
ScoreSheet score_sheet(const Evaluator *e, int n, const real *x, const int *labels, uint64_t seed);
void   score_sheet_print(const ScoreSheet *s);
cJSON *score_sheet_json(const ScoreSheet *s);
/* a CSV file: which share of the samples, and of the test images, each class has */
void   score_sheet_classes(const ScoreSheet *s, const char *path);
cJSON *scores_json(const Scores *s);

/* Picture of the `count` first of x, each with its 5 nearest training images by pixels, then its 5
 * nearest by features: shows samples that are copies. */
void neighbours_picture(const Evaluator *e, int count, const real *x, const char *path,
                        const char *parameters);

#endif
