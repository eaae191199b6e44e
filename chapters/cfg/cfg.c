#include "cfg.h"

#include "base/memory.h"
#include "diffusion/guidance.h"
#include "diffusion/losses.h"

#include <math.h>
#include <stdlib.h>

/* ---- training -------------------------------------------------------------------------------- */

void drop_labels(int n, int *label, int none, double p, Rng *rng) {
    for (int i = 0; i < n; i++)
        if (rng_chance(rng, p)) label[i] = none;
}

/* ---- drawing --------------------------------------------------------------------------------- */

double scale_of(double w) { return 1 + w; }
double weight_of(double s) { return s - 1; }

static Tensor *guided_output(const void *network, const Step *at, Tensor *xt) {
    const GuidedClasses *g = network;
    GuidedBatch b = guided_batch(at, g->scale);
    int *label = arena_get(&at->tape->arena, (size_t)b.n * sizeof *label);
    for (int i = 0; i < b.n; i++) label[i] = b.number[i] < 0 ? g->none : g->label[b.number[i]];
    return guided(&b, class_unet(g->net, guided_xt(&b, xt), b.time, label));
}

NetworkDenoiser guided_classes(const GuidedClasses *g, Variance v) {
    return network_denoiser(guided_output, g, (Parameterization){PREDICT_NOISE, v});
}

/* ---- continuous time ------------------------------------------------------------------------- */

static const double most = 20;                          /* of |lambda| */

static double first_angle(void) { return atan(exp(-most / 2)); }                 /* b */
static double angle_range(void) { return atan(exp(most / 2)) - first_angle(); }  /* a */

double log_snr(double u) { return -2 * log(tan(angle_range() * u + first_angle())); }

double alpha_at(double lambda) { return sqrt(1 / (1 + exp(-lambda))); }
double sigma_at(double lambda) { return sqrt(1 / (1 + exp(lambda))); }

NoiseSchedule log_snr_schedule(int T) {
    double *beta = memory_new((size_t)T, sizeof *beta, "a schedule of %d steps", T), before = 1;
    for (int t = 0; t < T; t++) {
        double alpha = alpha_at(log_snr((t + 1.0) / T));
        beta[t] = 1 - alpha * alpha / before;
        before = alpha * alpha;
    }
    NoiseSchedule s = schedule_of_betas(T, beta);
    for (int t = 0; t < T; t++) s.time[t] = 1000 * (t + 1.0) / T;
    free(beta);
    return s;
}

double interpolated_log_variance(const NoiseSchedule *s, int t, double v) {
    return (1 - v) * s->posterior_log_variance[t] + v * s->log_beta[t];
}

static Prediction predict_interpolated(const Denoiser *self, const Step *at, real *xt) {
    const InterpolatedVariance *d = (const InterpolatedVariance *)self;
    Prediction p = denoise(d->of, at, xt);
    p.fixed_log_variance = interpolated_log_variance(at->schedule, at->t, d->v);
    return p;
}

InterpolatedVariance interpolated_variance(const Denoiser *of, double v) {
    return (InterpolatedVariance){{predict_interpolated}, of, v};
}

ContinuousBatch continuous_batch(Tensor *x0, Rng *times, Rng *noise) {
    Tape *t = x0->tape;
    int B = x0->shape[0];
    size_t bytes = (size_t)B * sizeof(double);
    double *time = arena_get(&t->arena, bytes), *alpha = arena_get(&t->arena, bytes),
           *sigma = arena_get(&t->arena, bytes);
    int *each = arena_get(&t->arena, (size_t)B * sizeof *each);
    real *u = arena_get(&t->arena, (size_t)B * sizeof *u);
    rng_uniform(times, (size_t)B, u);
    for (int b = 0; b < B; b++) {
        double lambda = log_snr((double)u[b]);
        time[b] = 1000 * (double)u[b];
        alpha[b] = alpha_at(lambda), sigma[b] = sigma_at(lambda);
        each[b] = b;
    }
    Tensor *eps = t_input(t, NULL, x0->rank, x0->shape);
    rng_normal(noise, eps->len, eps->x);
    Tensor *signal = t_mul(x0, extract(t, alpha, B, each));
    Tensor *z = t_add(signal, t_mul(eps, extract(t, sigma, B, each)));
    return (ContinuousBatch){time, eps, z};
}
