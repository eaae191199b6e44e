#include "diffusion/sampler.h"

#include <math.h>
#include <string.h>

/* ---- guidance -------------------------------------------------------------------------------- */

void condition_mean(const Prediction *p, real *mean) {
    for (size_t i = 0; i < p->n; i++) {
        double log_variance = p->log_variance ? (double)p->log_variance[i] : p->fixed_log_variance;
        mean[i] = (real)((double)mean[i] + exp(log_variance) * (double)p->score[i]);
    }
}

/* x0 = (x_t - sqrt(1 - abar) eps) / sqrt(abar) grows by sqrt(1 - abar)^2 score / sqrt(abar) */
void condition_score(const NoiseSchedule *s, int t, Prediction *p) {
    double scale = s->xt_coef_eps[t] * s->x0_coef_eps[t];
    combine(p->n, 1, p->x0, scale, p->score, p->x0);
    p->score = NULL;
}

/* ---- one step -------------------------------------------------------------------------------- */

void p_sample(const NoiseSchedule *s, int t, const Prediction *p, const real *z, real *x) {
    posterior_mean(s, t, p->n, p->x0, x, x);
    if (p->score) condition_mean(p, x);
    if (t == 0) return;
    if (!p->log_variance) {
        k_axpy(p->n, (real)exp(0.5 * p->fixed_log_variance), z, x, true);
        return;
    }
    for (size_t i = 0; i < p->n; i++) {
        double sigma = exp(0.5 * (double)p->log_variance[i]);
        x[i] = (real)((double)x[i] + sigma * (double)z[i]);
    }
}

double ddim_sigma(const NoiseSchedule *s, int t, double eta) {
    double before = s->alpha_bar_before[t], here = s->alpha_bar[t];
    return eta * sqrt((1 - before) / (1 - here)) * sqrt(1 - here / before);
}

void ddim_sample(const NoiseSchedule *s, int t, double sigma, Prediction *p, const real *z,
                 real *x) {
    double before = s->alpha_bar_before[t];
    if (p->score) condition_score(s, t, p);
    noise_from_x0(s, t, p->n, x, p->x0, x);
    combine(p->n, sqrt(before), p->x0, sqrt(fmax(0, 1 - before - sigma * sigma)), x, x);
    if (sigma > 0) k_axpy(p->n, (real)sigma, z, x, true);
}

void ddim_reverse(const NoiseSchedule *s, int t, Prediction *p, real *x) {
    double after = s->alpha_bar_after[t];
    if (p->score) condition_score(s, t, p);
    noise_from_x0(s, t, p->n, x, p->x0, x);
    combine(p->n, sqrt(after), p->x0, sqrt(1 - after), x, x);
}

/* ---- a whole way ----------------------------------------------------------------------------- */

void sampler_free(Sampler *m) {
    tape_free(&m->tape);
    arena_free(&m->history.arena);
}

size_t sampler_size(const Sampler *m) {
    return (size_t)m->height * (size_t)m->width * (size_t)m->channels;
}

void start_noise(const Sampler *m, int first, int n, real *x) {
    size_t size = sampler_size(m);
    for (int i = 0; i < n; i++)
        sampling_noise(m->seed, first + i, m->start_key ? m->start_key : X_T, size,
                       x + (size_t)i * size);
    double heat = m->start_temperature;
    if (heat > 0) k_axpy((size_t)n * size, (real)heat, x, x, false);
}

static Step step_of(Sampler *m, int t, int first, int n) {
    return (Step){.schedule = m->schedule, .t = t, .first = first, .n = n, .height = m->height,
                  .width = m->width, .channels = m->channels, .tape = &m->tape};
}

Prediction predict(Sampler *m, int t, int first, int n, real *x) {
    Step at = step_of(m, t, first, n);
    tape_reset(&m->tape);
    m->tape.no_grad = true;
    return denoise(m->denoiser, &at, x);
}

/* the noise of n pictures at one step */
static real *step_noise(Sampler *m, int t, int first, int n) {
    size_t size = sampler_size(m), all = (size_t)n * size;
    real *z = arena_get(&m->tape.arena, all * sizeof *z);
    for (int i = 0; i < n; i++)
        sampling_noise(m->seed, first + i, m->schedule->step[t], size, z + (size_t)i * size);
    if (m->temperature > 0) k_axpy(all, (real)m->temperature, z, z, false);
    return z;
}

/* ---- PLMS ------------------------------------------------------------------------------------ */

