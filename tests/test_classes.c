/* test_classes.c — data with more classes than Fashion-MNIST has, as EMNIST's letters: trained on where
 * no label is seen or where the number of classes is the data's, refused with one line elsewhere. */
#include "programs.h"

PROGRAM_SUITE(classes);

/* 200 pictures for training and 40 for testing, labelled 1 to 26 */
static void letters(void) {
    uint8_t labels[200];
    few_garments(200, 40);
    for (int i = 0; i < 200; i++) labels[i] = (uint8_t)(1 + i % 26);
    write_idx(fashion_files[1], labels, 200, 1);
    write_idx(fashion_files[3], labels, 40, 1);
}

#define TRAIN "train --data %s --out %s/run --steps 1 --batch 4 -q"

Test(classes, networks_without_labels_take_any_number) {
    letters();
    RUN("ae", TRAIN);
    RUN("vae", TRAIN);
    RUN("gan", TRAIN " --unconditional");
    RUN("ddpm", TRAIN " --config bench --preview 2");
}

Test(classes, networks_with_labels_say_how_many_they_know) {
    static const char says[] = "has 27 classes, labels 0 to 26; here 10 are known";
    letters();
    expect_refusal("vae", TRAIN " --conditional", 1, says);
    expect_refusal("gan", TRAIN " --conditional", 1, says);
}
