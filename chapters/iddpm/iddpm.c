#include "iddpm.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- networks -------------------------------------------------------------------------------- */

static void set_levels(UNetConfig *d, int levels, const int *multiplier) {
    d->levels = levels;
    memcpy(d->multiplier, multiplier, (size_t)levels * sizeof *multiplier);
}

ModelConfig model_config(const char *config) {
    UNetConfig d = {.in = 3, .out = 6, .width = 128, .blocks = 3, .heads = 4,
                    .style = {.groups = 32, .eps = 1e-5, .scale_shift = true}};
    int classes = 0;
    if (!strcmp(config, "cifar10")) {                        /* attention at 16 and 8 */
        set_levels(&d, 4, (int[]){1, 2, 2, 2});
        d.attends[1] = d.attends[2] = true;
    } else if (!strcmp(config, "imagenet64") || !strcmp(config, "imagenet64-cond")) {
        set_levels(&d, 4, (int[]){1, 2, 3, 4});
        d.attends[2] = d.attends[3] = true;
        if (strcmp(config, "imagenet64")) d.width = 192, classes = 1000;
    } else if (!strcmp(config, "lsun")) {                    /* DDPM's network, but for v */
        set_levels(&d, 6, (int[]){1, 1, 2, 2, 4, 4});
        d.attends[4] = true;
        d.blocks = 2, d.heads = 1, d.style.scale_shift = false;
    } else {                                                 /* 28x28 -> 14x14 -> 7x7 */
        set_levels(&d, 3, (int[]){1, 2, 2});
        d.in = 1, d.out = 2, d.width = 32, d.blocks = 2;
        d.attends[1] = d.attends[2] = true;
    }
    return (ModelConfig){.unet = d, .classes = classes};
}

Model model_new(Params *p, ModelConfig c) {
    int emb = unet_emb(&c.unet);
    Model m = {.time = time_embedding_new(scope(p, "time"), c.unet.width, emb, false)};
    if (c.classes) m.class = embedding_new(scope(p, "class"), c.classes, emb);
    m.unet = unet_new(p, c.unet);
    return m;
}

Tensor *model_output(const Model *m, Tensor *xt, const double *time, const int *label) {
    Tape *tape = xt->tape;
    int B = xt->shape[0];
    Tensor *emb = time_embedding(&m->time, tape, time, B);
    if (m->class.table) emb = t_add(emb, embedding(&m->class, tape, label, B));
    return unet(&m->unet, xt, emb, NULL);
}

/* ---- the chain ------------------------------------------------------------------------------- */

static Diffusion diffusion_of(int T) {
    enum { TABLES = 8 };
    if (T < 1) die("diffusion: %d steps", T);
    size_t n = (size_t)T;
    Diffusion d = {.T = T, .time_scale = 1, .memory = calloc(TABLES * n, sizeof *d.memory),
                   .step = calloc(n, sizeof *d.step)};
    if (!d.memory || !d.step) fail("out of memory: a chain of %d steps", T);
    double **table[TABLES] = {&d.beta,        &d.alpha_bar,   &d.alpha_bar_before,
                              &d.alpha_bar_after, &d.mean_coef_x0, &d.mean_coef_xt,
                              &d.posterior_variance, &d.posterior_log_variance};
    for (size_t k = 0; k < TABLES; k++) *table[k] = d.memory + k * n;
    for (int t = 0; t < T; t++) d.step[t] = t;
    return d;
}

/* all tables from beta */
static Diffusion filled(Diffusion d) {
    double before = 1;
    for (int t = 0; t < d.T; t++) {
        double alpha = 1 - d.beta[t], after = before * alpha;
        d.alpha_bar[t] = after;
        d.alpha_bar_before[t] = before;
        if (t > 0) d.alpha_bar_after[t - 1] = after;
        d.mean_coef_x0[t] = d.beta[t] * sqrt(before) / (1 - after);
        d.mean_coef_xt[t] = (1 - before) * sqrt(alpha) / (1 - after);
        d.posterior_variance[t] = d.beta[t] * (1 - before) / (1 - after);
        d.posterior_log_variance[t] = log(d.posterior_variance[t]);
        before = after;
    }
    d.posterior_log_variance[0] = d.T > 1 ? d.posterior_log_variance[1] : log(d.beta[0]);
    return d;
}

Diffusion diffusion_linear(int T) {
    Diffusion d = diffusion_of(T);
    double first = 0.1 / T, last = 20.0 / T;
    for (int t = 0; t < T; t++) d.beta[t] = T > 1 ? first + (last - first) * t / (T - 1) : first;
    return filled(d);
}

