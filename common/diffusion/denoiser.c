#include "diffusion/denoiser.h"

size_t step_size(const Step *at) {
    return (size_t)at->height * (size_t)at->width * (size_t)at->channels;
}

const double *step_times(const Step *at) {
    double *time = arena_get(&at->tape->arena, (size_t)at->n * sizeof *time);
    for (int i = 0; i < at->n; i++) time[i] = at->schedule->time[at->t];
    return time;
}

Prediction denoise(const Denoiser *d, const Step *at, real *xt) {
    return d->predict(d, at, xt);
}

/* ---- a network ------------------------------------------------------------------------------- */

static Prediction predict_by_network(const Denoiser *self, const Step *at, real *xt) {
    const NetworkDenoiser *d = (const NetworkDenoiser *)self;
    Tensor *x = t_input(at->tape, xt, SHAPE(at->n, at->height, at->width, at->channels));
    Tensor *output = d->output(d->network, at, x);
    return p_mean_variance(at->schedule, d->parameterization, at->t, x, output);
}

NetworkDenoiser network_denoiser(Tensor *(*output)(const void *network, const Step *at, Tensor *xt),
                                 const void *network, Parameterization p) {
    return (NetworkDenoiser){{predict_by_network}, output, network, p};
}

/* ---- clipped --------------------------------------------------------------------------------- */

static Prediction predict_clipped(const Denoiser *self, const Step *at, real *xt) {
    Prediction p = denoise(((const ClippedDenoiser *)self)->of, at, xt);
    k_clamp(p.n, p.x0, -1, 1, p.x0);
    return p;
}

ClippedDenoiser clipped_denoiser(const Denoiser *of) {
    return (ClippedDenoiser){{predict_clipped}, of};
}

/* ---- noise ----------------------------------------------------------------------------------- */

void sampling_noise(uint64_t seed, int number, int step, size_t n, real *z) {
    enum { MOST_STEPS = 1 << 16 };
    Rng rng = rng_new(seed, "sampling");
    rng.next = ((uint64_t)number * MOST_STEPS + (uint64_t)step) * (n + n % 2);
    rng_normal(&rng, n, z);
}
