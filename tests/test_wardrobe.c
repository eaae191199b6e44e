/* test_wardrobe.c — the captioned scenes: the same everywhere, captions that say what is there,
 * combinations that are held out, garments that stay in their part. */
#include "testing.h"

#include "data/sha256.h"
#include "data/wardrobe.h"

#include <stdio.h>
#include <string.h>

SUITE(wardrobe);

static Fashion data;

static Wardrobe open_wardrobe(int size) {
    data = fashion_load(NULL);
    return wardrobe_open(&data, size);
}

static void close_wardrobe(Wardrobe *w) {
    wardrobe_free(w);
    fashion_free(&data);
}

enum { N = 200, BIG = 64 * 64 };

typedef struct {
    uint8_t pixels[N * BIG * 3], map[N * BIG], mask[N * BIG];
    Scene scenes[N];
} Drawn;

static Drawn *draw(const Wardrobe *w, Part part, uint64_t first, int n) {
    Drawn *d = calloc(1, sizeof *d);
    wardrobe_get(w, part, 1, first, n, &(SceneBatch){.pixels = d->pixels, .map = d->map,
                                                     .mask = d->mask, .scenes = d->scenes});
    return d;
}

/* ---- the same everywhere --------------------------------------------------------------------- */

/* for one and two threads, alone and in a batch, as bytes and as numbers? Another seed, another
 * part: other scenes? */
Test(wardrobe, scenes_are_a_function_of_seed_and_index) {
    Wardrobe w = open_wardrobe(64);
    threads_set(1);
    Drawn *one = draw(&w, PART_TRAIN, 1000, N);
    threads_set(3);
    Drawn *many = draw(&w, PART_TRAIN, 1000, N);
    cr_assert(!memcmp(one, many, sizeof *one));
    Drawn *alone = draw(&w, PART_TRAIN, 1000 + 77, 1);
    cr_assert(!memcmp(alone->pixels, one->pixels + 77 * BIG * 3, BIG * 3));
    cr_assert(!memcmp(&alone->scenes[0], &one->scenes[77], sizeof(Scene)));
    real *x = malloc(2 * BIG * 3 * sizeof *x);
    Scene other;
    wardrobe_get(&w, PART_TRAIN, 1, 1000, 2, &(SceneBatch){.images = x, .low = -1, .high = 1});
    for (int k = 0; k < 2 * BIG * 3; k++) {
        cr_assert_eq(x[k], (real)(-1 + 2.0 * one->pixels[k] / 255));
    }
    other = wardrobe_scene(&w, PART_TRAIN, 2, 1000);
    cr_assert(memcmp(&other, &one->scenes[0], sizeof other));
    other = wardrobe_scene(&w, PART_VALIDATION, 1, 1000);
    cr_assert(memcmp(&other, &one->scenes[0], sizeof other));
    free(one), free(many), free(alone), free(x);
    close_wardrobe(&w);
}