/* `t` from 0 to 1 */
static double cosine_alpha_bar(double t) {
    double c = cos((t + 0.008) / 1.008 * M_PI / 2);
    return c * c;
}

Diffusion diffusion_cosine(int T) {
    Diffusion d = diffusion_of(T);
    for (int t = 0; t < T; t++) {
        double ratio = cosine_alpha_bar((t + 1.0) / T) / cosine_alpha_bar((double)t / T);
        d.beta[t] = fmin(1 - ratio, 0.999);
    }
    return filled(d);
}

void diffusion_rescale_time(Diffusion *d) {
    d->time_scale = 1000.0 / d->T;
}

Diffusion diffusion_respaced(const Diffusion *from, int n, const int *steps) {
    Diffusion d = diffusion_of(n);
    double before = 1;
    d.time_scale = from->time_scale;
    for (int i = 0; i < n; i++) {
        d.beta[i] = 1 - from->alpha_bar[steps[i]] / before;
        d.step[i] = from->step[steps[i]];
        before = from->alpha_bar[steps[i]];
    }
    return filled(d);
}

void diffusion_free(Diffusion *d) {
    free(d->memory), free(d->step);
    *d = (Diffusion){0};
}

double model_time(const Diffusion *d, int t) {
    return d->step[t] * d->time_scale;
}

/* ---- which steps ----------------------------------------------------------------------------- */

/* "25" -> 25, and where it ends; 0: no number */
static int count_in(const char *text, const char **end) {
    char *stop;
    long n = *text >= '0' && *text <= '9' ? strtol(text, &stop, 10) : 0;
    *end = n ? stop : text;
    return n > 0 && n <= 1000000 ? (int)n : 0;
}

/* every k-th step, with the smallest k that gives n of them */
static int regular_steps(int T, int n, int *steps) {
    for (int k = 1; k < T; k++) {
        if ((T + k - 1) / k != n) continue;
        for (int i = 0; i < n; i++) steps[i] = i * k;
        return n;
    }
    return 0;
}

/* `count` steps of the `size` from `first` on, both ends among them. Rounds halves to even, as
 * Python does, after adding up the stride. */
static void section_steps(int first, int size, int count, int *steps) {
    double stride = count > 1 ? (double)(size - 1) / (count - 1) : 1, at = 0;
    for (int i = 0; i < count; i++, at += stride) steps[i] = first + (int)rint(at);
}

int space_timesteps(int T, const char *sections, int *steps) {
    const char *end;
    if (!strncmp(sections, "ddim", 4)) {
        int n = count_in(sections + 4, &end);
        return n && !*end ? regular_steps(T, n, steps) : 0;
    }
    int parts = 1, total = 0, first = 0;
    for (const char *p = sections; *p; p++) parts += *p == ',';
    for (int k = 0; k < parts; k++, sections = end + 1) {
        int size = T / parts + (k < T % parts), count = count_in(sections, &end);
        if (!count || count > size || *end != (k < parts - 1 ? ',' : 0)) return 0;
        section_steps(first, size, count, steps + total);
        first += size, total += count;
    }
    return total;
}

/* ---- forward --------------------------------------------------------------------------------- */

/* y = a u + b v */
static void mix(size_t n, double a, const real *u, double b, const real *v, real *y) {
    for (size_t i = 0; i < n; i++) y[i] = (real)(a * (double)u[i] + b * (double)v[i]);
}

void q_sample(const Diffusion *d, int t, size_t n, const real *x0, const real *eps, real *xt) {
    mix(n, sqrt(d->alpha_bar[t]), x0, sqrt(1 - d->alpha_bar[t]), eps, xt);
}

void posterior_mean(const Diffusion *d, int t, size_t n, const real *x0, const real *xt,
                    real *mean) {
    mix(n, d->mean_coef_x0[t], x0, d->mean_coef_xt[t], xt, mean);
}

void start_from_noise(const Diffusion *d, int t, size_t n, const real *xt, const real *eps,
                      real *x0) {
    mix(n, sqrt(1 / d->alpha_bar[t]), xt, -sqrt(1 / d->alpha_bar[t] - 1), eps, x0);
}

void noise_from_start(const Diffusion *d, int t, size_t n, const real *xt, const real *x0,
                      real *eps) {
    double scale = 1 / sqrt(1 - d->alpha_bar[t]);
    mix(n, scale, xt, -scale * sqrt(d->alpha_bar[t]), x0, eps);
}

/* ---- reverse --------------------------------------------------------------------------------- */

