#include "testing.h"
#include "base/file.h"
#include "base/sanitize.h"

#include <criterion/hooks.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* A test without a limit of its own would never end: Criterion's --timeout only shortens those that
 * there are. */
ReportHook(PRE_ALL)(struct criterion_test_set *all) {
    enum { SECONDS = 600 };
    FOREACH_SET(struct criterion_suite_set *suite, all->suites) {
        if (!suite->tests) continue;             /* a suite that is declared and has none */
        FOREACH_SET(struct criterion_test *test, suite->tests)
            if (test->data->timeout == 0) test->data->timeout = SECONDS;
    }
}

/* ---- folders --------------------------------------------------------------------------------- */

static char temporary_folders[64][32];
static int temporary_count;
static pid_t temporary_owner;

static void remove_folder(const char *path) {
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)); ) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char *inner = path_join(path, e->d_name);
        if (remove(inner)) remove_folder(inner);
        free(inner);
    }
    if (d) closedir(d);
    remove(path);
}

static void remove_temporary_folders(void) {
    if (getpid() != temporary_owner) return;          /* the test goes on in the parent */
    for (int i = 0; i < temporary_count; i++) remove_folder(temporary_folders[i]);
}

char *temporary_folder(void) {
    cr_assert_lt(temporary_count, (int)(sizeof temporary_folders / sizeof *temporary_folders));
    char *path = temporary_folders[temporary_count++];
    strcpy(path, "/tmp/chapters-test-XXXXXX");
    cr_assert_not_null(mkdtemp(path));
    if (temporary_count == 1) atexit(remove_temporary_folders);
    temporary_owner = getpid();
    return path;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void record_margin(const char *where, int line, double error, double tolerance) {
    const char *path = getenv("MARGINS");
    FILE *f = path ? fopen(path, "a") : NULL;
    const char *precision = sizeof(real) == 8 ? "double" : "float";
    if (f) fprintf(f, "%s\t%s\t%s:%d\t%g\t%g\n", precision, criterion_current_test->name, where,
                   line, error, tolerance);
    if (f) fclose(f);
}

bool is_near(const char *where, int line, double error, double tolerance) {
    record_margin(where, line, error, tolerance);
    if (error <= tolerance) return true;
    fprintf(stderr, "%s:%d: off by %g, allowed %g\n", where, line, error, tolerance);
    return false;
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

/* The loss's slope along a direction, v[0..n-1] from x[0] on. Four points, error O(h^4): h can be
 * large enough for the loss's own rounding not to matter. */
static double central_difference(size_t n, real *x, const real *v, double h, Tape *t,
                                 Tensor *(*loss)(Tape *, void *), void *context) {
    static const double offset[4] = {-2, -1, 1, 2},
                        weight[4] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12};
    real *kept = malloc(n * sizeof *kept);
    double slope = 0;
    memcpy(kept, x, n * sizeof *kept);
    for (int i = 0; i < 4; i++) {
        for (size_t k = 0; k < n; k++) x[k] = kept[k] + (real)(offset[i] * h) * v[k];
        slope += weight[i] * value_of(t, loss, context) / h;
    }
    memcpy(x, kept, n * sizeof *kept);
    free(kept);
    return slope;
}

/* ---- which entries are compared -------------------------------------------------------------- */

enum { SMALL_AXIS = 16 };

/* All if `samples` is 0 or not fewer, else as many as were asked for, and at least as many as either
 * of the last two axes has places if it is a small one. */
static size_t sample_count(const Tensor *w, int samples) {
    size_t n = (size_t)samples;
    if (!samples) return w->len;
    for (int i = w->rank - 1; i >= 0 && i >= w->rank - 2; i--) {
        size_t places = (size_t)w->shape[i];
        if (places <= SMALL_AXIS && places > n) n = places;
    }
    return n < w->len ? n : w->len;
}

/* Along each axis its places come in a hashed order, and again in another one when all have come. So
 * no axis has a place that is left out while another comes twice, and no two axes go in step. */
size_t *sampled_entries(const Tensor *w, int samples, size_t *count) {
    size_t n = *count = sample_count(w, samples), *entry = calloc(n, sizeof *entry);
    Rng r = rng_new(1, w->name);
    for (size_t i = 0; i < n && n == w->len; i++) entry[i] = i;
    for (int axis = 0; axis < w->rank && n < w->len; axis++) {
        int places = w->shape[axis], *order = malloc((size_t)places * sizeof *order);
        for (size_t i = 0; i < n; i++) {
            if (i % (size_t)places == 0) rng_permutation(&r, places, order);
            entry[i] = entry[i] * (size_t)places + (size_t)order[i % (size_t)places];
        }
        free(order);
    }
    return entry;
}

/* ---- gradients ------------------------------------------------------------------------------- */

/* is w one of the names, or parts of names, in `list`? */
static bool is_listed(const char *name, const char *list) {
    char part[80];
    for (int used; list && sscanf(list, "%79s%n", part, &used) == 1; list += used)
        if (strstr(name, part)) return true;
    return false;
}

/* Norms of the differences, and of both gradients together */
typedef struct {
    double difference, size;
} Norms;

static void add_to_norms(Norms *norms, double g, double d) {
    norms->difference = hypot(norms->difference, g - d);
    norms->size = hypot(norms->size, hypot(g, d));
}

/* A wrong entry anywhere tells in the slope along a direction in which every entry takes part. It is
 * as long as that of one entry, and its slope about as steep. */
static void compare_direction(Norms *norms, Tensor *w, Tape *t, Tensor *(*loss)(Tape *, void *),
                              void *context, double h) {
    real *v = malloc(w->len * sizeof *v);
    double along = 0;
    test_values(w->name, -1, 1, w->len, v);
    for (size_t i = 0; i < w->len; i++) {
        v[i] = (real)copysign(1 / sqrt((double)w->len), (double)v[i]);
        along += w->has_grad ? (double)w->g[i] * (double)v[i] : 0;
    }
    add_to_norms(norms, along, central_difference(w->len, w->x, v, h, t, loss, context));
    free(v);
}

static Norms compare_gradient(Tensor *w, Tensor *(*loss)(Tape *, void *), void *context,
                              GradientCheck c) {
    static const real one = 1;
    Tape values = {.no_grad = true};
    size_t n, *entry = sampled_entries(w, c.samples, &n);
    Norms norms = {0};
    for (size_t i = 0; i < n; i++) {
        double g = w->has_grad ? (double)w->g[entry[i]] : 0;
        add_to_norms(&norms, g,
                     central_difference(1, w->x + entry[i], &one, c.h, &values, loss, context));
    }
    if (n < w->len) compare_direction(&norms, w, &values, loss, context, c.h);
    free(entry);
    tape_free(&values);
    return norms;
}

double gradient_error_of(Params *p, Tensor *(*loss)(Tape *, void *), void *context,
                         GradientCheck c) {
    const double too_small = 1e-8;
    Tape t = {0};
    double worst = 0;
    params_zero_grad(p);
    backward(loss(&t, context));
    for (int k = 0; k < p->count; k++) {
        Tensor *w = p->list[k];
        if (!w->wants_grad) continue;
        Norms n = compare_gradient(w, loss, context, c);
        bool zero = is_listed(w->name, c.zero);
        /* of a gradient that is zero by mathematics the rounding of differences is left, 1e-10 */
        double error = zero ? 100 * n.size : n.size > too_small ? n.difference / n.size : INFINITY;
        if (!zero) record_margin("gradient_error", 0, error, GRADIENT_TOLERANCE);
        if (!(error < GRADIENT_TOLERANCE))
            fprintf(stderr, "gradient of %s: error %g, norm %g%s\n", w->name, error, n.size,
                    zero || n.size > too_small ? "" : ": too small to be compared");
        if (!(error <= worst)) worst = error;
    }
    tape_free(&t);
    return worst;
}

double gradient_error(Params *p, Tensor *(*loss)(Tape *, void *), void *context, int samples) {
    double h = sizeof(real) == sizeof(double) ? 1e-4 : 1.0 / 32;
    return gradient_error_of(p, loss, context, (GradientCheck){.samples = samples, .h = h});
}

double gradient_error_within(Params *p, Tensor *(*loss)(Tape *, void *), void *context,
                             int samples, double h) {
    return gradient_error_of(p, loss, context, (GradientCheck){.samples = samples, .h = h});
}

void move_param(Tensor *w, double by) {
    real *noise = malloc(w->len * sizeof *noise);
    test_values(w->name, -by, by, w->len, noise);
    for (size_t i = 0; i < w->len; i++) w->x[i] = (real)(float)(w->x[i] + noise[i]);
    free(noise);
}

void move_params(Params *p, double by) {
    for (int k = 0; k < p->count; k++) move_param(p->list[k], by);
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
