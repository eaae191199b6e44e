#include "diffusion/noise_schedule.h"

#include "base/memory.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tables ---------------------------------------------------------------------------------- */

static NoiseSchedule schedule_new(int T) {
    if (T < 1) die("noise schedule: %d steps", T);
    NoiseSchedule s = {.T = T};
    double **table[] = {&s.time, &s.beta, &s.log_beta, &s.alpha_bar, &s.alpha_bar_before,
                        &s.alpha_bar_after, &s.xt_coef_x0, &s.xt_coef_eps, &s.x0_coef_xt,
                        &s.x0_coef_eps, &s.mean_coef_x0, &s.mean_coef_xt, &s.posterior_variance,
                        &s.posterior_log_variance};
    size_t n = (size_t)T, tables = sizeof table / sizeof *table;
    s.memory = memory_new(tables * n, sizeof *s.memory, "a noise schedule of %d steps", T);
    s.step = memory_new(n, sizeof *s.step, "a noise schedule of %d steps", T);
    for (size_t k = 0; k < tables; k++) *table[k] = s.memory + k * n;
    for (int t = 0; t < T; t++) s.time[t] = s.step[t] = t;
    return s;
}

/* all tables from beta; `end`: the alpha_bar that the step back from index 0 leads to */
static NoiseSchedule filled(NoiseSchedule s, double end) {
    double before = end;
    for (int t = 0; t < s.T; t++) {
        double alpha = 1 - s.beta[t], after = before * alpha;
        s.log_beta[t] = log(s.beta[t]);
        s.alpha_bar[t] = after;
        s.alpha_bar_before[t] = before;
        if (t > 0) s.alpha_bar_after[t - 1] = after;
        s.xt_coef_x0[t] = sqrt(after);
        s.xt_coef_eps[t] = sqrt(1 - after);
        s.x0_coef_xt[t] = sqrt(1 / after);
        s.x0_coef_eps[t] = sqrt(1 / after - 1);
        s.mean_coef_x0[t] = s.beta[t] * sqrt(before) / (1 - after);
        s.mean_coef_xt[t] = (1 - before) * sqrt(alpha) / (1 - after);
        s.posterior_variance[t] = s.beta[t] * (1 - before) / (1 - after);
        s.posterior_log_variance[t] = log(s.posterior_variance[t]);
        before = after;
    }
    if (end == 1)
        s.posterior_log_variance[0] = s.T > 1 ? s.posterior_log_variance[1] : log(s.beta[0]);
    return s;
}

void schedule_free(NoiseSchedule *s) {
    free(s->memory), free(s->step);
    *s = (NoiseSchedule){0};
}

/* ---- betas ----------------------------------------------------------------------------------- */

static double between(double first, double last, int t, int T) {
    return T > 1 ? first + (last - first) * t / (T - 1) : first;
}

NoiseSchedule schedule_linear(int T, double first, double last) {
    NoiseSchedule s = schedule_new(T);
    for (int t = 0; t < T; t++) s.beta[t] = between(first, last, t, T);
    return filled(s, 1);
}

NoiseSchedule schedule_sqrt_linear(int T, double first, double last) {
    NoiseSchedule s = schedule_new(T);
    for (int t = 0; t < T; t++) {
        double root = between(sqrt(first), sqrt(last), t, T);
        s.beta[t] = root * root;
    }
    return filled(s, 1);
}

/* `t` from 0 to 1 */
static double cosine_alpha_bar(double t) {
    double c = cos((t + 0.008) / 1.008 * M_PI / 2);
    return c * c;
}

NoiseSchedule schedule_cosine(int T) {
    NoiseSchedule s = schedule_new(T);
    for (int t = 0; t < T; t++) {
        double ratio = cosine_alpha_bar((t + 1.0) / T) / cosine_alpha_bar((double)t / T);
        s.beta[t] = fmin(1 - ratio, 0.999);
    }
    return filled(s, 1);
}

NoiseSchedule schedule_of_betas(int T, const double *beta) {
    NoiseSchedule s = schedule_new(T);
    memcpy(s.beta, beta, (size_t)T * sizeof *beta);
    return filled(s, 1);
}

/* ---- some of the steps ----------------------------------------------------------------------- */

void schedule_rescale_time(NoiseSchedule *s) {
    for (int t = 0; t < s->T; t++) s->time[t] = s->step[t] * (1000.0 / s->T);
}

NoiseSchedule schedule_of_steps(const NoiseSchedule *from, int n, const int *steps) {
    NoiseSchedule s = schedule_new(n);
    double before = 1;
    for (int i = 0; i < n; i++) {
        s.beta[i] = 1 - from->alpha_bar[steps[i]] / before;
        s.step[i] = from->step[steps[i]];
        s.time[i] = from->time[steps[i]];
        before = from->alpha_bar[steps[i]];
    }
    return filled(s, 1);
}

