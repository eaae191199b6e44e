#include "toy_score.h"

#include <math.h>
#include <string.h>

/* ---- the density ----------------------------------------------------------------------------- */

/* Two half circles of radius 1, hooked into one another, each a string of Gaussians so close that
 * they merge. */
enum { PER_MOON = 16, COMPONENTS = 2 * PER_MOON };
static const double pi = 3.14159265358979323846, width = 0.12;

static void centre(int k, double c[2]) {
    double a = pi * (k % PER_MOON + 0.5) / PER_MOON;
    bool upper = k < PER_MOON;
    c[0] = upper ? -0.5 + cos(a) : 0.5 - cos(a);
    c[1] = upper ? -0.25 + sin(a) : 0.25 - sin(a);
}

/* P(component | point) under the density blurred by sigma; returns log p_sigma of the point.
 * Exponents are taken relative to the largest, so that far points have a score too. */
static double responsibilities(double sigma, double x, double y, double share[COMPONENTS]) {
    double variance = width * width + sigma * sigma, largest = -INFINITY, sum = 0;
    for (int k = 0; k < COMPONENTS; k++) {
        double c[2];
        centre(k, c);
        share[k] = -((x - c[0]) * (x - c[0]) + (y - c[1]) * (y - c[1])) / (2 * variance);
        largest = fmax(largest, share[k]);
    }
    for (int k = 0; k < COMPONENTS; k++) sum += share[k] = exp(share[k] - largest);
    for (int k = 0; k < COMPONENTS; k++) share[k] /= sum;
    return largest + log(sum / COMPONENTS / (2 * pi * variance));
}

double moons_log_density(double sigma, double x, double y) {
    double share[COMPONENTS];
    return responsibilities(sigma, x, y, share);
}

void moons_score(double sigma, double x, double y, double score[2]) {
    double share[COMPONENTS], c[2], variance = width * width + sigma * sigma;
    responsibilities(sigma, x, y, share);
    score[0] = score[1] = 0;
    for (int k = 0; k < COMPONENTS; k++) {
        centre(k, c);
        score[0] += share[k] * (c[0] - x) / variance;
        score[1] += share[k] * (c[1] - y) / variance;
    }
}

void moons_draw(int n, Rng *rng, real *points) {
    rng_normal(rng, 2 * (size_t)n, points);
    for (int i = 0; i < n; i++) {
        double c[2];
        centre((int)rng_below(rng, COMPONENTS), c);
        points[2 * i] = (real)(c[0] + width * (double)points[2 * i]);
        points[2 * i + 1] = (real)(c[1] + width * (double)points[2 * i + 1]);
    }
}

int moon_of(double x, double y) {
    double share[COMPONENTS], first = 0;
    responsibilities(0, x, y, share);
    for (int k = 0; k < PER_MOON; k++) first += share[k];
    return first < 0.5;
}

/* Given the component, x is Gaussian, and so is x given x~: its mean divides the way from the
 * centre to x~ as width^2 to sigma^2. */
void best_reconstruction(double sigma, double x, double y, double r[2]) {
    double share[COMPONENTS], c[2], way = width * width / (width * width + sigma * sigma);
    responsibilities(sigma, x, y, share);
    r[0] = r[1] = 0;
    for (int k = 0; k < COMPONENTS; k++) {
        centre(k, c);
        r[0] += share[k] * (c[0] + way * (x - c[0]));
        r[1] += share[k] * (c[1] + way * (y - c[1]));
    }
}

/* ---- the network ----------------------------------------------------------------------------- */

void denoiser_start(Denoiser *d, double sigma, uint64_t seed) {
    enum { UNITS = 64 };
    *d = (Denoiser){.sigma = sigma, .params = {.seed = seed}, .adam = {ADAM_DEFAULTS},
                    .rng = rng_new(seed, "toy")};
    d->l[0] = linear_new(scope(&d->params, "0"), 2, UNITS, true);
    d->l[1] = linear_new(scope(&d->params, "1"), UNITS, UNITS, true);
    d->l[2] = linear_new(scope(&d->params, "2"), UNITS, 2, true);
}

void denoiser_free(Denoiser *d) {
    adam_free(&d->adam);
    params_free(&d->params);
    tape_free(&d->tape);
}

static Tensor *reconstruction(const Denoiser *d, Tensor *x) {
    Tensor *h = t_silu(linear(&d->l[0], x));
    h = t_silu(linear(&d->l[1], h));
    return t_add(x, t_scale(linear(&d->l[2], h), d->sigma));
}

static void add_noise(double sigma, size_t n, const real *x, Rng *rng, real *noisy) {
    rng_normal(rng, n, noisy);
    for (size_t i = 0; i < n; i++) noisy[i] = x[i] + (real)sigma * noisy[i];
}

