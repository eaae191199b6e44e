#include "diffusion/losses.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

/* ---- a batch --------------------------------------------------------------------------------- */

NoisyImages noisy_images(const NoiseSchedule *s, Tensor *x0, const int *t, Rng *noise) {
    Tape *tape = x0->tape;
    int B = x0->shape[0];
    size_t n = x0->len / (size_t)B;
    Tensor *xt = t_input(tape, NULL, x0->rank, x0->shape);
    Tensor *eps = t_input(tape, NULL, x0->rank, x0->shape);
    double *time = arena_get(&tape->arena, (size_t)B * sizeof *time);
    rng_normal(noise, eps->len, eps->x);
    for (int b = 0; b < B; b++) {
        size_t at = (size_t)b * n;
        time[b] = s->time[t[b]];
        q_sample(s, t[b], n, x0->x + at, eps->x + at, xt->x + at);
    }
    return (NoisyImages){s, t, time, x0, eps, xt};
}

Tensor *training_target(const NoisyImages *b, PredictionType p) {
    if (p == PREDICT_NOISE) return b->eps;
    if (p == PREDICT_X0) return b->x0;
    const NoiseSchedule *s = b->schedule;
    Tensor *y = t_input(b->x0->tape, NULL, b->x0->rank, b->x0->shape);
    size_t n = y->len / (size_t)y->shape[0];
    for (int i = 0; i < y->shape[0]; i++) {
        const real *x0 = b->x0->x + (size_t)i * n, *eps = b->eps->x + (size_t)i * n;
        real *to = y->x + (size_t)i * n;
        int t = b->t[i];
        if (p == PREDICT_VELOCITY) combine(n, s->xt_coef_x0[t], eps, -s->xt_coef_eps[t], x0, to);
        else posterior_mean(s, t, n, x0, b->xt->x + (size_t)i * n, to);
    }
    return y;
}

void squared_errors(const Tensor *output, const Tensor *target, double *error) {
    int B = output->shape[0];
    size_t n = output->len / (size_t)B;
    for (int b = 0; b < B; b++) {
        size_t at = (size_t)b * n;
        error[b] = k_sum_squared_difference(n, output->x + at, target->x + at) / (double)n;
    }
}

Tensor *extract(Tape *tape, const double *table, int B, const int *t) {
    Tensor *y = t_input(tape, NULL, SHAPE(B, 1, 1, 1));
    for (int b = 0; b < B; b++) y->x[b] = (real)table[t[b]];
    return y;
}

/* a table's numbers for the pictures of a batch */
static Tensor *coef(const NoisyImages *b, const double *table) {
    return extract(b->x0->tape, table, b->x0->shape[0], b->t);
}

/* 1 for pictures at t = 0, 0 for others; or the other way round */
static Tensor *whether_first(const NoisyImages *b, bool first) {
    Tensor *y = t_input(b->x0->tape, NULL, SHAPE(b->x0->shape[0], 1, 1, 1));
    for (size_t i = 0; i < y->len; i++) y->x[i] = (b->t[i] == 0) == first;
    return y;
}

/* mean over each picture: (B,H,W,C) -> (B,1) */
static Tensor *mean_of_each(Tensor *x) {
    return t_mean_axis(t_reshape(x, SHAPE(x->shape[0], -1)), 1);
}

/* ---- p(x_{t-1}|x_t) -------------------------------------------------------------------------- */

/* x0_from_output on tensors */
static Tensor *predicted_x0(const NoisyImages *b, PredictionType p, Tensor *output) {
    const NoiseSchedule *s = b->schedule;
    if (p == PREDICT_X0) return output;
    if (p == PREDICT_NOISE)
        return t_sub(t_mul(b->xt, coef(b, s->x0_coef_xt)), t_mul(output, coef(b, s->x0_coef_eps)));
    if (p == PREDICT_VELOCITY)
        return t_sub(t_mul(b->xt, coef(b, s->xt_coef_x0)), t_mul(output, coef(b, s->xt_coef_eps)));
    Tensor *from_xt = t_mul(b->xt, coef(b, s->mean_coef_xt));
    return t_div(t_sub(output, from_xt), coef(b, s->mean_coef_x0));
}

/* log sigma^2, v's shape, or (B,1,1,1) if it is fixed. v (B,H,W,C) */
static Tensor *log_variance_of(const NoisyImages *b, Variance variance, Tensor *v) {
    const NoiseSchedule *s = b->schedule;
    Tensor *low = coef(b, s->posterior_log_variance);
    if (variance == FIXED_SMALL) return low;
    Tensor *range = t_input(low->tape, NULL, low->rank, low->shape);
    for (size_t i = 0; i < low->len; i++) {
        int t = b->t[i];
        if (variance == FIXED_LARGE) low->x[i] = (real)fixed_log_variance(s, variance, t);
        range->x[i] = (real)(s->log_beta[t] - s->posterior_log_variance[t]);
    }
    if (variance == FIXED_LARGE) return low;
    return t_add(low, t_mul(t_scale(t_add_scalar(v, 1), 0.5), range));
}

/* ---- likelihoods ----------------------------------------------------------------------------- */

/* KL(N(mean1, exp(lv1)) || N(mean2, exp(lv2))) with difference = mean1 - mean2, number by number */
static Tensor *kl_of(Tensor *difference, Tensor *lv1, Tensor *lv2) {
    Tensor *log_ratio = t_sub(lv1, lv2);
    Tensor *square = t_mul(t_square(difference), t_exp(t_scale(lv2, -1)));
    Tensor *sum = t_sub(t_add(t_exp(log_ratio), square), log_ratio);
    return t_scale(t_add_scalar(sum, -1), 0.5);
}

