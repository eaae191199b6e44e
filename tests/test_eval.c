/* test_eval.c — the scores against closed forms, loops and LAPACKE. */
#include "eval/eigen.h"
#include "eval/likelihood.h"
#include "eval/scores.h"
#include "testing.h"

#include <lapacke.h>
#include <math.h>

SUITE(eval);

/* ---- eigenvalues ----------------------------------------------------------------------------- */

/* A v = lambda v, orthonormal v, falling lambda? */
Test(eval, jacobi_rotations_find_the_eigenvectors) {
    enum { N = 17 };
    double a[N * N], kept[N * N], values[N], v[N * N];
    real x[N * N];
    test_values("matrix", -1, 1, N * N, x);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            a[i * N + j] = kept[i * N + j] = (double)x[i * N + j] + (double)x[j * N + i];
    symmetric_eigen(N, a, values, v);
    for (int i = 0; i < N; i++) {
        cr_assert(i == 0 || values[i] <= values[i - 1]);
        for (int k = 0; k < N; k++) {
            double av = 0, dot = 0;
            for (int j = 0; j < N; j++) {
                av += kept[k * N + j] * v[i * N + j];
                dot += v[i * N + j] * v[k * N + j];
            }
            cr_assert_float_eq(av, values[i] * v[i * N + k], 1e-11);
            cr_assert_float_eq(dot, i == k, 1e-12);
        }
    }
}

/* ---- Frechet distance ------------------------------------------------------------------------ */

/* a Gaussian with these numbers, in memory of the arena */
static Gaussian gaussian(Arena *arena, int d, const double *mean, const double *covariance) {
    Gaussian g = {100, d, arena_get(arena, (size_t)d * sizeof(double)),
                  arena_get(arena, (size_t)(d * d) * sizeof(double))};
    memcpy(g.mean, mean, (size_t)d * sizeof(double));
    memcpy(g.covariance, covariance, (size_t)(d * d) * sizeof(double));
    return g;
}

/* n vectors whose entries are mixed, so that the covariance is not diagonal; `rank` of d
 * directions vary */
static real *mixed(Arena *arena, const char *name, int n, int d, int rank) {
    real *z = arena_get(arena, (size_t)(n * d) * sizeof *z);
    real *x = arena_get(arena, (size_t)(n * d) * sizeof *x);
    real *w = arena_get(arena, (size_t)(d * d) * sizeof *w);
    Rng rng = rng_new(5, name);
    rng_normal(&rng, (size_t)(n * d), z);
    rng_normal(&rng, (size_t)(d * d), w);
    for (int i = 0; i < d; i++) {
        for (int j = 0; j < d; j++) w[i * d + j] *= (real)(i < rank ? 1.0 / (1 + i) : 0);
    }
    gemm(&(GemmShape){.m = n, .n = d, .k = d}, z, w, NULL, x, false);
    return x;
}

/* are mean and covariance right far from the origin, where E[xx] - m m would lose all digits? */
Test(eval, covariance_is_accurate_far_from_the_origin) {
    Arena arena = {0};
    real x[4 * 2] = {10000, 1, 10001, 2, 10002, 3, 10003, 8};
    Gaussian g = gaussian_fit(&arena, 4, 2, x);
    double expected[4] = {5.0 / 3, 11.0 / 3, 11.0 / 3, 29.0 / 3};
    cr_assert_float_eq(g.mean[0], 10001.5, 1e-12);
    cr_assert_float_eq(g.mean[1], 3.5, 1e-12);
    for (int i = 0; i < 4; i++) cr_assert_float_eq(g.covariance[i], expected[i], 1e-12);
    arena_free(&arena);
}

enum { FORM = 3 };

