#include "ddpm.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- networks -------------------------------------------------------------------------------- */

UNetConfig unet_config(const char *config) {
    UNetConfig d = {.in = 3, .out = 3, .width = 128, .levels = 4, .multiplier = {1, 2, 2, 2},
                    .attends = {false, true}, .blocks = 2, .heads = 1,
                    .style = {.groups = 32, .eps = 1e-6, .pad_far_sides = true,
                              .glorot = true}};        /* CIFAR-10: appendix B */
    if (!strcmp(config, "cifar10")) return d;
    if (!strcmp(config, "lsun256")) {
        static const int multiplier[] = {1, 1, 2, 2, 4, 4};
        d.levels = 6;
        memcpy(d.multiplier, multiplier, sizeof multiplier);
        d.attends[1] = false, d.attends[4] = true;     /* at 16 x 16, as in the other */
        return d;
    }
    d.in = d.out = 1;                                  /* 28x28 -> 14x14 -> 7x7 */
    d.width = 32;
    d.levels = 3;
    return d;
}

Model model_new(Params *p, UNetConfig c) {
    Model m = {.time = time_embedding_new(scope(p, "time"), c.width, unet_emb(&c), true)};
    for (int i = 0; i < 2 && c.style.glorot; i++) init_linear_xavier(&m.time.layer[i], p->seed);
    m.unet = unet_new(p, c);
    return m;
}

Tensor *model_output(const Model *m, Tensor *xt, const double *time) {
    Tensor *emb = time_embedding(&m->time, xt->tape, time, xt->shape[0]);
    return unet(&m->unet, xt, emb, NULL);
}

/* ---- the noise schedule ---------------------------------------------------------------------- */

/* all tables from beta and the times */
static void fill(Schedule *s) {
    double before = 1;
    for (int t = 0; t < s->T; t++) {
        double alpha = 1 - s->beta[t], after = before * alpha;
        s->alpha_bar[t] = after;
        s->alpha_bar_before[t] = before;
        s->mean_coef_x0[t] = s->beta[t] * sqrt(before) / (1 - after);
        s->mean_coef_xt[t] = (1 - before) * sqrt(alpha) / (1 - after);
        s->posterior_variance[t] = s->beta[t] * (1 - before) / (1 - after);
        before = after;
    }
}

static Schedule schedule_of(int T) {
    enum { TABLES = 7 };
    if (T < 1) die("schedule: %d steps", T);
    size_t n = (size_t)T;
    Schedule s = {.T = T, .memory = calloc(TABLES * n, sizeof *s.memory)};
    if (!s.memory) fail("out of memory: a schedule of %d steps", T);
    double **table[TABLES] = {&s.beta,        &s.alpha_bar,   &s.alpha_bar_before,
                              &s.mean_coef_x0, &s.mean_coef_xt, &s.posterior_variance, &s.time};
    for (size_t k = 0; k < TABLES; k++) *table[k] = s.memory + k * n;
    return s;
}

Schedule schedule_linear(int T, double first, double last) {
    Schedule s = schedule_of(T);
    for (int t = 0; t < T; t++) {
        s.beta[t] = T > 1 ? first + (last - first) * t / (T - 1) : first;
        s.time[t] = t;
    }
    fill(&s);
    return s;
}

/* One step of the new schedule is several of the old one: alpha_bar must be the same where it
 * arrives. */
Schedule schedule_strided(const Schedule *from, int n) {
    Schedule s = schedule_of(n);
    double before = 1;
    for (int i = 0; i < n; i++) {
        int t = n > 1 ? (int)rint((double)i * (from->T - 1) / (n - 1)) : from->T - 1;
        s.beta[i] = 1 - from->alpha_bar[t] / before;
        s.time[i] = from->time[t];
        before = from->alpha_bar[t];
    }
    fill(&s);
    return s;
}

void schedule_free(Schedule *s) {
    free(s->memory);
    *s = (Schedule){0};
}

/* ---- forward --------------------------------------------------------------------------------- */

/* y = a u + b v */
static void mix(size_t n, double a, const real *u, double b, const real *v, real *y) {
    for (size_t i = 0; i < n; i++) y[i] = (real)(a * (double)u[i] + b * (double)v[i]);
}

