/* test_conv.c — convolutions, direct and by Winograd's method, against their plain twins; the same
 * bits for any number of threads.
 *
 * An error is measured in eps times the largest sum of |x||w| of the call: what the twin gives for
 * the absolute values of everything. Winograd's transforms mix the pixels of a tile, so an output
 * with a small sum of its own may be wrong by as much as its neighbours. */
#include "arrays.h"
#include "kernels/kernels.h"
#include "kernels/winograd.h"
#include "testing.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>

/* Where Winograd's method would not be chosen, in images of few pixels and channels, its errors are
 * larger, because a sum has few terms. */
static const double direct_bound = 2, winograd_bound = 8, forced_bound = 16;

TestSuite(conv, .fini = free_arrays);

static size_t x_count(const ConvShape *s) { return (size_t)s->b * s->h * s->w * s->ic; }
static size_t y_count(const ConvShape *s) { return (size_t)s->b * s->oh * s->ow * s->oc; }
static size_t w_count(const ConvShape *s) { return (size_t)s->kh * s->kw * s->ic * s->oc; }

static const char *text(const ConvShape *s) {
    static char t[160];
    snprintf(t, sizeof t, "b %d h %d w %d ic %d oc %d kh %d kw %d stride %d pads %d %d oh %d ow %d",
             s->b, s->h, s->w, s->ic, s->oc, s->kh, s->kw, s->stride, s->pad_top, s->pad_left,
             s->oh, s->ow);
    return t;
}

static real *absolute(size_t n, const real *x) {
    real *y = array(n);
    for (size_t i = 0; i < n; i++) y[i] = (real)fabs((double)x[i]);
    return y;
}

/* One pass in both ways: what it should give, and the same of absolute values. */
typedef struct {
    size_t n;
    real *got, *want, *sums;
} Result;

static Result result(size_t n, bool add) {
    Result r = {n, random_array(n), NULL, NULL};
    if (!add)
        for (size_t i = 0; i < n; i++) r.got[i] = NAN;    /* must not be read */
    r.want = copy_of(n, r.got);
    r.sums = absolute(n, r.got);
    return r;
}

static void check(const Result *r, double bound, const char *pass, bool add, const ConvShape *s) {
    double largest = 0, worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < r->n; i++) {
        double e = fabs((double)r->got[i] - r->want[i]);
        if (!(e <= worst)) worst = isnan(e) ? INFINITY : e, at = i;
        largest = fmax(largest, r->sums[i]);
    }
    double allowed = bound * (double)REAL_EPS * largest;
    cr_assert(is_near(bound == direct_bound ? "direct" : bound == winograd_bound ? "Winograd"
                                                                                 : "forced",
                      0, worst / ((double)REAL_EPS * largest + DBL_MIN), bound),
              "%s, %s, add %d, %s: element %zu of %zu is %.9g, expected %.9g: off by %.3g, allowed "
              "%.3g", bound == direct_bound ? "direct" : "Winograd", pass, add, text(s), at, r->n,
              r->n ? (double)r->got[at] : 0, r->n ? (double)r->want[at] : 0, worst, allowed);
}

static double bound_of(const ConvShape *s, bool to_input, bool forced) {
    return forced ? forced_bound : winograd_pays(s, to_input) ? winograd_bound : direct_bound;
}

typedef struct {
    ConvShape s;
    real *x, *w, *dy, *bias, *bias_x, *abs_x, *abs_w, *abs_dy, *abs_bias, *abs_bias_x;
} Case;

static Case random_case(const ConvShape *s) {
    Case c = {.s = *s, .x = random_array(x_count(s)), .w = random_array(w_count(s)),
              .dy = random_array(y_count(s)), .bias = random_array(s->oc),
              .bias_x = random_array(s->ic)};
    c.abs_x = absolute(x_count(s), c.x);
    c.abs_w = absolute(w_count(s), c.w);
    c.abs_dy = absolute(y_count(s), c.dy);
    c.abs_bias = absolute(s->oc, c.bias);
    c.abs_bias_x = absolute(s->ic, c.bias_x);
    return c;
}

/* `forced`: by Winograd's method, else whichever way the kernels choose. */
static void check_forward(const Case *c, bool with_bias, bool forced) {
    const ConvShape *s = &c->s;
    const real *bias = with_bias ? c->bias : NULL;
    Result r = result(y_count(s), false);
    if (forced) winograd_forward(s, c->x, c->w, bias, r.got);
    else conv2d_forward(s, c->x, c->w, bias, r.got);
    conv2d_forward_ref(s, c->x, c->w, bias, r.want);
    conv2d_forward_ref(s, c->abs_x, c->abs_w, with_bias ? c->abs_bias : NULL, r.sums);
    check(&r, bound_of(s, false, forced), "forward", false, s);
}

