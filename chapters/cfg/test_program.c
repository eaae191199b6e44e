/* test_program.c — the program: what a user of prompts, masks and pictures can rely on. Training
 * and the command line that all chapters share: tests/test_programs.c. */
#ifndef REAL_DOUBLE
#include "data/images.h"
#include "io/safetensors.h"
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

static void train_base(const char *text) {
    char line[300];
    few_garments(400, 120);
    snprintf(line, sizeof line, "train -q --emoji 0 --stage base --text %s --steps 3 --lr 0.02 "
             "--warmup 0 --batch 2 --preview 0 --validation 4 --data %%s --out %%s/run", text);
    RUN("cfg", line);
}

static void train_upsampler(void) {
    RUN("cfg", "train -q --emoji 0 --stage upsampler --upsampler-steps 1 --upsampler-batch 2 "
               "--preview 0 --validation 4 --data %s --out %s/run");
}

static void train_some_steps(void) {
    train_base("clip");
    train_upsampler();
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

/* The fewer of the steps, the more is left of the picture; the last one alone leaves all but a
 * little. */
Test(cfg_program, an_edited_picture_is_left_as_far_as_strength_says) {
    enum { SMALL = SIDE / 2, VALUES = SMALL * SMALL * 3 };
    static const char *const strength[] = {"0", "0.5", "1"};
    real image[SIDE * SIDE * 3];
    double off[3] = {0};
    Arena arena = {0};
    train_base("clip");
    write_pictures(image);
    const real *small = shrink(&arena, 1, SIDE, SMALL, image);
    for (int k = 0; k < 3; k++) {
        char options[160];
        snprintf(options, sizeof options, "-n 2 -p 'a red dress' --respace 4 --edit %s/image.png "
                 "--strength %s", folder, strength[k]);
        sample_as("cfg", "edited", options);
        Npy a = drawn("edited", 2, SMALL, SMALL, 3);
        for (size_t i = 0; i < a.len; i++)
            off[k] += fabs(npy_number(&a, i) - (double)small[i % VALUES]) / (double)a.len;
        npy_close(&a);
    }
    cr_expect(off[0] < 0.02 && off[1] > 2 * off[0] && off[2] > 1.2 * off[1], "%g %g %g", off[0],
              off[1], off[2]);
    cr_expect(file_there("run/given.png"), "what was given is shown");
    arena_free(&arena);
}

/* is a tensor of this name among the base's weights? */
static bool base_has(const char *name) {
    char *path = path_join(folder, "run/base-weights.safetensors");
    Safetensors s = safetensors_open(path);
    bool found = safetensors_find(&s, name) != NULL;
    safetensors_close(&s), free(path);
    return found;
}

/* The base's own transformer reads, not CLIP, and each picture its own prompt; scenes and emoji are
 * scored. */
Test(cfg_program, a_base_that_learned_to_read_draws_and_is_scored) {
    static const char metrics[] = "run/metrics.json";
    train_base("learned");
    cr_expect(base_has("text.block.0.attn.qkv.weight"));
    expect_refusal("cfg", "sample --text clip --out %s/run", 2, "contradicts");
    expect_own_prompts("cfg", "-n 2 --respace 2 --scale 20", 0.02);
    train_upsampler();
    RUN("cfg", "eval -q --samples 150 --emoji-samples 2 --respace 2 --upsampler-respace 2 "
               "--scale 1 --data %s --out %s/run");
    cr_expect(number_in(metrics, "pictures") == 150 && number_in(metrics, "scale") == 1);
    double right = number_in(metrics, "caption_whole");
    double most = number_in(metrics, "caption_ceiling_seen");
    cr_expect(right < 0.1 && most > 0.7 && most < 1, "%g of %g", right, most);
    cr_expect_gt(number_in(metrics, "frechet_distance"), 1);
    cr_expect(number_in(metrics, "concept") <= 1, "of emoji");
}

/* of pictures in each class, in classes.csv */
static double sum_of_shares(void) {
    char *path = path_join(folder, "run/classes.csv"), *text = text_of(path);
    double sum = 0, share;
    int rows = 0;
    for (const char *line = strchr(text, '\n'); line; line = strchr(line + 1, '\n'))
        if (sscanf(line, " %*d,%*[^,],%lf,", &share) == 1) sum += share, rows++;
    cr_expect_eq(rows, FASHION_CLASSES);
    free(path), free(text);
    return sum;
}

/* Fashion-MNIST, in both kinds of time: a picture is that of its number, its class and the scale;
 * at scale 0 of no class. */
#define CLASSES "--stage classes -n 5 --respace 2 "
Test(cfg_program, classes_are_drawn_and_scored) {
    static const char *const time[] = {"discrete", "continuous"};
    few_garments(400, 120);
    for (int i = 0; i < 2; i++) {
        char line[300];
        snprintf(line, sizeof line, "train -q --stage classes --time %s --classes-steps 3 "
                 "--classes-lr 0.02 --warmup 0 --classes-batch 2 --preview %d --data %%s "
                 "--out %%s/run", time[i], 2 * i);
        RUN("cfg", line);
        if (i == 0)
            expect_refusal("cfg", "sample --stage classes --v 1 --out %s/run", 2, "continuous");
        sample_as("cfg", "all", CLASSES);
        sample_as("cfg", "three", CLASSES "--class 3");
        sample_as("cfg", "none", CLASSES "--scale 0");
        sample_as("cfg", "again", CLASSES "--scale 0 --class 3");
        cr_expect_eq(off_by("all", 3, "three", 3), 0, "%s: another class", time[i]);
        cr_expect_gt(off_by("all", 2, "three", 2), 0.1, "%s: the same class", time[i]);
        cr_expect_gt(off_by("all", 3, "none", 3), 0.1, "%s: the same scale", time[i]);
        cr_expect(same_file("none", "again"), "%s: a class at scale 0", time[i]);
    }
    expect_refusal("cfg", "sample --stage classes --time discrete --out %s/run", 2, "contradicts");
    sample_as("cfg", "v0", CLASSES "--v 0");
    sample_as("cfg", "v1", CLASSES "--v 1");
    cr_expect_gt(off_by("v0", 0, "v1", 0), 0.1, "the same variance");
    RUN("cfg", "eval -q --stage classes --respace 2 --samples 20 --w 1.5 --data %s --out %s/run");
    cr_expect_eq(number_in("run/metrics.json", "scale"), 2.5);
    cr_expect_eq(number_in("run/metrics.json", "n"), 20);
    cr_expect_float_eq(sum_of_shares(), 1, 1e-9);
    cr_expect(!file_there("run/toy.csv"), "for which there is a command");
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
