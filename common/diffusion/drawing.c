#include "diffusion/drawing.h"

/* `count` pictures from number `first` on */
static void draw_group(Sampler *m, int first, int count, real *x, Progress *progress,
                       Recording *recording) {
    int T = m->schedule->T;
    start_noise(m, first, count, x);
    for (int t = T - 1; t >= 0; t--) {
        Prediction p = sample_step(m, t, first, count, x);
        if (recording) recording_take(recording, T - t, x, p.x0);
        progress_update(progress, progress->done + 1, "");
    }
}

int drawn_at_once(const Sampler *m, int most) {
    int n = most * 32 * 32 / (m->height * m->width);
    return n < 1 ? 1 : n < most ? n : most;
}

void draw_images(Sampler *m, int n, real *x, Drawing how) {
    Progress progress;
    double next_save = 0;
    int64_t groups = (n + how.at_once - 1) / how.at_once;
    progress_start(&progress, "sample", 0, groups * m->schedule->T, how.quiet);
    for (int first = 0; first < n; first += how.at_once) {
        int count = n - first < how.at_once ? n - first : how.at_once;
        draw_group(m, first, count, x + (size_t)first * sampler_size(m), &progress,
                   first ? NULL : how.recording);
        double now = seconds_now();
        if (!how.save || (now < next_save && first + count < n)) continue;
        how.save(how.context, first + count, x);
        next_save = seconds_now() + 9 * (seconds_now() - now);
    }
    progress_end(&progress, progress.done, "");
}