Variance variance_named(const char *name) {
    if (!strcmp(name, "small")) return FIXED_SMALL;
    return !strcmp(name, "large") ? FIXED_LARGE : LEARNED;
}

double fixed_log_variance(const Diffusion *d, Variance v, int t) {
    return v == FIXED_LARGE && t > 0 ? log(d->beta[t]) : d->posterior_log_variance[t];
}

void p_mean_variance(const Diffusion *d, Variance v, int t, size_t pixels, int channels, bool clip,
                     const real *xt, const real *answer, Reverse p) {
    size_t C = (size_t)channels, n = pixels * C;
    double low = d->posterior_log_variance[t], high = log(d->beta[t]);
    double fixed = fixed_log_variance(d, v, t);
    for (size_t i = 0; i < n; i++) {
        const real *pixel = answer + i / C * 2 * C + i % C;
        double frac = ((double)pixel[C] + 1) / 2;
        p.start[i] = pixel[0];
        p.log_variance[i] = (real)(v == LEARNED ? frac * high + (1 - frac) * low : fixed);
    }
    start_from_noise(d, t, n, xt, p.start, p.start);
    if (clip) k_clamp(n, p.start, -1, 1, p.start);
    posterior_mean(d, t, n, p.start, xt, p.mean);
}

void p_sample(int t, size_t n, const Reverse *p, const real *z, real *x) {
    for (size_t i = 0; i < n; i++) {
        double sigma = t > 0 ? exp(0.5 * (double)p->log_variance[i]) : 0;
        x[i] = (real)((double)p->mean[i] + (t > 0 ? sigma * (double)z[i] : 0));
    }
}

void ddim_sample(const Diffusion *d, int t, size_t n, double eta, const real *start, const real *z,
                 real *x) {
    double before = d->alpha_bar_before[t];
    double sigma = eta * sqrt((1 - before) / (1 - d->alpha_bar[t])) *
                   sqrt(1 - d->alpha_bar[t] / before);
    noise_from_start(d, t, n, x, start, x);
    mix(n, sqrt(before), start, sqrt(fmax(0, 1 - before - sigma * sigma)), x, x);
    if (t > 0 && eta > 0) k_axpy(n, (real)sigma, z, x, true);
}

void ddim_reverse(const Diffusion *d, int t, size_t n, const real *start, real *x) {
    double after = d->alpha_bar_after[t];
    noise_from_start(d, t, n, x, start, x);
    mix(n, sqrt(after), start, sqrt(1 - after), x, x);
}

/* ---- losses ---------------------------------------------------------------------------------- */

Objective objective_named(const char *name) {
    if (!strcmp(name, "simple")) return SIMPLE;
    return !strcmp(name, "vlb") ? VLB : HYBRID;
}

/* one number for each picture, f(d, t) as (B,1,1,1) */
static Tensor *of_each(Tape *tape, const Diffusion *d, int B, const int *t,
                       double (*f)(const Diffusion *d, int t)) {
    Tensor *y = t_input(tape, NULL, SHAPE(B, 1, 1, 1));
    for (int b = 0; b < B; b++) y->x[b] = (real)f(d, t[b]);
    return y;
}

static double low_of(const Diffusion *d, int t) { return d->posterior_log_variance[t]; }
static double range_of(const Diffusion *d, int t) { return log(d->beta[t]) - low_of(d, t); }
static double large_of(const Diffusion *d, int t) { return fixed_log_variance(d, FIXED_LARGE, t); }
static double x0_coef_xt_of(const Diffusion *d, int t) { return sqrt(1 / d->alpha_bar[t]); }
static double x0_coef_eps_of(const Diffusion *d, int t) { return sqrt(1 / d->alpha_bar[t] - 1); }
static double mean_coef_x0_of(const Diffusion *d, int t) { return d->mean_coef_x0[t]; }
static double mean_coef_xt_of(const Diffusion *d, int t) { return d->mean_coef_xt[t]; }
static double is_first(const Diffusion *d, int t) { return (void)d, t == 0; }
static double is_later(const Diffusion *d, int t) { return (void)d, t > 0; }

/* mean over each picture: (B,H,W,C) -> (B,1) */
static Tensor *mean_of_each(Tensor *x) {
    return t_mean_axis(t_reshape(x, SHAPE(x->shape[0], -1)), 1);
}

/* log sigma^2 of p(x_{t-1}|x_t), v's shape, or (B,1,1,1) if it is fixed. v (B,H,W,C) */
static Tensor *log_variance_of(const Diffusion *d, Variance variance, Tensor *v, const int *t) {
    int B = v->shape[0];
    if (variance == FIXED_LARGE) return of_each(v->tape, d, B, t, large_of);
    Tensor *low = of_each(v->tape, d, B, t, low_of);
    if (variance == FIXED_SMALL) return low;
    Tensor *frac = t_scale(t_add_scalar(v, 1), 0.5);
    return t_add(low, t_mul(frac, of_each(v->tape, d, B, t, range_of)));
}

