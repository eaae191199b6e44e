/* test_norms.c — normalisations, softmax and losses against their plain twins, or against a plain
 * computation made here; the same bits for any number of threads; values at the edges of what a
 * float can hold. */
#include "arrays.h"
#include "kernels/kernels.h"
#include "testing.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int sizes[] = {1, 7, 8, 9, 15, 16, 17, 63, 65};
enum { SIZES = sizeof sizes / sizeof *sizes };
/* the twins sum in double, so in double they round as much as the kernels do */
static const double tolerance = (sizeof(real) == 4 ? 40 : 500) * (double)REAL_EPS;

TestSuite(norms, .fini = free_arrays);

/* ---- normalisations -------------------------------------------------------------------------- */

static const double large_mean_error = sizeof(real) == 4 ? 1e-5 : 1e-11;

/* The gradients of y = norm(x) gain + shift, spelled out in double; groups of `width` channels. */
static void group_norm_gradients(int b, int hw, int c, int width, bool silu, const real *x,
                                 const real *gain, const real *shift, const real *mean,
                                 const real *rstd, const real *dy, real *dx, real *dgain,
                                 real *dshift) {
    double *sum_gain = calloc(2 * c, sizeof(double)), *sum_shift = sum_gain + c;
    for (int n = 0; n < b; n++)
        for (int g = 0; g < c / width; g++) {
            double m = mean[n * (c / width) + g], r = rstd[n * (c / width) + g], e = 0, e_x = 0;
            for (int pass = 0; pass < 2; pass++)
                for (int i = 0; i < hw * width; i++) {
                    int ch = g * width + i % width;
                    size_t at = ((size_t)n * hw + i / width) * c + ch;
                    double xhat = (x[at] - m) * r, d = dy[at], w = gain ? gain[ch] : 1;
                    double v = xhat * w + (shift ? shift[ch] : 0), s = 1 / (1 + exp(-v));
                    if (silu) d *= s + v * s * (1 - s);
                    if (pass) {
                        dx[at] += (real)(r * (d * w - (e + xhat * e_x) / (hw * width)));
                        continue;
                    }
                    e += d * w;
                    e_x += d * w * xhat;
                    sum_gain[ch] += d * xhat;
                    sum_shift[ch] += d;
                }
        }
    for (int j = 0; j < c; j++) dgain[j] += (real)sum_gain[j], dshift[j] += (real)sum_shift[j];
    free(sum_gain);
}

static void check_group_norm(int b, int hw, int c, int groups, bool scaled, bool silu) {
    char t[100];
    snprintf(t, sizeof t, "b %d hw %d c %d groups %d gain %d silu %d", b, hw, c, groups, scaled,
             silu);
    size_t n = (size_t)b * hw * c;
    real *x = random_range(n, -3, 5), *dy = random_array(n), *y = array(n), *want = array(n);
    real *gain = scaled ? random_array(c) : NULL, *shift = scaled ? random_array(c) : NULL;
    real *mean = array(b * groups), *rstd = array(b * groups), *m2 = array(b * groups),
         *r2 = array(b * groups);
    GroupNormShape s = {b, hw, c, groups, (real)1e-5, silu};
    NormArrays a = {x, gain, shift, mean, rstd};
    group_norm_forward(&s, &a, y);
    group_norm_forward_ref(&s, &(NormArrays){x, gain, shift, m2, r2}, want);
    agree(n, y, want, tolerance, "y, %s", t);
    agree(b * groups, mean, m2, tolerance, "mean, %s", t);
    agree(b * groups, rstd, r2, tolerance, "rstd, %s", t);
    for (int add = 0; add < 2; add++) {
        real *dx = random_array(n), *dg = random_array(c), *ds = random_array(c);
        real *want_x = add ? copy_of(n, dx) : array(n), *want_g = add ? copy_of(c, dg) : array(c);
        real *want_s = add ? copy_of(c, ds) : array(c);
        if (!add)
            memset(want_x, 0, n * sizeof(real)), memset(want_g, 0, c * sizeof(real)),
                memset(want_s, 0, c * sizeof(real));
        group_norm_gradients(b, hw, c, c / groups, silu, x, gain, shift, mean, rstd, dy, want_x,
                             want_g, want_s);
        NormGradients d = {{dx, add}, {scaled ? dg : NULL, add}, {scaled ? ds : NULL, add}};
        group_norm_backward(&s, &a, dy, &d);
        agree(n, dx, want_x, 10 * tolerance, "dx, add %d, %s", add, t);
        if (scaled) agree(c, dg, want_g, 10 * tolerance, "dgain, add %d, %s", add, t);
        if (scaled) agree(c, ds, want_s, 10 * tolerance, "dshift, add %d, %s", add, t);
    }
    free_arrays();
}

