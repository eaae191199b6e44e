#include "ddpm.h"

#include <math.h>
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

int picture_side(const char *config) {
    if (!strcmp(config, "cifar10")) return 32;
    return !strcmp(config, "lsun256") ? 256 : 28;
}

Model model_new(Params *p, UNetConfig c) {
    Scope time = styled_scope(&c.style, scope(p, "time"));
    Model m = {.time = time_embedding_new(time, c.width, unet_emb(&c), true)};
    m.unet = unet_new(p, c);
    return m;
}

Tensor *model_output(const Model *m, Tensor *xt, const double *time) {
    Tensor *emb = time_embedding(&m->time, xt->tape, time, xt->shape[0]);
    return unet(&m->unet, xt, emb, NULL);
}

/* ---- the noise schedule ---------------------------------------------------------------------- */

NoiseSchedule ddpm_schedule(bool no_time) {
    NoiseSchedule s = schedule_linear(TIMESTEPS, 1e-4, 0.02);
    for (int t = 0; t < s.T && no_time; t++) s.time[t] = 0;
    return s;
}

NoiseSchedule schedule_strided(const NoiseSchedule *s, int n) {
    int steps[TIMESTEPS] = {0};
    for (int i = 0; i < n; i++)
        steps[i] = n > 1 ? (int)rint((double)i * (s->T - 1) / (n - 1)) : s->T - 1;
    NoiseSchedule some = schedule_of_steps(s, n, steps);
    for (int i = 0; i < n; i++) some.step[i] = i;
    return some;
}

/* ---- loss, denoiser, interpolation ----------------------------------------------------------- */

Tensor *simple_loss(const Model *net, const NoisyImages *b, PredictionType p, double *error) {
    Tensor *output = model_output(net, b->xt, b->time), *target = training_target(b, p);
    if (error) squared_errors(output, target, error);
    return t_mse(output, target);
}

static Tensor *output_at(const void *network, const Step *at, Tensor *xt) {
    return model_output(network, xt, step_times(at));
}

NetworkDenoiser unet_denoiser(const Model *net, PredictionType p, Variance fixed) {
    return network_denoiser(output_at, net, (Parameterization){p, fixed});
}

void interpolate(Sampler *m, int t, int n, const real *a, const real *b, double lambda, real *y) {
    enum { NOISE_OF_A = 1 << 15, NOISE_OF_B };      /* keys of steps that no schedule has */
    size_t size = sampler_size(m);
    tape_reset(&m->tape);
    real *eps = arena_get(&m->tape.arena, size * sizeof *eps);
    real *b_t = arena_get(&m->tape.arena, size * sizeof *b_t);
    for (int i = 0; i < n; i++) {
        size_t at = (size_t)i * size;
        sampling_noise(m->seed, i, NOISE_OF_A, size, eps);
        q_sample(m->schedule, t, size, a + at, eps, y + at);
        sampling_noise(m->seed, i, NOISE_OF_B, size, eps);
        q_sample(m->schedule, t, size, b + at, eps, b_t);
        combine(size, 1 - lambda, y + at, lambda, b_t, y + at);
    }
    sample_from(m, t, 0, n, y);
}
