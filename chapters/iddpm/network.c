#include "network.h"

#include "eval/likelihood.h"

/* what the network says of x_t = q_sample(x0, eps) at the pictures' times */
typedef struct {
    Tensor *xt, *eps, *answer;
} Asked;

static Asked ask(const Model *net, const Diffusion *d, Tensor *x0, const int *label, const int *t,
                 Rng *noise) {
    Tape *tape = x0->tape;
    int B = x0->shape[0];
    size_t n = x0->len / (size_t)B;
    Asked a = {.xt = t_input(tape, NULL, x0->rank, x0->shape),
               .eps = t_input(tape, NULL, x0->rank, x0->shape)};
    double *time = arena_get(&tape->arena, (size_t)B * sizeof *time);
    rng_normal(noise, a.eps->len, a.eps->x);
    for (int b = 0; b < B; b++) {
        size_t at = (size_t)b * n;
        time[b] = model_time(d, t[b]);
        q_sample(d, t[b], n, x0->x + at, a.eps->x + at, a.xt->x + at);
    }
    a.answer = model_output(net, a.xt, time, label);
    return a;
}

Losses network_losses(const Model *net, const Diffusion *d, Objective o, Variance v, Tensor *x0,
                      const int *label, const int *t, Rng *noise) {
    Asked a = ask(net, d, x0, label, t, noise);
    return training_losses(d, o, v, a.answer, x0, a.xt, a.eps, t);
}

void network_bound(const Model *net, const Diffusion *d, Variance v, Tensor *x0, const int *label,
                   const int *t, Rng *noise, double *bits) {
    Asked a = ask(net, d, x0, label, t, noise);
    int B = x0->shape[0], C = x0->shape[3];
    size_t n = x0->len / (size_t)B;
    real *space = arena_get(&x0->tape->arena, 3 * n * sizeof *space);
    Reverse p = {space, space + n, space + 2 * n};
    for (int b = 0; b < B; b++) {
        const real *xt = a.xt->x + (size_t)b * n, *answer = a.answer->x + 2 * (size_t)b * n;
        p_mean_variance(d, v, t[b], n / (size_t)C, C, true, xt, answer, p);
        double nats = bound_term(d, t[b], n, x0->x + (size_t)b * n, xt, &p);
        bits[b] = bits_per_dimension(nats, (int)n);
    }
}

Reverse predict(Sampler *m, int t, int n, const real *x, const int *label) {
    int C = m->net->unet.config.in;
    tape_reset(&m->tape);
    Tensor *xt = t_input(&m->tape, x, SHAPE(n, m->side, m->side, C));
    double *time = arena_get(&m->tape.arena, (size_t)n * sizeof *time);
    for (int i = 0; i < n; i++) time[i] = model_time(m->chain, t);
    Tensor *answer = model_output(m->net, xt, time, label);
    size_t bytes = xt->len * sizeof(real);
    Reverse p = {.start = arena_get(&m->tape.arena, bytes),
                 .mean = arena_get(&m->tape.arena, bytes),
                 .log_variance = arena_get(&m->tape.arena, bytes)};
    p_mean_variance(m->chain, m->variance, t, xt->len / (size_t)C, C, true, x, answer->x, p);
    return p;
}

void sampling_noise(uint64_t seed, int number, int step, size_t n, real *z) {
    Rng rng = rng_new(seed, "sampling");
    rng.next = ((uint64_t)number * (X_T + 1) + (uint64_t)step) * (n + n % 2);
    rng_normal(&rng, n, z);
}

Reverse sample_step(Sampler *m, int t, int first, int n, const int *label, real *x) {
    size_t size = (size_t)(m->side * m->side * m->net->unet.config.in);
    Reverse p = predict(m, t, n, x, label);
    real *z = arena_get(&m->tape.arena, size * sizeof *z);
    for (int i = 0; i < n; i++) {
        size_t at = (size_t)i * size;
        Reverse one = {p.start + at, p.mean + at, p.log_variance + at};
        sampling_noise(m->seed, first + i, m->chain->step[t], size, z);
        if (m->ddim) ddim_sample(m->chain, t, size, m->eta, one.start, z, x + at);
        else p_sample(t, size, &one, z, x + at);
    }
    return p;
}
