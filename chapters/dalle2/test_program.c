/* test_program.c — the program: what a user of prompts and pictures can rely on. Training and the
 * command line that all chapters share: tests/test_programs.c. */
#ifndef REAL_DOUBLE
#include "data/images.h"
#include "data/picture_decode.h"
#include "programs.h"

PROGRAM_SUITE(dalle2_program);

Test(dalle2_program, options_that_do_not_fit_are_refused) {
    static const Refusal cases[] = {
        {"train --config karlo", 2, "not trained here"},
        {"sample --config karlo", 2, "draws nothing here"},
        {"vary", 2, "takes one --image"},
        {"vary --image a --image b", 2, "takes one --image"},
        {"interpolate --image a", 2, "takes two --image"},
        {"edit --image a --from x", 2, "needs --from"},
        {"edit --image a --from x --to x", 2, "say the same"},
        {"reconstruct", 2, "takes one --image"},
        {"vary --image %s/none.png", 1, "none.png"},
        {"sample --eta 1", 2, "is for --sampler ddim"},
        {"sample --prior ar --prior-respace 20", 2, "is for --prior diffusion"},
        {"sample --prior magic", 2, "magic"}};
    EXPECT_REFUSALS("dalle2", cases);
}

static void train_decoder(void) {
    few_garments(400, 120);
    RUN("dalle2", "train -q --emoji 0 --stage decoder --decoder-steps 2 --decoder-batch 2 "
                  "--fit 200 --lr 0.02 --warmup 0 --preview 0 --data %s --out %s/run");
}

static void train_some_steps(void) {
    train_decoder();
    RUN("dalle2", "train -q --emoji 0 --stage ar --ar-steps 1 --batch 2 --fit 200 --data %s "
                  "--out %s/run");
}

/* a wide picture of coloured stripes, and its mirror image */
static void write_pictures(void) {
    enum { WIDE = 90, HIGH = 50 };
    static real x[HIGH * WIDE * 3];
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < HIGH * WIDE * 3; i++) {
            int column = i / 3 % WIDE, from = k ? WIDE - 1 - column : column;
            x[i] = (real)((from * (1 + i % 3) * 5) % 256) / 255;
        }
        write_picture(k ? "1.png" : "0.png", HIGH, WIDE, 3, x);
    }
}

/* images of 16x16 */
static void expect_images(const char *name, int count) {
    Npy a = drawn(name, count, 16, 16, 3);
    npy_close(&a);
}

/* image `at` of those drawn into `out` is the picture `name`, made small */
static void expect_given(const char *out, int at, const char *name) {
    enum { SMALL_SIDE = 16, VALUES = SMALL_SIDE * SMALL_SIDE * 3 };
    char path[200];
    static real x[64 * 64 * 3];
    Arena arena = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    picture_read(path, 64, -1, 1, x);
    snprintf(path, sizeof path, "%s/%s/samples.npy", folder, out);
    Npy a = npy_open(path);
    const real *small = shrink(&arena, 1, 64, SMALL_SIDE, x);
    for (int i = 0; i < VALUES; i++)
        cr_assert_float_eq(2 * npy_number(&a, (size_t)(at * VALUES + i)) - 1, small[i], 1e-5,
                           "%s: image %d, value %d", path, at, i);
    npy_close(&a);
    arena_free(&arena);
}

/* Without --caption and noise (eta) the first that interpolate, edit and reconstruct's last are drawn
 * from one embedding and one x_T, the picture's; edit's second from another embedding. Pictures
 * exchanged, interpolate gives the same ones in the other order. */
static void expect_beginnings(void) {
    static const struct { const char *line, *out; } calls[] = {
        {"interpolate -n 3 -i %s/1.png -i %s/0.png", "back"}, {"reconstruct -i %s/0.png", "last"}};
    for (int i = 0; i < 2; i++) {
        char line[1000], pictures[400];
        snprintf(pictures, sizeof pictures, calls[i].line, folder, folder);
        snprintf(line, sizeof line, "%s -q --respace 3 --out %s/%s --weights "
                 "%s/run/decoder-weights.safetensors", pictures, folder, calls[i].out, folder);
        RUN("dalle2", line);
    }
    static const char first[] = "1/samples.npy", edited[] = "2/samples.npy";
    cr_expect_float_eq(off_by(edited, 1, first, 1), 0, 1e-5, "edit begins elsewhere");
    cr_expect_float_eq(off_by("last/samples.npy", 7, first, 1), 0, 1e-5,
                       "reconstruct ends elsewhere");
    cr_expect_float_eq(off_by("back/samples.npy", 3, first, 1), 0, 1e-5, "another way back");
    cr_expect_gt(off_by(edited, 2, first, 1), 1e-3, "edit changes nothing");
}

/* A user's own pictures, through every command, with what was drawn from them; the same call again
 * gives the same images. */
