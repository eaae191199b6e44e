/* finetune.h — training a classifier, from a pretrained encoder or from random weights. */
#ifndef FINETUNE_H
#define FINETUNE_H

#include "../mae.h"
#include "base/progress.h"
#include "train/program.h"

typedef struct {
    int steps, batch;
    double lr;                   /* after a tenth of the steps; then half a cosine to 0 */
} FineTuning;

/* Numbers of randomly chosen images of `set`, labels/10 of each class, or as many as there are;
 * 0: all. Returns how many. */
int choose_labelled(const Images *set, int labels, uint64_t seed, int *chosen);

/* AdamW on the chosen n images, cropped and flipped at random; the encoder is trained, too, and
 * sees all patches. Random numbers depend on params->seed. */
void train_classifier(const MaeClassifier *c, Params *params, const Images *set, int n,
                      const int *chosen, FineTuning how, Progress *progress);

/* share of the set's images that are classified rightly */
double classifier_accuracy(const MaeClassifier *c, const Images *set);

/* The command: a network of this shape, whose encoder has the weights of --weights, or random ones
 * from scratch, is trained on so many labels (0: all) and tested. Writes finetune.json; returns the
 * exit status. */
int finetune(const Cli *cli, MaeShape shape, int labels, bool scratch, FineTuning how);

#endif
