/* test_kernels.c — threads, matrix products, reductions, layout, optimisers: every kernel against its
 * plain twin, or against a plain computation made here; the same bits for any number of threads. The
 * others: test_conv.c, test_elementwise.c, test_norms.c, test_attention.c, test_random.c. */
#include "arrays.h"
#include "kernels/kernels.h"
#include "testing.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int sizes[] = {1, 7, 8, 9, 15, 16, 17, 63, 65};
enum { SIZES = sizeof sizes / sizeof *sizes };
/* the twins sum in double, so in double they round as much as the kernels do */
static const double tolerance = (sizeof(real) == 4 ? 40 : 500) * (double)REAL_EPS;

TestSuite(kernels, .fini = free_arrays);

/* ---- threads --------------------------------------------------------------------------------- */

Test(kernels, thread_counts_are_kept_between_1_and_256) {
    cr_assert(threads_get() >= 1);
#ifdef _OPENMP
    threads_set(3);
    cr_assert_eq(threads_get(), 3);
    threads_set(1000);
    cr_assert_eq(threads_get(), 256);
#endif
    threads_set(0);
    cr_assert_eq(threads_get(), 1);
}

/* ---- matrix products ------------------------------------------------------------------------- */

static void check_gemm(int form, int m, int n, int k, bool with_bias, bool add) {
    bool ta = form & 1, tb = form & 2;
    int lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 2, ldc = n + 1;
    real *a = random_array((size_t)(ta ? k : m) * lda),
         *b = random_array((size_t)(tb ? n : k) * ldb);
    real *bias = with_bias ? random_array(n) : NULL, *c = random_array((size_t)m * ldc);
    real *want = copy_of((size_t)m * ldc, c);
    GemmShape s = {ta, tb, m, n, k, lda, ldb, ldc};
    gemm_ref(&s, a, b, bias, want, add);
    gemm(&s, a, b, bias, c, add);
    agree((size_t)m * ldc, c, want, tolerance * sqrt(k + 1),
          "gemm ta %d tb %d m %d n %d k %d bias %d add %d", ta, tb, m, n, k, with_bias, add);
    free_arrays();
}

Test(kernels, gemm_multiplies_matrices_of_awkward_sizes_in_all_four_forms) {
    for (int form = 0; form < 4; form++)
        for (int i = 0; i < SIZES; i++)
            for (int j = 0; j < SIZES; j++)
                for (int l = 0; l < SIZES; l++)
                    check_gemm(form, sizes[i], sizes[j], sizes[l], (i + j) % 2, (j + l) % 2);
}

Test(kernels, gemm_sums_over_long_axes_in_several_blocks) {
    for (int form = 0; form < 4; form++) {
        check_gemm(form, 33, 50, 700, true, true);
        check_gemm(form, 5, 3, 1030, true, false);
        check_gemm(form, 200, 300, 257, false, false);
    }
}

/* One row alone must not differ from the same row among others: a token that is sampled from what
 * training computes in one piece. */
Test(kernels, gemm_of_few_rows_gives_the_bits_of_many) {
    const int ks[] = {1, 7, 384, 385, 900}, ns[] = {1, 8, 65, 512, 1100};
    for (int form = 0; form < 8; form++)
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < 5; j++) {
                int k = ks[i], n = ns[j], rows = 20, few = 1 + (i + j) % 4;
                bool ta = form & 1, add = form & 2;
                real *a = random_array((size_t)rows * k), *b = random_array((size_t)k * n);
                real *bias = form & 4 ? random_array(n) : NULL, *c = random_array((size_t)rows * n);
                real *part = copy_of((size_t)few * n, c);
                GemmShape s = {.ta = ta, .m = rows, .n = n, .k = k, .lda = ta ? rows : k};
                gemm(&s, a, b, bias, c, add);
                s.m = few;
                gemm(&s, a, b, bias, part, add);
                cr_assert_arr_eq(part, c, (size_t)few * n * sizeof(real), "form %d k %d n %d rows %d",
                                 form, k, n, few);
                free_arrays();
            }
}