double denoiser_step(Denoiser *d, int batch, double lr) {
    tape_reset(&d->tape);
    Tensor *x = t_input(&d->tape, NULL, SHAPE(batch, 2));
    Tensor *noisy = t_input(&d->tape, NULL, SHAPE(batch, 2));
    moons_draw(batch, &d->rng, x->x);
    add_noise(d->sigma, x->len, x->x, &d->rng, noisy->x);
    Tensor *loss = t_scale(t_mse(reconstruction(d, noisy), x), 1 / (d->sigma * d->sigma));
    params_zero_grad(&d->params);
    backward(loss);
    adam_step(&d->adam, &d->params, lr, 1);
    return (double)loss->x[0];
}

void denoiser_train(Denoiser *d, int steps, int batch, double lr) {
    double sum = 0;
    for (int step = 0; step < steps; step++) {
        double loss = denoiser_step(d, batch, lr * lr_cosine(step, 100, steps));
        if (step >= steps - steps / 5) sum += loss;        /* the last fifth */
    }
    d->residual = d->sigma * sqrt(sum / (steps / 5));
}

void denoiser_reconstruct(const Denoiser *d, int n, const real *points, real *r) {
    Tape t = {.no_grad = true};
    Tensor *y = reconstruction(d, t_input(&t, points, SHAPE(n, 2)));
    memcpy(r, y->x, y->len * sizeof *r);
    tape_free(&t);
}

/* ---- its score ------------------------------------------------------------------------------- */

/* sums of squares of a - b and of b, added to sum[0] and sum[1] */
static void add_squares(const double a[2], const double b[2], double sum[2]) {
    for (int j = 0; j < 2; j++) {
        sum[0] += (a[j] - b[j]) * (a[j] - b[j]);
        sum[1] += b[j] * b[j];
    }
}

ScoreError score_error(const Denoiser *d, int n, Rng *rng) {
    Arena arena = {0};
    size_t len = 2 * (size_t)n;
    real *x = arena_get(&arena, len * sizeof *x), *noisy = arena_get(&arena, len * sizeof *x);
    real *r = arena_get(&arena, len * sizeof *r), *r_noisy = arena_get(&arena, len * sizeof *r);
    moons_draw(n, rng, x);
    add_noise(d->sigma, len, x, rng, noisy);
    denoiser_reconstruct(d, n, x, r), denoiser_reconstruct(d, n, noisy, r_noisy);
    double smoothed[2] = {0}, data[2] = {0}, blur[2] = {0}, s2 = d->sigma * d->sigma;
    for (size_t i = 0; i < len; i += 2) {
        double blurred[2], sharp[2], ours[2];
        for (int j = 0; j < 2; j++) ours[j] = (double)(r_noisy[i + j] - noisy[i + j]) / s2;
        moons_score(d->sigma, (double)noisy[i], (double)noisy[i + 1], blurred);
        add_squares(ours, blurred, smoothed);

        for (int j = 0; j < 2; j++) ours[j] = (double)(r[i + j] - x[i + j]) / s2;
        moons_score(d->sigma, (double)x[i], (double)x[i + 1], blurred);
        moons_score(0, (double)x[i], (double)x[i + 1], sharp);
        add_squares(ours, sharp, data);
        add_squares(blurred, sharp, blur);
    }
    arena_free(&arena);
    return (ScoreError){sqrt(smoothed[0] / smoothed[1]), sqrt(data[0] / data[1]),
                        sqrt(blur[0] / blur[1])};
}

/* ---- the chain ------------------------------------------------------------------------------- */

void toy_chain(const Denoiser *d, int steps, bool resample, int n, real *points, Rng *rng) {
    Arena arena = {0};
    size_t len = 2 * (size_t)n;
    real *noisy = arena_get(&arena, len * sizeof *noisy);
    for (int step = 0; step < steps; step++) {
        add_noise(d->sigma, len, points, rng, noisy);
        denoiser_reconstruct(d, n, noisy, points);
        if (!resample) continue;
        add_noise(d->residual, len, points, rng, noisy);
        memcpy(points, noisy, len * sizeof *points);
    }
    arena_free(&arena);
}

void toy_langevin(const Denoiser *d, double share, int steps, int n, real *points, Rng *rng) {
    Arena arena = {0};
    size_t len = 2 * (size_t)n;
    real *r = arena_get(&arena, len * sizeof *r);
    for (int step = 0; step < steps; step++) {
        denoiser_reconstruct(d, n, points, r);
        for (size_t i = 0; i < len; i++)       /* eta/2 score = share/2 (r - x) */
            points[i] += (real)(share / 2) * (r[i] - points[i]);
        add_noise(sqrt(share) * d->sigma, len, points, rng, r);
        memcpy(points, r, len * sizeof *points);
    }
    arena_free(&arena);
}