/* the bytes that every machine draws? */
Test(wardrobe, pixels_are_known) {
    char hex[65];
    for (int size = 32; size <= 64; size *= 2) {
        Wardrobe w = open_wardrobe(size);
        Drawn *d = draw(&w, PART_TRAIN, 0, N);
        sha256(d->pixels, (size_t)N * (size_t)(size * size) * 3, hex);
        cr_expect_str_eq(hex, size == 64
            ? "7fa6a15aacc54aeeb4686b7871e2046bfec56f5bcb0e1fbd1443a292918c7fe6"
            : "4a3328fff2a289a5a9b390224dc45305b5d99e9ac4e686272d932e44802413a1");
        free(d);
        close_wardrobe(&w);
    }
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* If all pictures of the other parts were white, would a part's scenes be the same? */
Test(wardrobe, a_part_shows_its_own_garments_alone) {
    Wardrobe w = open_wardrobe(64);
    uint8_t *white = malloc(60000 * 784);
    memset(white, 255, 60000 * 784);
    for (int p = PART_TRAIN; p <= PART_TEST; p++) {
        Images kept[3] = {data.train, data.validation, data.test};
        Drawn *before = draw(&w, (Part)p, 0, N);
        Images *sets[] = {&data.train, &data.validation, &data.test};
        for (int k = 0; k < 3; k++) if (k != p) sets[k]->pixels = white;
        Drawn *after = draw(&w, (Part)p, 0, N);
        cr_assert(!memcmp(before->pixels, after->pixels, sizeof after->pixels));
        sets[p]->pixels = white;
        Drawn *none = draw(&w, (Part)p, 0, N);
        cr_assert(memcmp(before->pixels, none->pixels, sizeof none->pixels));
        for (int k = 0; k < 3; k++) *sets[k] = kept[k];
        free(before), free(after), free(none);
    }
    cr_assert_eq(w.garments[PART_HELD_OUT], w.garments[PART_TEST]);
    free(white);
    close_wardrobe(&w);
}

/* "a red pullover" or "red pullover", for any way to say it: does the caption hold the pair? */
static bool says(const char *caption, int class, int colour) {
    char pair[64];
    snprintf(pair, sizeof pair, "%s %s", wardrobe_colour[colour], wardrobe_class[class]);
    return strstr(caption, pair) != NULL;
}

typedef struct {
    int pair[10][10];                    /* class, colour */
    int left[10][10], above[10][10];     /* the left, or upper, class first */
} Seen;

/* from captions alone */
static void see(const Wardrobe *w, Part part, int n, Seen *seen) {
    char text[SCENE_CAPTION];
    memset(seen, 0, sizeof *seen);
    for (int i = 0; i < n; i++) {
        Scene s = wardrobe_scene(w, part, 7, (uint64_t)i), t;
        scene_caption(&s, text);
        cr_assert(scene_parse(text, &t), "%s", text);
        for (int k = 0; k < t.count; k++) seen->pair[t.garment[k].class][t.garment[k].colour]++;
        if (t.relation == RIGHT_OF || t.relation == BELOW) t = scene_exchanged(t);
        int first = t.garment[0].class, second = t.garment[1].class;
        if (t.relation == LEFT_OF) seen->left[first][second]++;
        if (t.relation == ABOVE) seen->above[first][second]++;
    }
}

/* Of 1,000,000 training captions none says what is held out, and all else is said; validation and
 * test neither; the held-out part says all of it, and nothing else. Ten pairs, each class and each
 * colour once; six relations of each kind, whose reverse is said. */
Test(wardrobe, held_out_combinations_are_new) {
    static Seen seen[PARTS];
    Wardrobe w = open_wardrobe(64);
    for (int p = 0; p < PARTS; p++) see(&w, (Part)p, p == PART_TRAIN ? 1000000 : 50000, &seen[p]);
    int pairs = 0, relations[2] = {0}, of_class[10] = {0}, of_colour[10] = {0};
    for (int a = 0; a < 10; a++) {
        for (int b = 0; b < 10; b++) {
            const Seen *t = &seen[PART_TRAIN], *h = &seen[PART_HELD_OUT];
            bool pair = held_out_colour(a, b), left = held_out_relation(LEFT_OF, a, b),
                 above = held_out_relation(ABOVE, a, b);
            cr_assert_eq(t->pair[a][b] == 0, pair, "%s %s", wardrobe_colour[b], wardrobe_class[a]);
            cr_assert_eq(t->left[a][b] == 0, left, "%s, %s", wardrobe_class[a], wardrobe_class[b]);
            cr_assert_eq(t->above[a][b] == 0, above);
            cr_assert(h->pair[a][b] && h->left[a][b] && h->above[a][b]);
            for (int p = PART_VALIDATION; p <= PART_TEST; p++) {
                cr_assert_eq(seen[p].pair[a][b] == 0, pair);
                cr_assert(seen[p].left[a][b] == 0 ? left : !left);
                cr_assert(seen[p].above[a][b] == 0 ? above : !above);
            }
            pairs += pair, of_class[a] += pair, of_colour[b] += pair;
            relations[0] += left, relations[1] += above;
            cr_assert(!(left && held_out_relation(LEFT_OF, b, a)));
            cr_assert(!(above && held_out_relation(ABOVE, b, a)));
        }
    }
    cr_assert(pairs == 10 && relations[0] == 6 && relations[1] == 6);
    for (int k = 0; k < 10; k++) cr_assert(of_class[k] == 1 && of_colour[k] == 1);
    close_wardrobe(&w);
}

/* does every held-out scene show what it says is new, and are both kinds there? */
Test(wardrobe, held_out_scenes_show_something_new) {
    for (int size = 32; size <= 64; size *= 2) {
        Wardrobe w = open_wardrobe(size);
        int kind[3] = {0};
        for (int i = 0; i < 20000; i++) {
            Scene s = wardrobe_scene(&w, PART_HELD_OUT, 3, (uint64_t)i);
            bool colour = false;
            for (int k = 0; k < s.count; k++) {
                colour |= held_out_colour(s.garment[k].class, s.garment[k].colour);
            }
            cr_assert_eq(s.held_out, colour ? HELD_COLOUR : HELD_RELATION);
            cr_assert_eq(scene_held_out(&s), s.held_out);
            kind[s.held_out]++;
        }
        cr_assert(kind[HELD_NOTHING] == 0 && kind[HELD_COLOUR] > 9000);
        cr_assert(size == 32 ? kind[HELD_RELATION] == 0 : kind[HELD_RELATION] > 9000);
        close_wardrobe(&w);
    }
}

/* ---- captions -------------------------------------------------------------------------------- */

/* every wording of some scenes, letter by letter? */
/* Is it of the kind, at or after the place, and the first? */
/* another scene of a caption: the same text, garments of its part, most of them others, elsewhere? */
Test(wardrobe, a_caption_has_many_scenes) {
    Wardrobe w = open_wardrobe(64);
    Rng rng = rng_new(1, "again");
    int others = 0, moved = 0, grounds = 0, garments = 0;
    for (int i = 0; i < N; i++) {
        char text[SCENE_CAPTION], same[SCENE_CAPTION];
        Scene s = wardrobe_scene(&w, PART_TEST, 1, (uint64_t)i);
        Scene again = wardrobe_again(&w, PART_TEST, s, &rng);
        cr_assert_str_eq(scene_caption(&again, same), scene_caption(&s, text));
        for (int g = 0; g < s.count; g++, garments++) {
            const Garment *a = &s.garment[g], *b = &again.garment[g];
            const Images *all = w.garments[PART_TEST];
            cr_assert_eq(all->labels[b->image], b->class);
            others += a->image != b->image;
            moved += a->top != b->top || a->left != b->left;
        }
        grounds += memcmp(s.ground, again.ground, sizeof s.ground) != 0;
    }
    cr_expect_gt(others, garments * 9 / 10);
    cr_expect_gt(moved, garments / 2);
    cr_expect_gt(grounds, N * 9 / 10);
    close_wardrobe(&w);
}

Test(wardrobe, scenes_of_a_kind_are_found) {
    Wardrobe w = open_wardrobe(64);
    const SceneKind kind = {.count = 2, .colours = 1u << 3 | 1u << 7, .classes = 0x2d};
    uint64_t found = wardrobe_find(&w, PART_TRAIN, 1, 50, kind), next = 50;
    for (;; next++) {
        Scene s = wardrobe_scene(&w, PART_TRAIN, 1, next);
        bool is = s.count == 2;
        for (int i = 0; i < s.count; i++)
            is = is && (s.garment[i].colour == 3 || s.garment[i].colour == 7) &&
                 (0x2d >> s.garment[i].class & 1);
        if (is) break;
    }
    cr_expect_eq(found, next, "%d, but %d is the first", (int)found, (int)next);
    cr_expect_eq(wardrobe_find(&w, PART_TRAIN, 1, 77, (SceneKind){0}), 77);
    uint64_t index[] = {found, 12};
    Scene scenes[2], alone = wardrobe_scene(&w, PART_TRAIN, 1, found);
    uint8_t *pixels = malloc(2 * BIG * 3);
    wardrobe_get(&w, PART_TRAIN, 1, 0, 2,
                 &(SceneBatch){.index = index, .pixels = pixels, .scenes = scenes});
    cr_expect_eq(scenes[0].garment[0].image, alone.garment[0].image);
    cr_expect_eq(scenes[0].garment[0].top, alone.garment[0].top);
    free(pixels);
    close_wardrobe(&w);
}

Test(wardrobe, captions_that_say_the_same_have_one_plainest_wording) {
    static const char *const same[][2] = {
        {"a photo of a red sneaker", "a red sneaker"},
        {"a pair of blue trousers", "blue trousers"},
        {"a blue bag below an orange coat", "an orange coat above a blue bag"},
        {"an orange coat at the top and a blue bag at the bottom",
         "an orange coat above a blue bag"},
        {"a grey boot to the right of a pink dress", "a pink dress to the left of a grey boot"},
        {"a pink dress to the left of a grey boot", "a pink dress to the left of a grey boot"},
        {"grinning face", "grinning face"}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        char text[SCENE_CAPTION];
        cr_expect_str_eq(scene_plainest(same[i][0], text), same[i][1]);
    }
}

/* One point is another, all three kinds occur, and nothing is shown that training holds out? */
Test(wardrobe, mistaken_scenes_are_wrong_in_one_point) {
    Wardrobe w = open_wardrobe(64);
    Rng rng = rng_new(1, "mistakes");
    int places = 0, colours = 0, classes = 0, found = 0;
    for (int i = 0; i < 4 * N; i++) {
        Scene s = wardrobe_scene(&w, PART_TRAIN, 1, (uint64_t)i), wrong;
        if (!scene_mistaken(&s, &rng, &wrong)) continue;
        found++;
        char a[SCENE_CAPTION], b[SCENE_CAPTION], plain_a[SCENE_CAPTION], plain_b[SCENE_CAPTION];
        scene_caption(&s, a), scene_caption(&wrong, b);
        cr_assert(strcmp(scene_plainest(a, plain_a), scene_plainest(b, plain_b)), "%s", a);
        cr_assert_eq(scene_held_out(&wrong), HELD_NOTHING, "%s", b);
        cr_assert_eq(s.relation, wrong.relation);
        int same_class = 0, same_colour = 0;
        for (int g = 0; g < s.count; g++) {
            same_class += s.garment[g].class == wrong.garment[g].class;
            same_colour += s.garment[g].colour == wrong.garment[g].colour;
        }
        if (s.count == 1 || (same_class == 1 && same_colour == 2)) {
            cr_assert_eq(same_colour, s.count);
            classes++;
        } else if (same_class == 2) colours++;
        else places++;
    }
    cr_expect_gt(found, 4 * N * 9 / 10);
    cr_expect_gt(places, N / 2);
    cr_expect_gt(colours, N / 2);
    cr_expect_gt(classes, N);
    close_wardrobe(&w);
}

Test(wardrobe, captions_are_correct_english) {
    enum { RED, ORANGE, BLUE = 5, PURPLE, TROUSERS = 1, COAT = 4, BAG = 8 };
    static const struct { Relation relation; int wording; const char *caption; } cases[] = {
        {ALONE, 0, "an orange coat"}, {ALONE, 1, "a photo of an orange coat"},
        {ALONE, 5, "a picture of an orange coat"},
        {LEFT_OF, 0, "an orange coat to the left of purple trousers"},
        {LEFT_OF, 4, "an orange coat left of a pair of purple trousers"},
        {RIGHT_OF, 2, "an orange coat on the right and purple trousers on the left"},
        {ABOVE, 3, "an orange coat above a pair of purple trousers"},
        {BELOW, 1, "an orange coat under purple trousers"},
        {BELOW, 5, "an orange coat at the bottom and a pair of purple trousers at the top"}};
    char text[SCENE_CAPTION];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Scene s = {.count = cases[i].relation == ALONE ? 1 : 2, .relation = cases[i].relation,
                   .garment = {{COAT, ORANGE}, {TROUSERS, PURPLE}}, .wording = cases[i].wording};
        cr_expect_str_eq(scene_caption(&s, text), cases[i].caption);
    }
    Scene s;
    cr_assert(scene_parse("a pair of purple trousers", &s));
    cr_assert(scene_parse("a red sneaker", &s));
    static const char *const bad[] = {
        "", "a red", "an red coat", "a red coat ", "a purple trousers", "red coat", "a gold coat",
        "a red coat above", "a red coatabove a blue bag", "a red coat above a blue bags"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect(!scene_parse(bad[i], &s), "%s", bad[i]);
    }
}