Test(kernels, gemm_with_nothing_to_sum_gives_the_bias) {
    for (int form = 0; form < 4; form++) {
        check_gemm(form, 5, 7, 0, true, false);
        check_gemm(form, 5, 7, 0, true, true);
        check_gemm(form, 5, 7, 0, false, false);
        check_gemm(form, 0, 7, 3, true, false);
        check_gemm(form, 5, 0, 3, true, false);
    }
}

Test(kernels, gemm_batched_equals_single_products) {
    for (int form = 0; form < 4; form++)
        for (int add = 0; add < 2; add++)
            for (int i = 0; i < SIZES; i++) {
                bool ta = form & 1, tb = form & 2;
                int m = sizes[i], n = sizes[(i + 3) % SIZES], k = sizes[(i + 5) % SIZES], batch = 5;
                real *a = random_array(batch * m * k), *b = random_array(n * k);
                real *c = random_array(batch * m * n), *want = copy_of(batch * m * n, c);
                GemmShape one = {.ta = ta, .tb = tb, .m = m, .n = n, .k = k};
                for (int l = 0; l < batch; l++)
                    gemm_ref(&one, a + l * m * k, b, NULL, want + l * m * n, add);
                gemm_batched(&(GemmBatch){one, batch, m * k, 0, m * n}, a, b, c, add);
                agree(batch * m * n, c, want, tolerance * sqrt(k), "form %d m %d n %d k %d", form,
                      m, n, k);
                free_arrays();
            }
}

Test(kernels, gemm_gives_the_same_bits_for_any_number_of_threads) {
    int m = 150, n = 130, k = 600;
    real *a = random_array(m * k), *b = random_array(n * k), *c = array(m * n);
    for (int form = 0; form < 4; form++) {
        GemmShape s = {.ta = form & 1, .tb = form & 2, .m = m, .n = n, .k = k};
        SAME_BITS_FOR_ANY_THREADS(m * n, c, gemm(&s, a, b, NULL, c, false));
        GemmBatch g = {s, .batch = 6, .stride_a = 2500, .stride_c = 25 * n};
        g.one.m = 25, g.one.k = 100;
        SAME_BITS_FOR_ANY_THREADS(m * n, c, gemm_batched(&g, a, b, c, false));
    }
}

/* ---- reductions ------------------------------------------------------------------------------ */

Test(kernels, sums_of_whole_arrays_agree) {
    for (int i = 0; i < SIZES + 1; i++) {
        size_t n = i < SIZES ? (size_t)sizes[i] : 50001;
        real *a = random_range(n, -4, 5), *b = random_range(n, 0, 1);
        long double want[5] = {0};
        for (size_t j = 0; j < n; j++) {
            double p = a[j], q = b[j];
            want[0] += p, want[1] += p * p, want[2] += (p - q) * (p - q), want[3] += fabs(p - q);
            want[4] += fmax(p, 0) - p * q + log1p(exp(-fabs(p)));
        }
        double got[5] = {k_sum(n, a), k_sum_squares(n, a), k_sum_squared_difference(n, a, b),
                         k_sum_absolute_difference(n, a, b), k_sum_bce_logits(n, a, b)};
        for (int j = 0; j < 5; j++)
            cr_assert(fabs(got[j] - (double)want[j]) <= tolerance * (n + fabs(got[j])) / 10,
                      "sum %d of %zu is %.12g, expected %.12g", j, n, got[j], (double)want[j]);
        for (int threads = 1; threads <= 3; threads++) {
            threads_set(threads);
            cr_assert(k_sum(n, a) == got[0] && k_sum_squares(n, a) == got[1] &&
                          k_sum_squared_difference(n, a, b) == got[2] &&
                          k_sum_absolute_difference(n, a, b) == got[3] &&
                          k_sum_bce_logits(n, a, b) == got[4],
                      "sums of %zu differ with %d threads", n, threads);
        }
        free_arrays();
    }
    cr_assert(k_sum(0, NULL) == 0);
}

typedef void LossGradient(size_t n, real a, const real *x, const real *y, real *d, bool add);

static double loss_slope(int loss, double x, double y) {
    if (loss == 0) return x - y;
    if (loss == 1) return (x > y) - (x < y);
    return 1 / (1 + exp(-x)) - y;
}

