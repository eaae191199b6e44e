/* test_kernels.c — every kernel against its plain twin, or against a plain computation made here;
 * the same bits for any number of threads; values at the edges of what a float can hold.
 *
 * Arrays come from `array`: they begin at an odd address, so nothing may rely on alignment, and
 * end in a guard that is checked when the test ends. */
#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int sizes[] = {1, 7, 8, 9, 15, 16, 17, 63, 65};
enum { SIZES = sizeof sizes / sizeof *sizes, GUARD = 4 };
static const double tolerance = 40 * (double)REAL_EPS;

/* ---- arrays ------------------------------------------------------------------------------------- */

static struct { real *memory; size_t count; } arrays[256];
static int array_count;

static real *array(size_t count)
{
    real *memory = malloc((count + 1 + GUARD) * sizeof(real));
    for (int i = 0; i < GUARD; i++) memory[1 + count + i] = 12345;
    cr_assert(array_count < 256);
    arrays[array_count].memory = memory;
    arrays[array_count++].count = count;
    return memory + 1;
}

static void free_arrays(void)
{
    while (array_count > 0) {
        real *memory = arrays[--array_count].memory;
        for (int i = 0; i < GUARD; i++)
            cr_assert(memory[1 + arrays[array_count].count + i] == 12345,
                      "array of %zu was written beyond its end", arrays[array_count].count);
        free(memory);
    }
}

static uint32_t random_state = 1;

static real random_between(double low, double high)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (real)(low + (high - low) * (random_state >> 8) / 16777216.0);
}

static real *random_range(size_t count, double low, double high)
{
    real *x = array(count);
    for (size_t i = 0; i < count; i++) x[i] = random_between(low, high);
    return x;
}

static real *random_array(size_t count) { return random_range(count, -1, 1); }

static real *copy_of(size_t count, const real *x)
{
    real *y = array(count);
    memcpy(y, x, count * sizeof(real));
    return y;
}

/* |got - want| <= tol * max(1, |want|) for all; the rest of the arguments describe the case */
__attribute__((format(printf, 5, 6)))
static void agree(size_t n, const real *got, const real *want, double tol, const char *format, ...)
{
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        double e = got[i] == want[i] || (isnan(got[i]) && isnan(want[i])) ? 0
                 : fabs((double)got[i] - want[i]) / fmax(1, fabs((double)want[i]));
        if (!(e <= worst)) worst = isnan(e) ? INFINITY : e, at = i;
    }
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cr_assert(worst <= tol, "%s: element %zu of %zu is %.9g, expected %.9g: off by %.3g, allowed %.3g",
              text, at, n, n ? (double)got[at] : 0, n ? (double)want[at] : 0, worst, tol);
}

static void same_bits(size_t n, const real *a, const real *b, int threads, const char *text)
{
    for (size_t i = 0; i < n; i++)
        cr_assert(memcmp(a + i, b + i, sizeof(real)) == 0,
                  "%s: element %zu of %zu is %.9g with 1 thread and %.9g with %d", text, i, n,
                  (double)a[i], (double)b[i], threads);
}

