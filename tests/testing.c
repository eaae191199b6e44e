#include "testing.h"
#include "tensor/sanitize.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef SANITIZED
#include <sanitizer/lsan_interface.h>
#endif

void after_each_test(void) {
    const char *path = getenv("OPS_SEEN");
    FILE *f = path ? fopen(path, "a") : NULL;
    int n;
    const char *const *names = ops_seen(&n);
    for (int i = 0; f && i < n; i++) fprintf(f, "%s\n", names[i]);
    if (f) fclose(f);
#ifdef SANITIZED
    if (__lsan_do_recoverable_leak_check()) abort();
#endif
}

void test_values(const char *name, double low, double high, size_t n, real *x) {
    Rng r = rng_new(7, name);
    rng_uniform(&r, n, x);
    for (size_t i = 0; i < n; i++) x[i] = (real)(low + (high - low) * (double)x[i]);
}

static double value_of(Tape *t, Tensor *(*loss)(Tape *, void *), void *context) {
    tape_reset(t);
    return (double)loss(t, context)->x[0];
}

/* Four points, error O(h^4): h can be large enough for the loss's own rounding not to matter. */
static double central_difference(real *x, double h, Tape *t, Tensor *(*loss)(Tape *, void *),
                                 void *context) {
    static const double offset[4] = {-2, -1, 1, 2},
                        weight[4] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12};
    real kept = *x;
    double slope = 0;
    for (int i = 0; i < 4; i++) {
        *x = (real)((double)kept + offset[i] * h);
        slope += weight[i] * value_of(t, loss, context) / h;
    }
    *x = kept;
    return slope;
}

double gradient_error(Params *p, Tensor *(*loss)(Tape *, void *), void *context, int samples) {
    return gradient_error_within(p, loss, context, samples, 1e-4);
}

double gradient_error_within(Params *p, Tensor *(*loss)(Tape *, void *), void *context,
                             int samples, double h) {
    Tape t = {0}, values = {.no_grad = true};
    params_zero_grad(p);
    backward(loss(&t, context));
    double worst = 0;
    for (int k = 0; k < p->count; k++) {
        Tensor *w = p->list[k];
        if (!w->wants_grad) continue;
        size_t stride = samples && w->len > (size_t)samples ? w->len / (size_t)samples : 1;
        double difference = 0, size = 0;
        for (size_t i = 0; i < w->len; i += stride) {
            double g = w->has_grad ? (double)w->g[i] : 0,
                   n = central_difference(w->x + i, h, &values, loss, context);
            difference += (g - n) * (g - n);
            size += g * g + n * n;
        }
        /* a gradient that is zero by mathematics leaves only the rounding of the differences, about
         * 1e-10 */
        double error = size > 1e-16 ? sqrt(difference / size) : sqrt(difference);
        if (!(error < 1e-6)) fprintf(stderr, "gradient of %s: relative error %g\n", w->name, error);
        if (!(error <= worst)) worst = error;
    }
    tape_free(&t);
    tape_free(&values);
    return worst;
}

double log_normal_density(double x, double mean, double variance) {
    return -(x - mean) * (x - mean) / (2 * variance) - 0.5 * log(2 * M_PI * variance);
}

void posterior_by_bayes(double beta, double alpha_bar_before, double x0, double xt, double *mean,
                        double *variance) {
    enum { N = 200000 };
    static double logs[N + 1];
    double most = -INFINITY, sum = 0, sum1 = 0, sum2 = 0;
    for (int i = 0; i <= N; i++) {
        double x = -8 + 16.0 * i / N;
        logs[i] = log_normal_density(xt, sqrt(1 - beta) * x, beta) +
                  log_normal_density(x, sqrt(alpha_bar_before) * x0, 1 - alpha_bar_before);
        most = fmax(most, logs[i]);
    }
    for (int i = 0; i <= N; i++) {
        double x = -8 + 16.0 * i / N, p = exp(logs[i] - most);
        sum += p, sum1 += p * x, sum2 += p * x * x;
    }
    *mean = sum1 / sum;
    *variance = sum2 / sum - *mean * *mean;
}
