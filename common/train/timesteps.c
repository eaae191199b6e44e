#include "train/timesteps.h"

int *uniform_timesteps(Arena *arena, Rng *rng, int T, int n) {
    int *t = arena_get(arena, (size_t)n * sizeof *t);
    for (int i = 0; i < n; i++) t[i] = (int)rng_below(rng, (uint32_t)T);
    return t;
}

void log_by_quarter(Run *run, const char *name, int T, int n, const int *t, const double *value) {
    for (int i = 0; i < n; i++) {
        int quarter = 1 + (int)((int64_t)t[i] * 4 / T);
        run_value(run, arena_text(&run->tape.arena, "%s_%d", name, quarter), value[i]);
    }
}