Test(kernels, gradients_of_losses_agree) {
    LossGradient *const gradients[] = {k_difference, k_sign_difference, k_bce_logits_back};
    for (int loss = 0; loss < 3; loss++)
        for (int i = 0; i < SIZES + 1; i++) {
            size_t n = i < SIZES ? (size_t)sizes[i] : 20001;
            real *x = random_range(n, -4, 5), *y = random_range(n, 0, 1), *d = random_array(n);
            for (size_t j = 0; j < n; j += 3) y[j] = x[j];    /* where |x - y| has no slope */
            real *want = copy_of(n, d), a = (real)-0.3;
            for (int add = 1; add >= 0; add--) {
                for (size_t j = 0; j < n; j++)
                    want[j] = (real)(a * loss_slope(loss, x[j], y[j]) + (add ? want[j] : 0));
                gradients[loss](n, a, x, y, d, add);
                agree(n, d, want, tolerance, "gradient of loss %d, add %d, n %zu", loss, add, n);
            }
            SAME_BITS_FOR_ANY_THREADS(n, d, gradients[loss](n, a, x, y, d, false));
            free_arrays();
        }
}

Test(kernels, a_single_infinity_or_nan_is_found_anywhere) {
    for (int i = 0; i < SIZES + 1; i++) {
        size_t n = i < SIZES ? (size_t)sizes[i] : 700;
        real *x = random_range(n, -1e30, 1e30);
        cr_assert(k_all_finite(n, x));
        for (size_t j = 0; j < n; j++) {
            real kept = x[j];
            x[j] = j % 3 == 0 ? INFINITY : j % 3 == 1 ? -INFINITY : NAN;
            cr_assert_not(k_all_finite(n, x), "element %zu of %zu", j, n);
            x[j] = kept;
        }
        free_arrays();
    }
}

Test(kernels, sums_maxima_and_copies_along_an_axis_agree) {
    for (int i = 0; i < SIZES; i++)
        for (int j = 0; j < SIZES; j++) {
            int outer = 3, n = sizes[i] + (i == 8 ? 600 : 0), inner = sizes[j],
                count = outer * inner;
            real *x = random_array((size_t)outer * n * inner), *y = random_array(count),
                 *want = copy_of(count, y);
            for (int add = 0; add < 2; add++) {
                k_sum_axis(outer, n, inner, x, y, add);
                k_sum_axis_ref(outer, n, inner, x, want, add);
                agree(count, y, want, 10 * tolerance, "sum, n %d inner %d add %d", n, inner, add);
            }
            int winner[3 * 65];
            x[0] = x[inner] = 2;    /* a tie: the first wins */
            k_max_axis(outer, n, inner, x, y, winner);
            cr_assert_eq(winner[0], 0);
            for (int o = 0; o < outer; o++)
                for (int k = 0; k < inner; k++)
                    for (int l = 0; l < n; l++) {
                        real best = y[o * inner + k], v = x[((size_t)o * n + l) * inner + k];
                        cr_assert(v <= best && (l != winner[o * inner + k] || v == best));
                    }
            real *d = random_array((size_t)outer * n * inner),
                 *spread = copy_of((size_t)outer * n * inner, d);
            k_spread_axis(outer, n, inner, 3, y, spread, true);
            for (int l = 0; l < outer * n * inner; l++)
                d[l] += 3 * y[l / (n * inner) * inner + l % inner];
            agree((size_t)outer * n * inner, spread, d, tolerance, "spread, n %d inner %d", n,
                  inner);
            for (int add = 1; add >= 0; add--) {
                k_max_axis_back(outer, n, inner, winner, y, spread, add);
                for (int l = 0; l < outer * n * inner; l++) {
                    int at = l / (n * inner) * inner + l % inner;
                    d[l] = (add ? d[l] : 0) + (l / inner % n == winner[at] ? y[at] : 0);
                }
                agree((size_t)outer * n * inner, spread, d, tolerance,
                      "back from the maxima, n %d inner %d add %d", n, inner, add);
            }
            free_arrays();
        }
}

