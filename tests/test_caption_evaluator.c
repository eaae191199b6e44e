/* test_caption_evaluator.c — do pictures show what their captions say: verdicts worked out by hand,
 * the network's gradients, files of captions, the committed network on real and wrong scenes. */
#include "testing.h"

#include "eval/caption_sheet.h"
#include "eval/references.h"
#include "stops.h"

#include <math.h>

SUITE(caption_evaluator);

enum { RED, ORANGE, YELLOW, GREEN, TURQUOISE, BLUE };
enum { T_SHIRT, TROUSERS, PULLOVER, DRESS, COAT, SANDAL, SHIRT, SNEAKER, BAG, BOOT };

/* ---- verdicts -------------------------------------------------------------------------------- */

/* found for sure at (y,x) */
static void put(Found *f, int class, int colour, double y, double x) {
    int i = f->count++;
    f->garment[i].class = class, f->garment[i].colour = colour;
    f->garment[i].y = (real)y, f->garment[i].x = (real)x;
    f->garment[i].here = 1;
    f->garment[i].class_probability[class] = f->garment[i].colour_probability[colour] = 1;
}

static Scene scene(const char *caption) {
    Scene s;
    cr_assert(scene_parse(caption, &s), "%s", caption);
    return s;
}

/* count, relation, whole, then class, colour of each garment, as letters: "crw cC cC" all right */
static void verdict_is(const Found *f, const char *caption, const char *expected) {
    Scene s = scene(caption);
    Verdict v = caption_verdict(f, &s);
    char text[16];
    snprintf(text, sizeof text, "%c%c%c %c%c %c%c", v.count ? 'c' : '-', v.relation ? 'r' : '-',
             v.whole ? 'w' : '-', v.class[0] ? 'c' : '-', v.colour[0] ? 'C' : '-',
             v.class[1] ? 'c' : '-', v.colour[1] ? 'C' : '-');
    cr_expect_str_eq(text, expected, "%s: %s, not %s", caption, text, expected);
    for (int k = 0; k < s.count; k++) {
        cr_expect_eq(v.garment[k], v.class[k] && v.colour[k], "%s", caption);
    }
}

/* Is each part scored for itself, and the whole by all of them? */
Test(caption_evaluator, verdicts_are_those_of_the_definition) {
    Found two = {0}, one = {0}, none = {0}, three = {0};
    put(&two, BAG, RED, 32, 16), put(&two, COAT, BLUE, 36, 48);
    put(&one, COAT, BLUE, 32, 32);
    put(&three, BAG, RED, 32, 16), put(&three, COAT, BLUE, 32, 48), put(&three, BOOT, GREEN, 60, 4);
    verdict_is(&two, "a red bag to the left of a blue coat", "crw cC cC");
    verdict_is(&two, "a blue coat right of a red bag", "crw cC cC");
    verdict_is(&two, "a blue coat to the left of a red bag", "c-- cC cC");
    verdict_is(&two, "a red bag above a blue coat", "c-- cC cC");
    verdict_is(&two, "a blue bag to the left of a red coat", "cr- c- c-");
    verdict_is(&two, "a red bag to the left of a blue boot", "cr- cC -C");
    verdict_is(&two, "a red bag to the left of a green coat", "cr- cC c-");
    verdict_is(&two, "a red bag", "-r- cC --");
    verdict_is(&one, "a blue coat", "crw cC --");
    verdict_is(&one, "a photo of a red coat", "cr- c- --");
    verdict_is(&one, "a red bag above a blue coat", "--- -- cC");
    verdict_is(&one, "a blue coat above a red bag", "--- cC --");
    verdict_is(&none, "a blue coat", "-r- -- --");
    verdict_is(&none, "a blue coat above a red bag", "--- -- --");
    verdict_is(&three, "a red bag to the left of a blue coat", "-r- cC cC");
}

/* two of one class: are they dealt by their colours? */
Test(caption_evaluator, garments_are_dealt_as_fits_best) {
    Found f = {0};
    put(&f, SHIRT, RED, 16, 32), put(&f, SHIRT, BLUE, 48, 32);
    verdict_is(&f, "a red shirt above a blue shirt", "crw cC cC");
    verdict_is(&f, "a blue shirt below a red shirt", "crw cC cC");
    verdict_is(&f, "a blue shirt above a red shirt", "c-- cC cC");
    /* what is a little like a dress is taken for the dress, though it is called a shirt */
    f.garment[0].class_probability[SHIRT] = (real)0.6;
    f.garment[0].class_probability[DRESS] = (real)0.4;
    verdict_is(&f, "a blue shirt below a red dress", "cr- cC -C");
}

