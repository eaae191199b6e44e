/* test_text_to_image.c — `sample --config sd1`, with networks of a few thousand weights in place of
 * Stable Diffusion's: the program's own command line, in a process of its own. */
#ifndef REAL_DOUBLE
#include "stops.h"

#include "programs.h"
#include "tiny_models.h"

#include <wordexp.h>

#define main program_of_chapter
#include "main.c"
#undef main

PROGRAM_SUITE(text_to_image);

/* ---- calling it ------------------------------------------------------------------------------ */

static SdModel tiny;
static int draw_tiny(void) { return text_to_image(tiny); }

static void run_line(void *line) {
    wordexp_t words;
    wordexp(line, &words, WRDE_NOCMD);
    cli.commands = (const Command[]){{"sample", "", draw_tiny}, {0}};
    _exit(program_main(&cli, (int)words.we_wordc, words.we_wordv));
}

static void write_weights(void *path) { sd_write_random(path, &tiny, 3); }

/* weights in the test's folder; `in`: channels of the U-Net, 2 of latents, or 5 with the hole and
 * what is left of a picture */
static void make_tiny(int in) {
    char said[4096], *path = path_join(folder, "weights");
    tiny = (SdModel){
        .text = {.context = 16, .vocabulary = 2000, .width = 8, .depth = 2, .heads = 2},
        .latents = {.unet = tiny_unet, .beta_first = 0.00085, .beta_last = 0.012,
                    .latent_scale = 0.5},
        .first_stage = tiny_kl};
    tiny.latents.unet.in = in, tiny.latents.unet.context = tiny.text.width;
    cr_assert_eq(stop_and_listen(write_weights, path, said), 0, "%s", said);
    free(path);
}

/* what it draws, as `name` in the test's folder; in `more`, %s is that folder */
static void draw(const char *name, const char *more) {
    char line[800], said[4096], *from = path_join(folder, "run/samples.npy"),
         *to = path_join(folder, name);
    int at = snprintf(line, sizeof line, "ldm sample -q --weights %s/weights --vocab " BPE_CAPTIONS
                      " --size 64x64 --out %s/run ", folder, folder);
    snprintf(line + at, sizeof line - (size_t)at, more, folder, folder);
    cr_assert_eq(stop_and_listen(run_line, line, said), 0, "%s: %s", line, said);
    cr_assert_eq(rename(from, to), 0, "%s", to);
    free(from), free(to);
}

/* ---- from texts ------------------------------------------------------------------------------ */

/* At scale 1 the prompt alone is heard, at scale 0 the negative one alone. */
Test(text_to_image, a_prompt_and_its_negative_are_not_exchanged) {
    make_tiny(2);
    draw("coat", "--prompt coat --scale 1 -n 4");
    draw("not-coat", "--prompt bag --negative coat --scale 0 -n 4");
    draw("bag", "--prompt bag --negative coat --scale 1 -n 4");
    cr_expect_float_eq(off_by("coat", 0, "not-coat", 0), 0, 1e-5);
    cr_expect_gt(off_by("coat", 0, "bag", 0), 0.01);
    draw("guided", "--prompt coat -n 4");
    draw("negative", "--prompt coat --negative bag -n 4");
    cr_expect_gt(off_by("guided", 0, "negative", 0), 0.01);
    expect_refusal("ldm", "sample --config sd1 --weights x --prompt coat --prompt bag", 2,
                   "one --prompt at a time");
}

/* Pictures of a size that is not square, of other noise each; the preview is a quarter as large,
 * and what is drawn the same. */
Test(text_to_image, several_pictures_can_be_watched) {
    int width, height;
    make_tiny(2);
    draw("one", "--prompt coat -n 4 --size 128x64");
    cr_expect(!file_there("run/preview.png"));
    draw("two", "--prompt coat -n 4 --size 128x64 -p 2 --preview 2 --full --rows 16");
    Npy two = drawn("two", 2, 64, 128, 3);
    cr_expect_float_eq(off_by("one", 0, "two", 0), 0, 1e-5);
    cr_expect_gt(off_by("one", 0, "two", 1), 0.1);
    char *path = path_join(folder, "run/preview.png");
    free(picture_read_whole(path, &width, &height));
    cr_expect(width == 32 && height == 16, "%dx%d", width, height);
    npy_close(&two), free(path);
}

/* ---- from pictures --------------------------------------------------------------------------- */

enum { PICTURE = 64, EDGE = 8 };

