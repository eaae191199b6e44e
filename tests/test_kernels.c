/* test_kernels.c — every kernel against its plain twin, or against a plain computation made here;
 * the same bits for any number of threads; values at the edges of what a float can hold.
 * Convolutions: test_conv.c. */
#include "arrays.h"
#include "kernels/kernels.h"
#include "kernels/widen.h"
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

TestSuite(kernels, .fini = free_arrays, .timeout = 120);

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

Test(kernels, group_norm_agrees_for_every_split_into_groups) {
    const int cases[][4] = {{1, 9, 1, 1},   {2, 7, 6, 3},    {3, 5, 8, 8},
                            {2, 16, 16, 2}, {1, 63, 17, 1},  {2, 33, 32, 4},
                            {2, 1, 64, 8},  {1, 100, 65, 5}, {5, 49, 33, 3}};
    for (int i = 0; i < 9; i++)
        for (int k = 0; k < 4; k++)
            check_group_norm(cases[i][0], cases[i][1], cases[i][2], cases[i][3], k & 1, k & 2);
}

Test(kernels, layer_norm_agrees_for_every_row_length) {
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
Test(kernels, batch_norm_agrees_for_every_number_of_rows_and_columns) {
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
Test(kernels, norms_of_numbers_near_1000_keep_their_digits) {
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

Test(kernels, norms_give_the_same_bits_for_any_number_of_threads) {
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

/* ---- functions of one number ----------------------------------------------------------------- */

static double phi(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }
static double logistic(double x) { return 1 / (1 + exp(-x)); }
static double gelu_tanh_derivative(double x) {
    double u = 0.79788456080286535588 * (x + 0.044715 * x * x * x), t = tanh(u);
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.79788456080286535588 * (1 + 0.134145 * x * x);
}

static double quick_gelu_derivative(double x) {
    return logistic(1.702 * x) * (1 + 1.702 * x * logistic(-1.702 * x));
}

#define UNARY_DERIVATIVES(F)                                                                   \
    F(affine, p) F(exp, exp(x)) F(log, 1 / x) F(sqrt, 0.5 / sqrt(x)) F(square, 2 * x)          \
    F(abs, (x > 0) - (x < 0)) F(tanh, 1 - tanh(x) * tanh(x))                                   \
    F(sigmoid, logistic(x) * logistic(-x)) F(softplus, logistic(x)) F(relu, x > 0)             \
    F(leaky_relu, x > 0 ? 1 : p) F(elu, x > 0 ? 1 : exp(x))                                    \
    F(silu, logistic(x) * (1 + x * logistic(-x)))                                              \
    F(gelu, phi(x) + x * 0.39894228040143267794 * exp(-0.5 * x * x))                           \
    F(gelu_tanh, gelu_tanh_derivative(x)) F(quick_gelu, quick_gelu_derivative(x))              \
    F(clamp, x >= p && x <= q)

#define DEFINE_DERIVATIVE(name, formula)                                                           \
    static double d_##name(double x, double p, double q) {                                         \
        (void)x, (void)p, (void)q;                                                                 \
        return formula;                                                                            \
    }
UNARY_DERIVATIVES(DEFINE_DERIVATIVE)

typedef struct {
    const char *name;
    UnaryForward *f, *ref;
    UnaryBackward *back;
    double (*derivative)(double, double, double);
    double low, high;
} Unary;

#define UNARY_ROW(name, formula)                                                                   \
    {#name, k_##name, k_##name##_ref, k_##name##_back, d_##name, -8, 8},
static Unary unary[] = {UNARY_DERIVATIVES(UNARY_ROW)};
enum { UNARY = sizeof unary / sizeof *unary };

static bool is_named(const Unary *u, const char *name) { return strcmp(u->name, name) == 0; }

static void check_unary(const Unary *u, size_t n) {
    bool positive = is_named(u, "log") || is_named(u, "sqrt");
    real p = (real)0.3, q = (real)0.9;
    real *x = random_range(n, positive ? 0.01 : -8, 8), *dy = random_array(n), *y = array(n),
         *want = array(n);
    u->ref(n, x, p, q, want);
    u->f(n, x, p, q, y);
    agree(n, y, want, tolerance, "%s of %zu", u->name, n);
    for (int add = 0; add < 2; add++) {
        real *dx = random_array(n), *want_dx = copy_of(n, dx);
        for (size_t i = 0; i < n; i++)
            want_dx[i] = (real)((add ? dx[i] : 0) + dy[i] * u->derivative(x[i], p, q));
        u->back(n, x, y, p, q, dy, dx, add);
        agree(n, dx, want_dx, tolerance, "gradient of %s of %zu, add %d", u->name, n, add);
    }
    u->back(n, x, y, p, q, dy, dy, false);
    u->f(n, x, p, q, x);
    agree(n, x, want, tolerance, "%s of %zu in place", u->name, n);
    free_arrays();
}

Test(kernels, functions_of_one_number_and_their_gradients_agree) {
    cr_assert_eq((int)UNARY, 17);
    for (int i = 0; i < UNARY; i++) {
        for (int j = 0; j < SIZES; j++) check_unary(unary + i, sizes[j]);
        check_unary(unary + i, 20001);
    }
}

Test(kernels, functions_of_one_number_give_the_same_bits_for_any_number_of_threads) {
    size_t n = 30011;
    real *x = random_range(n, 0.01, 3), *dy = random_array(n), *y = array(n), *dx = array(n);
    for (int i = 0; i < UNARY; i++) {
        SAME_BITS_FOR_ANY_THREADS(n, y, unary[i].f(n, x, 1, 2, y));
        SAME_BITS_FOR_ANY_THREADS(n, dx, unary[i].back(n, x, y, 1, 2, dy, dx, false));
    }
}

/* What happens where a float ends? */
Test(kernels, functions_of_one_number_survive_extreme_values) {
    const real x[] = {0,   -0.0f,     (real)1e4, (real)-1e4,  INFINITY,    -INFINITY,
                      NAN, (real)-87, 88,        (real)1e-30, (real)-1e-30};
    enum { N = sizeof x / sizeof *x };
    const char *names[] = {"exp", "sigmoid", "softplus",   "tanh",  "relu",
                           "elu", "abs",     "leaky_relu", "square"};
    for (int i = 0; i < UNARY; i++)
        for (int j = 0; j < 9; j++)
            if (is_named(unary + i, names[j])) {
                real y[N], want[N];
                unary[i].f(N, x, (real)0.1, 1, y);
                unary[i].ref(N, x, (real)0.1, 1, want);
                agree(N, y, want, tolerance, "%s of extreme values", names[j]);
            }
}

/* every number there is in half precision, and blocks that are not full */
Test(kernels, halves_are_widened_exactly) {
    enum { ALL = 1 << 16, SOME = 8192 + 13 };
    uint16_t *h = malloc(ALL * sizeof *h);
    real *x = malloc(ALL * sizeof *x), *want = malloc(ALL * sizeof *want);
    for (int i = 0; i < ALL; i++) h[i] = (uint16_t)i;
    k_widen(ALL, h, x), k_widen_ref(ALL, h, want);
    for (int i = 0; i < ALL; i++)
        cr_assert(isnan(want[i]) ? isnan(x[i]) : x[i] == want[i] && signbit(x[i]) == signbit(want[i]),
                  "%04x: %g, not %g", i, (double)x[i], (double)want[i]);
    memset(x, 0, ALL * sizeof *x);
    k_widen(SOME, h + 0x3000, x);
    for (int i = 0; i < SOME; i++) cr_assert(x[i] == want[0x3000 + i]);
    cr_assert(x[SOME] == 0);
    free(h), free(x), free(want);
}

Test(kernels, small_results_keep_their_relative_accuracy) {
    enum { N = 1000 };
    real x[N], y[N], want[N];
    const char *names[] = {"tanh", "elu", "exp", "sigmoid", "square", "softplus"};
    for (int i = 0; i < UNARY; i++)
        for (int j = 0; j < 6; j++)
            if (is_named(unary + i, names[j])) {
                for (int l = 0; l < N; l++) x[l] = (real)(-(j < 2 ? 1e-3 : 60.0) * (l + 1) / N);
                unary[i].f(N, x, 0, 0, y);
                unary[i].ref(N, x, 0, 0, want);
                for (int l = 0; l < N; l++)
                    cr_assert(fabs((double)y[l] - want[l]) <= 8 * REAL_EPS * fabs((double)want[l]),
                              "%s(%.9g) is %.9g, expected %.9g", names[j], (double)x[l],
                              (double)y[l], (double)want[l]);
            }
}

/* ---- geglu ----------------------------------------------------------------------------------- */

static void check_geglu(int rows, int c) {
    size_t n = (size_t)rows * c;
    real *x = random_range(2 * n, -8, 8), *dy = random_array(n), *y = array(n), *want = array(n);
    k_geglu(rows, c, x, y);
    k_geglu_ref(rows, c, x, want);
    agree(n, y, want, tolerance, "geglu of %d rows of %d", rows, c);
    for (int add = 0; add < 2; add++) {
        real *dx = random_array(2 * n), *want_dx = copy_of(2 * n, dx);
        for (size_t i = 0; i < n; i++) {
            size_t at = i / c * 2 * c + i % c;
            double a = x[at], g = x[at + c], bell = 0.39894228040143267794 * exp(-0.5 * g * g);
            want_dx[at] = (real)((add ? dx[at] : 0) + dy[i] * g * phi(g));
            want_dx[at + c] = (real)((add ? dx[at + c] : 0) + dy[i] * a * (phi(g) + g * bell));
        }
        k_geglu_back(rows, c, x, dy, dx, add);
        agree(2 * n, dx, want_dx, 10 * tolerance, "gradient of geglu, %d rows of %d, add %d", rows,
              c, add);
    }
    free_arrays();
}

Test(kernels, geglu_and_its_gradient_agree) {
    for (int i = 0; i < SIZES; i++)
        for (int j = 0; j < SIZES; j++) check_geglu(sizes[i], sizes[j]);
    int rows = 60, c = 301;
    size_t n = (size_t)rows * c;
    real *x = random_range(2 * n, -3, 3), *dy = random_array(n), *y = array(n), *dx = array(2 * n);
    SAME_BITS_FOR_ANY_THREADS(n, y, k_geglu(rows, c, x, y));
    SAME_BITS_FOR_ANY_THREADS(2 * n, dx, k_geglu_back(rows, c, x, dy, dx, false));
}

/* ---- broadcasting ---------------------------------------------------------------------------- */

static size_t shape_length(const int s[4]) { return (size_t)s[0] * s[1] * s[2] * s[3]; }

static size_t broadcast_index(const int shape[4], const int own[4], size_t at) {
    size_t index = 0, step = 1;
    for (int axis = 3; axis >= 0; axis--) {
        index += (own[axis] > 1 ? at % shape[axis] : 0) * step;
        at /= shape[axis];
        step *= own[axis];
    }
    return index;
}

static void check_binary(int op, const int shape[4], const int a_shape[4], const int b_shape[4]) {
    size_t n = shape_length(shape), na = shape_length(a_shape), nb = shape_length(b_shape);
    real *a = random_range(na, 0.5, 2), *b = random_range(nb, 0.5, 2), *dy = random_array(n),
         *y = array(n), *want = array(n);
    k_binary(op, shape, a, a_shape, b, b_shape, y);
    k_binary_ref(op, shape, a, a_shape, b, b_shape, want);
    char t[160];
    snprintf(t, sizeof t, "op %d, (%d,%d,%d,%d) with (%d,%d,%d,%d)", op, a_shape[0], a_shape[1],
             a_shape[2], a_shape[3], b_shape[0], b_shape[1], b_shape[2], b_shape[3]);
    agree(n, y, want, tolerance, "%s", t);
    for (int add = 0; add < 2; add++) {
        real *da = random_array(na), *db = random_array(nb), *want_a = array(na),
             *want_b = array(nb);
        double *sum = calloc(na + nb, sizeof *sum);
        for (size_t i = 0; i < n; i++) {
            size_t ia = broadcast_index(shape, a_shape, i), ib = broadcast_index(shape, b_shape, i);
            double p = a[ia], q = b[ib];
            sum[ia] += dy[i] * (op == BINARY_MUL ? q : op == BINARY_DIV ? 1 / q : 1);
            sum[na + ib] += dy[i] * (op == BINARY_ADD   ? 1
                                     : op == BINARY_SUB ? -1
                                     : op == BINARY_MUL ? p
                                                        : -p / (q * q));
        }
        for (size_t i = 0; i < na; i++) want_a[i] = (real)(sum[i] + (add ? da[i] : 0));
        for (size_t i = 0; i < nb; i++) want_b[i] = (real)(sum[na + i] + (add ? db[i] : 0));
        free(sum);
        k_binary_back_a(op, shape, a, a_shape, b, b_shape, dy, da, add);
        k_binary_back_b(op, shape, a, a_shape, b, b_shape, dy, db, add);
        agree(na, da, want_a, 10 * tolerance, "gradient of a, add %d, %s", add, t);
        agree(nb, db, want_b, 10 * tolerance, "gradient of b, add %d, %s", add, t);
    }
    free_arrays();
}

Test(kernels, broadcasting_agrees_for_every_pattern_of_repeated_axes) {
    const int full[][4] = {{2, 3, 4, 5}, {3, 2, 9, 17}, {1, 5, 1, 8}};
    for (int op = BINARY_ADD; op <= BINARY_DIV; op++)
        for (int k = 0; k < 3; k++)
            for (int pattern = 0; pattern < 256; pattern += 1 + (k > 0) * 6) {
                int a[4], b[4], shape[4];
                for (int axis = 0; axis < 4; axis++) {
                    a[axis] = pattern >> axis & 1 ? 1 : full[k][axis];
                    b[axis] = pattern >> (axis + 4) & 1 ? 1 : full[k][axis];
                    shape[axis] = a[axis] > b[axis] ? a[axis] : b[axis];
                }
                check_binary(op, shape, a, b);
            }
}

Test(kernels, broadcasting_agrees_on_long_rows_and_many_rows) {
    check_binary(BINARY_MUL, (int[]){1, 1, 3, 9000}, (int[]){1, 1, 3, 9000},
                 (int[]){1, 1, 1, 9000});
    check_binary(BINARY_DIV, (int[]){1, 1, 3, 9000}, (int[]){1, 1, 3, 9000}, (int[]){1, 1, 3, 1});
    check_binary(BINARY_ADD, (int[]){1, 1, 3000, 5}, (int[]){1, 1, 3000, 5}, (int[]){1, 1, 1, 5});
    check_binary(BINARY_ADD, (int[]){4, 30, 30, 8}, (int[]){4, 30, 30, 8}, (int[]){4, 1, 1, 8});
    check_binary(BINARY_SUB, (int[]){1, 1, 1, 20000}, (int[]){1, 1, 1, 20000}, (int[]){1, 1, 1, 1});
    check_binary(BINARY_MUL, (int[]){1, 1, 1, 20000}, (int[]){1, 1, 1, 20000},
                 (int[]){1, 1, 1, 20000});
}

Test(kernels, gradients_of_equal_shapes_may_be_written_over_dy) {
    const int shape[4] = {1, 2, 3, 7};
    for (int op = BINARY_ADD; op <= BINARY_DIV; op++) {
        real *a = random_range(42, 1, 2), *b = random_range(42, 1, 2), *dy = random_array(42),
             *d = array(42);
        k_binary_back_a(op, shape, a, shape, b, shape, dy, d, false);
        real *over = copy_of(42, dy);
        k_binary_back_a(op, shape, a, shape, b, shape, over, over, false);
        agree(42, over, d, 0, "gradient of a, op %d", op);
        k_binary_back_b(op, shape, a, shape, b, shape, dy, d, false);
        k_binary_back_b(op, shape, a, shape, b, shape, dy, dy, false);
        agree(42, dy, d, 0, "gradient of b, op %d", op);
    }
}

Test(kernels, broadcasting_gives_the_same_bits_for_any_number_of_threads) {
    const int s[4] = {4, 25, 30, 16}, c[4] = {1, 1, 1, 16}, t[4] = {4, 1, 1, 16},
              one[4] = {1, 1, 1, 1};
    const int *shapes[] = {s, c, t, one};
    size_t n = shape_length(s);
    real *a = random_range(n, 1, 2), *b = random_range(n, 1, 2), *dy = random_array(n),
         *y = array(n), *d = array(n);
    for (int op = BINARY_ADD; op <= BINARY_DIV; op++)
        for (int i = 0; i < 4; i++) {
            size_t m = shape_length(shapes[i]);
            SAME_BITS_FOR_ANY_THREADS(n, y, k_binary(op, s, a, s, b, shapes[i], y));
            SAME_BITS_FOR_ANY_THREADS(n, d,
                                      k_binary_back_a(op, s, a, s, b, shapes[i], dy, d, false));
            SAME_BITS_FOR_ANY_THREADS(m, d,
                                      k_binary_back_b(op, s, a, s, b, shapes[i], dy, d, false));
        }
}

Test(kernels, filling_scaling_and_averaging_do_what_they_say) {
    for (int i = 0; i < SIZES + 1; i++) {
        size_t n = i < SIZES ? (size_t)sizes[i] : 20001;
        real *x = random_array(n), *y = random_array(n), *want = array(n), *start = copy_of(n, y);
        for (size_t j = 0; j < n; j++) want[j] = start[j] + 3 * x[j];
        k_axpy(n, 3, x, y, true);
        agree(n, y, want, tolerance, "y + 3x of %zu", n);
        for (size_t j = 0; j < n; j++) want[j] = 3 * x[j];
        k_axpy(n, 3, x, y, false);
        agree(n, y, want, tolerance, "3x of %zu", n);
        memcpy(y, start, n * sizeof(real));
        for (size_t j = 0; j < n; j++) want[j] = start[j] + (real)0.25 * (x[j] - start[j]);
        k_lerp(n, (real)0.25, x, y);
        agree(n, y, want, tolerance, "average of %zu", n);
        k_axpy(n, 2, x, x, false);
        k_fill(n, 7, y);
        for (size_t j = 0; j < n; j++) cr_assert(y[j] == 7);
        free_arrays();
    }
    real *x = random_array(50000), *y = array(50000);
    SAME_BITS_FOR_ANY_THREADS(
        50000, y, (k_fill(50000, 2, y), k_axpy(50000, 3, x, y, true), k_lerp(50000, 1, x, y)));
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

/* ---- softmax and losses ---------------------------------------------------------------------- */

Test(kernels, softmax_its_logarithm_and_their_gradients_agree) {
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

Test(kernels, softmax_survives_extreme_values) {
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

Test(kernels, cross_entropy_leaves_out_rows_without_target) {
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

Test(kernels, softmax_and_losses_give_the_same_bits_for_any_number_of_threads) {
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
        for (int j = 0; j < d; j++) cr_assert(dtable[3 * d + j] == 0, "row 3 belongs to no index");
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

/* ---- random numbers -------------------------------------------------------------------------- */

static void check_philox(const uint32_t counter[4], const uint32_t key[2], const uint32_t want[4]) {
    uint32_t got[4];
    philox_ref(counter, key, got);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(got[i], want[i], "word %d is %08x, expected %08x", i, got[i], want[i]);
}

/* Do the numbers equal those of the authors' own library, Random123? */
Test(kernels, philox_gives_the_published_known_answers) {
    check_philox((uint32_t[4]){0, 0, 0, 0}, (uint32_t[2]){0, 0},
                 (uint32_t[4]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    check_philox((uint32_t[4]){~0u, ~0u, ~0u, ~0u}, (uint32_t[2]){~0u, ~0u},
                 (uint32_t[4]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    check_philox((uint32_t[4]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                 (uint32_t[2]){0xa4093822, 0x299f31d0},
                 (uint32_t[4]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

Test(kernels, random_bits_are_blocks_of_philox) {
    Rng r = {0x123456789abcdef0, 0xfedcba9876543210, 0x3fffffffc};    /* the block number carries */
    Rng s = r;
    uint32_t bits[100], want[4];
    rng_bits(&r, 100, bits);
    for (int i = 0; i < 100; i++) {
        uint64_t block = (s.next + i) / 4;
        philox_ref((uint32_t[4]){(uint32_t)block, (uint32_t)(block >> 32), 0x76543210, 0xfedcba98},
                   (uint32_t[2]){0x9abcdef0, 0x12345678}, want);
        cr_assert_eq(bits[i], want[(s.next + i) % 4], "word %d", i);
    }
}

Test(kernels, random_numbers_depend_on_their_index_only) {
    uint32_t all[1000], part[1000];
    Rng r = rng_new(7, "noise"), s = r;
    rng_bits(&r, 1000, all);
    cr_assert_eq(r.next, 1000u);
    for (size_t done = 0, n = 1; done < 1000; done += n, n = n * 2 + 1) {
        if (n > 1000 - done) n = 1000 - done;
        rng_bits(&s, n, part + done);
    }
    cr_assert(memcmp(all, part, sizeof all) == 0, "drawn in pieces they differ");
    cr_assert(rng_new(7, "data").stream != rng_new(7, "noise").stream);
    cr_assert(hash_name(1, "a") != hash_name(2, "a") && hash_name(1, "a") != hash_name(1, "b"));
}

Test(kernels, uniform_and_normal_numbers_have_the_right_moments) {
    enum { N = 400000 };
    real *x = array(N);
    Rng r = rng_new(3, "test");
    rng_uniform(&r, N, x);
    double mean = 0, square = 0;
    for (int i = 0; i < N; i++) {
        cr_assert(x[i] >= 0 && x[i] < 1);
        mean += x[i] / N;
        square += (double)x[i] * x[i] / N;
    }
    cr_assert(fabs(mean - 0.5) < 0.003 && fabs(square - 1 / 3.) < 0.003,
              "uniform: mean %g, E x^2 %g", mean, square);
    double moment[5] = {0};
    rng_normal(&r, N, x);
    for (int i = 0; i < N; i++)
        for (int k = 1; k < 5; k++) moment[k] += pow(x[i], k) / N;
    cr_assert(fabs(moment[1]) < 0.008 && fabs(moment[2] - 1) < 0.012 && fabs(moment[3]) < 0.03 &&
                  fabs(moment[4] - 3) < 0.08,
              "normal: moments %g %g %g %g", moment[1], moment[2], moment[3], moment[4]);
}

Test(kernels, normal_numbers_are_those_of_box_and_muller) {
    for (int i = 0; i < SIZES + 1; i++) {
        size_t n = i < SIZES ? (size_t)sizes[i] : 9001;
        Rng r = {5, 6, 3}, s = r;
        real *x = array(n), *want = array(n);
        uint32_t *bits = malloc((n + 1) * sizeof *bits);
        rng_normal(&r, n, x);
        rng_bits(&s, n + n % 2, bits);
        cr_assert_eq(r.next, s.next);
        for (size_t j = 0; j < n; j++) {
            double radius = sqrt(-2 * log(((bits[j & ~1ul] >> 1) + 0.5) * 0x1p-31));
            double angle = 6.28318530717958647693 * ((bits[j | 1] >> 1) * 0x1p-31);
            want[j] = (real)(radius * (j % 2 ? sin(angle) : cos(angle)));
        }
        agree(n, x, want, sizeof(real) == 4 ? 1e-5 : 1e-13, "%zu normal numbers", n);
        free(bits);
        free_arrays();
    }
}

Test(kernels, permutations_hold_every_index_once) {
    for (int i = 0; i < SIZES; i++) {
        int index[65], seen[65] = {0};
        Rng r = rng_new(i, "order");
        rng_permutation(&r, sizes[i], index);
        cr_assert_eq(r.next, (uint64_t)sizes[i]);
        for (int j = 0; j < sizes[i]; j++)
            cr_assert(index[j] >= 0 && index[j] < sizes[i] && !seen[index[j]]++);
    }
    Rng r = rng_new(1, "below");
    for (int i = 0; i < 1000; i++) cr_assert(rng_below(&r, 10) < 10);
    cr_assert_eq(r.next, 1000u);
}

Test(kernels, dropout_keeps_the_right_share_and_scales_it) {
    enum { N = 100000 };
    real *x = array(N), *y = array(N), *twice = array(N);
    for (int i = 0; i < N; i++) x[i] = 1;
    k_dropout(N, (real)0.25, 1, 2, 5, x, y, false);
    int kept = 0;
    for (int i = 0; i < N; i++) {
        cr_assert(y[i] == 0 || fabs((double)y[i] * 0.75 - 1) < 1e-6);
        kept += y[i] != 0;
    }
    cr_assert(abs(kept - N * 3 / 4) < 700, "%d of %d kept", kept, N);
    memcpy(twice, y, N * sizeof(real));
    k_dropout(N, (real)0.25, 1, 2, 5, x, twice, true);
    for (int i = 0; i < N; i++) cr_assert(twice[i] == 2 * y[i]);
    k_dropout(N - 3, (real)0.25, 1, 2, 8, x, twice, false);
    cr_assert(memcmp(twice, y + 3, (N - 3) * sizeof(real)) == 0, "counters shifted by three");
    SAME_BITS_FOR_ANY_THREADS(N, y, k_dropout(N, (real)0.25, 1, 2, 5, x, y, false));
}

Test(kernels, random_numbers_have_the_same_bits_for_any_number_of_threads) {
    size_t n = 30001;
    real *x = array(n);
    Rng r;
    SAME_BITS_FOR_ANY_THREADS(n, x, (r = rng_new(1, "a"), rng_uniform(&r, n, x)));
    SAME_BITS_FOR_ANY_THREADS(n, x, (r = rng_new(1, "a"), rng_normal(&r, n, x)));
}

/* ---- attention ------------------------------------------------------------------------------- */

typedef enum {
    MASK_NONE, MASK_CAUSAL, MASK_PAST, MASK_SHARED, MASK_PER_ITEM, MASK_BOTH, MASK_FORMS
} MaskForm;

/* Query 0 of a masked item sees nothing. */
static uint8_t *random_mask(int count, int nq, int nk) {
    uint8_t *mask = malloc((size_t)count * nq * nk);
    for (int i = 0; i < count * nq * nk; i++)
        mask[i] = i / nk % nq > 0 && random_between(0, 1) < 0.6;
    return mask;
}

static void check_attention(int b, int heads, int nq, int nk, int dk, int dv, MaskForm form) {
    AttentionShape s = {.b = b,
                        .heads = heads,
                        .nq = nq,
                        .nk = nk,
                        .dk = dk,
                        .dv = dv,
                        .ldq = heads * dk + 3,
                        .ldk = heads * dk + 5,
                        .ldv = heads * dv + 1,
                        .scale = (real)0.7,
                        .causal = form == MASK_CAUSAL || form == MASK_PAST || form == MASK_BOTH};
    int room = nk;
    if (form == MASK_PAST) {
        s.past = nk > nq ? nk - nq : 0;
        s.room = room = nk + 2;
    }
    uint8_t *mask = random_mask(b, nq, nk);
    if (form >= MASK_SHARED) s.mask = mask;
    if (form >= MASK_PER_ITEM) s.mask_stride = (size_t)nq * nk;
    size_t q_n = (size_t)b * nq * s.ldq, k_n = (size_t)b * room * s.ldk;
    size_t v_n = (size_t)b * room * s.ldv;
    size_t y_n = (size_t)b * nq * heads * dv, lse_n = (size_t)b * heads * nq;
    real *q = random_array(q_n), *k = random_array(k_n), *v = random_array(v_n),
         *dy = random_array(y_n);
    real *y = array(y_n), *lse = array(lse_n), *want_y = array(y_n), *want_lse = array(lse_n);
    char t[120];
    snprintf(t, sizeof t, "b %d heads %d nq %d nk %d dk %d dv %d mask form %d", b, heads, nq, nk,
             dk, dv, form);
    attention_forward(&s, q, k, v, y, lse);
    attention_forward_ref(&s, q, k, v, want_y, want_lse);
    agree(y_n, y, want_y, 2 * tolerance, "y, %s", t);
    agree(lse_n, lse, want_lse, 2 * tolerance, "lse, %s", t);
    for (int i = 0; form >= MASK_SHARED && i < heads * dv; i++)
        cr_assert(y[i] == 0, "query 0 sees nothing, %s", t);
    for (int add = 0; add < 2; add++) {
        real *dq = random_array(q_n), *dkey = random_array(k_n), *dval = random_array(v_n);
        real *want_q = copy_of(q_n, dq), *want_k = copy_of(k_n, dkey), *want_v = copy_of(v_n, dval);
        AttentionArrays a = {q, k, v, y, lse, dy}, want = {q, k, v, want_y, want_lse, dy};
        attention_backward(&s, &a, &(AttentionGradients){{dq, add}, {dkey, add}, {dval, add}});
        attention_backward_ref(&s, &want,
                               &(AttentionGradients){{want_q, add}, {want_k, add}, {want_v, add}});
        agree(q_n, dq, want_q, 10 * tolerance, "dq, add %d, %s", add, t);
        agree(k_n, dkey, want_k, 10 * tolerance, "dk, add %d, %s", add, t);
        agree(v_n, dval, want_v, 10 * tolerance, "dv, add %d, %s", add, t);
    }
    free(mask);
    free_arrays();
}

Test(kernels, attention_agrees_for_every_mask_and_every_size) {
    for (int form = 0; form < MASK_FORMS; form++)
        for (int i = 0; i < SIZES; i++)
            for (int j = 0; j < SIZES; j++)
                check_attention(2, 2, sizes[i], sizes[j], sizes[(i + j) % SIZES],
                                sizes[(i + 2 * j) % SIZES], form);
}

Test(kernels, attention_agrees_when_keys_pass_by_in_several_blocks) {
    for (int form = 0; form < MASK_FORMS; form++) {
        check_attention(1, 2, 70, 400, 16, 24, form);
        check_attention(1, 1, 196, 196, 32, 32, form);
        check_attention(2, 1, 3, 650, 8, 5, form);
        check_attention(1, 1, 400, 70, 8, 16, form);
        check_attention(3, 3, 2, 65, 17, 37, form);
        check_attention(1, 5, 1, 400, 32, 64, form);
    }
}

/* The largest scores come in the last block: everything summed before must be scaled down. */
Test(kernels, attention_survives_scores_that_grow_by_ten_thousand) {
    int n = 500;
    AttentionShape s = {.b = 1,
                        .heads = 1,
                        .nq = 3,
                        .nk = n,
                        .dk = 1,
                        .dv = 1,
                        .ldq = 1,
                        .ldk = 1,
                        .ldv = 1,
                        .scale = 1};
    real *q = array(3), *k = array(n), *v = random_array(n), *y = array(3), *lse = array(3),
         *want = array(3), *want_lse = array(3);
    q[0] = 1, q[1] = -1, q[2] = 0;
    for (int i = 0; i < n; i++) k[i] = (real)(i * 20);
    attention_forward(&s, q, k, v, y, lse);
    attention_forward_ref(&s, q, k, v, want, want_lse);
    agree(3, y, want, tolerance, "y");
    agree(3, lse, want_lse, tolerance, "lse");
}

Test(kernels, attention_gives_the_same_bits_for_any_number_of_threads) {
    for (int b = 1; b < 4; b += 2) {
        AttentionShape s = {.b = b,
                            .heads = 2,
                            .nq = 100,
                            .nk = 230,
                            .dk = 17,
                            .dv = 16,
                            .ldq = 34,
                            .ldk = 34,
                            .ldv = 32,
                            .scale = 1};
        size_t y_n = (size_t)b * 100 * 32, q_n = (size_t)b * 100 * 34, k_n = (size_t)b * 230 * 34,
               v_n = (size_t)b * 230 * 32;
        real *q = random_array(q_n), *k = random_array(k_n), *v = random_array(v_n),
             *dy = random_array(y_n);
        real *y = array(y_n), *lse = array(b * 200), *dq = array(q_n), *dk = array(k_n),
             *dv = array(v_n);
        SAME_BITS_FOR_ANY_THREADS(y_n, y, attention_forward(&s, q, k, v, y, lse));
        AttentionShape few = s;
        few.nq = 2;
        size_t few_n = (size_t)b * 2 * 32;
        SAME_BITS_FOR_ANY_THREADS(few_n, y, attention_forward(&few, q, k, v, y, lse));
        attention_forward(&s, q, k, v, y, lse);
        AttentionArrays a = {q, k, v, y, lse, dy};
        AttentionGradients d = {{dq, false}, {dk, false}, {dv, false}};
        SAME_BITS_FOR_ANY_THREADS(q_n, dq, attention_backward(&s, &a, &d));
        SAME_BITS_FOR_ANY_THREADS(k_n, dk, attention_backward(&s, &a, &d));
        SAME_BITS_FOR_ANY_THREADS(v_n, dv, attention_backward(&s, &a, &d));
        free_arrays();
    }
}