/* KL(N(mean1, exp(lv1)) || N(mean2, exp(lv2))) with difference = mean1 - mean2, number by number */
static Tensor *kl_of(Tensor *difference, Tensor *lv1, Tensor *lv2) {
    Tensor *log_ratio = t_sub(lv1, lv2);
    Tensor *square = t_mul(t_square(difference), t_exp(t_scale(lv2, -1)));
    Tensor *sum = t_sub(t_add(t_exp(log_ratio), square), log_ratio);
    return t_scale(t_add_scalar(sum, -1), 0.5);
}

/* 1/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): see normal_cdf */
static Tensor *normal_cdf_of(Tensor *x) {
    Tensor *cube = t_mul(x, t_square(x));
    Tensor *u = t_scale(t_add(x, t_scale(cube, 0.044715)), sqrt(2 / M_PI));
    return t_scale(t_add_scalar(t_tanh(u), 1), 0.5);
}

/* 1 where x is within (low, high) */
static Tensor *within(Tensor *x, double low, double high) {
    Tensor *y = t_input(x->tape, NULL, x->rank, x->shape);
    for (size_t i = 0; i < x->len; i++) y->x[i] = (double)x->x[i] > low && (double)x->x[i] < high;
    return y;
}

/* -log of each byte's probability, as discretized_log_likelihood: the upper edge's cumulative
 * probability is 1 for white, the lower edge's 0 for black */
static Tensor *negative_log_likelihood(Tensor *x0, Tensor *mean, Tensor *log_variance) {
    const double half_bin = 1.0 / 255, least = 1e-12;
    Tensor *centred = t_sub(x0, mean), *precision = t_exp(t_scale(log_variance, -0.5));
    Tensor *upper = normal_cdf_of(t_mul(precision, t_add_scalar(centred, half_bin)));
    Tensor *lower = normal_cdf_of(t_mul(precision, t_add_scalar(centred, -half_bin)));
    Tensor *white = within(x0, 0.999, INFINITY), *not_black = within(x0, -0.999, INFINITY);
    Tensor *open = t_add(t_mul(upper, t_add_scalar(t_scale(white, -1), 1)), white);
    Tensor *probability = t_sub(open, t_mul(lower, not_black));
    return t_scale(t_log(t_clamp(probability, least, 1)), -1);
}

/* the bound's term of each picture in bits per dimension (B,1): KL, or at t = 0 the likelihood */
static Tensor *bits_of(const Diffusion *d, Variance variance, Tensor *eps, Tensor *v, Tensor *x0,
                       Tensor *xt, const int *t) {
    Tape *tape = x0->tape;
    int B = x0->shape[0];
    Tensor *start = t_sub(t_mul(xt, of_each(tape, d, B, t, x0_coef_xt_of)),
                          t_mul(eps, of_each(tape, d, B, t, x0_coef_eps_of)));
    Tensor *coef = of_each(tape, d, B, t, mean_coef_x0_of);
    Tensor *noisy = t_mul(xt, of_each(tape, d, B, t, mean_coef_xt_of));
    Tensor *log_variance = log_variance_of(d, variance, v, t);
    /* the two means differ by what the two x0 do: the coefficient of x_t is the same */
    Tensor *kl = kl_of(t_mul(t_sub(x0, start), coef), of_each(tape, d, B, t, low_of),
                       log_variance);
    Tensor *nll = negative_log_likelihood(x0, t_add(t_mul(start, coef), noisy), log_variance);
    Tensor *term = t_add(t_mul(nll, of_each(tape, d, B, t, is_first)),
                         t_mul(kl, of_each(tape, d, B, t, is_later)));
    return t_scale(mean_of_each(term), 1 / log(2));
}

Losses training_losses(const Diffusion *d, Objective o, Variance variance, Tensor *answer,
                       Tensor *x0, Tensor *xt, Tensor *eps, const int *t) {
    int C = x0->shape[3];
    Losses l = {0};
    Tensor *predicted = t_slice(answer, 3, 0, C), *v = t_slice(answer, 3, C, C);
    l.mse = mean_of_each(t_square(t_sub(predicted, eps)));
    if (o == HYBRID) l.bits = bits_of(d, variance, t_detach(predicted), v, x0, xt, t);
    if (o == VLB) l.bits = bits_of(d, variance, predicted, v, x0, xt, t);
    switch (o) {
    case SIMPLE: l.each = l.mse; break;
    case HYBRID: l.each = t_add(l.mse, t_scale(l.bits, d->T / 1000.0)); break;
    case VLB: l.each = t_scale(l.bits, d->T); break;
    }
    return l;
}