static void check_input(const Case *c, bool add, bool forced) {
    const ConvShape *s = &c->s;
    const real *bias = add ? NULL : c->bias_x;
    Result r = result(x_count(s), add);
    if (forced) winograd_backward_input(s, c->w, c->dy, bias, r.got, add);
    else conv2d_backward_input(s, c->w, c->dy, bias, r.got, add);
    conv2d_backward_input_ref(s, c->w, c->dy, bias, r.want, add);
    conv2d_backward_input_ref(s, c->abs_w, c->abs_dy, add ? NULL : c->abs_bias_x, r.sums, add);
    check(&r, bound_of(s, true, forced), "backward input", add, s);
}

static void check_weight(const Case *c, bool add, bool forced) {
    const ConvShape *s = &c->s;
    Result r = result(w_count(s), add);
    if (forced) winograd_backward_weight(s, c->x, c->dy, r.got, add);
    else conv2d_backward_weight(s, c->x, c->dy, r.got, add);
    conv2d_backward_weight_ref(s, c->x, c->dy, r.want, add);
    conv2d_backward_weight_ref(s, c->abs_x, c->abs_dy, r.sums, add);
    check(&r, bound_of(s, false, forced), "backward weight", add, s);
}

static void check_conv(const ConvShape *s) {
    Case c = random_case(s);
    for (int forced = 0; forced <= winograd_possible(s); forced++)
        for (int i = 0; i < 2; i++) {
            check_forward(&c, i, forced);
            check_input(&c, i, forced);
            check_weight(&c, i, forced);
        }
    free_arrays();
}

/* ---- sizes ----------------------------------------------------------------------------------- */

Test(conv, every_kernel_stride_and_padding) {
    const int kernels[] = {1, 2, 3, 4, 5, 7};
    for (int k = 0; k < 6; k++)
        for (int stride = 1; stride <= 3; stride++)
            for (int pad = 0; pad < 4; pad++)
                for (int size = 5; size <= 12; size += 3) {
                    int kh = kernels[k], kw = kernels[(k + pad) % 6];
                    ConvShape s = {2, size, size + 1, 3, 5, kh, kw, stride, pad / 2, pad % 2, 0, 0};
                    int h = size + pad / 2 + 1 - kh, w = size + 1 + pad % 2 + pad - kw;
                    if (h < 0 || w < 0) continue;
                    s.oh = h / stride + 1;
                    s.ow = w / stride + 1;
                    check_conv(&s);
                }
}

Test(conv, every_number_of_channels) {
    const int channels[] = {1, 3, 5, 8, 16, 17, 33};
    for (int i = 0; i < 7; i++)
        for (int o = 0; o < 7; o++) {
            check_conv(&(ConvShape){3, 7, 7, channels[i], channels[o], 3, 3, 1, 1, 1, 7, 7});
            check_conv(&(ConvShape){2, 8, 6, channels[i], channels[o], 4, 4, 2, 1, 1, 4, 3});
            check_conv(&(ConvShape){2, 5, 3, channels[i], channels[o], 1, 1, 1, 0, 0, 5, 3});
            /* too large a kernel and too large a stride for Winograd */
            check_conv(&(ConvShape){2, 8, 7, channels[i], channels[o], 7, 7, 1, 3, 3, 8, 7});
            check_conv(&(ConvShape){2, 8, 7, channels[i], channels[o], 3, 3, 3, 1, 1, 3, 3});
        }
}

Test(conv, single_pixels_many_images_and_large_images) {
    check_conv(&(ConvShape){40, 1, 1, 5, 6, 1, 1, 1, 0, 0, 1, 1});
    check_conv(&(ConvShape){3, 1, 1, 5, 6, 3, 3, 1, 1, 1, 1, 1});
    check_conv(&(ConvShape){70, 4, 4, 6, 7, 3, 3, 1, 1, 1, 4, 4});
    check_conv(&(ConvShape){1, 70, 60, 18, 3, 3, 3, 1, 1, 1, 70, 60});
    check_conv(&(ConvShape){2, 60, 64, 20, 2, 4, 4, 2, 1, 1, 30, 32});
    check_conv(&(ConvShape){2, 3, 3, 2, 4, 2, 2, 3, 0, 0, 1, 1});
    check_conv(&(ConvShape){2, 46, 46, 1, 32, 3, 3, 1, 1, 1, 46, 46});
    check_conv(&(ConvShape){2, 46, 46, 8, 40, 3, 3, 1, 1, 1, 46, 46});
    check_conv(&(ConvShape){1, 64, 48, 8, 8, 5, 5, 1, 2, 2, 64, 48});
    check_conv(&(ConvShape){3, 30, 29, 20, 44, 1, 1, 1, 0, 0, 30, 29});
}

