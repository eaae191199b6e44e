/* test_image_set.c — Fashion-MNIST in a border, emoji or a user's folder under one face. */
#include "data/emoji.h"
#include "data/image_set.h"
#include "stops.h"
#include "testing.h"

SUITE(image_set);

/* Does a garment survive its border, and does an error count 28x28 pixels? */
Test(image_set, fashion_stands_in_a_black_border) {
    ImageSet d = image_set_fashion(NULL);
    real x[2 * 32 * 32], grey[2 * 28 * 28], plain[2 * 28 * 28];
    int labels[2], expected[2], index[2] = {7, 3};
    images_get(&d.test, 2, index, -1, 1, x, labels);
    images_get(&d.fashion.test, 2, index, 0, 1, plain, expected);
    cr_expect_arr_eq(labels, expected, sizeof labels);
    image_set_crop(&d, 2, x, grey);
    for (int i = 0; i < 2 * 28 * 28; i++) cr_assert_float_eq(grey[i], plain[i], 1e-6);
    for (int i = 0; i < 32 * 32; i++) {
        int row = i / 32 - 2, column = i % 32 - 2;
        bool inside = row >= 0 && row < 28 && column >= 0 && column < 28;
        real value = inside ? 2 * plain[row * 28 + column] - 1 : -1;
        cr_assert_float_eq(x[i], value, 1e-6, "row %d, column %d", row, column);
    }
    static real y[2 * 32 * 32];
    k_affine(2 * 32 * 32, x, 1, (real)0.5, y);
    cr_expect_float_eq(image_set_error(&d, 2, x, y), 2 * 0.25, 1e-5);
    k_fill(64, 9, y);
    cr_expect_float_eq(image_set_error(&d, 2, x, y), 2 * 0.25, 1e-5, "the border counts");
    image_set_free(&d);
}

/* Is the variance that of the pixels without their border, in the scale of [-1,1]? */
Test(image_set, the_variance_leaves_the_border_out) {
    ImageSet d = image_set_fashion(NULL);
    Images first = images_part(&d.fashion.train, 0, 2000);
    double expected = 4 * images_variance(&first);
    cr_expect_float_eq(image_set_variance(&d), expected, 1e-5 * expected, "%g, not %g",
                       image_set_variance(&d), expected);
    image_set_free(&d);
}

/* Are emoji's labels those of their groups, in each part, and do names and captions fit? */
Test(image_set, emoji_are_labelled_by_group) {
    ImageSet d = image_set_colour(NULL, 32);
    const Captioned *c = &d.captioned;
    const Images *ours[] = {&d.train, &d.validation, &d.test};
    const Images *theirs[] = {&c->train, &c->validation, &c->test};
    cr_assert_eq(d.classes, c->groups);
    cr_assert(d.size == 32 && d.channels == 3 && d.border == 0);
    for (int k = 0; k < 3; k++) {
        cr_assert_eq(ours[k]->count, theirs[k]->count);
        for (int i = 0; i < ours[k]->count; i++) {
            int group = c->group_of[theirs[k]->labels[i]];
            cr_assert_eq(ours[k]->labels[i], group);
            cr_assert_str_eq(ours[k]->captions[i], theirs[k]->captions[i]);
        }
    }
    cr_expect_str_eq(d.class_names[0], c->group_name[0]);
    image_set_free(&d);
}

/* Images that are all black teach nothing, and a division by their variance would be one by 0. */
static void variance_of_black(void *unused) {
    (void)unused;
    static const uint8_t black[3 * 4];
    const Images m = {.count = 3, .height = 2, .width = 2, .channels = 1, .pixels = black};
    images_variance(&m);
}

Test(image_set, images_of_one_colour_are_refused) {
    expect_stop(1, "all pixels are the same", variance_of_black, NULL);
}