Test(norms, group_norm_agrees_for_every_split_into_groups) {
    const int cases[][4] = {{1, 9, 1, 1},   {2, 7, 6, 3},    {3, 5, 8, 8},
                            {2, 16, 16, 2}, {1, 63, 17, 1},  {2, 33, 32, 4},
                            {2, 1, 64, 8},  {1, 100, 65, 5}, {5, 49, 33, 3}};
    for (int i = 0; i < 9; i++)
        for (int k = 0; k < 4; k++)
            check_group_norm(cases[i][0], cases[i][1], cases[i][2], cases[i][3], k & 1, k & 2);
}

Test(norms, layer_norm_agrees_for_every_row_length) {
    for (int i = 0; i < SIZES; i++)
        for (int scaled = 0; scaled < 2; scaled++) {
            int rows = sizes[(i + 4) % SIZES], c = sizes[i] + (sizes[i] == 1);
            size_t n = (size_t)rows * c;
            real *x = random_range(n, -3, 5), *dy = random_array(n), *y = array(n),
                 *want = array(n);
            real *gain = scaled ? random_array(c) : NULL, *shift = scaled ? random_array(c) : NULL;
            real *mean = array(rows), *rstd = array(rows), *m2 = array(rows), *r2 = array(rows);
            LayerNormShape s = {rows, c, (real)1e-5};
            NormArrays a = {x, gain, shift, mean, rstd};
            layer_norm_forward(&s, &a, y);
            layer_norm_forward_ref(&s, &(NormArrays){x, gain, shift, m2, r2}, want);
            agree(n, y, want, tolerance, "y, rows %d c %d", rows, c);
            agree(rows, mean, m2, tolerance, "mean, rows %d c %d", rows, c);
            agree(rows, rstd, r2, 5 * tolerance, "rstd, rows %d c %d", rows, c);
            real *dx = random_array(n), *dg = random_array(c), *ds = random_array(c);
            real *want_x = copy_of(n, dx), *want_g = copy_of(c, dg), *want_s = copy_of(c, ds);
            group_norm_gradients(rows, 1, c, c, false, x, gain, shift, mean, rstd, dy, want_x,
                                 want_g, want_s);
            NormGradients d = {{dx, true}, {dg, true}, {ds, true}};
            layer_norm_backward(&s, &a, dy, &d);
            agree(n, dx, want_x, 10 * tolerance, "dx, rows %d c %d", rows, c);
            agree(c, dg, want_g, 10 * tolerance, "dgain, rows %d c %d", rows, c);
            agree(c, ds, want_s, 10 * tolerance, "dshift, rows %d c %d", rows, c);
            free_arrays();
        }
}

/* Batch normalisation of (rows, c) is group normalisation of one image whose groups are single
 * channels. */