/* shares of pictures, garments and pairs, and the floor by the captions of others? */
Test(caption_evaluator, scores_are_shares) {
    Found found[4] = {0};
    Scene scenes[4] = {scene("a red bag"), scene("a blue coat"),
                       scene("a red bag above a blue coat"), scene("a green boot")};
    put(&found[0], BAG, RED, 32, 32);
    put(&found[1], COAT, GREEN, 32, 32);
    put(&found[2], BAG, RED, 48, 32), put(&found[2], COAT, BLUE, 16, 32);
    put(&found[3], BOOT, GREEN, 32, 32), put(&found[3], BOOT, RED, 8, 8);
    CaptionScores c = caption_scores(4, found, scenes);
    cr_assert(c.pictures == 4 && c.garments == 5 && c.pairs == 1);
    cr_assert_float_eq(c.whole, 1.0 / 4, 1e-12);
    cr_assert_float_eq(c.count, 3.0 / 4, 1e-12);
    cr_assert_float_eq(c.class, 1, 1e-12);
    cr_assert_float_eq(c.colour, 4.0 / 5, 1e-12);
    cr_assert_float_eq(c.garment, 4.0 / 5, 1e-12);
    cr_assert_float_eq(c.relation, 0, 1e-12);
    cr_assert(c.stacked < 1e-12 && isnan(c.beside));
    c = caption_scores_shuffled(4, found, scenes);      /* 0 with the caption of 2, 1 with 3 ... */
    cr_assert_float_eq(c.count, 1.0 / 4, 1e-12);
    cr_assert_float_eq(c.whole, 0, 1e-12);
    c = caption_scores(2, found, scenes);
    cr_assert(isnan(c.relation) && c.pairs == 0);
    Found right = {0};
    Scene beside = scene("a red bag to the left of a blue coat");
    put(&right, BAG, RED, 32, 16), put(&right, COAT, BLUE, 32, 48);
    c = caption_scores(1, &right, &beside);
    cr_assert(c.beside > 1 - 1e-12 && isnan(c.stacked));
}

/* ---- the network ----------------------------------------------------------------------------- */

#ifdef REAL_DOUBLE
static Tensor *net_loss(Tape *t, void *context) {
    Tensor *x = t_input(t, NULL, SHAPE(1, NET_SIDE, NET_SIDE, 3));
    test_values("picture", 0, 1, NET_PIXELS, x->x);
    Scene s = scene("a red bag above a blue coat");
    s.garment[0].box.top = 3, s.garment[0].box.left = 20;
    s.garment[0].box.height = s.garment[0].box.width = 25;
    s.garment[1].box.top = 33, s.garment[1].box.left = 17;
    s.garment[1].box.height = s.garment[1].box.width = 30;
    CaptionOutput y = caption_net(context, x);
    return caption_loss(&y, 1, &s);
}

/* As for the classifier: a seed with which no difference goes across a kink. */
Test(caption_evaluator, network_has_the_right_gradients) {
    Params p = {.seed = 1};
    CaptionNet c = caption_net_new(&p);
    double error = gradient_error_within(&p, net_loss, &c, 2, 1e-6);
    cr_assert(error < 1e-6, "%g", error);
    params_free(&p);
}
#endif

/* ---- files of captions ----------------------------------------------------------------------- */

static void put_text(const char *name, const char *text) {
    file_write(place(name), text, strlen(text));
}

Test(caption_evaluator, captions_are_read) {
    Arena arena = {0};
    int n;
    char text[SCENE_CAPTION];
    put_text("captions.txt", "a red sneaker\n00001.png\ta photo of purple trousers\r\n"
                             "an orange coat above a blue bag");
    Scene *s = captions_read(&arena, place("captions.txt"), &n);
    cr_assert_eq(n, 3);
    cr_assert_str_eq(scene_caption(&s[1], text), "a photo of purple trousers");
    cr_assert_str_eq(scene_caption(&s[2], text), "an orange coat above a blue bag");
    arena_free(&arena);
}

