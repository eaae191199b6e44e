/* test_pairs.c — captions and images as the networks are given them, against CLIP itself. */
#include "clip_pairs.h"
#include "testing.h"

#include <math.h>

SUITE(pairs);

enum { PAIRS = 2, MOST = 64 };
static const char *const captions[PAIRS] = {"a red coat", "a blue bag above a green boot"};

Test(pairs, captions_are_what_clip_reads) {
    FrozenClip f = frozen_clip_load(NULL);
    Tape t = {.no_grad = true};
    int N = f.net.config.text.context, D = f.net.config.dim, ids[PAIRS * MOST], length[PAIRS];
    real *want = arena_get(&t.arena, (size_t)(PAIRS * D) * sizeof *want);
    cr_assert(N <= MOST);
    for (int i = 0; i < PAIRS; i++)
        length[i] = bpe_tokenize(&f.bpe, captions[i], NULL, N, ids + i * N);
    CaptionFeatures c = clip_captions(&f, &t, PAIRS, captions);
    CaptionTable table = caption_table(&t.arena, &f, PAIRS, captions);
    frozen_clip_texts(&f, PAIRS, captions, want);
    Tensor *tokens = clip_text_tokens(&f.net.text, &t, ids, PAIRS, N);
    for (int i = 0; i < PAIRS; i++) {
        for (int k = 0; k < D; k++) {
            double z = (double)want[i * D + k] * sqrt(D);
            cr_expect_float_eq(c.embedding->x[i * D + k], z, 1e-4);
            cr_expect_float_eq(table.embedding[i * D + k], z, 1e-4);
        }
        for (int k = 0; k < N; k++) {
            cr_expect_eq(c.mask[i * N + k], k < length[i]);
            cr_expect_eq(table.mask[i * N + k], k < length[i]);
            for (int d = 0; k < length[i] && d < D; d++) {
                int at = (i * N + k) * D + d;
                cr_expect_float_eq(c.tokens->x[at], tokens->x[at], 1e-4);
                cr_expect_float_eq(table.tokens[at], tokens->x[at], 1e-4);
            }
        }
    }
    cr_expect(length[0] < length[1]);
    tape_free(&t), frozen_clip_free(&f);
}

/* pictures in [-1,1]; CLIP sees [0,1] */
Test(pairs, images_are_what_clip_sees) {
    FrozenClip f = frozen_clip_for(NULL, 64);
    Arena arena = {0};
    int D = f.net.config.dim;
    size_t len = PAIRS * 64 * 64 * 3;
    real *x = arena_get(&arena, len * sizeof *x), *unit = arena_get(&arena, len * sizeof *unit);
    real *z = arena_get(&arena, (size_t)(PAIRS * D) * sizeof *z);
    real *want = arena_get(&arena, (size_t)(PAIRS * D) * sizeof *want);
    test_values("x", -1, 1, len, x);
    for (size_t i = 0; i < len; i++) unit[i] = (x[i] + 1) / 2;
    clip_images(&f, PAIRS, x, z);
    frozen_clip_images(&f, PAIRS, unit, want);
    for (int k = 0; k < PAIRS * D; k++) cr_expect_float_eq(z[k], want[k], 1e-4);
    arena_free(&arena), frozen_clip_free(&f);
}

/* Neither its tokens nor its embedding are left; the others' are. */
Test(pairs, a_dropped_caption_is_gone) {
    FrozenClip f = frozen_clip_load(NULL);
    Tape t = {.no_grad = true};
    int N = f.net.config.text.context, D = f.net.config.dim;
    CaptionFeatures c = clip_captions(&f, &t, PAIRS, captions);
    caption_drop(&c, 0);
    cr_expect_eq(k_sum_squares((size_t)D, c.embedding->x), 0);
    cr_expect_float_eq(k_sum_squares((size_t)D, c.embedding->x + D), D, 1e-2);
    for (int k = 0; k < N; k++) cr_expect_eq(c.mask[k], 0);
    cr_expect(c.mask[N] && c.mask[N + 1]);
    tape_free(&t), frozen_clip_free(&f);
}