static bool in_square(int row, int column) { return row / 16 == 1 && column / 16 == 2; }

/* one.png, stripes; wide.png, the same with more on its left and right; hole.png, the same with
 * another square; two.png, other stripes; and mask.png, where this square is white */
static void write_pictures(void) {
    static const char *const names[] = {"one.png", "wide.png", "hole.png", "two.png", "mask.png"};
    static real x[PICTURE * (PICTURE + 2 * EDGE) * 3];
    for (int k = 0; k < 5; k++) {
        int edge = k == 1 ? EDGE : 0, width = PICTURE + 2 * edge;
        for (int i = 0; i < PICTURE * width * 3; i++) {
            int row = i / 3 / width, column = i / 3 % width - edge;
            int stripes = k == 3 ? 9 * row : 256 + 7 * column + 3 * row + 40 * (i % 3);
            bool white = in_square(row, column) && (k == 2 || k == 4);
            x[i] = k == 4 || white ? white : (real)(stripes % 256) / 255;
        }
        write_picture(names[k], PICTURE, width, 3, x);
    }
}

/* how much more two pictures differ in that square than elsewhere, pixel by pixel */
static double more_in_square(const char *one, const char *two) {
    Npy a = drawn(one, 1, PICTURE, PICTURE, 3), b = drawn(two, 1, PICTURE, PICTURE, 3);
    double sum[2] = {0}, n[2] = {0};
    for (int i = 0; i < PICTURE * PICTURE * 3; i++) {
        bool in = in_square(i / 3 / PICTURE, i / 3 % PICTURE);
        sum[in] += fabs(npy_number(&a, (size_t)i) - npy_number(&b, (size_t)i)), n[in]++;
    }
    npy_close(&a), npy_close(&b);
    return sum[1] / n[1] / (sum[0] / n[0]);
}

/* The last step alone leaves what the first stage makes of the picture's middle, whatever the
 * prompt; with a mask all steps leave it where that is black. Large latents drown the noise. */
Test(text_to_image, a_picture_is_left_as_far_as_strength_and_mask_say) {
    make_tiny(2);
    tiny.latents.latent_scale = 20;
    write_pictures();
    draw("one", "--prompt coat -n 1000 --image %s/one.png --strength 0");
    draw("bag", "--prompt bag -n 1000 --image %s/wide.png --strength 0");
    draw("two", "--prompt coat -n 1000 --image %s/two.png --strength 0");
    draw("new", "--prompt coat -n 4 --image %s/one.png --strength 1");
    draw("hole", "--prompt coat -n 4 --image %s/one.png --strength 1 --mask %s/mask.png");
    cr_expect(off_by("one", 0, "bag", 0) < 0.001 && off_by("one", 0, "two", 0) > 0.1, "%g, %g",
              off_by("one", 0, "bag", 0), off_by("one", 0, "two", 0));
    double new = off_by("one", 0, "new", 0), hole = off_by("one", 0, "hole", 0);
    cr_expect(new > 0.2 && hole > 0.05 && hole < new / 2, "%g, in the hole %g", new, hole);
    double repainted = more_in_square("one", "hole"), all = more_in_square("one", "new");
    cr_expect(repainted > 2 && all < 1.3, "%g, %g", repainted, all);
}

/* It sees the picture but for the hole. What is in the hole matters only where --strength says that
 * drawing begins with it. */
Test(text_to_image, a_network_that_repaints_sees_what_is_left) {
    make_tiny(5);
    write_pictures();
    draw("one", "--prompt coat -n 4 --mask %s/mask.png --image %s/one.png");
    draw("hole", "--prompt coat -n 4 --mask %s/mask.png --image %s/hole.png");
    draw("two", "--prompt coat -n 4 --mask %s/mask.png --image %s/two.png");
    draw("begun", "--prompt coat -n 4 --strength 0.5 --mask %s/mask.png --image %s/one.png");
    draw("other", "--prompt coat -n 4 --strength 0.5 --mask %s/mask.png --image %s/hole.png");
    cr_expect_eq(off_by("one", 0, "hole", 0), 0, "%g", off_by("one", 0, "hole", 0));
    cr_expect_gt(off_by("one", 0, "two", 0), 0.02, "%g", off_by("one", 0, "two", 0));
    cr_expect_gt(off_by("begun", 0, "other", 0), 0.02, "%g", off_by("begun", 0, "other", 0));
}
#endif