static void read_them(void *path) {
    Arena arena = {0};
    int n;
    captions_read(&arena, path, &n);
}

Test(caption_evaluator, what_is_no_caption_is_named) {
    put_text("bad.txt", "a red sneaker\na gold ring\n");
    expect_stop(1, "bad.txt: line 2: \"a gold ring\"", read_them, (void *)place("bad.txt"));
    put_text("bad.txt", "a red sneaker\n\n");
    expect_stop(1, "bad.txt: line 2: \"\"", read_them, (void *)place("bad.txt"));
}

/* ---- the committed network ------------------------------------------------------------------- */

static CaptionEvaluator committed(Fashion *data, Wardrobe *w) {
    *data = fashion_load(NULL);
    *w = wardrobe_open(data, 64);
    return caption_evaluator_load(CAPTION_WEIGHTS);
}

/* are these the weights that record and calibration were made with? */
Test(caption_evaluator, the_network_is_the_one_on_record) {
    Fashion data;
    Wardrobe w;
    CaptionEvaluator e = committed(&data, &w);
    static const char *const records[] = {"notebooks-data/caption_evaluator/metrics.json",
                                          "notebooks-data/caption_evaluator/README.md"};
    for (int i = 0; i < 2; i++) {
        size_t n;
        const uint8_t *bytes = file_map(records[i], &n);
        char *text = calloc(n + 1, 1);
        memcpy(text, bytes, n);
        file_unmap(bytes, n);
        cr_assert(strstr(text, e.sha256), "%s does not name %s", records[i], e.sha256);
        free(text);
    }
    caption_evaluator_free(&e);
    wardrobe_free(&w);
    fashion_free(&data);
}

#ifndef REAL_DOUBLE          /* what it says of hundreds of scenes, as programs ask it: in float */
enum { FEW = 300 };

/* Scenes of a part, changed by `change`, with the captions they had before. */
static CaptionScores scores_after(const CaptionEvaluator *e, const Wardrobe *w, Part part,
                                  void (*change)(Scene *s)) {
    static Scene scenes[FEW];
    static Found found[FEW];
    static uint8_t pixels[NET_PIXELS];
    static real x[FEW * NET_PIXELS];
    for (int i = 0; i < FEW; i++) {
        Scene s = scenes[i] = wardrobe_scene(w, part, 5, (uint64_t)i);
        if (change) change(&s);
        wardrobe_draw(w, part, &s, pixels, NULL, NULL);
        real *to = x + (size_t)i * NET_PIXELS;
        for (int k = 0; k < NET_PIXELS; k++) to[k] = (real)pixels[k] / 255;
    }
    caption_evaluator_apply(e, FEW, 64, x, found, NULL);
    return caption_scores(FEW, found, scenes);
}

static void next_colour(Scene *s) {
    s->garment[0].colour = (s->garment[0].colour + 3) % WARDROBE_COLOURS;
}

static void lose_one(Scene *s) {
    s->count--;
}

static void exchange(Scene *s) {
    if (s->count < 2) return;
    Garment a = s->garment[0], *b = &s->garment[1];
    s->garment[0].top = b->top, s->garment[0].left = b->left, s->garment[0].side = b->side;
    b->top = a.top, b->left = a.left, b->side = a.side;
}

/* Real scenes near the ceiling on record, held-out ones too; each kind of mistake seen in its own
 * part and in the whole, and not in the others. */
Test(caption_evaluator, mistakes_are_seen_where_they_are) {
    Fashion data;
    Wardrobe w;
    CaptionEvaluator e = committed(&data, &w);
    CaptionScores real_ones = scores_after(&e, &w, PART_TEST, NULL);
    CaptionScores held_out = scores_after(&e, &w, PART_HELD_OUT, NULL);
    cr_expect(real_ones.whole > 0.78 && held_out.whole > 0.77, "%g, %g", real_ones.whole,
              held_out.whole);
    cr_expect(real_ones.colour > 0.97 && real_ones.count > 0.97 && real_ones.relation > 0.97);
    CaptionScores c = scores_after(&e, &w, PART_TEST, next_colour);
    cr_expect(c.colour < 0.5 && c.whole < 0.05 && c.class > real_ones.class - 0.05);
    c = scores_after(&e, &w, PART_TEST, lose_one);
    cr_expect(c.count < 0.05 && c.whole < 0.05);
    c = scores_after(&e, &w, PART_TEST, exchange);
    cr_expect(c.relation < 0.05 && c.class > real_ones.class - 0.05);
    cr_expect(c.whole < real_ones.whole / 2);
    caption_evaluator_free(&e);
    wardrobe_free(&w);
    fashion_free(&data);
}