Test(norms, batch_norm_agrees_for_every_number_of_rows_and_columns) {
    for (int i = 0; i < SIZES; i++)
        for (int add = 0; add < 2; add++) {
            int rows = i == 8 ? 700 : sizes[(i + 5) % SIZES] + 1, c = sizes[i];
            size_t n = (size_t)rows * c;
            real eps = (real)1e-5;
            real *x = random_range(n, -3, 5), *dy = random_array(n), *y = array(n),
                 *want = array(n);
            real *gain = random_array(c), *shift = random_array(c), *mean = array(c),
                 *var = array(c);
            real *m2 = array(c), *rstd = array(c);
            BatchNormShape s = {rows, c, eps, .batch_statistics = true};
            BatchNormArrays a = {x, gain, shift, mean, var};
            batch_norm_statistics(rows, c, x, mean, var);
            batch_norm_apply(&s, &a, y);
            group_norm_forward_ref(&(GroupNormShape){1, rows, c, c, eps, false},
                                   &(NormArrays){x, gain, shift, m2, rstd}, want);
            agree(c, mean, m2, tolerance, "mean, rows %d c %d", rows, c);
            agree(n, y, want, tolerance, "y, rows %d c %d", rows, c);
            batch_norm_apply_ref(&s, &a, want);
            agree(n, y, want, tolerance, "apply, rows %d c %d", rows, c);
            real *dx = random_array(n), *dg = random_array(c), *ds = random_array(c);
            real *want_x = copy_of(n, dx), *want_g = copy_of(c, dg), *want_s = copy_of(c, ds);
            if (!add)
                memset(want_x, 0, n * sizeof(real)), memset(want_g, 0, c * sizeof(real)),
                    memset(want_s, 0, c * sizeof(real));
            group_norm_gradients(1, rows, c, 1, false, x, gain, shift, mean, rstd, dy, want_x,
                                 want_g, want_s);
            NormGradients d = {{dx, add}, {dg, add}, {ds, add}};
            batch_norm_backward(&s, &a, dy, &d);
            agree(n, dx, want_x, 20 * tolerance, "dx, rows %d c %d add %d", rows, c, add);
            agree(c, dg, want_g, 20 * tolerance, "dgain, rows %d c %d add %d", rows, c, add);
            agree(c, ds, want_s, 20 * tolerance, "dshift, rows %d c %d add %d", rows, c, add);
            s.batch_statistics = false;
            batch_norm_backward(&s, &a, dy, &(NormGradients){.x = {dx, false}});
            for (size_t l = 0; l < n; l++)
                want[l] = dy[l] * gain[l % c] / (real)sqrt((double)var[l % c] + eps);
            agree(n, dx, want, tolerance, "dx of constants, rows %d c %d", rows, c);
            free_arrays();
        }
}

/* Does a mean far from zero cost digits of the spread? */
Test(norms, norms_of_numbers_near_1000_keep_their_digits) {
    int rows = 300, c = 48, n = rows * c;
    real *x = random_range(n, 999, 1001), *y = array(n), *want = array(n);
    real *mean = array(rows), *rstd = array(rows), *var = array(c);
    GroupNormShape group = {1, rows, c, .groups = 4};
    LayerNormShape layer = {.rows = rows, .c = c};
    NormArrays a = {x, .mean = mean, .rstd = rstd};
    group_norm_forward(&group, &a, y);
    group_norm_forward_ref(&group, &a, want);
    agree(n, y, want, large_mean_error, "group norm");
    layer_norm_forward(&layer, &a, y);
    layer_norm_forward_ref(&layer, &a, want);
    agree(n, y, want, large_mean_error, "layer norm");
    batch_norm_statistics(rows, c, x, mean, var);
    group.groups = c;
    group_norm_forward_ref(&group, &(NormArrays){x, .mean = rstd, .rstd = rstd + c}, want);
    for (int j = 0; j < c; j++) var[j] = (real)(1 / sqrt((double)var[j]));
    agree(c, var, rstd + c, large_mean_error, "batch norm spread");
    agree(c, mean, rstd, large_mean_error, "batch norm mean");
}