/* covariances with the same eigenvectors: the distance is |m1-m2|^2 + sum (sqrt a - sqrt b)^2 */
static void check_closed_form(const double a[FORM], const double b[FORM], double tolerance) {
    Arena arena = {0};
    double m1[FORM] = {1, 2, 3}, m2[FORM] = {1, 0, 3.5}, expected = 4 + 0.25;
    double turn[FORM][FORM], s1[FORM * FORM] = {0}, s2[FORM * FORM] = {0};
    /* a rotation: Householder's reflection I - 2 u u^T / |u|^2 has orthonormal rows */
    double u[FORM] = {1, 2, -1};
    for (int i = 0; i < FORM; i++) {
        for (int j = 0; j < FORM; j++) turn[i][j] = (i == j) - 2 * u[i] * u[j] / 6;
    }
    for (int k = 0; k < FORM; k++) {
        expected += (sqrt(a[k]) - sqrt(b[k])) * (sqrt(a[k]) - sqrt(b[k]));
        for (int i = 0; i < FORM * FORM; i++) {
            s1[i] += a[k] * turn[k][i / FORM] * turn[k][i % FORM];
            s2[i] += b[k] * turn[k][i / FORM] * turn[k][i % FORM];
        }
    }
    Gaussian g1 = gaussian(&arena, FORM, m1, s1), g2 = gaussian(&arena, FORM, m2, s2);
    cr_expect_float_eq(frechet_distance(&g1, &g2), expected, tolerance);
    cr_expect_float_eq(frechet_distance(&g2, &g1), expected, tolerance);
    arena_free(&arena);
}

/* Rounding of 1e-15 in an eigenvalue that is 0 becomes 3e-8 in its root: where a direction does not
 * vary, no more digits are there. */
Test(eval, frechet_distance_has_its_closed_forms) {
    const double b[FORM] = {9, 0.25, 2};
    check_closed_form((double[]){4, 1, 0.5}, b, 1e-13);
    check_closed_form((double[]){4, 1, 0}, b, 9e-7);
}

/* the same formula with LAPACK's eigenvalues: root of S1 by dsyev, then dsyev of the product */
static double by_dsyev(const Gaussian *a, const Gaussian *b) {
    int d = a->d;
    Arena arena = {0};
    size_t bytes = (size_t)(d * d) * sizeof(double);
    double *v = arena_get(&arena, bytes), *w = arena_get(&arena, (size_t)d * sizeof(double));
    double *root = memset(arena_get(&arena, bytes), 0, bytes);
    double *half = memset(arena_get(&arena, bytes), 0, bytes);
    double *m = memset(arena_get(&arena, bytes), 0, bytes), distance = 0;
    memcpy(v, a->covariance, bytes);
    cr_assert_eq(LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', d, v, d, w), 0);
    for (int i = 0; i < d; i++) {
        for (int j = 0; j < d; j++) {
            for (int k = 0; k < d; k++) {
                root[i * d + j] += sqrt(fmax(w[k], 0)) * v[i * d + k] * v[j * d + k];
            }
        }
    }
    for (int i = 0; i < d * d; i++) {
        for (int k = 0; k < d; k++) half[i] += root[i / d * d + k] * b->covariance[k * d + i % d];
    }
    for (int i = 0; i < d * d; i++) {
        for (int k = 0; k < d; k++) m[i] += half[i / d * d + k] * root[k * d + i % d];
    }
    cr_assert_eq(LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'N', 'U', d, m, d, w), 0);
    for (int j = 0; j < d; j++) {
        distance += a->covariance[j * d + j] + b->covariance[j * d + j] - 2 * sqrt(fmax(w[j], 0)) +
                    (a->mean[j] - b->mean[j]) * (a->mean[j] - b->mean[j]);
    }
    arena_free(&arena);
    return distance;
}

