#include "iddpm.h"

#include "base/memory.h"
#include "nn/unet_config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- networks -------------------------------------------------------------------------------- */

ModelConfig model_config(const char *config) {
    UNetConfig d = {.in = 3, .out = 6, .width = 128, .blocks = 3, .heads = 4,
                    .style = {.groups = 32, .eps = 1e-5, .scale_shift = true}};
    int classes = 0, side = 28;
    if (!strcmp(config, "cifar10")) {                        /* attention at 16 and 8 */
        unet_levels(&d, 1, 2, 2, 2);
        d.attends[1] = d.attends[2] = true;
        side = 32;
    } else if (!strcmp(config, "imagenet64") || !strcmp(config, "imagenet64-cond")) {
        unet_levels(&d, 1, 2, 3, 4);
        d.attends[2] = d.attends[3] = true;
        side = 64;
        if (strcmp(config, "imagenet64")) d.width = 192, classes = 1000;
    } else if (!strcmp(config, "lsun")) {                    /* DDPM's network, but for v */
        unet_levels(&d, 1, 1, 2, 2, 4, 4);
        d.attends[4] = true;
        d.blocks = 2, d.heads = 1, d.style.scale_shift = false;
        side = 256;
    } else {                                                 /* 28x28 -> 14x14 -> 7x7 */
        unet_levels(&d, 1, 2, 2);
        d.in = 1, d.out = 2, d.width = 32, d.blocks = 2;
        d.attends[1] = d.attends[2] = true;
    }
    return (ModelConfig){.unet = d, .classes = classes, .side = side};
}

NoiseSchedule scaled_linear(int T) {
    return schedule_linear(T, 0.1 / T, 20.0 / T);
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
    double *p = memory_new((size_t)s->T, sizeof *p, "probabilities of %d timesteps", s->T);
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