Test(norms, norms_give_the_same_bits_for_any_number_of_threads) {
    int b = 3, hw = 200, c = 48, n = b * hw * c, rows = b * hw;
    real *x = random_array(n), *dy = random_array(n), *y = array(n), *mean = array(rows),
         *rstd = array(rows);
    real *gain = random_array(c), *shift = random_array(c), *dx = array(n), *dg = array(2 * c),
         *ds = dg + c;
    NormArrays a = {x, gain, shift, mean, rstd};
    NormGradients d = {{dx, false}, {dg, false}, {ds, false}};
    for (int silu = 0; silu < 2; silu++) {
        GroupNormShape s = {b, hw, c, 8, 1, silu};
        SAME_BITS_FOR_ANY_THREADS(n, y, group_norm_forward(&s, &a, y));
        SAME_BITS_FOR_ANY_THREADS(n, dx, group_norm_backward(&s, &a, dy, &d));
        SAME_BITS_FOR_ANY_THREADS(2 * c, dg, group_norm_backward(&s, &a, dy, &d));
    }
    LayerNormShape layer = {rows, c, 1};
    SAME_BITS_FOR_ANY_THREADS(n, y, layer_norm_forward(&layer, &a, y));
    SAME_BITS_FOR_ANY_THREADS(n, dx, layer_norm_backward(&layer, &a, dy, &d));
    SAME_BITS_FOR_ANY_THREADS(2 * c, dg, layer_norm_backward(&layer, &a, dy, &d));
    BatchNormShape batch = {rows, c, 1, .batch_statistics = true};
    BatchNormArrays of_batch = {x, gain, shift, mean, rstd};
    SAME_BITS_FOR_ANY_THREADS(c, mean, batch_norm_statistics(rows, c, x, mean, rstd));
    SAME_BITS_FOR_ANY_THREADS(n, y, batch_norm_apply(&batch, &of_batch, y));
    SAME_BITS_FOR_ANY_THREADS(n, dx, batch_norm_backward(&batch, &of_batch, dy, &d));
    SAME_BITS_FOR_ANY_THREADS(2 * c, dg, batch_norm_backward(&batch, &of_batch, dy, &d));
}

/* ---- softmax and losses ---------------------------------------------------------------------- */

Test(norms, softmax_its_logarithm_and_their_gradients_agree) {
    for (int i = 0; i < SIZES + 1; i++) {
        int rows = 5, c = i < SIZES ? sizes[i] : 1000;
        size_t n = (size_t)rows * c;
        real *x = random_range(n, -5, 9), *y = array(n), *want = array(n), *dy = random_array(n);
        k_softmax(rows, c, x, y);
        k_softmax_ref(rows, c, x, want);
        agree(n, y, want, tolerance, "softmax of %d", c);
        real *dx = random_array(n), *want_dx = copy_of(n, dx);
        for (int r = 0; r < rows; r++) {
            double inner = 0;
            for (int j = 0; j < c; j++) inner += (double)want[r * c + j] * dy[r * c + j];
            for (int j = 0; j < c; j++)
                want_dx[r * c + j] += (real)(want[r * c + j] * (dy[r * c + j] - inner));
        }
        k_softmax_back(rows, c, y, dy, dx, true);
        agree(n, dx, want_dx, tolerance, "gradient of softmax of %d", c);
        for (int r = 0; r < rows; r++) {
            double sum = 0;
            for (int j = 0; j < c; j++) sum += dy[r * c + j];
            for (int j = 0; j < c; j++)
                want_dx[r * c + j] = (real)(dy[r * c + j] - want[r * c + j] * sum);
        }
        k_log_softmax(rows, c, x, y);
        k_log_softmax_ref(rows, c, x, want);
        agree(n, y, want, tolerance, "log softmax of %d", c);
        k_log_softmax_back(rows, c, y, dy, dx, false);
        agree(n, dx, want_dx, 5 * tolerance, "gradient of log softmax of %d", c);
        k_softmax(rows, c, x, x);
        k_log_softmax_ref(rows, c, x, want);
        free_arrays();
    }
}

