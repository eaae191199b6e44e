/* test_clip_program.c — build/clip: what it refuses, training that is interrupted, and what it says
 * of pictures and scenes. */
#include "programs.h"

PROGRAM_SUITE(clip_program);

Test(clip_program, refuses_what_makes_no_sense) {
    expect_refusal("clip", "train --config vit-b32 --out %s/a", 2, "is not trained here");
    expect_refusal("clip", "eval --text cat --out %s", 2, "belong together");
    expect_refusal("clip", "eval --image cat.png --out %s", 2, "belong together");
    expect_refusal("clip", "eval --config vit-l14 --out %s", 2, "compares --text with --image");
    expect_refusal("clip", "eval --config vit-l14 --text a --image b", 2, "--weights FILE");
    expect_refusal("clip", "eval --config vit-l14 --text a --image b --weights c", 2, "--merges");
    expect_refusal("clip", "eval --config vit-b32 --text a --image b --weights c --merges "
                   "notebooks-data/tokenizer/captions.bpe", 1, "vit-b32 has 49408");
    expect_refusal("clip", "eval --out %s", 1, "weights.safetensors");
    expect_refusal("clip", "eval --weights notebooks-data/classifier/weights.safetensors", 1,
                   "for which images");
    expect_refusal("clip", "train --side 48 --out %s/a", 2, "not one of 64|32");
}

/* the program is one of float: once is enough */
#ifndef REAL_DOUBLE

static char *text_of_file(const char *name) {
    char path[200];
    static char text[20000];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

Test(clip_program, a_resumed_run_equals_a_straight_one, .timeout = 600) {
    RUN("clip", "train --side 32 --batch 4 --validation 20 --steps 3 --out %s/straight -q");
    RUN("clip", "train --side 32 --batch 4 --validation 20 --steps 2 --out %s/twice -q");
    RUN("clip", "train --steps 3 --resume --out %s/twice -q");
    cr_expect(same_file("straight/weights.safetensors", "twice/weights.safetensors"));
    cr_expect(same_file("straight/checkpoint.safetensors", "twice/checkpoint.safetensors"));
    cr_expect(strstr(text_of_file("straight/log.csv"), "loss,ln_batch,scale,validation,class"));
}

Test(clip_program, measures_scenes_and_compares_texts_with_pictures, .timeout = 600) {
    char command[300];
    RUN("clip", "train --batch 4 --validation 20 --steps 1 --out %s -q");
    RUN("clip", "eval --out %s --scenes 20 -q");
    cr_expect(file_there("similarity.png"));
    const char *metrics = text_of_file("metrics.json");
    cr_expect(strstr(metrics, "\"order, unseen scenes\"") && strstr(metrics, "\"sha256\""));
    const char *build = getenv("BUILD");
    snprintf(command, sizeof command, "%s/clip eval --out %s --text 'a cat' --text 'a dog' --image "
             "%s/similarity.png > %s/said", build ? build : "build", folder, folder, folder);
    cr_assert_eq(system(command), 0);
    double p[2], cosine;
    const char *said = strchr(text_of_file("said"), '\n');
    cr_assert_eq(sscanf(said, " %lf %% cosine %lf a cat %lf %% cosine %lf a dog", &p[0], &cosine,
                        &p[1], &cosine), 4, "%s", said);
    cr_expect(p[0] > 0 && p[1] > 0 && p[0] + p[1] > 99.9 && p[0] + p[1] < 100.1, "%s", said);
    expect_refusal("clip", "eval --out %s --text a --image %s/metrics.json", 1, "metrics.json");
}

#endif