/* ---- the bound ------------------------------------------------------------------------------- */

double prior_term(const Diffusion *d, size_t n, const real *x0) {
    double left = d->alpha_bar[d->T - 1], sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += normal_kl(sqrt(left) * (double)x0[i], log1p(-left), 0, 0);
    return sum;
}

double bound_term(const Diffusion *d, int t, size_t n, const real *x0, const real *xt,
                  const Reverse *p) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double mean = (double)p->mean[i], log_variance = (double)p->log_variance[i];
        double x = (double)x0[i];
        double true_mean = d->mean_coef_x0[t] * x + d->mean_coef_xt[t] * (double)xt[i];
        if (t == 0) sum -= discretized_log_likelihood(x, mean, 0.5 * log_variance);
        else sum += normal_kl(true_mean, d->posterior_log_variance[t], mean, log_variance);
    }
    return sum;
}

/* ---- which timesteps ------------------------------------------------------------------------- */

void loss_sampler_start(LossSampler *s, int T) {
    *s = (LossSampler){.T = T};
    s->history = buffer(scope(&s->state, "%s", ""), "history", 0, SHAPE(T, HISTORY));
    s->seen = buffer(scope(&s->state, "%s", ""), "seen", 0, SHAPE(T));
}

void loss_sampler_free(LossSampler *s) {
    params_free(&s->state);
}

static bool warmed_up(const LossSampler *s) {
    for (int t = 0; t < s->T; t++)
        if (s->seen->x[t] < HISTORY) return false;
    return true;
}

void timestep_probabilities(const LossSampler *s, double *p) {
    const double uniform = 0.001;
    double sum = 0;
    bool known = warmed_up(s);
    for (int t = 0; t < s->T; t++) {
        p[t] = known ? sqrt(k_sum_squares(HISTORY, s->history->x + t * HISTORY) / HISTORY) : 1;
        sum += p[t];
    }
    for (int t = 0; t < s->T; t++) p[t] = p[t] / sum * (1 - uniform) + uniform / s->T;
}

void draw_timesteps(const LossSampler *s, Rng *rng, int B, int *t, double *weight) {
    double *p = malloc((size_t)s->T * sizeof *p);
    if (!p) fail("out of memory: probabilities of %d timesteps", s->T);
    timestep_probabilities(s, p);
    for (int b = 0; b < B; b++) {
        real u;
        rng_uniform(rng, 1, &u);
        double left = (double)u;
        for (t[b] = 0; t[b] < s->T - 1 && left >= p[t[b]]; t[b]++) left -= p[t[b]];
        weight[b] = 1 / (s->T * p[t[b]]);
    }
    free(p);
}

void loss_sampler_update(LossSampler *s, int B, const int *t, const double *loss) {
    for (int b = 0; b < B; b++) {
        real *history = s->history->x + t[b] * HISTORY;
        memmove(history, history + 1, (HISTORY - 1) * sizeof *history);
        history[HISTORY - 1] = (real)loss[b];
        if (s->seen->x[t[b]] < HISTORY) s->seen->x[t[b]] += 1;
    }
}

static int64_t greatest_common_divisor(int64_t a, int64_t b) {
    return b ? greatest_common_divisor(b, a % b) : a;
}

void even_timesteps(int T, int n, int *t) {
    int64_t stride = T < 3 ? 1 : T * 389LL / 1000;
    while (greatest_common_divisor(stride, T) > 1) stride++;
    for (int i = 0; i < n; i++) t[i] = (int)(i * stride % T);
}

void early_timesteps(int T, int n, int *t, double *weight) {
    double sum = 0, before = 0;
    for (int k = 1; k <= T; k++) sum += 1.0 / k;
    for (int i = 0, k = 0; i < n; i++) {
        double u = (i + 0.5) / n;
        while (k < T - 1 && before + 1 / (sum * (k + 1)) <= u) before += 1 / (sum * ++k);
        t[i] = k;
        weight[i] = sum * (k + 1) / T;
    }
}

GradientNoise gradient_noise(int b, double square, int B, double square_of_all) {
    return (GradientNoise){.signal = (B * square_of_all - b * square) / (B - b),
                           .noise = (square - square_of_all) / (1.0 / b - 1.0 / B)};
}