/* another way: the eigenvalues of S1 S2 itself, a matrix that is not symmetric, by dgeev */
static double by_dgeev(const Gaussian *a, const Gaussian *b) {
    int d = a->d;
    Arena arena = {0};
    double *m = arena_get(&arena, (size_t)(d * d) * sizeof(double)), distance = 0;
    double *re = arena_get(&arena, (size_t)d * sizeof(double));
    double *im = arena_get(&arena, (size_t)d * sizeof(double));
    for (int i = 0; i < d * d; i++) {
        m[i] = 0;
        for (int k = 0; k < d; k++) {
            m[i] += a->covariance[i / d * d + k] * b->covariance[k * d + i % d];
        }
    }
    cr_assert_eq(LAPACKE_dgeev(LAPACK_ROW_MAJOR, 'N', 'N', d, m, d, re, im, NULL, d, NULL, d), 0);
    for (int j = 0; j < d; j++) {
        distance += a->covariance[j * d + j] + b->covariance[j * d + j] - 2 * sqrt(fmax(re[j], 0)) +
                    (a->mean[j] - b->mean[j]) * (a->mean[j] - b->mean[j]);
    }
    arena_free(&arena);
    return distance;
}

/* Features that are not numbers, as of a network that diverged: no distance, least of all 0? */
Test(eval, frechet_distance_of_what_is_no_number_is_no_number) {
    real x[30 * 2], y[30 * 2];
    Arena arena = {0};
    test_values("good", -1, 1, 60, x);
    test_values("bad", -1, 1, 60, y);
    y[7] = (real)NAN;
    Gaussian a = gaussian_fit(&arena, 30, 2, x), b = gaussian_fit(&arena, 30, 2, y);
    cr_assert(isnan(frechet_distance(&a, &b)));
    arena_free(&arena);
}

/* within 1e-6 of the covariance's trace of what LAPACK gives, for full and for singular
 * covariances (fewer vectors than dimensions; directions that do not vary); 0 to itself */
Test(eval, frechet_distance_agrees_with_lapack) {
    static const struct { int n, d, rank; } cases[] = {
        {500, 64, 64}, {200, 7, 7}, {40, 64, 64}, {300, 64, 20}, {100, 1, 1}, {300, 128, 128}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int n = cases[c].n, d = cases[c].d, rank = cases[c].rank;
        Arena arena = {0};
        Gaussian a = gaussian_fit(&arena, n, d, mixed(&arena, "a", n, d, rank));
        Gaussian b = gaussian_fit(&arena, n, d, mixed(&arena, "b", n, d, rank));
        double bound = 1e-6 * gaussian_trace(&a), ours = frechet_distance(&a, &b);
        cr_assert_float_eq(ours, by_dsyev(&a, &b), bound, "case %zu: %.10g, LAPACK %.10g", c, ours,
                           by_dsyev(&a, &b));
        bool singular = n <= d || rank < d;
        if (!singular) {
            cr_assert_float_eq(ours, by_dgeev(&a, &b), bound, "case %zu: %.10g, LAPACK %.10g", c,
                               ours, by_dgeev(&a, &b));
        }
        cr_assert(ours > 0.01 * gaussian_trace(&a), "case %zu: %g is no distance to test", c, ours);
        double self = frechet_distance(&a, &a);
        cr_assert(self >= 0 && self < bound, "case %zu: %g to itself", c, self);
        arena_free(&arena);
    }
}

/* ---- kernel distance ------------------------------------------------------------------------- */

static double cubic(int d, const real *a, const real *b) {
    double dot = 0;
    for (int i = 0; i < d; i++) dot += (double)a[i] * (double)b[i];
    return pow(dot / d + 1, 3);
}

/* the sums of the definition, at sizes that no block divides */
Test(eval, squared_discrepancy_is_its_definition) {
    enum { N = 131, M = 77, D = 5 };
    real x[N * D], y[M * D];
    double xx = 0, yy = 0, xy = 0;
    test_values("x", -1, 1, N * D, x);
    test_values("y", -0.5, 1.5, M * D, y);
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) xx += i == j ? 0 : cubic(D, x + i * D, x + j * D);
        for (int j = 0; j < M; j++) xy += cubic(D, x + i * D, y + j * D);
    }
    for (int i = 0; i < M; i++) {
        for (int j = 0; j < M; j++) yy += i == j ? 0 : cubic(D, y + i * D, y + j * D);
    }
    double expected = xx / (N * (N - 1)) + yy / (M * (M - 1)) - 2 * xy / (N * M);
    cr_assert_float_eq(squared_discrepancy(D, N, x, M, y), expected, 1e-5 * expected);
}