Test(norms, softmax_survives_extreme_values) {
    real x[2][9] = {{(real)1e4, (real)-1e4, (real)1e4, 0, -INFINITY, 0, 0, 0, 0},
                    {(real)-1e4, (real)-1e4, -INFINITY, -INFINITY, (real)-1e4, (real)-1e4,
                     -INFINITY, -INFINITY, -INFINITY}};
    real y[2][9], want[2][9];
    k_softmax(2, 9, x[0], y[0]);
    k_softmax_ref(2, 9, x[0], want[0]);
    agree(18, y[0], want[0], tolerance, "softmax");
    k_log_softmax(2, 9, x[0], y[0]);
    k_log_softmax_ref(2, 9, x[0], want[0]);
    agree(18, y[0], want[0], tolerance, "log softmax");
    real lse[2];
    double loss = k_cross_entropy(2, 9, x[0], (int[]){0, 1}, lse), exact = log(2) + log(4);
    agree(1, &(real){(real)loss}, &(real){(real)exact}, 1000 * tolerance, "cross-entropy");
}

Test(norms, cross_entropy_leaves_out_rows_without_target) {
    for (int i = 1; i < SIZES; i++) {
        int rows = 6, c = sizes[i], target[] = {0, c - 1, -1, c / 2, -1, 1};
        size_t n = (size_t)rows * c;
        real *x = random_range(n, -5, 9), *lse = array(rows), *y = array(n), *dx = random_array(n),
             *want = copy_of(n, dx);
        k_log_softmax_ref(rows, c, x, y);
        double loss = 0;
        for (int r = 0; r < rows; r++)
            if (target[r] >= 0) loss -= y[r * c + target[r]];
        double got = k_cross_entropy(rows, c, x, target, lse);
        cr_assert(fabs(got - loss) <= tolerance * (1 + fabs(loss)),
                  "c %d: loss %.9g, expected %.9g", c, got, loss);
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < c && target[r] >= 0; j++)
                want[r * c + j] += (real)(0.5 * (exp(y[r * c + j]) - (j == target[r])));
        k_cross_entropy_back(rows, c, x, target, lse, (real)0.5, dx, true);
        agree(n, dx, want, tolerance, "gradient of cross-entropy, c %d", c);
        for (size_t j = 0; j < n; j++) dx[j] = 1;
        k_cross_entropy_back(rows, c, x, target, lse, (real)0.5, dx, false);
        for (int j = 0; j < c; j++) cr_assert(dx[2 * c + j] == 0);
        free_arrays();
    }
}

Test(norms, softmax_and_losses_give_the_same_bits_for_any_number_of_threads) {
    int rows = 700, c = 37, n = rows * c, *target = malloc(rows * sizeof *target);
    for (int i = 0; i < rows; i++) target[i] = i % (c + 1) - 1;
    real *x = random_array(n), *dy = random_array(n), *y = array(n), *lse = array(rows);
    SAME_BITS_FOR_ANY_THREADS(n, y, k_softmax(rows, c, x, y));
    SAME_BITS_FOR_ANY_THREADS(n, y, k_softmax_back(rows, c, x, dy, y, false));
    SAME_BITS_FOR_ANY_THREADS(n, y, k_log_softmax(rows, c, x, y));
    SAME_BITS_FOR_ANY_THREADS(n, y, k_log_softmax_back(rows, c, x, dy, y, false));
    SAME_BITS_FOR_ANY_THREADS(rows, lse, k_cross_entropy(rows, c, x, target, lse));
    SAME_BITS_FOR_ANY_THREADS(n, y, k_cross_entropy_back(rows, c, x, target, lse, 2, y, false));
    free(target);
}