/* Does a caption, read back, say what the scene shows, and where it shows it? */
Test(wardrobe, captions_say_what_is_there) {
    char text[SCENE_CAPTION];
    Wardrobe w = open_wardrobe(64);
    int relations[RELATIONS] = {0};
    for (int part = 0; part < PARTS; part++) {
        Drawn *d = draw(&w, (Part)part, 0, N);
        for (int i = 0; i < N; i++) {
            Scene s = d->scenes[i], t;
            cr_assert(scene_parse(scene_caption(&s, text), &t), "%s", text);
            cr_assert(t.count == s.count && t.relation == s.relation && t.held_out == s.held_out);
            for (int k = 0; k < s.count; k++) {
                const Garment *g = &s.garment[k];
                cr_assert(t.garment[k].class == g->class && t.garment[k].colour == g->colour);
                cr_assert_eq(w.garments[part]->labels[g->image], g->class);
                cr_assert(says(text, g->class, g->colour), "%s", text);
            }
            relations[s.relation]++;
            const Garment *a = &s.garment[0], *b = &s.garment[1];
            int right = a->box.left + a->box.width, bottom = a->box.top + a->box.height;
            if (s.relation == LEFT_OF) cr_assert_leq(right, b->box.left, "%s", text);
            if (s.relation == RIGHT_OF) cr_assert_geq(a->box.left, b->box.left + b->box.width);
            if (s.relation == ABOVE) cr_assert_leq(bottom, b->box.top);
            if (s.relation == BELOW) cr_assert_geq(a->box.top, b->box.top + b->box.height);
        }
        free(d);
    }
    for (int r = 0; r < RELATIONS; r++) cr_assert_gt(relations[r], 50);
    close_wardrobe(&w);
}