NoiseSchedule schedule_respaced(const NoiseSchedule *from, const char *sections) {
    int *steps = memory_new((size_t)from->T, sizeof *steps, "%d timesteps", from->T);
    int n = space_timesteps(from->T, sections, steps);
    NoiseSchedule s = {0};
    if (n) s = schedule_of_steps(from, n, steps);
    if (n && !strncmp(sections, "ldm", 3) && steps[0] > 0) {
        double end = from->alpha_bar[0];
        s.beta[0] = 1 - from->alpha_bar[steps[0]] / end;
        s = filled(s, end);
    }
    free(steps);
    return s;
}

NoiseSchedule schedule_respaced_to(const NoiseSchedule *from, const char *kind, int n) {
    char sections[32];
    snprintf(sections, sizeof sections, "%s%d", kind, n);
    return schedule_respaced(from, sections);
}

/* "25" -> 25, and where it ends; 0: no number */
static int count_in(const char *text, const char **end) {
    char *stop;
    long n = *text >= '0' && *text <= '9' ? strtol(text, &stop, 10) : 0;
    *end = n ? stop : text;
    return n > 0 && n <= 1000000 ? (int)n : 0;
}

/* every k-th step, with the smallest k that gives n of them */
static int ddim_steps(int T, int n, int *steps) {
    for (int k = 1; k < T; k++) {
        if ((T + k - 1) / k != n) continue;
        for (int i = 0; i < n; i++) steps[i] = i * k;
        return n;
    }
    return 0;
}

/* LDM takes every (T / n)-th step, which are more than n if n does not divide T, and adds 1. Where
 * that leads beyond T: n equal strides. */
static int ldm_steps(int T, int n, int *steps) {
    if (n > T) return 0;
    int k = T / n, count = (T + k - 1) / k;
    bool beyond = (count - 1) * k + 1 >= T;
    if (beyond) count = n;
    for (int i = 0; i < count; i++)
        steps[i] = beyond ? (int)((int64_t)i * T / n) + (n < T) : i * k + 1;
    return count;
}

/* LDM's squares of even strides up to 0.8 T */
static int quad_steps(int T, int n, int *steps) {
    double stride = n > 1 ? sqrt(0.8 * T) / (n - 1) : 0;
    for (int i = 0; i < n && i < T; i++) {
        double root = i < n - 1 ? i * stride : n > 1 ? sqrt(0.8 * T) : 0;
        steps[i] = (int)(root * root) + 1;
        if (steps[i] >= T || (i > 0 && steps[i] <= steps[i - 1])) return 0;
    }
    return n > T ? 0 : n;
}

/* `count` steps of the `size` from `first` on, both ends among them. Rounds halves to even, as
 * Python does, after adding up the stride. */
static void section_steps(int first, int size, int count, int *steps) {
    double stride = count > 1 ? (double)(size - 1) / (count - 1) : 1, at = 0;
    for (int i = 0; i < count; i++, at += stride) steps[i] = first + (int)rint(at);
}

static int sections_steps(int T, const char *sections, int *steps) {
    const char *end;
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

int space_timesteps(int T, const char *sections, int *steps) {
    static const struct {
        const char *prefix;
        int (*steps)(int T, int n, int *steps);
    } strides[] = {{"ddim", ddim_steps}, {"ldmquad", quad_steps}, {"ldm", ldm_steps}};
    for (size_t k = 0; k < sizeof strides / sizeof *strides; k++) {
        size_t length = strlen(strides[k].prefix);
        if (strncmp(sections, strides[k].prefix, length)) continue;
        const char *end;
        int n = count_in(sections + length, &end);
        return n && !*end ? strides[k].steps(T, n, steps) : 0;
    }
    if (strcmp(sections, "fast27")) return sections_steps(T, sections, steps);
    int n = sections_steps(T, "10,10,3,2,2", steps);
    if (n) steps[n - 1] = T - 3;
    return n;
}

/* ---- for validation -------------------------------------------------------------------------- */

static int64_t greatest_common_divisor(int64_t a, int64_t b) {
    return b ? greatest_common_divisor(b, a % b) : a;
}

void even_timesteps(int T, int n, int *t) {
    int64_t stride = T < 3 ? 1 : T * 389LL / 1000;
    while (greatest_common_divisor(stride, T) > 1) stride++;
    for (int i = 0; i < n; i++) t[i] = (int)(i * stride % T);
}
