#include "diffusion/bound.h"

#include "base/file.h"
#include "base/processes.h"
#include "base/progress.h"

#include <math.h>
#include <stdio.h>

enum { AT_ONCE = 64 };          /* images the network sees together */

typedef struct {
    int n;
    const real *x0;
    real *xt;                   /* room for AT_ONCE of them */
} BoundImages;

static double bits(double nats, size_t dimensions) {
    return nats / ((double)dimensions * log(2));
}

/* adds the terms of up to AT_ONCE images from number `first` on, divided by the number of all */
static void add_terms(Sampler *m, int t, const BoundImages *b, int first, BoundTerm *sum) {
    const NoiseSchedule *s = m->schedule;
    int count = b->n - first < AT_ONCE ? b->n - first : AT_ONCE;
    size_t size = sampler_size(m);
    const real *x0 = b->x0 + (size_t)first * size;
    for (int i = 0; i < count; i++) {
        real *xt = b->xt + (size_t)i * size;
        sampling_noise(m->seed + 1, first + i, s->step[t], size, xt);
        q_sample(s, t, size, x0 + (size_t)i * size, xt, xt);
    }
    Prediction p = predict(m, t, first, count, b->xt);
    sum->x0_mse += k_sum_squared_difference(p.n, p.x0, x0) / ((double)b->n * (double)size);
    for (int k = 0; k < BOUND_VARIANCES; k++) {
        if (k != BOUND_MODEL) {
            Variance fixed = k == BOUND_SMALL ? FIXED_SMALL : FIXED_LARGE;
            p.log_variance = NULL;
            p.fixed_log_variance = fixed_log_variance(s, fixed, t);
        }
        sum->bits[k] += bits(bound_term(s, t, x0, b->xt, &p) / b->n, size);
    }
}

Bound evaluate_bound(Sampler *m, int n, const real *x0, bool quiet, BoundTerm *term) {
    Arena arena = {0};
    Progress progress;
    int T = m->schedule->T;
    size_t size = sampler_size(m);
    BoundImages images = {n, x0, arena_get(&arena, AT_ONCE * size * sizeof(real))};
    double prior = bits(prior_term(m->schedule, (size_t)n * size, x0) / n, size);
    Bound sum = {.bits = {prior, prior, prior}, .prior = prior};
    progress_start(&progress, "bound", 0, T, quiet);
    for (int t = T - 1; t >= 0; t--) {
        term[t] = (BoundTerm){0};
        for (int first = 0; first < n && processes_own(t); first += AT_ONCE)
            add_terms(m, t, &images, first, &term[t]);
        progress_update(&progress, T - t, "");
    }
    processes_collect(term, (size_t)T * sizeof *term, sizeof *term);
    for (int t = T - 1; t >= 0; t--)
        for (int k = 0; k < BOUND_VARIANCES; k++) sum.bits[k] += term[t].bits[k];
    progress_end(&progress, T, "");
    arena_free(&arena);
    return sum;
}

void bound_save(const char *path, const NoiseSchedule *s, const BoundTerm *term, bool model) {
    AtomicFile f = file_create(path);
    fprintf(f.stream, "t,%ssmall,large,start_mse\n", model ? "model," : "");
    for (int t = s->T - 1; t >= 0; t--) {
        fprintf(f.stream, "%d", s->step[t]);
        for (int k = model ? BOUND_MODEL : BOUND_SMALL; k < BOUND_VARIANCES; k++)
            fprintf(f.stream, ",%.6g", term[t].bits[k]);
        fprintf(f.stream, ",%.6g\n", term[t].x0_mse);
    }
    file_commit(&f);
}
