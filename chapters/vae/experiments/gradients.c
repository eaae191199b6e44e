#include "gradients.h"

#include "io/csv.h"

#include <math.h>
#include <stdio.h>

/* K samples z of q, log p(x|z) of each, and its gradient: dz (K,code) */
typedef struct {
    int K;
    real *z, *dz;
    double *log_px;
} Draws;

static Draws draw(Arena *arena, const Vae *v, const real *x, const int *label, const real *mu,
                  const real *logvar, int K, Rng *rng) {
    int D = v->code, *labels = arena_get(arena, (size_t)K * sizeof *labels);
    size_t bytes = (size_t)(K * D) * sizeof(real);
    Draws d = {K, arena_get(arena, bytes), arena_get(arena, bytes),
               arena_get(arena, (size_t)K * sizeof(double))};
    Tape t = {0};
    rng_normal(rng, (size_t)(K * D), d.z);
    for (int i = 0; i < K * D; i++)
        d.z[i] = mu[i % D] + (real)exp((double)logvar[i % D] / 2) * d.z[i];
    for (int k = 0; k < K; k++) labels[k] = label ? *label : 0;
    Tensor *images = t_input(&t, NULL, SHAPE(K, IMAGE, IMAGE, 1));
    for (int i = 0; i < K * PIXELS; i++) images->x[i] = x[i % PIXELS];
    Tensor *z = t_variable(&t, d.z, SHAPE(K, D)), *logits = decode(v, z, labels);
    for (int k = 0; k < K; k++)
        d.log_px[k] = image_log_likelihood(v, logits->x + k * PIXELS, x);
    backward(t_scale(log_likelihood(v, logits, images), K));
    k_axpy(z->len, 1, z->g, d.dz, false);
    tape_free(&t);
    return d;
}

void gradient_variances(const Vae *v, const real *x, const int *label, const real *mu,
                        const real *logvar, int K, Rng *rng, double variance[ESTIMATORS]) {
    Arena arena = {0};
    Draws d = draw(&arena, v, x, label, mu, logvar, K, rng);
    double baseline = 0;
    for (int k = 0; k < K; k++) baseline += d.log_px[k] / K;
    for (int e = 0; e < ESTIMATORS; e++) variance[e] = 0;
    for (int j = 0; j < v->code; j++) {
        double sum[ESTIMATORS] = {0}, squares[ESTIMATORS] = {0};
        for (int k = 0; k < K; k++) {
            int i = k * v->code + j;
            double score = ((double)d.z[i] - (double)mu[j]) / exp((double)logvar[j]);
            double g[ESTIMATORS] = {(double)d.dz[i], d.log_px[k] * score,
                                    (d.log_px[k] - baseline) * score};
            for (int e = 0; e < ESTIMATORS; e++) sum[e] += g[e] / K, squares[e] += g[e] * g[e] / K;
        }
        for (int e = 0; e < ESTIMATORS; e++) variance[e] += squares[e] - sum[e] * sum[e];
    }
    arena_free(&arena);
}

void save_gradients(const char *folder, const Vae *v, int n, const real *x, const int *labels,
                    bool quiet) {
    enum { DRAWS = 500 };
    static const char *const names[] = {"reparameterised", "score function", "with baseline"};
    Arena arena = {0};
    size_t D = (size_t)v->code;
    real *mu = arena_get(&arena, (size_t)n * D * sizeof *mu);
    real *logvar = arena_get(&arena, (size_t)n * D * sizeof *logvar);
    Rng rng = rng_new(1, "gradients");
    double sum[ESTIMATORS] = {0}, of_one[ESTIMATORS];
    encode_all(v, n, x, labels, mu, logvar);
    for (int i = 0; i < n; i++) {
        size_t at = (size_t)i;
        gradient_variances(v, x + at * PIXELS, labels ? labels + i : NULL, mu + at * D,
                           logvar + at * D, DRAWS, &rng, of_one);
        for (int e = 0; e < ESTIMATORS; e++) sum[e] += of_one[e] / n;
    }
    AtomicFile f = csv_create(folder, "gradients.csv", "estimator,variance");
    for (int e = 0; e < ESTIMATORS; e++) {
        fprintf(f.stream, "%s,%.6g\n", names[e], sum[e]);
        if (!quiet) printf("gradient of log p(x|z), %s: variance %.4g\n", names[e], sum[e]);
    }
    file_commit(&f);
    arena_free(&arena);
}