/* zero on average for two small sets from one distribution? The biased sum would be about
 * E k(x,x) / 10 = 0.8 here. */
Test(eval, kernel_distance_is_unbiased) {
    enum { N = 10, D = 4, TIMES = 2000 };
    real x[N * D], y[N * D];
    double sum = 0, squares = 0;
    Rng rng = rng_new(3, "unbiased");
    for (int t = 0; t < TIMES; t++) {
        rng_normal(&rng, N * D, x);
        rng_normal(&rng, N * D, y);
        double v = squared_discrepancy(D, N, x, N, y);
        sum += v, squares += v * v;
    }
    double mean = sum / TIMES, error = sqrt(squares / TIMES / TIMES);
    cr_assert(fabs(mean) < 4 * error && error < 0.05, "%g, standard error %g", mean, error);
}

/* of all vectors in one subset it is the discrepancy itself; subsets scatter; far sets are far */
Test(eval, kernel_distance_averages_over_subsets) {
    enum { N = 60, D = 3 };
    real x[N * D], y[N * D];
    test_values("x", -1, 1, N * D, x);
    test_values("y", 0, 2, N * D, y);
    Estimate all = kernel_distance(D, N, x, N, y, 3, N, 1);
    Estimate some = kernel_distance(D, N, x, N, y, 40, 20, 1);
    double whole = squared_discrepancy(D, N, x, N, y);
    cr_assert_float_eq(all.mean, whole, 1e-5);
    cr_assert(all.deviation < 1e-5 && some.deviation > 0.01);
    cr_assert_float_eq(some.mean, whole, 4 * some.deviation / sqrt(40));
}

/* ---- inception score ------------------------------------------------------------------------- */

Test(eval, inception_score_of_known_probabilities) {
    enum { N = 100, K = 10 };
    real certain[N * K] = {0}, undecided[N * K], one[N * K] = {0}, two[2 * 2] = {1, 0, 0.5, 0.5};
    for (int i = 0; i < N; i++) {
        certain[i * K + i * K / N] = 1;           /* sorted by class, as samples often are */
        one[i * K + 3] = 1;
        for (int k = 0; k < K; k++) undecided[i * K + k] = (real)0.1;
    }
    cr_assert_float_eq(inception_score(N, K, certain, 1, 1).mean, 10, 1e-9);
    cr_assert(inception_score(N, K, certain, 2, 1).mean > 9, "splits must be drawn at random");
    cr_assert_float_eq(inception_score(N, K, undecided, 10, 1).mean, 1, 1e-6);
    cr_assert_float_eq(inception_score(N, K, one, 10, 1).mean, 1, 1e-12);
    /* p = (3/4, 1/4): KL of (1,0) is ln 4/3, of (1/2,1/2) half of ln 2/3 + ln 2 */
    double kl = (log(4.0 / 3) + (log(2.0 / 3) + log(2)) / 2) / 2;
    cr_assert_float_eq(inception_score(2, 2, two, 1, 1).mean, exp(kl), 1e-12);
}

/* ---- precision and recall -------------------------------------------------------------------- */

static double squared_distance(int d, const real *a, const real *b) {
    double s = 0;
    for (int i = 0; i < d; i++) s += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return s;
}

static double plain_radius(int d, int n, const real *x, int i, int k) {
    double below = -1;
    for (int r = 0; r <= k; r++) {         /* the next larger, k + 1 times: the first is itself */
        double next = INFINITY;
        for (int j = 0; j < n; j++) {
            double s = squared_distance(d, x + i * d, x + j * d);
            if (s > below && s < next) next = s;
        }
        below = next;
    }
    return below;
}

