#include "parzen.h"

#include <math.h>
#include <stdio.h>

enum { ROWS = 100, WIDTHS = 10 };
static const double two_pi = 6.28318530717958647692;

/* log of the mean over j of exp(-distance_j / 2 sigma^2), the largest term taken out */
static double log_mean(int m, const real *distance, double sigma) {
    double nearest = (double)distance[0], sum = 0, scale = 1 / (2 * sigma * sigma);
    for (int j = 1; j < m; j++) nearest = fmin(nearest, (double)distance[j]);
    for (int j = 0; j < m; j++) sum += exp((nearest - (double)distance[j]) * scale);
    return log(sum / m) - nearest * scale;
}

/* distance (n,m) = |x|^2 + |s|^2 - 2 x s^T */
static void squared_distances(int d, int m, const real *samples, const real *sizes, int n,
                              const real *x, real *distance) {
    gemm(&(GemmShape){.tb = true, .m = n, .n = m, .k = d}, x, samples, NULL, distance, false);
    for (int i = 0; i < n; i++) {
        real own = (real)k_sum_squares((size_t)d, x + (size_t)i * (size_t)d);
        real *row = distance + (size_t)i * (size_t)m;
        for (int j = 0; j < m; j++) row[j] = own + sizes[j] - 2 * row[j];
    }
}

void parzen_log_likelihood(int d, int m, const real *samples, int n, const real *x, int widths,
                           const double *sigma, double *log_p) {
    Arena arena = {0};
    real *sizes = arena_get(&arena, (size_t)m * sizeof *sizes);
    real *distance = arena_get(&arena, ROWS * (size_t)m * sizeof *distance);
    for (int j = 0; j < m; j++)
        sizes[j] = (real)k_sum_squares((size_t)d, samples + (size_t)j * (size_t)d);
    for (int first = 0; first < n; first += ROWS) {
        int rows = n - first < ROWS ? n - first : ROWS;
        squared_distances(d, m, samples, sizes, rows, x + (size_t)first * (size_t)d, distance);
        for (int i = 0; i < rows; i++)
            for (int k = 0; k < widths; k++)
                log_p[(first + i) * widths + k] =
                    log_mean(m, distance + (size_t)i * (size_t)m, sigma[k]) -
                    0.5 * d * log(two_pi * sigma[k] * sigma[k]);
    }
    arena_free(&arena);
}

Parzen parzen_estimate(int d, int m, const real *samples, int nv, const real *validation, int nt,
                       const real *test) {
    Arena arena = {0};
    double sigma[WIDTHS], *fit = arena_get(&arena, (size_t)nv * WIDTHS * sizeof *fit);
    double *log_p = arena_get(&arena, (size_t)nt * sizeof *log_p), best = -INFINITY;
    Parzen p = {0};
    for (int k = 0; k < WIDTHS; k++) sigma[k] = pow(10, (double)k / (WIDTHS - 1) - 1);
    parzen_log_likelihood(d, m, samples, nv, validation, WIDTHS, sigma, fit);
    for (int k = 0; k < WIDTHS; k++) {
        double sum = 0;
        for (int i = 0; i < nv; i++) sum += fit[i * WIDTHS + k];
        if (sum > best) best = sum, p.sigma = sigma[k];
    }
    parzen_log_likelihood(d, m, samples, nt, test, 1, &p.sigma, log_p);
    double squares = 0;
    for (int i = 0; i < nt; i++) p.mean += log_p[i] / nt;
    for (int i = 0; i < nt; i++) squares += (log_p[i] - p.mean) * (log_p[i] - p.mean);
    p.standard_error = sqrt(squares / nt / nt);
    arena_free(&arena);
    return p;
}

void report_parzen(const Fashion *data, int n, const real *samples, bool quiet, cJSON *metrics) {
    const Images *test = &data->test;
    int pixels = test->height * test->width;
    int nv = data->validation.count < 1000 ? data->validation.count : 1000;
    Arena arena = {0};
    Parzen p = parzen_estimate(pixels, n, samples, nv,
                               images_new(&arena, &data->validation, nv, 0, 1, NULL), test->count,
                               images_new(&arena, test, test->count, 0, 1, NULL));
    arena_free(&arena);
    if (!quiet)
        printf("\nParzen windows of width %.3f: %.1f +- %.1f nats per test image\n", p.sigma, p.mean,
               p.standard_error);
    json_number(metrics, "parzen_sigma", p.sigma);
    json_number(metrics, "parzen_nats_per_image", p.mean);
    json_number(metrics, "parzen_standard_error", p.standard_error);
}
