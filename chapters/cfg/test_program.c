/* test_program.c — the program: what a user of prompts, masks and pictures can rely on. Training
 * and the command line that all chapters share: tests/test_programs.c. */
#ifndef REAL_DOUBLE
#include "programs.h"

#include <math.h>

PROGRAM_SUITE(cfg_program);

enum { SIDE = 64 };

Test(cfg_program, options_that_do_not_fit_are_refused) {
    static const char *const lines[][2] = {
        {"sample --scale 3 --w 2", "say the same"},
        {"sample --image %s/x.png", "belong together"},
        {"sample --inpaint %s/x.png", "belong together"},
        {"sample --inpaint a --image b --edit c", "one of them"},
        {"sample --strength 0.5", "is for --edit"},
        {"sample --eta 1", "is for --sampler ddim"},
        {"sample --class 3", "is for --stage classes"},
        {"sample --stage classes --prompt x", "is for texts"},
        {"sample --stage inpaint", "is for train"},
        {"eval --stage classes --clip-scale 2", "is for texts"},
        {"train --stage noisy-clip --ema 0.5", "is for the other stages"},
        {"train --stage classes --preview 1", "2 steps and more"},
        {"train --stage upsampler --steps 3", "is for --stage base"},
        {"train --stage base --micro 4", "less than one"},
        {"sample --config glide-upsample", "with --upsampler"},
        {"sample --config glide-base-inpaint", "needs --inpaint"},
        {"sample --config glide-base", "tokenizer"},
        {"train --config glide-base", "not trained here"},
        {"eval --config glide-base", "default"}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        expect_refusal("cfg", lines[i][0], 2, lines[i][1]);
}

/* a picture of coloured stripes; a mask whose left half is white */
static void write_pictures(real *image) {
    real mask[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++) {
        mask[i] = i % SIDE < SIDE / 2;
        for (int c = 0; c < 3; c++) image[3 * i + c] = (real)((i / SIDE * 3 + 5 * c) % 256) / 255;
    }
    write_picture("image.png", SIDE, SIDE, 3, image);
    write_picture("mask.png", SIDE, SIDE, 1, mask);
}

static void train_some_steps(void) {
    few_garments(400, 120);
    RUN("cfg", "train -q --emoji 0 --stage base --steps 3 --lr 0.02 --warmup 0 --batch 2 "
               "--preview 0 --validation 4 --data %s --out %s/run");
    RUN("cfg", "train -q --emoji 0 --stage upsampler --upsampler-steps 1 --upsampler-batch 2 "
               "--preview 0 --validation 4 --data %s --out %s/run");
}

/* Through both networks: kept pixels have the bytes that they had in the user's file, the others
 * not, and a prompt that is too long is cut, which is said. */
Test(cfg_program, a_prompt_is_painted_into_a_picture) {
    real image[SIDE * SIDE * 3];
    char said[2000];
    train_some_steps();
    write_pictures(image);
    char line[600];
    snprintf(line, sizeof line, "sample -q -n 1 --respace 3 --upsampler-respace 3 --out %s/run "
             "-p 'red red red red red red red red red red red red red red red red red red red red "
             "red red red red red red red red red red red red red' --image %s/image.png "
             "--inpaint %s/mask.png", folder, folder, folder);
    int status = run_program("cfg", line, said);
    cr_assert_eq(status, 0, "%s", said);
    cr_expect(strstr(said, "35 tokens, of which the network reads 32"), "%s", said);
    cr_expect(file_there("run/given.png"), "what was given is shown");
    Npy a = drawn("run/samples.npy", 1, SIDE, SIDE, 3);
    int changed = 0;
    for (int i = 0; i < SIDE * SIDE * 3; i++) {
        bool kept = i / 3 % SIDE < SIDE / 2;
        long got = lround(npy_number(&a, (size_t)i) * 255), was = lround((double)image[i] * 255);
        if (kept) cr_expect_eq(got, was, "number %d: %ld, not %ld", i, got, was);
        else changed += got != was;
    }
    cr_expect_gt(changed, SIDE * SIDE);
    npy_close(&a);
}

/* Does CLIP guidance change what is drawn, and a scale of 0 nothing? */
#define DRESS "-n 1 -p 'a red dress' --respace 2 --upsampler-respace 2 "
Test(cfg_program, clip_steers_what_is_drawn) {
    train_some_steps();
    RUN("cfg", "train -q --stage noisy-clip --noisy-clip-steps 1 --noisy-clip-batch 4 "
               "--validation 4 --data %s --out %s/run");
    sample_as("cfg", "plain", DRESS "--scale 0");
    sample_as("cfg", "none", DRESS "--scale 0 --clip-scale 0");
    sample_as("cfg", "steered", DRESS "--scale 0 --clip-scale 1000");
    cr_expect(same_file("plain", "none"), "a scale of 0 is none");
    cr_expect(!same_file("plain", "steered"), "1000 is another one");
}

/* Both ways to count the scale give the same picture; another scale another one. */
Test(cfg_program, a_scale_can_be_said_in_two_ways) {
    train_some_steps();
    sample_as("cfg", "scale", DRESS "--scale 2");
    sample_as("cfg", "w", DRESS "--w 1");
    sample_as("cfg", "other", DRESS "--scale 4");
    cr_expect(same_file("scale", "w"), "scale 2 is w 1");
    cr_expect(!same_file("scale", "other"), "scale 4 is another one");
}

/* 400 points of each class at each scale; the second class, as it is, is around (0.6,-0.4) */
Test(cfg_program, toy_guides_three_classes) {
    RUN("cfg", "toy -q --out %s");
    char *path = path_join(folder, "toy.csv"), *text = text_of(path);
    double scale, x, y, mean[2] = {0};
    int class, rows = 0, of = 0;
    for (const char *line = strchr(text, '\n'); line[1]; line = strchr(line + 1, '\n'), rows++) {
        cr_assert_eq(sscanf(line, " %lf,%d,%lf,%lf", &scale, &class, &x, &y), 4, "%.40s", line);
        if (scale == 1 && class == 1) mean[0] += x, mean[1] += y, of++;
    }
    cr_expect(rows == 4800 && of == 400, "%d, %d", rows, of);
    cr_expect(fabs(mean[0] / of - 0.6) < 0.1 && fabs(mean[1] / of + 0.4) < 0.1, "%g, %g",
              mean[0] / of, mean[1] / of);
    free(path), free(text);
}
#endif
