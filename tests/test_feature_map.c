/* test_feature_map.c — features that are filled position by position, and what kernels cover. */
#include "nn/feature_map.h"
#include "testing.h"

SUITE(feature_map);

enum { B = 2, H = 3, W = 4, C = 2 };

static FeatureMap filled(Arena *arena, Tape *t) {
    FeatureMap m = feature_map_new(arena, B, H, W, C);
    for (int i = 0; i < H; i++)
        for (int j = 0; j < W; j++) {
            Tensor *x = t_input(t, NULL, SHAPE(B, 1, 1, C));
            for (int k = 0; k < B * C; k++) x->x[k] = (real)(100 * i + 10 * j + k + 1);
            feature_map_put(&m, x, i, j);
        }
    return m;
}

/* Does every window, inside the map, across its edges and beyond them, hold the positions that it
 * covers, and zeros elsewhere? */
Test(feature_map, a_window_holds_what_a_kernel_covers) {
    Arena arena = {0};
    Tape t = {.no_grad = true};
    FeatureMap m = filled(&arena, &t);
    for (int row = -3; row <= H; row++)
        for (int column = -4; column <= W; column++) {
            Tensor *y = feature_map_window(&m, &t, row, column, 2, 3);
            cr_assert(y->shape[0] == B && y->shape[1] == 2 && y->shape[2] == 3 && y->shape[3] == C);
            for (int k = 0; k < (int)y->len; k++) {
                int c = k % C, j = column + k / C % 3, i = row + k / C / 3 % 2, b = k / C / 6;
                bool inside = i >= 0 && i < H && j >= 0 && j < W;
                real value = inside ? (real)(100 * i + 10 * j + b * C + c + 1) : 0;
                cr_assert_eq(y->x[k], value, "(%d,%d): entry %d", row, column, k);
            }
        }
    arena_free(&arena), tape_free(&t);
}

/* Several positions of a row at once; others stay as they were. */
Test(feature_map, a_part_of_a_row_is_put_at_once) {
    Arena arena = {0};
    Tape t = {.no_grad = true};
    FeatureMap m = feature_map_new(&arena, B, H, W, C);
    Tensor *x = t_input(&t, NULL, SHAPE(B, 1, 3, C));
    for (size_t k = 0; k < x->len; k++) x->x[k] = (real)(k + 1);
    feature_map_put(&m, x, 1, 1);
    for (int k = 0; k < B * H * W * C; k++) {
        int c = k % C, j = k / C % W, i = k / C / W % H, b = k / C / W / H;
        real value = i == 1 && j >= 1 ? x->x[(b * 3 + j - 1) * C + c] : 0;
        cr_assert_eq(m.x[k], value, "entry %d", k);
    }
    arena_free(&arena), tape_free(&t);
}
