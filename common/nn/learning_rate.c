/* learning_rate.c — learning-rate schedules, as factors of the full rate. */
#include "nn/optim.h"

#include <math.h>

double lr_warmup(int64_t step, int64_t warmup) {
    return step + 1 < warmup ? (double)(step + 1) / (double)warmup : 1;
}

/* 0 at the end of the warm-up, 1 from step `total` on */
static double progress(int64_t step, int64_t warmup, int64_t total) {
    if (step >= total) return 1;
    return (double)(step - warmup) / (double)(total - warmup);
}

/* Loshchilov & Hutter 2017 (SGDR), eq. 5, without restarts */
double lr_cosine(int64_t step, int64_t warmup, int64_t total) {
    if (step < warmup) return lr_warmup(step, warmup);
    return 0.5 * (1 + cos(3.14159265358979323846 * progress(step, warmup, total)));
}

/* Haegele et al. 2024, "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations" */
double lr_cooldown(int64_t step, int64_t warmup, int64_t total) {
    int64_t last = total - total / 5;
    return step < last ? lr_warmup(step, warmup) : 1 - progress(step, last, total);
}

double lr_linear(int64_t step, int64_t warmup, int64_t total) {
    if (step < warmup) return lr_warmup(step, warmup);
    return 1 - progress(step, warmup, total);
}
