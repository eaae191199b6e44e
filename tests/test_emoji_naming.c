/* test_emoji_naming.c — which emoji's name CLIP finds nearest to a picture. */
#include "testing.h"
#include "eval/emoji_naming.h"

SUITE(emoji_naming);

enum { SIDE = 32, LEN = SIDE * SIDE * 3, EMOJI = 6 };

/* Six pictures, of which 0, 1 and 2 show one concept; 0 to 3 are of the first group. 5 has the name
 * of 4. */
static Captioned six(uint8_t *pixels) {
    static const char *const captions[EMOJI] = {"woman pilot", "man pilot", "pilot", "cook",
                                                "red apple", "red apple"};
    static const int32_t concept[EMOJI] = {1, 1, 1, 2, 3, 3};
    static const uint8_t labels[EMOJI] = {0, 0, 1, 1, 2, 2};
    real x[EMOJI * LEN];
    test_values("pictures", 0, 255, EMOJI * LEN, x);
    for (int i = 0; i < EMOJI * LEN; i++)          /* of different brightness */
        pixels[i] = (uint8_t)(x[i] * (real)(1 + i / LEN) / EMOJI);
    return (Captioned){.all = {EMOJI, SIDE, SIDE, 3, pixels, labels, captions},
                       .concept = concept, .group_of = {0, 0, 1}};
}

/* Were the names' features those of the pictures, each picture's nearest would be its own: so what
 * is found is known, and only what was wanted differs. */
Test(emoji_naming, shares_are_those_of_names_concepts_and_groups) {
    static uint8_t pixels[EMOJI * LEN];
    static real x[EMOJI * LEN];
    Arena arena = {0};
    FrozenClip clip = {.bpe = bpe_load(NULL)};
    clip.params.seed = 3;
    clip.net = clip_new(&clip.params, clip_small(SIDE, clip.bpe.size));
    Captioned emoji = six(pixels);
    EmojiNamer e = emoji_namer(&arena, &clip, &emoji);
    images_get(&emoji.all, EMOJI, NULL, 0, 1, x, NULL);
    frozen_clip_images(&clip, EMOJI, x, e.names);
    const int own[] = {0, 1, 2, 3, 4, 5}, other[] = {1, 0, 3, 2, 0, 4};
    EmojiNaming right = emoji_naming_real(&e, EMOJI, own);
    cr_expect(right.name == 1 && right.concept == 1 && right.group == 1 && right.pictures == 6);
    /* names: 5 has that of 4; concepts: 0, 1 and 5; groups: all but 4 */
    EmojiNaming some = emoji_naming(&e, EMOJI, other, x);
    cr_assert_float_eq(some.name, 1.0 / 6, 1e-9);
    cr_assert_float_eq(some.concept, 3.0 / 6, 1e-9);
    cr_assert_float_eq(some.group, 5.0 / 6, 1e-9);
    arena_free(&arena), frozen_clip_free(&clip);
}
