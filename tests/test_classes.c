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

/* the same after a note that the pictures are not Fashion-MNIST's */
static void refuse_after_note(const char *name, const char *arguments, const char *says) {
    char said[2000];
    int status = run_program(name, arguments, said);
    cr_expect(status == 1 && strstr(said, says), "%s %s: status %d: %s", name, arguments, status,
              said);
}

#define TRAIN "train --data %s --steps 1 --batch 4 -q --out %s/run"

Test(classes, networks_without_labels_take_any_number) {
    letters();
    RUN("ae", TRAIN);
    RUN("vae", TRAIN);
    RUN("gan", TRAIN " --unconditional");
    RUN("ddpm", TRAIN " --config bench --preview 2");
    RUN("dae_mae", TRAIN);
    RUN("dae_mae", TRAIN " --config dae");
}

Test(classes, stages_without_labels_take_any_number) {
    letters();
    RUN("vqvae", TRAIN " --stage autoencoder --hidden 8 --residual 4 --codes 16 --dim 4");
    RUN("vqvae", "eval --data %s --out %s/run --stage autoencoder -q");
    RUN("vqvae2", TRAIN "2 --stage autoencoder --width 8 --codes 16");
    RUN("guidance", TRAIN " --stage diffusion --width 32 --blocks 1 --preview 0");
}

Test(classes, networks_with_labels_say_how_many_they_know) {
    static const char says[] = "has 27 classes, labels 0 to 26; here 10 are known";
    letters();
    expect_refusal("vae", TRAIN " --conditional", 1, says);
    expect_refusal("gan", TRAIN " --conditional", 1, says);
    expect_refusal("vqvae", TRAIN, 1, says);
    RUN("dae_mae", "train --data %s --out %s/dae --config dae --steps 1 --batch 4 -q");
    expect_refusal("dae_mae", "eval --data %s --out %s/dae -q", 1, says);
    refuse_after_note("guidance", TRAIN " --conditional --stage diffusion", "of 27 classes");
    refuse_after_note("guidance", TRAIN, "of 27 classes");
    refuse_after_note("vqvae2", TRAIN, "the data have 27 classes");
}
