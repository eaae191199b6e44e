/* test_elementwise.c — functions of one number and of two, repeated along axes, against a plain
 * computation; the same bits for any number of threads; values at the edges of what a float can
 * hold. */
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

TestSuite(elementwise, .fini = free_arrays);

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

Test(elementwise, functions_of_one_number_and_their_gradients_agree) {
    cr_assert_eq((int)UNARY, 17);
    for (int i = 0; i < UNARY; i++) {
        for (int j = 0; j < SIZES; j++) check_unary(unary + i, sizes[j]);
        check_unary(unary + i, 20001);
    }
}

Test(elementwise, functions_of_one_number_give_the_same_bits_for_any_number_of_threads) {
    size_t n = 30011;
    real *x = random_range(n, 0.01, 3), *dy = random_array(n), *y = array(n), *dx = array(n);
    for (int i = 0; i < UNARY; i++) {
        SAME_BITS_FOR_ANY_THREADS(n, y, unary[i].f(n, x, 1, 2, y));
        SAME_BITS_FOR_ANY_THREADS(n, dx, unary[i].back(n, x, y, 1, 2, dy, dx, false));
    }
}

/* What happens where a float ends? */
Test(elementwise, functions_of_one_number_survive_extreme_values) {
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
Test(elementwise, halves_are_widened_exactly) {
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

Test(elementwise, small_results_keep_their_relative_accuracy) {
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

Test(elementwise, geglu_and_its_gradient_agree) {
    for (int i = 0; i < SIZES; i++)
        for (int j = 0; j < SIZES; j++) check_geglu(sizes[i], sizes[j]);
    int rows = 60, c = 301;
    size_t n = (size_t)rows * c;
    real *x = random_range(2 * n, -3, 3), *dy = random_array(n), *y = array(n), *dx = array(2 * n);
    SAME_BITS_FOR_ANY_THREADS(n, y, k_geglu(rows, c, x, y));
    SAME_BITS_FOR_ANY_THREADS(2 * n, dx, k_geglu_back(rows, c, x, dy, dx, false));
}

/* ---- broadcasting ---------------------------------------------------------------------------- */

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

Test(elementwise, broadcasting_agrees_for_every_pattern_of_repeated_axes) {
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

Test(elementwise, broadcasting_agrees_on_long_rows_and_many_rows) {
    check_binary(BINARY_MUL, (int[]){1, 1, 3, 9000}, (int[]){1, 1, 3, 9000},
                 (int[]){1, 1, 1, 9000});
    check_binary(BINARY_DIV, (int[]){1, 1, 3, 9000}, (int[]){1, 1, 3, 9000}, (int[]){1, 1, 3, 1});
    check_binary(BINARY_ADD, (int[]){1, 1, 3000, 5}, (int[]){1, 1, 3000, 5}, (int[]){1, 1, 1, 5});
    check_binary(BINARY_ADD, (int[]){4, 30, 30, 8}, (int[]){4, 30, 30, 8}, (int[]){4, 1, 1, 8});
    check_binary(BINARY_SUB, (int[]){1, 1, 1, 20000}, (int[]){1, 1, 1, 20000}, (int[]){1, 1, 1, 1});
    check_binary(BINARY_MUL, (int[]){1, 1, 1, 20000}, (int[]){1, 1, 1, 20000},
                 (int[]){1, 1, 1, 20000});
}

Test(elementwise, gradients_of_equal_shapes_may_be_written_over_dy) {
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

Test(elementwise, broadcasting_gives_the_same_bits_for_any_number_of_threads) {
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

Test(elementwise, filling_scaling_and_averaging_do_what_they_say) {
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
