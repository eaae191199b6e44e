#include "training.h"

#include "diffusion/validation.h"

enum { HELD_OUT = 512 };

Losses diffusion_losses(const ClassUNet *net, const NoisyImages *b, const int *label) {
    Tensor *output = class_unet(net, b->xt, b->time, label);
    return training_losses(b, HYBRID, (Parameterization){PREDICT_NOISE, LEARNED_RANGE}, output);
}

/* the first of a set, each at a timestep of its own; t (HELD_OUT) */
static Validation held_out(const NoiseSchedule *s, const Images *set, int *t) {
    int n = set->count < HELD_OUT ? set->count : HELD_OUT;
    even_timesteps(TIMESTEPS, n, t);
    return (Validation){.schedule = s, .images = set, .n = n, .t = t};
}

double validation_error(const ClassUNet *net, const NoiseSchedule *s, const Images *set) {
    int t[HELD_OUT];
    double sum = 0;
    Validation v = held_out(s, set, t);
    while (validation_next(&v)) {
        Tensor *mse = diffusion_losses(net, &v.batch, v.labels).mse;
        sum += k_sum(mse->len, mse->x);
    }
    validation_free(&v);
    return sum / v.n;
}

void log_validation_accuracy(Run *run, const NoisyClassifier *net, const NoiseSchedule *s,
                             const Images *set) {
    int t[HELD_OUT];
    double right[VALIDATION_BATCH];
    Validation v = held_out(s, set, t);
    while (validation_next(&v)) {
        class_is_right(class_logits(net, v.batch.xt, v.batch.time), v.labels, right);
        for (int b = 0; b < v.B; b++) run_value(run, "validation", right[b]);
        log_by_quarter(run, "validation", TIMESTEPS, v.B, t + v.first, right);
    }
    validation_free(&v);
}