void q_sample(const Schedule *s, int t, size_t n, const real *x0, const real *eps, real *xt) {
    mix(n, sqrt(s->alpha_bar[t]), x0, sqrt(1 - s->alpha_bar[t]), eps, xt);
}

void posterior_mean(const Schedule *s, int t, size_t n, const real *x0, const real *xt,
                    real *mean) {
    mix(n, s->mean_coef_x0[t], x0, s->mean_coef_xt[t], xt, mean);
}

/* ---- what the network predicts --------------------------------------------------------------- */

Prediction prediction_named(const char *name) {
    if (!strcmp(name, "start")) return START;
    return !strcmp(name, "mean") ? MEAN : NOISE;
}

/* eq. 4 solved for x0 */
void start_from_noise(const Schedule *s, int t, size_t n, const real *xt, const real *eps,
                      real *x0) {
    mix(n, sqrt(1 / s->alpha_bar[t]), xt, -sqrt(1 / s->alpha_bar[t] - 1), eps, x0);
}

/* eq. 4 solved for eps */
void noise_from_start(const Schedule *s, int t, size_t n, const real *xt, const real *x0,
                      real *eps) {
    double scale = 1 / sqrt(1 - s->alpha_bar[t]);
    mix(n, scale, xt, -scale * sqrt(s->alpha_bar[t]), x0, eps);
}

/* eq. 7 solved for x0 */
void start_from_mean(const Schedule *s, int t, size_t n, const real *xt, const real *mean,
                     real *x0) {
    mix(n, 1 / s->mean_coef_x0[t], mean, -s->mean_coef_xt[t] / s->mean_coef_x0[t], xt, x0);
}

void predicted_start(const Schedule *s, Prediction p, int t, size_t n, const real *xt,
                     const real *answer, real *x0) {
    switch (p) {
    case NOISE: start_from_noise(s, t, n, xt, answer, x0); break;
    case START: memcpy(x0, answer, n * sizeof *x0); break;
    case MEAN: start_from_mean(s, t, n, xt, answer, x0); break;
    }
}

void training_target(const Schedule *s, Prediction p, int t, size_t n, const real *x0,
                     const real *eps, const real *xt, real *target) {
    switch (p) {
    case NOISE: memcpy(target, eps, n * sizeof *target); break;
    case START: memcpy(target, x0, n * sizeof *target); break;
    case MEAN: posterior_mean(s, t, n, x0, xt, target); break;
    }
}

Tensor *simple_loss(const Model *net, const Schedule *s, Prediction p, Tensor *x0, const int *t,
                    Rng *noise, double *error) {
    Tape *tape = x0->tape;
    int B = x0->shape[0];
    size_t n = x0->len / (size_t)B;
    Tensor *xt = t_input(tape, NULL, x0->rank, x0->shape);
    Tensor *eps = t_input(tape, NULL, x0->rank, x0->shape);
    Tensor *target = t_input(tape, NULL, x0->rank, x0->shape);
    double *time = arena_get(&tape->arena, (size_t)B * sizeof *time);
    rng_normal(noise, eps->len, eps->x);
    for (int b = 0; b < B; b++) {
        size_t at = (size_t)b * n;
        time[b] = s->time[t[b]];
        q_sample(s, t[b], n, x0->x + at, eps->x + at, xt->x + at);
        training_target(s, p, t[b], n, x0->x + at, eps->x + at, xt->x + at, target->x + at);
    }
    Tensor *answer = model_output(net, xt, time);
    for (int b = 0; b < B && error; b++) {
        size_t at = (size_t)b * n;
        error[b] = k_sum_squared_difference(n, answer->x + at, target->x + at) / (double)n;
    }
    return t_mse(answer, target);
}

/* ---- reverse --------------------------------------------------------------------------------- */

Variance variance_named(const char *name) {
    return !strcmp(name, "small") ? FIXED_SMALL : FIXED_LARGE;
}

double reverse_log_variance(const Schedule *s, Variance v, int t) {
    if (t == 0) return log(s->T > 1 ? s->posterior_variance[1] : s->beta[0]);
    return log(v == FIXED_SMALL ? s->posterior_variance[t] : s->beta[t]);
}