Test(kernels, reductions_along_an_axis_give_the_same_bits_for_any_number_of_threads) {
    real *x = random_array(60000), *y = array(60000);
    int *winner = malloc(60000 * sizeof *winner);
    SAME_BITS_FOR_ANY_THREADS(20, y, k_sum_axis(1, 3000, 20, x, y, false));
    SAME_BITS_FOR_ANY_THREADS(3000, y, k_sum_axis(3000, 20, 1, x, y, false));
    SAME_BITS_FOR_ANY_THREADS(2, y, k_sum_axis(2, 30000, 1, x, y, false));
    SAME_BITS_FOR_ANY_THREADS(600, y, k_max_axis(30, 100, 20, x, y, winner));
    SAME_BITS_FOR_ANY_THREADS(60000, y, k_max_axis_back(30, 100, 20, winner, x, y, false));
    SAME_BITS_FOR_ANY_THREADS(60000, y, k_spread_axis(30, 100, 20, 2, x, y, false));
    free(winner);
}

/* ---- layout ---------------------------------------------------------------------------------- */

Test(kernels, permutations_of_axes_agree) {
    const int shapes[][4] = {{2, 3, 4, 5}, {1, 17, 9, 33}, {3, 8, 16, 8}, {2, 1, 7, 1}};
    for (int k = 0; k < 4; k++)
        for (int code = 0; code < 256; code++) {
            const int perm[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
            int seen = 0;
            for (int i = 0; i < 4; i++) seen |= 1 << perm[i];
            if (seen != 15) continue;
            const int *s = shapes[k];
            size_t n = shape_length(s),
                   step[4] = {(size_t)s[1] * s[2] * s[3], (size_t)s[2] * s[3], s[3], 1};
            real *x = random_array(n), *y = random_array(n), *want = copy_of(n, y),
                 *plain = array(n);
            size_t at = 0;
            for (int i = 0; i < s[perm[0]]; i++)
                for (int j = 0; j < s[perm[1]]; j++)
                    for (int l = 0; l < s[perm[2]]; l++)
                        for (int m = 0; m < s[perm[3]]; m++, at++)
                            plain[at] = x[i * step[perm[0]] + j * step[perm[1]] +
                                          l * step[perm[2]] + m * step[perm[3]]];
            for (size_t i = 0; i < n; i++) want[i] += plain[i];
            k_permute(s, perm, x, y, true);
            agree(n, y, want, 0, "added, shape %d, order %d%d%d%d", k, perm[0], perm[1], perm[2],
                  perm[3]);
            k_permute(s, perm, x, y, false);
            agree(n, y, plain, 0, "shape %d, order %d%d%d%d", k, perm[0], perm[1], perm[2],
                  perm[3]);
            free_arrays();
        }
}

Test(kernels, copied_gathered_and_scattered_rows_are_the_right_ones) {
    for (int i = 0; i < SIZES; i++) {
        int d = sizes[i], n = 9, rows = 5, index[] = {4, 0, 2, 2, 1, 4, 4, 0, 2};
        real *table = random_array(rows * d), *y = array(n * d), *dtable = random_array(rows * d),
             *want = copy_of(rows * d, dtable);
        k_gather_rows(n, d, table, index, y);
        for (int j = 0; j < n * d; j++) cr_assert(y[j] == table[index[j / d] * d + j % d]);
        for (int j = 0; j < n * d; j++) want[index[j / d] * d + j % d] += y[j];
        k_scatter_rows(n, d, rows, index, y, dtable, true);
        agree(rows * d, dtable, want, 0, "scatter and add, d %d", d);
        k_scatter_rows(n, d, rows, index, y, dtable, false);
        for (int j = 0; j < rows * d; j++) want[j] = 0;    /* row 3 belongs to no index */
        for (int j = 0; j < n * d; j++) want[index[j / d] * d + j % d] += y[j];
        agree(rows * d, dtable, want, 0, "scatter, d %d", d);
        real *wide = random_array(n * (d + 3)), *expected = copy_of(n * (d + 3), wide);
        for (int j = 0; j < n * d; j++) expected[j / d * (d + 3) + j % d] += y[j];
        k_copy_rows(n, d, y, d, wide, d + 3, true);
        agree(n * (d + 3), wide, expected, 0, "rows added, d %d", d);
        k_copy_rows(n, d, y, d, wide, d + 3, false);
        for (int j = 0; j < n * d; j++) cr_assert(wide[j / d * (d + 3) + j % d] == y[j]);
        free_arrays();
    }
}

Test(kernels, doubling_and_pooling_of_images_agree) {
    for (int i = 0; i < SIZES; i++) {
        int b = 2, h = 3, w = 2, c = sizes[i];
        size_t n = (size_t)b * h * w * c;
        real *x = random_array(n), *y = random_array(4 * n), *want = copy_of(4 * n, y),
             *back = random_array(n);
        for (size_t j = 0; j < 4 * n; j++) {
            size_t k = j % c, col = j / c % (2 * w), row = j / c / (2 * w);
            want[j] += 3 * x[(row / 2 * w + col / 2) * c + k];
        }
        k_upsample2(b, h, w, c, 3, x, y, true);
        agree(4 * n, y, want, tolerance, "upsampling of %d channels", c);
        real *sums = copy_of(n, back), *largest = array(n), *pooled = array(n),
             *spread = array(4 * n);
        uint8_t *winner = malloc(n), *first = malloc(n);
        for (size_t j = 0; j < n; j++) largest[j] = -100;
        for (size_t j = 0; j < 4 * n; j++) {
            size_t k = j % c, col = j / c % (2 * w), row = j / c / (2 * w),
                   at = (row / 2 * w + col / 2) * c + k;
            sums[at] += (real)0.25 * y[j];
            if (y[j] > largest[at])
                largest[at] = y[j], first[at] = (uint8_t)(row % 2 * 2 + col % 2);
        }
        k_sum_pool2(b, h, w, c, (real)0.25, y, back, true);
        agree(n, back, sums, tolerance, "pooling of %d channels", c);
        k_max_pool2(b, h, w, c, y, pooled, winner);
        agree(n, pooled, largest, 0, "largest of %d channels", c);
        cr_assert(memcmp(winner, first, n) == 0, "winners of %d channels", c);
        k_max_pool2_back(b, h, w, c, winner, x, spread, false);
        for (size_t j = 0; j < 4 * n; j++) {
            size_t k = j % c, col = j / c % (2 * w), row = j / c / (2 * w),
                   at = (row / 2 * w + col / 2) * c + k;
            cr_assert(spread[j] == (winner[at] == row % 2 * 2 + col % 2 ? x[at] : 0));
        }
        free(winner);
        free(first);
        free_arrays();
    }
}

Test(kernels, copies_give_the_same_bits_for_any_number_of_threads) {
    const int shape[4] = {4, 30, 20, 16}, perm[4] = {0, 3, 1, 2};
    int n = 4 * 30 * 20 * 16, index[500];
    for (int i = 0; i < 500; i++) index[i] = i * 7 % 90;
    uint8_t *winner = malloc(n);
    real *x = random_array(n), *y = array(n);
    SAME_BITS_FOR_ANY_THREADS(n, y, k_permute(shape, perm, x, y, false));
    SAME_BITS_FOR_ANY_THREADS(n, y, k_copy_rows(n / 16, 16, x, 16, y, 16, false));
    SAME_BITS_FOR_ANY_THREADS(500 * 70, y, k_gather_rows(500, 70, x, index, y));
    SAME_BITS_FOR_ANY_THREADS(100 * 70, y, k_scatter_rows(500, 70, 100, index, x, y, false));
    SAME_BITS_FOR_ANY_THREADS(n, y, k_upsample2(4, 15, 10, 16, 1, x, y, false));
    SAME_BITS_FOR_ANY_THREADS(n / 4, y, k_sum_pool2(4, 15, 10, 16, 1, x, y, false));
    SAME_BITS_FOR_ANY_THREADS(n / 4, y, k_max_pool2(4, 15, 10, 16, x, y, winner));
    SAME_BITS_FOR_ANY_THREADS(n, y, k_max_pool2_back(4, 15, 10, 16, winner, x, y, false));
    free(winner);
}

/* Random vectors, so that no two rows are equally near but by the copy that is put among them: of two
 * equal rows the first is taken. */
Test(kernels, the_nearest_row_is_found) {
    for (int i = 0; i < SIZES; i++)
        for (int j = 0; j < SIZES; j++) {
            int d = sizes[i], rows = sizes[j], n = 67;
            real *x = random_array((size_t)n * d), *table = random_array((size_t)rows * d);
            memcpy(table + (size_t)(rows - 1) * d, table + (size_t)(rows / 2) * d, d * sizeof *x);
            int got[67], want[67];
            k_nearest_rows(n, d, rows, x, table, got);
            k_nearest_rows_ref(n, d, rows, x, table, want);
            for (int k = 0; k < n; k++)
                cr_assert_eq(got[k], want[k], "d %d rows %d: vector %d", d, rows, k);
            free_arrays();
        }
}

/* more vectors than are compared at once; a row far away has a large norm, not a large product */
Test(kernels, the_nearest_row_of_many_vectors_is_found) {
    enum { N = 2500, D = 5, ROWS = 40 };
    real *x = random_array(N * D), *table = random_array(ROWS * D);
    for (int j = 0; j < D; j++) table[3 * D + j] = 100;
    static int got[N], want[N];
    k_nearest_rows(N, D, ROWS, x, table, got);
    k_nearest_rows_ref(N, D, ROWS, x, table, want);
    for (int k = 0; k < N; k++) {
        cr_assert_eq(got[k], want[k], "vector %d", k);
        cr_assert_neq(got[k], 3);
    }
    threads_set(1);
    k_nearest_rows(N, D, ROWS, x, table, want);
    threads_set(3);
    k_nearest_rows(N, D, ROWS, x, table, got);
    threads_set(2);
    cr_assert_arr_eq(got, want, sizeof got);
}

/* ---- optimisers ------------------------------------------------------------------------------ */

Test(kernels, adam_and_sgd_agree) {
    AdamStep s = {(real)0.01, (real)0.9,   (real)0.99, (real)1e-8,
                  (real)0.5,  (real)0.001, (real)0.19, (real)0.0199};
    for (int i = 0; i < SIZES + 1; i++) {
        size_t n = i < SIZES ? (size_t)sizes[i] : 20001;
        real *w = random_array(n), *g = random_array(n), *m = random_array(n),
             *v = random_range(n, 0, 1);
        real *w2 = copy_of(n, w), *m2 = copy_of(n, m), *v2 = copy_of(n, v);
        for (int step = 0; step < 3; step++) {
            k_adam(n, w, g, m, v, &s);
            k_adam_ref(n, w2, g, m2, v2, &s);
        }
        agree(n, w, w2, tolerance, "weights of %zu", n);
        agree(n, m, m2, tolerance, "first moments of %zu", n);
        agree(n, v, v2, tolerance, "second moments of %zu", n);
        for (size_t j = 0; j < n; j++) {
            real d = m2[j] * (real)0.9 + (g[j] * (real)0.5 + (real)0.1 * w2[j]);
            m2[j] = d;
            w2[j] -= (real)0.01 * d;
        }
        k_sgd(n, w, g, m, (real)0.01, (real)0.9, (real)0.1, (real)0.5);
        agree(n, w, w2, tolerance, "sgd of %zu", n);
        agree(n, m, m2, tolerance, "velocity of %zu", n);
        for (size_t j = 0; j < n; j++) w2[j] -= (real)0.01 * g[j];
        k_sgd(n, w, g, NULL, (real)0.01, (real)0.9, 0, 1);
        agree(n, w, w2, tolerance, "plain sgd of %zu", n);
        free_arrays();
    }
    size_t n = 50000;
    real *start = random_array(n), *g = random_array(n), *w = array(n), *m = array(n),
         *v = array(n);
    SAME_BITS_FOR_ANY_THREADS(n, w,
                              (memcpy(w, start, n * sizeof(real)), k_fill(n, 0, m), k_fill(n, 0, v),
                               k_adam(n, w, g, m, v, &s), k_sgd(n, w, g, m, 1, 1, 1, 1)));
}