/* A sheet of real scenes: samples as good as the ceiling, kinds counted, the floor far below. */
Test(caption_evaluator, a_sheet_stands_between_ceiling_and_floor) {
    enum { N = 120 };
    Fashion data;
    Wardrobe w;
    CaptionEvaluator e = committed(&data, &w);
    Arena arena = {0};
    Scene *scenes = arena_get(&arena, N * sizeof *scenes);
    real *x = arena_get(&arena, (size_t)N * NET_PIXELS * sizeof *x);
    SceneBatch seen = {.images = x, .high = 1, .scenes = scenes};
    SceneBatch held = {.images = x + (size_t)N / 2 * NET_PIXELS, .high = 1,
                       .scenes = scenes + N / 2};
    wardrobe_get(&w, PART_TEST, 9, 0, N / 2, &seen);
    wardrobe_get(&w, PART_HELD_OUT, 9, 0, N / 2, &held);
    CaptionSheet s = caption_sheet(&e, &w, N, x, scenes);
    cr_assert(s.n == N && s.kind[HELD_NOTHING].pictures == N / 2);
    cr_assert_eq(s.kind[HELD_COLOUR].pictures + s.kind[HELD_RELATION].pictures, N / 2);
    for (int k = 0; k < KINDS; k++) cr_assert_eq(s.kind[k].pictures, s.real_kind[k].pictures);
    cr_assert_float_eq(s.samples.whole, s.real_images.whole, 0.12);
    cr_assert_lt(s.shuffled.whole, 0.05);
    caption_evaluator_free(&e);
    wardrobe_free(&w);
    fashion_free(&data);
    arena_free(&arena);
}

/* Distances in its features: unseen scenes are nearest, then noisy ones, then noise. */
Test(caption_evaluator, its_features_rank_damage) {
    enum { N = 200 };
    Fashion data;
    Wardrobe w;
    CaptionEvaluator e = committed(&data, &w);
    Arena arena = {0};
    Reference r = wardrobe_reference(&arena, &w, N);
    Evaluator j = evaluator_open(caption_evaluator_net(&e, 64), r);
    real *x = arena_get(&arena, (size_t)N * NET_PIXELS * sizeof *x);
    real *noise = arena_get(&arena, (size_t)N * NET_PIXELS * sizeof *x);
    images_get(&r.test, N, NULL, 0, 1, x, NULL);
    double floor = scores_of(&j, N, x, NULL).frechet, last = floor;
    Rng rng = rng_new(1, "noise");
    rng_normal(&rng, (size_t)N * NET_PIXELS, noise);
    k_axpy((size_t)N * NET_PIXELS, (real)0.2, noise, x, true);
    k_clamp((size_t)N * NET_PIXELS, x, 0, 1, x);
    Scores s = scores_of(&j, N, x, NULL);
    cr_assert_gt(s.frechet, last);
    cr_assert(isnan(s.inception.mean) && isnan(s.accuracy) && s.classes == 0);
    last = s.frechet;
    rng_uniform(&rng, (size_t)N * NET_PIXELS, x);
    cr_assert_gt(scores_of(&j, N, x, NULL).frechet, last);
    evaluator_free(&j);
    caption_evaluator_free(&e);
    wardrobe_free(&w);
    fashion_free(&data);
    arena_free(&arena);
}

#endif

/* a network for pictures of another size stops the program in the caller's line */
Test(caption_evaluator, other_geometry_is_a_mistake, .signal = SIGABRT) {
    Fashion data;
    Wardrobe w;
    CaptionEvaluator e = committed(&data, &w);
    evaluator_open(caption_evaluator_net(&e, 64), (Reference){data.train, data.test, 10, NULL});
}