void clip(size_t n, real *x) {
    k_clamp(n, x, -1, 1, x);
}

void p_sample(const Schedule *s, Variance v, int t, size_t n, const real *x0, const real *z,
              real *x) {
    posterior_mean(s, t, n, x0, x, x);
    if (t > 0) k_axpy(n, (real)exp(0.5 * reverse_log_variance(s, v, t)), z, x, true);
}

/* ---- the bound ------------------------------------------------------------------------------- */

double prior_term(const Schedule *s, size_t n, const real *x0) {
    double left = s->alpha_bar[s->T - 1], sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += normal_kl(sqrt(left) * (double)x0[i], log1p(-left), 0, 0);
    return sum;
}

double bound_term(const Schedule *s, Variance v, int t, size_t n, const real *x0, const real *xt,
                  const real *start) {
    double a = s->mean_coef_x0[t], b = s->mean_coef_xt[t], sum = 0;
    double log_variance = reverse_log_variance(s, v, t);
    double log_posterior = reverse_log_variance(s, FIXED_SMALL, t);
    for (size_t i = 0; i < n; i++) {
        double x = (double)x0[i], noisy = b * (double)xt[i], mean = a * (double)start[i] + noisy;
        if (t == 0) sum -= discretized_log_likelihood(x, mean, 0.5 * log_variance);
        else sum += normal_kl(a * x + noisy, log_posterior, mean, log_variance);
    }
    return sum;
}

/* ---- with a network -------------------------------------------------------------------------- */

static size_t picture_size(const Sampler *m) {
    return (size_t)(m->side * m->side * m->net->unet.config.in);
}

void predict(Sampler *m, int t, int n, const real *x, real *x0) {
    tape_reset(&m->tape);
    Tensor *xt = t_input(&m->tape, x, SHAPE(n, m->side, m->side, m->net->unet.config.in));
    double *time = arena_get(&m->tape.arena, (size_t)n * sizeof *time);
    for (int i = 0; i < n; i++) time[i] = m->schedule->time[t];
    Tensor *answer = model_output(m->net, xt, time);
    predicted_start(m->schedule, m->prediction, t, answer->len, x, answer->x, x0);
    clip(answer->len, x0);
}

void sampling_noise(uint64_t seed, int number, int step, size_t n, real *z) {
    enum { MOST_STEPS = 1 << 16 };
    Rng rng = rng_new(seed, "sampling");
    rng.next = ((uint64_t)number * MOST_STEPS + (uint64_t)step) * (n + n % 2);
    rng_normal(&rng, n, z);
}

void sample_step(Sampler *m, int t, int first, int n, real *x, real *x0) {
    size_t size = picture_size(m);
    predict(m, t, n, x, x0);
    real *z = arena_get(&m->tape.arena, size * sizeof *z);
    for (int i = 0; i < n; i++) {
        size_t at = (size_t)i * size;
        sampling_noise(m->seed, first + i, t, size, z);
        p_sample(m->schedule, m->variance, t, size, x0 + at, z, x + at);
    }
}

void interpolate(Sampler *m, int t, int n, const real *a, const real *b, double lambda, real *y,
                 real *x0) {
    enum { NOISE_OF_A = 1 << 15, NOISE_OF_B };      /* steps that no schedule has */
    size_t size = picture_size(m);
    tape_reset(&m->tape);
    real *eps = arena_get(&m->tape.arena, size * sizeof *eps);
    real *b_t = arena_get(&m->tape.arena, size * sizeof *b_t);
    for (int i = 0; i < n; i++) {
        size_t at = (size_t)i * size;
        sampling_noise(m->seed, i, NOISE_OF_A, size, eps);
        q_sample(m->schedule, t, size, a + at, eps, y + at);
        sampling_noise(m->seed, i, NOISE_OF_B, size, eps);
        q_sample(m->schedule, t, size, b + at, eps, b_t);
        mix(size, 1 - lambda, y + at, lambda, b_t, y + at);
    }
    for (; t >= 0; t--) sample_step(m, t, 0, n, y, x0);
}
