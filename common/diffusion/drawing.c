#include "diffusion/drawing.h"

#include "base/processes.h"

/* what `count` pictures from number `first` on start from; with how->last_steps, that much of x */
static void start(Sampler *m, int first, int count, real *x, const Drawing *how) {
    size_t n = (size_t)count * sampler_size(m);
    int last_steps = how->last_steps;
    if (how->from_x) return;
    if (!last_steps) {
        start_noise(m, first, count, x);
        return;
    }
    tape_reset(&m->tape);
    real *noise = arena_get(&m->tape.arena, n * sizeof *noise);
    start_noise(m, first, count, noise);
    q_sample(m->schedule, last_steps - 1, n, x, noise, x);
}

/* `count` pictures from number `first` on */
static void draw_group(Sampler *m, int first, int count, real *x, Progress *progress,
                       const Drawing *how) {
    int steps = how->last_steps ? how->last_steps : m->schedule->T;
    start(m, first, count, x, how);
    for (int t = steps - 1; t >= 0; t--) {
        Prediction p = sample_step(m, t, first, count, x);
        if (how->recording && !first) recording_take(how->recording, steps - t, x, p.x0);
        progress_update(progress, progress->done + 1, "");
    }
}

int steps_of_strength(int steps, double strength) {
    int n = (int)(strength * steps);
    return n < 1 ? 1 : n > steps ? steps : n;
}

int drawn_at_once(const Sampler *m, int most) {
    int n = most * 32 * 32 / (m->height * m->width);
    return n < 1 ? 1 : n < most ? n : most;
}

void draw_images(Sampler *m, int n, real *x, Drawing how) {
    Progress progress;
    double next_save = 0;
    size_t size = sampler_size(m), bytes = size * sizeof *x;
    int groups = 0;                             /* of this process */
    for (int k = 0; k * how.at_once < n; k++) groups += processes_own(k);
    int steps = how.last_steps ? how.last_steps : m->schedule->T;
    progress_start(&progress, "sample", 0, (int64_t)groups * steps, how.quiet);
    for (int first = 0; first < n; first += how.at_once) {
        int count = n - first < how.at_once ? n - first : how.at_once;
        if (processes_own(first / how.at_once))
            draw_group(m, first, count, x + (size_t)first * size, &progress, &how);
        double now = seconds_now();
        if (!how.save || !processes_alone() || first + count == n || now < next_save) continue;
        how.save(how.context, first + count, x);
        next_save = seconds_now() + 9 * (seconds_now() - now);
    }
    processes_collect(x, (size_t)n * bytes, (size_t)how.at_once * bytes);
    if (how.save && n) how.save(how.context, n, x);
    progress_end(&progress, progress.done, "");
}
