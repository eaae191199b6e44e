/* testing.h — what every test program shares.
 *
 * SUITE(name) declares a Criterion suite whose tests, when they end,
 *   - append the names of the ops they recorded to the file $OPS_SEEN, so that the runner can tell whether
 *     each op on any tape has a row in the gradient table;
 *   - fail on leaks in a sanitizer build (LeakSanitizer alone prints them and lets the test pass).
 * Comparisons of numbers go through is_near, which writes what they are off by to the file $MARGINS:
 * `make margins` shows how far each is from its tolerance.
 * It is linked into every program as testing.c. */
#ifndef TESTING_H
#define TESTING_H

#include "tensor/tensor.h"

#include <criterion/criterion.h>
#include <math.h>

void after_each_test(void);

/* Is the error within the tolerance? For the record, and on stderr if not. */
bool is_near(const char *where, int line, double error, double tolerance);

/* Criterion's, but recorded: |actual - expected| <= tolerance; a message may follow */
#undef cr_assert_float_eq
#undef cr_expect_float_eq
#define cr_assert_float_eq(actual, expected, tolerance, ...)                                  \
    cr_assert(is_near(__FILE__, __LINE__, fabs((double)(actual) - (double)(expected)),        \
                      (double)(tolerance)) __VA_OPT__(,) __VA_ARGS__)
#define cr_expect_float_eq(actual, expected, tolerance, ...)                                  \
    cr_expect(is_near(__FILE__, __LINE__, fabs((double)(actual) - (double)(expected)),        \
                      (double)(tolerance)) __VA_OPT__(,) __VA_ARGS__)

#define SUITE(name) TestSuite(name, .fini = after_each_test)

/* A new folder below /tmp, removed with what is in it when the test ends; its path is valid until
 * then. At most 64 in a test. */
char *temporary_folder(void);

/* n numbers in [low,high), the same for the same name */
void test_values(const char *name, double low, double high, size_t n, real *x);

/* How a gradient is compared with four-point central differences. */
typedef struct {
    /* Entries of a tensor that are compared; 0: all. They are spread so that each place of every
     * axis is among them, as far as they reach; of the last two axes (channels) all places are, if
     * there are at most 16, and more entries are taken for that. And all entries at once: along one
     * direction in which each takes part. */
    int samples;
    double h;                    /* the points are h and 2h away */
    const char *zero;            /* "a b": names with a or b in them have a gradient of 0 */
} GradientCheck;

/* which `count` entries of w are compared one by one; to be freed */
size_t *sampled_entries(const Tensor *w, int samples, size_t *count);

/* Largest relative error |numeric - g| / sqrt(numeric^2 + g^2), in norms over what is compared of a
 * tensor, between the gradients of loss(tape, context) with respect to each parameter of p and
 * their differences. Where these norms are below 1e-8 nothing can be compared: the error is
 * infinite, unless the gradient is said to be zero; then it is 100 times the norm. Meaningful in
 * double; see GRADIENT_TOLERANCE. */
double gradient_error_of(Params *p, Tensor *(*loss)(Tape *t, void *context), void *context,
                         GradientCheck c);
double gradient_error(Params *p, Tensor *(*loss)(Tape *t, void *context), void *context,
                      int samples);        /* h = 1e-4; in float 1/32 */
/* In float, a small smooth network's gradients show a wrong formula, and little else. */
#define GRADIENT_TOLERANCE (sizeof(real) == sizeof(double) ? 1e-6 : 0.01)
/* The same with another h: 1e-6 for networks with many rectifiers, so that hardly any of them
 * passes its kink between the four points; the loss must then be of the size of its gradients. */
double gradient_error_within(Params *p, Tensor *(*loss)(Tape *t, void *context), void *context,
                             int samples, double h);

/* Adds numbers in [-by,by), the same for the same name: away from first values, of which many are
 * 0, and whose gradients drown in rounding. The sums are floats, as an F32 file has them. */
void move_param(Tensor *w, double by);
void move_params(Params *p, double by);       /* all of them */

/* log N(x; mean, variance) */
double log_normal_density(double x, double mean, double variance);
/* Bayes' rule on a grid, for the posterior of a diffusion: mean and variance of
 * q(x_{t-1}|x_t,x0) ~ q(x_t|x_{t-1}) q(x_{t-1}|x0), with beta of step t and alpha_bar of t-1 */
void posterior_by_bayes(double beta, double alpha_bar_before, double x0, double xt, double *mean,
                        double *variance);

#endif