/* 1/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): see normal_cdf in gaussian.c */
static Tensor *normal_cdf_of(Tensor *x) {
    Tensor *cube = t_mul(x, t_square(x));
    Tensor *u = t_scale(t_add(x, t_scale(cube, 0.044715)), sqrt(2 / M_PI));
    return t_scale(t_add_scalar(t_tanh(u), 1), 0.5);
}

/* 1 where x > low */
static Tensor *above(Tensor *x, double low) {
    Tensor *y = t_input(x->tape, NULL, x->rank, x->shape);
    for (size_t i = 0; i < x->len; i++) y->x[i] = (double)x->x[i] > low;
    return y;
}

/* -log of each byte's probability, as discretized_log_likelihood: the upper edge's cumulative
 * probability is 1 for white, the lower edge's 0 for black */
static Tensor *negative_log_likelihood(Tensor *x0, Tensor *mean, Tensor *log_variance) {
    const double half_bin = 1.0 / 255, least = 1e-12;
    Tensor *centred = t_sub(x0, mean), *precision = t_exp(t_scale(log_variance, -0.5));
    Tensor *upper = normal_cdf_of(t_mul(precision, t_add_scalar(centred, half_bin)));
    Tensor *lower = normal_cdf_of(t_mul(precision, t_add_scalar(centred, -half_bin)));
    Tensor *white = above(x0, 0.999), *not_black = above(x0, -0.999);
    Tensor *open = t_add(t_mul(upper, t_add_scalar(t_scale(white, -1), 1)), white);
    Tensor *probability = t_sub(open, t_mul(lower, not_black));
    return t_scale(t_log(t_clamp(probability, least, 1)), -1);
}

/* the bound's term of each picture in bits per dimension (B,1): KL, or at t = 0 the likelihood */
static Tensor *bound_bits(const NoisyImages *b, Parameterization p, Tensor *predicted, Tensor *v) {
    const NoiseSchedule *s = b->schedule;
    Tensor *x0 = predicted_x0(b, p.predicts, predicted);
    Tensor *mean_coef_x0 = coef(b, s->mean_coef_x0);
    Tensor *from_xt = t_mul(b->xt, coef(b, s->mean_coef_xt));
    Tensor *log_variance = log_variance_of(b, p.variance, v);
    /* the two means differ by what the two x0 do: the coefficient of x_t is the same */
    Tensor *kl = kl_of(t_mul(t_sub(b->x0, x0), mean_coef_x0), coef(b, s->posterior_log_variance),
                       log_variance);
    Tensor *nll = negative_log_likelihood(b->x0, t_add(t_mul(x0, mean_coef_x0), from_xt),
                                          log_variance);
    Tensor *term = t_add(t_mul(nll, whether_first(b, true)), t_mul(kl, whether_first(b, false)));
    return t_scale(mean_of_each(term), 1 / log(2));
}

/* ---- losses ---------------------------------------------------------------------------------- */

Losses training_losses(const NoisyImages *b, Objective o, Parameterization p, Tensor *output) {
    int C = b->x0->shape[3];
    bool with_v = output->shape[3] == 2 * C;
    if (p.variance == LEARNED_RANGE && !with_v)
        die("training_losses: %s holds no variance", t_describe(output));
    Losses l = {0};
    Tensor *predicted = with_v ? t_slice(output, 3, 0, C) : output;
    Tensor *v = with_v ? t_slice(output, 3, C, C) : NULL;
    l.mse = mean_of_each(t_square(t_sub(predicted, training_target(b, p.predicts))));
    if (o == HYBRID) l.bits = bound_bits(b, p, t_detach(predicted), v);
    if (o == VLB) l.bits = bound_bits(b, p, predicted, v);
    switch (o) {
    case SIMPLE: l.each = l.mse; break;
    case HYBRID: l.each = t_add(l.mse, t_scale(l.bits, b->schedule->T / 1000.0)); break;
    case VLB: l.each = t_scale(l.bits, b->schedule->T); break;
    }
    return l;
}

Losses prioritized(const NoisyImages *b, double k, Losses l) {
    Tensor *more = t_input(b->x0->tape, NULL, l.mse->rank, l.mse->shape);
    for (size_t i = 0; i < more->len; i++) {
        double a = b->schedule->alpha_bar[b->t[i]];
        more->x[i] = (real)(1 / sqrt(k + a / (1 - a)) - 1);
    }
    l.each = t_add(l.each, t_mul(l.mse, more));
    return l;
}

void clipped_bound(const NoisyImages *b, Parameterization p, Tensor *output, double *bits) {
    int B = b->x0->shape[0];
    size_t n = b->x0->len / (size_t)B;
    for (int i = 0; i < B; i++) {
        Tensor *xt = t_slice(b->xt, 0, i, 1);
        Prediction q = p_mean_variance(b->schedule, p, b->t[i], xt, t_slice(output, 0, i, 1));
        k_clamp(n, q.x0, -1, 1, q.x0);
        double nats = bound_term(b->schedule, b->t[i], b->x0->x + (size_t)i * n, xt->x, &q);
        bits[i] = nats / ((double)n * log(2));
    }
}