/* ---- boxes, maps, masks ---------------------------------------------------------------------- */

/* Do the boxes hold all pixels that differ from the ground, and touch some on each side; are map
 * and mask inside of them, with the garment's class and number, and large enough? */
Test(wardrobe, boxes_maps_and_masks_agree_with_the_pixels) {
    Wardrobe w = open_wardrobe(64);
    Drawn *d = draw(&w, PART_TEST, 0, N);
    for (int i = 0; i < N; i++) {
        const Scene *s = &d->scenes[i];
        int touched[2][4] = {{0}}, area[3] = {0};
        for (int k = 0; k < BIG; k++) {
            const uint8_t *p = d->pixels + ((size_t)i * BIG + (size_t)k) * 3;
            int y = k / 64, x = k % 64, in = 0;
            int map = d->map[i * BIG + k], mask = d->mask[i * BIG + k];
            for (int g = 0; g < s->count; g++) {
                int u = y - s->garment[g].box.top, v = x - s->garment[g].box.left;
                int h = s->garment[g].box.height, b = s->garment[g].box.width;
                if (u < 0 || v < 0 || u >= h || v >= b) continue;
                in = g + 1;
                if (!memcmp(p, s->ground, 3)) continue;
                touched[g][0] |= u == 0, touched[g][1] |= v == 0;
                touched[g][2] |= u == h - 1, touched[g][3] |= v == b - 1;
            }
            if (!in) cr_assert(!memcmp(p, s->ground, 3) && !map && !mask);
            if (mask) cr_assert(mask == in && map == 1 + s->garment[mask - 1].class);
            else cr_assert_eq(map, 0);
            area[mask]++;
        }
        for (int g = 0; g < s->count; g++) {
            for (int e = 0; e < 4; e++) cr_assert(touched[g][e], "scene %d, edge %d", i, e);
            cr_assert_gt(area[1 + g], 20);
        }
    }
    free(d);
    close_wardrobe(&w);
}