Test(dalle2_program, pictures_are_varied_interpolated_edited_and_reconstructed) {
    train_some_steps();
    write_pictures();
    static const struct { const char *line; int images; } calls[] = {
        {"vary -n 3 -i %s/0.png", 4}, {"interpolate -n 3 -i %s/0.png -i %s/1.png", 5},
        {"edit -n 2 -i %s/0.png --from 'a red coat' --to 'a blue coat'", 3},
        {"reconstruct -i %s/0.png --caption 'a red coat'", 8}, {"vary -n 3 -i %s/0.png", 4}};
    for (int i = 0; i < 5; i++) {
        char line[1000], pictures[400], name[40];
        snprintf(pictures, sizeof pictures, calls[i].line, folder, folder);
        snprintf(line, sizeof line, "%s -q --respace 3 --out %s/%d --weights "
                 "%s/run/decoder-weights.safetensors", pictures, folder, i, folder);
        RUN("dalle2", line);
        snprintf(name, sizeof name, "%d/samples.npy", i);
        expect_images(name, calls[i].images);
    }
    cr_expect(same_file("0/samples.npy", "4/samples.npy"), "the same call, other images");
    char line[1000];
    snprintf(line, sizeof line, "reconstruct -i %s/0.png --respace 3 --out %s/3 --weights "
             "%s/run/decoder-weights.safetensors | tee %s/said", folder, folder, folder, folder);
    RUN("dalle2", line);
    char *path = path_join(folder, "said"), *said = text_of(path);
    char *off = strstr(said, "all of it: off by ");
    cr_assert(off, "%s", said);
    double error = strtod(off + strlen("all of it: off by "), NULL);
    cr_expect(error > 0 && error < 1, "%s", said);
    free(path), free(said);
    expect_beginnings();
    expect_given("0", 0, "0.png");
    expect_given("1", 0, "0.png");
    expect_given("1", 4, "1.png");
}

/* Captions become images by either prior's file, the text's embedding, or the caption alone; a
 * prompt that is too long is cut, which is said. Weights of another CLIP are refused. */
Test(dalle2_program, captions_become_images) {
    train_some_steps();
    static const char *const priors[] = {"ar", "text", "none"};
    char said[2000], line[600];
    for (int i = 0; i < 3; i++) {
        snprintf(line, sizeof line, "-n 2 --prior %s --respace 2 --scale 3 -p 'a dress'",
                 priors[i]);
        sample_as("dalle2", priors[i], line);
        expect_images(priors[i], 2);
    }
    cr_expect(!same_file("ar", "text") && !same_file("text", "none"), "priors make no difference");
    snprintf(line, sizeof line, "sample -q -n 1 --prior none --respace 2 -p 'a a a a a a a a a a "
             "a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a' --out %s/run", folder);
    cr_expect_eq(run_program("dalle2", line, said), 0);
    cr_expect(strstr(said, "tokens, of which the network reads 32"), "%s", said);
    snprintf(line, sizeof line, "cp notebooks-data/clip/weights.safetensors %s/clip && "
             "printf '\\001' | dd of=%s/clip bs=1 seek=1000000 conv=notrunc status=none", folder,
             folder);
    cr_assert_eq(system(line), 0, "%s", line);
    expect_refusal("dalle2", "sample --prior text --clip %s/clip --out %s/run", 1, "another CLIP");
    expect_refusal("dalle2", "sample --prior diffusion --out %s/run", 1, "prior-weights");
}

/* The diffusion prior, the one without --prior: each image is of its own caption, and the prior's
 * scale shows. A user's pictures need no prior, but to be reconstructed. */
#define FEW "-n 2 --respace 2 --prior-respace 2 "
Test(dalle2_program, the_diffusion_prior_embeds_each_caption) {
    static const char *const calls[] = {
        "vary -n 2 -i %s/0.png --respace 3 --out %s/run",
        "interpolate -n 1 -i %s/0.png -i %s/1.png --respace 3 --out %s/run",
        "edit -n 2 -i %s/0.png --from coat --to bag --respace 3 --out %s/run"};
    train_decoder();
    RUN("dalle2", "train -q --emoji 0 --stage prior --steps 3 --lr 0.002 --warmup 0 --batch 2 "
                  "--fit 200 --data %s --out %s/run");
    expect_own_prompts("dalle2", FEW, 0.05);
    sample_as("dalle2", "scale", FEW "--prior-scale 4 -p 'a red dress'");
    cr_expect_gt(off_by("scale", 0, "first", 0), 0.05, "%g", off_by("scale", 0, "first", 0));
    write_pictures();
    for (int i = 0; i < 3; i++) {
        RUN("dalle2", calls[i]);
        expect_images("run/samples.npy", 3);
        expect_given("run", 0, "0.png");
    }
    expect_refusal("dalle2", "reconstruct -i %s/0.png --out %s/run", 1, "ar-weights");
}

/* eval, with the text's embedding in the prior's place: it is as far from the images' as is said; an
 * image of the same caption is nearer to an image than one of another caption, and pictures are
 * scored. Without upsamplers there is nothing to score. */
Test(dalle2_program, eval_compares_embeddings_and_scores_pictures) {
    train_some_steps();
    expect_refusal("dalle2", "eval -q --prior text --data %s --out %s/run", 2,
                   "train --stage upsampler32");
    for (int side = 32; side <= 64; side *= 2) {
        char line[400];
        snprintf(line, sizeof line, "train -q --stage upsampler%d --upsampler-steps 1 "
                 "--upsampler-batch 2 --emoji 0 --preview 0 --data %%s --out %%s/run", side);
        RUN("dalle2", line);
    }
    RUN("dalle2", "eval -q --samples 150 --prior text --respace 2 --data %s --out %s/run");
    double text = number_in("run/metrics.json", "cosine_text");
    double again = number_in("run/metrics.json", "cosine_again");
    double other = number_in("run/metrics.json", "cosine_other");
    double nearest = number_in("run/metrics.json", "cosine_nearest");
    cr_expect_float_eq(number_in("run/metrics.json", "cosine_drawn"), text, 1e-5);
    cr_expect(text > other + 0.3 && text < 0.97, "text %g, another caption's image %g", text, other);
    cr_expect(again > other + 0.5 && again < 0.99, "again %g, other %g", again, other);
    cr_expect(nearest > other + 0.5 && nearest < 1, "nearest %g", nearest);
    cr_expect_eq(number_in("run/metrics.json", "pictures"), 150);
    cr_expect_gt(number_in("run/metrics.json", "frechet_distance"), 1);
}
#endif