/* Runs `call`, which must fill `out`, with 1, 2 and 3 threads. */
#define SAME_BITS_FOR_ANY_THREADS(n, out, call)                            \
    do {                                                                   \
        threads_set(1);                                                    \
        call;                                                              \
        real *first = copy_of(n, out);                                     \
        for (int threads = 2; threads <= 3; threads++) {                   \
            threads_set(threads);                                          \
            memset(out, 0x55, (n) * sizeof(real));                         \
            call;                                                          \
            same_bits(n, first, out, threads, #call);                      \
        }                                                                  \
        threads_set(2);                                                    \
    } while (0)

TestSuite(kernels, .fini = free_arrays, .timeout = 120);

/* ---- threads --------------------------------------------------------------------------------------- */

Test(kernels, thread_counts_are_kept_between_1_and_256)
{
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

/* ---- matrix products ----------------------------------------------------------------------------------- */

static void check_gemm(int form, int m, int n, int k, bool with_bias, bool add)
{
    bool ta = form & 1, tb = form & 2;
    int lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 2, ldc = n + 1;
    real *a = random_array((size_t)(ta ? k : m) * lda), *b = random_array((size_t)(tb ? n : k) * ldb);
    real *bias = with_bias ? random_array(n) : NULL, *c = random_array((size_t)m * ldc);
    real *want = copy_of((size_t)m * ldc, c);
    gemm_ref(ta, tb, m, n, k, a, lda, b, ldb, bias, want, ldc, add);
    gemm(ta, tb, m, n, k, a, lda, b, ldb, bias, c, ldc, add);
    agree((size_t)m * ldc, c, want, tolerance * sqrt(k + 1), "gemm ta %d tb %d m %d n %d k %d bias %d add %d",
          ta, tb, m, n, k, with_bias, add);
    free_arrays();
}

Test(kernels, gemm_multiplies_matrices_of_awkward_sizes_in_all_four_forms)
{
    for (int form = 0; form < 4; form++)
        for (int i = 0; i < SIZES; i++)
            for (int j = 0; j < SIZES; j++)
                for (int l = 0; l < SIZES; l++)
                    check_gemm(form, sizes[i], sizes[j], sizes[l], (i + j) % 2, (j + l) % 2);
}

Test(kernels, gemm_sums_over_long_axes_in_several_blocks)
{
    for (int form = 0; form < 4; form++) {
        check_gemm(form, 33, 50, 700, true, true);
        check_gemm(form, 5, 3, 1030, true, false);
        check_gemm(form, 200, 300, 257, false, false);
    }
}

Test(kernels, gemm_with_nothing_to_sum_gives_the_bias)
{
    for (int form = 0; form < 4; form++) {
        check_gemm(form, 5, 7, 0, true, false);
        check_gemm(form, 5, 7, 0, true, true);
        check_gemm(form, 5, 7, 0, false, false);
        check_gemm(form, 0, 7, 3, true, false);
        check_gemm(form, 5, 0, 3, true, false);
    }
}

Test(kernels, gemm_batched_equals_single_products)
{
    for (int form = 0; form < 4; form++)
        for (int add = 0; add < 2; add++)
            for (int i = 0; i < SIZES; i++) {
                bool ta = form & 1, tb = form & 2;
                int m = sizes[i], n = sizes[(i + 3) % SIZES], k = sizes[(i + 5) % SIZES], batch = 5;
                real *a = random_array(batch * m * k), *b = random_array(n * k);
                real *c = random_array(batch * m * n), *want = copy_of(batch * m * n, c);
                int lda = ta ? m : k, ldb = tb ? k : n;
                for (int l = 0; l < batch; l++)
                    gemm_ref(ta, tb, m, n, k, a + l * m * k, lda, b, ldb, NULL, want + l * m * n, n, add);
                gemm_batched(batch, ta, tb, m, n, k, a, lda, m * k, b, ldb, 0, c, n, m * n, add);
                agree(batch * m * n, c, want, tolerance * sqrt(k), "form %d m %d n %d k %d", form, m, n, k);
                free_arrays();
            }
}

Test(kernels, gemm_gives_the_same_bits_for_any_number_of_threads)
{
    int m = 150, n = 130, k = 600;
    real *a = random_array(m * k), *b = random_array(n * k), *c = array(m * n);
    for (int form = 0; form < 4; form++) {
        bool ta = form & 1, tb = form & 2;
        SAME_BITS_FOR_ANY_THREADS(m * n, c, gemm(ta, tb, m, n, k, a, ta ? m : k, b, tb ? k : n, NULL, c,
                                                 n, false));
        SAME_BITS_FOR_ANY_THREADS(m * n, c, gemm_batched(6, ta, tb, 25, n, 100, a, ta ? 25 : 100, 2500,
                                                         b, tb ? 100 : n, 0, c, n, 25 * n, false));
    }
}

/* ---- convolutions ------------------------------------------------------------------------------------------ */

static size_t x_count(const ConvShape *s) { return (size_t)s->b * s->h * s->w * s->ic; }
static size_t y_count(const ConvShape *s) { return (size_t)s->b * s->oh * s->ow * s->oc; }
static size_t w_count(const ConvShape *s) { return (size_t)s->kh * s->kw * s->ic * s->oc; }

static void check_conv(const ConvShape *s)
{
    char t[160];
    snprintf(t, sizeof t, "b %d h %d w %d ic %d oc %d kh %d kw %d stride %d pads %d %d oh %d ow %d", s->b, s->h,
             s->w, s->ic, s->oc, s->kh, s->kw, s->stride, s->pad_top, s->pad_left, s->oh, s->ow);
    real *x = random_array(x_count(s)), *w = random_array(w_count(s)), *bias = random_array(s->oc);
    real *dy = random_array(y_count(s)), *bias_x = random_array(s->ic);
    real *y = array(y_count(s)), *want_y = array(y_count(s));
    for (int i = 0; i < 2; i++) {
        conv2d_forward(s, x, w, i ? bias : NULL, y);
        conv2d_forward_ref(s, x, w, i ? bias : NULL, want_y);
        agree(y_count(s), y, want_y, 10 * tolerance, "forward, bias %d, %s", i, t);
        real *dx = random_array(x_count(s)), *want_dx = copy_of(x_count(s), dx);
        conv2d_backward_input(s, w, dy, i ? NULL : bias_x, dx, i);
        conv2d_backward_input_ref(s, w, dy, i ? NULL : bias_x, want_dx, i);
        agree(x_count(s), dx, want_dx, 10 * tolerance, "backward input, add %d, %s", i, t);
        real *dw = random_array(w_count(s)), *want_dw = copy_of(w_count(s), dw);
        conv2d_backward_weight(s, x, dy, dw, i);
        conv2d_backward_weight_ref(s, x, dy, want_dw, i);
        agree(w_count(s), dw, want_dw, 10 * tolerance, "backward weight, add %d, %s", i, t);
    }
    free_arrays();
}

Test(kernels, convolutions_agree_for_every_kernel_stride_and_padding)
{
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

Test(kernels, convolutions_agree_for_every_number_of_channels)
{
    const int channels[] = {1, 3, 5, 8, 16, 17, 33};
    for (int i = 0; i < 7; i++)
        for (int o = 0; o < 7; o++) {
            check_conv(&(ConvShape){3, 7, 7, channels[i], channels[o], 3, 3, 1, 1, 1, 7, 7});
            check_conv(&(ConvShape){2, 8, 6, channels[i], channels[o], 4, 4, 2, 1, 1, 4, 3});
            check_conv(&(ConvShape){2, 5, 3, channels[i], channels[o], 1, 1, 1, 0, 0, 5, 3});
        }
}

Test(kernels, convolutions_agree_on_single_pixels_many_images_and_large_images)
{
    check_conv(&(ConvShape){40, 1, 1, 5, 6, 1, 1, 1, 0, 0, 1, 1});
    check_conv(&(ConvShape){3, 1, 1, 5, 6, 3, 3, 1, 1, 1, 1, 1});
    check_conv(&(ConvShape){70, 4, 4, 6, 7, 3, 3, 1, 1, 1, 4, 4});
    check_conv(&(ConvShape){1, 70, 60, 18, 3, 3, 3, 1, 1, 1, 70, 60});
    check_conv(&(ConvShape){2, 60, 64, 20, 2, 4, 4, 2, 1, 1, 30, 32});
    check_conv(&(ConvShape){2, 3, 3, 2, 4, 2, 2, 3, 0, 0, 1, 1});
}

Test(kernels, convolutions_without_pixels_or_channels_do_nothing_wrong)
{
    check_conv(&(ConvShape){0, 4, 4, 3, 2, 3, 3, 1, 1, 1, 4, 4});
    check_conv(&(ConvShape){2, 4, 4, 0, 2, 3, 3, 1, 1, 1, 4, 4});
    check_conv(&(ConvShape){2, 4, 4, 3, 0, 3, 3, 1, 1, 1, 4, 4});
}

Test(kernels, convolutions_give_the_same_bits_for_any_number_of_threads)
{
    const ConvShape shapes[] = {{6, 14, 14, 17, 33, 3, 3, 1, 1, 1, 14, 14}, {5, 12, 12, 3, 16, 4, 4, 2, 1, 1, 6, 6},
                                {1, 64, 64, 16, 8, 3, 3, 1, 1, 1, 64, 64}, {40, 7, 7, 32, 1, 3, 3, 1, 1, 1, 7, 7}};
    for (int i = 0; i < 4; i++) {
        const ConvShape *s = shapes + i;
        real *x = random_array(x_count(s)), *w = random_array(w_count(s)), *dy = random_array(y_count(s));
        real *y = array(y_count(s)), *dx = array(x_count(s)), *dw = array(w_count(s));
        SAME_BITS_FOR_ANY_THREADS(y_count(s), y, conv2d_forward(s, x, w, NULL, y));
        SAME_BITS_FOR_ANY_THREADS(x_count(s), dx, conv2d_backward_input(s, w, dy, NULL, dx, false));
        SAME_BITS_FOR_ANY_THREADS(w_count(s), dw, conv2d_backward_weight(s, x, dy, dw, false));
        free_arrays();
    }
}
