#include "diffusion/gaussian.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

void combine(size_t n, double a, const real *u, double b, const real *v, real *y) {
    for (size_t i = 0; i < n; i++) y[i] = (real)(a * (double)u[i] + b * (double)v[i]);
}

/* ---- forward --------------------------------------------------------------------------------- */

void q_sample(const NoiseSchedule *s, int t, size_t n, const real *x0, const real *eps, real *xt) {
    combine(n, s->xt_coef_x0[t], x0, s->xt_coef_eps[t], eps, xt);
}

void posterior_mean(const NoiseSchedule *s, int t, size_t n, const real *x0, const real *xt,
                    real *mean) {
    combine(n, s->mean_coef_x0[t], x0, s->mean_coef_xt[t], xt, mean);
}

/* ---- what a network predicts ----------------------------------------------------------------- */

/* eq. 4 solved for x0 */
void x0_from_noise(const NoiseSchedule *s, int t, size_t n, const real *xt, const real *eps,
                   real *x0) {
    combine(n, s->x0_coef_xt[t], xt, -s->x0_coef_eps[t], eps, x0);
}

/* eq. 4 solved for eps */
void noise_from_x0(const NoiseSchedule *s, int t, size_t n, const real *xt, const real *x0,
                   real *eps) {
    double scale = 1 / s->xt_coef_eps[t];
    combine(n, scale, xt, -scale * s->xt_coef_x0[t], x0, eps);
}

/* eq. 7 solved for x0 */
void x0_from_mean(const NoiseSchedule *s, int t, size_t n, const real *xt, const real *mean,
                  real *x0) {
    combine(n, 1 / s->mean_coef_x0[t], mean, -s->mean_coef_xt[t] / s->mean_coef_x0[t], xt, x0);
}

void x0_from_velocity(const NoiseSchedule *s, int t, size_t n, const real *xt,
                      const real *velocity, real *x0) {
    combine(n, s->xt_coef_x0[t], xt, -s->xt_coef_eps[t], velocity, x0);
}

void x0_from_output(const NoiseSchedule *s, PredictionType p, int t, size_t n, const real *xt,
                    const real *output, real *x0) {
    switch (p) {
    case PREDICT_NOISE: x0_from_noise(s, t, n, xt, output, x0); break;
    case PREDICT_X0: memmove(x0, output, n * sizeof *x0); break;
    case PREDICT_MEAN: x0_from_mean(s, t, n, xt, output, x0); break;
    case PREDICT_VELOCITY: x0_from_velocity(s, t, n, xt, output, x0); break;
    }
}

/* ---- the variance ---------------------------------------------------------------------------- */

double fixed_log_variance(const NoiseSchedule *s, Variance v, int t) {
    return v == FIXED_LARGE && t > 0 ? s->log_beta[t] : s->posterior_log_variance[t];
}

void learned_log_variance(const NoiseSchedule *s, int t, size_t n, const real *v,
                          real *log_variance) {
    double low = s->posterior_log_variance[t], high = s->log_beta[t];
    for (size_t i = 0; i < n; i++) {
        double frac = ((double)v[i] + 1) / 2;
        log_variance[i] = (real)(frac * high + (1 - frac) * low);
    }
}

/* ---- p(x_{t-1}|x_t) -------------------------------------------------------------------------- */

Prediction p_mean_variance(const NoiseSchedule *s, Parameterization p, int t, Tensor *xt,
                           Tensor *output) {
    int C = xt->shape[3];
    bool with_v = output->shape[3] == 2 * C;
    Tensor *predicted = with_v ? t_slice(output, 3, 0, C) : output;
    if (predicted->len != xt->len || (p.variance == LEARNED_RANGE && !with_v))
        die("p_mean_variance: the network gives %s for %s", t_describe(output), t_describe(xt));
    Prediction q = {.n = xt->len, .x0 = arena_get(&xt->tape->arena, xt->len * sizeof(real))};
    x0_from_output(s, p.predicts, t, q.n, xt->x, predicted->x, q.x0);
    if (p.variance == LEARNED_RANGE) {
        q.log_variance = t_slice(output, 3, C, C)->x;
        learned_log_variance(s, t, q.n, q.log_variance, q.log_variance);
    } else q.fixed_log_variance = fixed_log_variance(s, p.variance, t);
    return q;
}

/* ---- normal distributions -------------------------------------------------------------------- */

double normal_kl(double mean1, double log_variance1, double mean2, double log_variance2) {
    double difference = mean1 - mean2, log_ratio = log_variance1 - log_variance2;
    return 0.5 * (-1 - log_ratio + exp(log_ratio) + difference * difference * exp(-log_variance2));
}

/* The normal distribution's cumulative probability, within 3e-4 (Page 1977): the function that the
 * paper's code uses, and the published bits per dimension were measured with. */
static double normal_cdf(double x) {
    return 0.5 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

double discretized_log_likelihood(double x, double mean, double log_scale) {
    const double half_bin = 1.0 / 255, least = 1e-12;
    double precision = exp(-log_scale);
    double below = normal_cdf(precision * (x - mean + half_bin));
    double above = 1 - normal_cdf(precision * (x - mean - half_bin));
    if (x < -0.999) return log(fmax(below, least));
    if (x > 0.999) return log(fmax(above, least));
    return log(fmax(below + above - 1, least));
}

/* ---- the bound ------------------------------------------------------------------------------- */

double prior_term(const NoiseSchedule *s, size_t n, const real *x0) {
    double left = s->alpha_bar[s->T - 1], sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += normal_kl(sqrt(left) * (double)x0[i], log1p(-left), 0, 0);
    return sum;
}

double bound_term(const NoiseSchedule *s, int t, const real *x0, const real *xt,
                  const Prediction *p) {
    double a = s->mean_coef_x0[t], b = s->mean_coef_xt[t], sum = 0;
    for (size_t i = 0; i < p->n; i++) {
        double x = (double)x0[i], from_xt = b * (double)xt[i];
        double mean = a * (double)p->x0[i] + from_xt;
        double log_variance = p->log_variance ? (double)p->log_variance[i] : p->fixed_log_variance;
        if (t == 0) sum -= discretized_log_likelihood(x, mean, 0.5 * log_variance);
        else sum += normal_kl(a * x + from_xt, s->posterior_log_variance[t], mean, log_variance);
    }
    return sum;
}