/* room for eps of this step; what is known of others is forgotten if they do not come before it */
static real *next_eps(PlmsHistory *h, const Step *at) {
    size_t bytes = (size_t)at->n * step_size(at) * sizeof(real);
    if (at->t != h->next_t || at->first != h->first || at->n != h->n || !h->known) {
        arena_reset(&h->arena);
        for (int k = 0; k < PLMS_ORDER; k++) h->eps[k] = arena_get(&h->arena, bytes);
        h->known = 0;
    }
    h->next_t = at->t - 1, h->first = at->first, h->n = at->n;
    if (h->known < PLMS_ORDER) h->known++;
    real *oldest = h->eps[PLMS_ORDER - 1];
    memmove(h->eps + 1, h->eps, (PLMS_ORDER - 1) * sizeof *h->eps);
    return h->eps[0] = oldest;
}

/* The first step: eps is the mean of that at x_t and that where it would lead (Heun's method). */
static void look_ahead(const Denoiser *d, const Step *at, Prediction p, const real *x, real *eps) {
    Step ahead = *at;
    real *y = arena_get(&at->tape->arena, p.n * sizeof *y);
    memcpy(y, x, p.n * sizeof *y);
    ddim_sample(at->schedule, at->t, 0, &p, NULL, y);
    ahead.t = at->t > 0 ? at->t - 1 : 0;
    ahead.lookahead = true;
    Prediction there = denoise(d, &ahead, y);
    if (there.score) condition_score(at->schedule, ahead.t, &there);
    noise_from_x0(at->schedule, ahead.t, p.n, y, there.x0, y);
    combine(p.n, 0.5, eps, 0.5, y, eps);
}

/* eps of this step and those before -> eps of the multistep method (Adams-Bashforth) */
static void multistep_eps(const PlmsHistory *h, size_t n, real *eps) {
    static const double coef[PLMS_ORDER][PLMS_ORDER] = {
        {1}, {3. / 2, -1. / 2}, {23. / 12, -16. / 12, 5. / 12},
        {55. / 24, -59. / 24, 37. / 24, -9. / 24}};
    const double *c = coef[h->known - 1];
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < h->known; k++) sum += c[k] * (double)h->eps[k][i];
        eps[i] = (real)sum;
    }
}

static void plms_sample(Sampler *m, const Step *at, Prediction *p, real *x) {
    const NoiseSchedule *s = at->schedule;
    real *eps = arena_get(&at->tape->arena, p->n * sizeof *eps);
    if (p->score) condition_score(s, at->t, p);
    noise_from_x0(s, at->t, p->n, x, p->x0, next_eps(&m->history, at));
    multistep_eps(&m->history, p->n, eps);
    if (m->history.known == 1) look_ahead(m->denoiser, at, *p, x, eps);
    x0_from_noise(s, at->t, p->n, x, eps, p->x0);
    ddim_sample(s, at->t, 0, p, NULL, x);
}

/* ---- all methods ----------------------------------------------------------------------------- */

static double sigma_of(const Sampler *m, int t) {
    return m->method == DDIM ? ddim_sigma(m->schedule, t, m->eta) : 0;
}

static void step_back(Sampler *m, const Step *at, Prediction *p, const real *z, real *x) {
    switch (m->method) {
    case ANCESTRAL: p_sample(at->schedule, at->t, p, z, x); break;
    case DDIM: ddim_sample(at->schedule, at->t, sigma_of(m, at->t), p, z, x); break;
    case PLMS: plms_sample(m, at, p, x); break;
    }
}

Prediction sample_step_with(Sampler *m, int t, int first, int n, const real *z, real *x) {
    Step at = step_of(m, t, first, n);
    Prediction p = predict(m, t, first, n, x);
    step_back(m, &at, &p, z, x);
    return p;
}

Prediction sample_step(Sampler *m, int t, int first, int n, real *x) {
    Step at = step_of(m, t, first, n);
    Prediction p = predict(m, t, first, n, x);
    bool noisy = m->method == ANCESTRAL ? t > 0 : sigma_of(m, t) > 0;
    step_back(m, &at, &p, noisy ? step_noise(m, t, first, n) : NULL, x);
    return p;
}

void sample_from(Sampler *m, int t, int first, int n, real *x) {
    for (; t >= 0; t--) sample_step(m, t, first, n, x);
}

void ddim_invert(Sampler *m, int first, int n, real *x) {
    for (int t = 0; t < m->schedule->T - 1; t++) {
        Prediction p = predict(m, t, first, n, x);
        ddim_reverse(m->schedule, t, &p, x);
    }
}