Test(conv, without_pixels_or_channels_nothing_goes_wrong) {
    check_conv(&(ConvShape){0, 4, 4, 3, 2, 3, 3, 1, 1, 1, 4, 4});
    check_conv(&(ConvShape){2, 4, 4, 0, 2, 3, 3, 1, 1, 1, 4, 4});
    check_conv(&(ConvShape){2, 4, 4, 3, 0, 3, 3, 1, 1, 1, 4, 4});
}

/* ---- Winograd's method ----------------------------------------------------------------------- */

Test(conv, sheets_of_several_images_keep_them_apart) {
    const int batches[] = {1, 3, 4, 9, 16, 21};    /* the last sheet may be half empty */
    for (int i = 0; i < 6; i++)
        for (int k = 2; k <= 5; k++)
            for (int pad = 0; pad < k; pad++) {
                int b = batches[i], h = 7, w = 5 + pad, oh = h + 2 * pad - k + 1;
                check_conv(&(ConvShape){b, h, w, 2, 3, k, k, 1, pad, pad, oh, w + 2 * pad - k + 1});
                check_conv(&(ConvShape){b, 2 * h, w, 3, 2, k, k, 2, pad, pad,
                                        (2 * h + 2 * pad - k) / 2 + 1, (w + 2 * pad - k) / 2 + 1});
            }
}

Test(conv, blocks_of_tiles_add_up) {
    check_conv(&(ConvShape){1, 60, 65, 50, 40, 3, 3, 1, 1, 1, 60, 65});
    check_conv(&(ConvShape){5, 30, 33, 20, 37, 4, 4, 2, 1, 1, 15, 16});
    check_conv(&(ConvShape){9, 14, 14, 70, 138, 3, 3, 1, 1, 1, 14, 14});
    check_conv(&(ConvShape){9, 14, 14, 74, 30, 5, 5, 2, 2, 2, 7, 7});
}

Test(conv, winograd_is_chosen_where_it_pays) {
    const ConvShape unet = {16, 14, 14, 64, 64, 3, 3, 1, 1, 1, 14, 14};
    const ConvShape vqvae = {32, 14, 14, 64, 128, 4, 4, 2, 1, 1, 7, 7};
    const ConvShape gray = {64, 28, 28, 1, 64, 3, 3, 1, 1, 1, 28, 28};
    const ConvShape large = {16, 14, 14, 64, 64, 7, 7, 1, 3, 3, 14, 14};
    for (int to_input = 0; to_input < 2; to_input++) {
        cr_assert(winograd_pays(&unet, to_input));
        cr_assert(winograd_pays(&vqvae, to_input));
        cr_assert(!winograd_pays(&gray, to_input));
        cr_assert(!winograd_pays(&large, to_input));
    }
}

/* ---- threads --------------------------------------------------------------------------------- */

Test(conv, the_same_bits_for_any_number_of_threads) {
    const ConvShape shapes[] = {{6, 14, 14, 17, 33, 3, 3, 1, 1, 1, 14, 14},
                                {5, 12, 12, 3, 16, 4, 4, 2, 1, 1, 6, 6},
                                {6, 28, 28, 3, 32, 3, 3, 1, 1, 1, 28, 28},
                                {9, 14, 14, 24, 44, 1, 1, 1, 0, 0, 14, 14},
                                {1, 64, 64, 16, 8, 3, 3, 1, 1, 1, 64, 64},
                                {40, 7, 7, 32, 1, 3, 3, 1, 1, 1, 7, 7},
                                {20, 14, 14, 40, 48, 5, 5, 2, 2, 2, 7, 7},
                                {30, 14, 14, 64, 64, 3, 3, 1, 1, 1, 14, 14},
                                {3, 14, 14, 20, 20, 7, 7, 1, 3, 3, 14, 14}};
    for (int i = 0; i < (int)(sizeof shapes / sizeof *shapes); i++) {
        const ConvShape *s = shapes + i;
        real *x = random_array(x_count(s)), *w = random_array(w_count(s)),
             *dy = random_array(y_count(s));
        real *y = array(y_count(s)), *dx = array(x_count(s)), *dw = array(w_count(s));
        SAME_BITS_FOR_ANY_THREADS(y_count(s), y, conv2d_forward(s, x, w, NULL, y));
        SAME_BITS_FOR_ANY_THREADS(x_count(s), dx, conv2d_backward_input(s, w, dy, NULL, dx, false));
        SAME_BITS_FOR_ANY_THREADS(w_count(s), dw, conv2d_backward_weight(s, x, dy, dw, false));
        free_arrays();
    }
}