/* against loops, at sizes that no block divides */
Test(eval, precision_recall_is_its_definition) {
    enum { N = 150, M = 131, D = 3, K = 3 };
    real x[N * D], y[M * D];
    Rng rng = rng_new(2, "regions");
    rng_normal(&rng, N * D, x);
    rng_normal(&rng, M * D, y);
    for (int i = 0; i < M * D; i++) y[i] = y[i] * (real)0.8 + (real)1.2;
    int precise = 0, recalled = 0, covered = 0;
    for (int j = 0; j < M; j++) {
        bool inside = false;
        for (int i = 0; i < N; i++) {
            inside |= squared_distance(D, x + i * D, y + j * D) <= plain_radius(D, N, x, i, K);
        }
        precise += inside;
    }
    for (int i = 0; i < N; i++) {
        bool inside = false, holds = false;
        for (int j = 0; j < M; j++) {
            double s = squared_distance(D, x + i * D, y + j * D);
            inside |= s <= plain_radius(D, M, y, j, K);
            holds |= s <= plain_radius(D, N, x, i, K);
        }
        recalled += inside;
        covered += holds;
    }
    PrecisionRecall p = precision_recall(D, N, x, M, y, K);
    cr_assert(precise > 0 && precise < M && recalled > 0 && recalled < N && covered > 0 &&
                  covered < N && covered != recalled,
              "%d, %d, %d test nothing", precise, recalled, covered);
    cr_assert_float_eq(p.precision, (double)precise / M, 1e-12);
    cr_assert_float_eq(p.recall, (double)recalled / N, 1e-12);
    cr_assert_float_eq(p.coverage, (double)covered / N, 1e-12);
}

/* one real vector repeated: every sample is real, and almost nothing is covered */
Test(eval, precision_is_fooled_by_one_good_picture) {
    enum { N = 200, D = 2 };
    real x[N * D], y[N * D];
    test_values("x", -1, 1, N * D, x);
    for (int i = 0; i < N * D; i++) y[i] = x[i % D];
    PrecisionRecall p = precision_recall(D, N, x, N, y, 3);
    cr_assert_eq(p.precision, 1);
    cr_assert(p.recall <= 1.0 / N && p.coverage < 0.1);
}

/* handed over in pieces: the same neighbours as by looking at all of them */
Test(eval, nearest_neighbours_are_found_across_pieces) {
    enum { N = 200, M = 70, D = 4, K = 3 };
    real x[N * D], y[M * D], distance[M * K];
    int index[M * K];
    test_values("x", -1, 1, N * D, x);
    test_values("y", -1, 1, M * D, y);
    for (int i = 0; i < N; i += 90) {
        int n = N - i < 90 ? N - i : 90;
        nearest_neighbours(D, M, y, n, x + i * D, i, K, index, distance);
    }
    for (int j = 0; j < M; j++) {
        for (int k = 0; k < K; k++) {
            double s = squared_distance(D, x + index[j * K + k] * D, y + j * D);
            int nearer = 0;
            for (int i = 0; i < N; i++) nearer += squared_distance(D, x + i * D, y + j * D) < s;
            cr_assert_eq(nearer, k, "query %d: neighbour %d has %d nearer ones", j, k, nearer);
        }
    }
}

/* ---- sharpness, likelihoods ------------------------------------------------------------------ */

Test(eval, sharpness_of_known_pictures) {
    real ramp[6 * 5], checks[6 * 5], both[2 * 6 * 5];
    for (int i = 0; i < 30; i++) {
        ramp[i] = (real)0.125 * (real)(i / 5) + (real)0.25 * (real)(i % 5);
        checks[i] = (i / 5 + i % 5) % 2;
    }
    cr_assert_float_eq(sharpness(1, 6, 5, ramp), 0, 1e-6);
    cr_assert_float_eq(sharpness(1, 6, 5, checks), 4, 1e-6);
    memcpy(both, ramp, sizeof ramp), memcpy(both + 30, checks, sizeof checks);
    cr_assert_float_eq(sharpness(2, 6, 5, both), 2, 1e-6);
}

/* a byte that may be anything costs 8 bits */
Test(eval, likelihoods_convert) {
    enum { D = 784 };
    cr_assert_float_eq(bits_per_dimension(D * log(256), D), 8, 1e-12);
}