/* mean over a garment's inner pixels of one channel */
static void mean_colour(const Drawn *d, int i, int which, double mean[3]) {
    int n = 0;
    memset(mean, 0, 3 * sizeof *mean);
    for (int k = 0; k < BIG; k++) {
        if (d->mask[i * BIG + k] != which) continue;
        n++;
        const uint8_t *p = d->pixels + ((size_t)i * BIG + (size_t)k) * 3;
        for (int c = 0; c < 3; c++) mean[c] += p[c];
    }
    for (int c = 0; c < 3; c++) mean[c] /= n;
}

/* Is a red garment redder than green or blue, a blue one bluer, a grey one neither? And is nothing
 * black left around a garment: its edge is between its colour and the ground? */
Test(wardrobe, garments_have_their_colour_and_no_dark_fringe) {
    enum { RED, BLUE = 5, GREY = 9 };
    Wardrobe w = open_wardrobe(64);
    Drawn *d = draw(&w, PART_TRAIN, 0, N);
    int dark = 0, edge = 0;
    for (int i = 0; i < N; i++) {
        for (int g = 0; g < d->scenes[i].count; g++) {
            double m[3];
            mean_colour(d, i, 1 + g, m);
            int colour = d->scenes[i].garment[g].colour;
            if (colour == RED) cr_assert(m[0] > m[1] + 50 && m[0] > m[2] + 50);
            if (colour == BLUE) cr_assert(m[2] > m[0] + 30 && m[2] > m[1] + 30);
            if (colour == GREY) cr_assert(m[0] < m[2] + 10 && m[2] < m[0] + 10);
        }
        for (int k = 64; k < BIG - 64; k++) {          /* ground on one side at least */
            const uint8_t *mask = d->mask + i * BIG + k;
            if (mask[0] || !(mask[-1] || mask[1] || mask[-64] || mask[64])) continue;
            edge++;
            dark += d->pixels[((size_t)i * BIG + (size_t)k) * 3] < 60;
        }
    }
    cr_assert(edge > 1000 && dark * 100 < edge, "%d of %d pixels are dark", dark, edge);
    free(d);
    close_wardrobe(&w);
}
