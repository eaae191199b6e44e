#include "commands.h"
#include "draw.h"
#include "io/file.h"
#include "io/results.h"
#include "settings.h"

#include <stdlib.h>
#include <string.h>

enum { MOMENTS = 10 };

/* The first picture on its way, at ten moments: x_t above, and the x0 it was predicted to become
 * below. */
static void picture_of_progress(Sampler *m, const int *label) {
    static real x[PIXELS], grid[2 * MOMENTS * PIXELS];
    int T = m->chain->T, moments = T < MOMENTS ? T : MOMENTS;
    sampling_noise(m->seed, 0, X_T, PIXELS, x);
    for (int t = T - 1, k = 0; t >= 0; t--) {
        Reverse p = sample_step(m, t, 0, 1, label, x);
        if (t != T - 1 - ((k + 1) * T / moments - 1)) continue;
        memcpy(grid + k * PIXELS, x, sizeof x);
        memcpy(grid + (moments + k) * PIXELS, p.start, sizeof x);
        k++;
    }
    save_grid(announced(&o.common, "progress.png"), grid, 2 * moments, moments);
}

int sample(void) {
    Params params = {0};
    UNet net = load_network(&params);
    Arena arena = {0};
    Diffusion all = chosen_chain(), chain = respaced_chain(&all, "respace", sampling_steps());
    Sampler m = new_sampler(&net, &chain);
    const int *label = wanted_classes(&arena, o.pictures);
    folder_create(o.common.out);
    free(announced(&o.common, "samples.png")), free(announced(&o.common, "samples.npy"));
    draw_pictures(&m, o.pictures, label, 16, true, o.common.quiet,
                  new_images(&arena, o.pictures));
    picture_of_progress(&m, label);
    tape_free(&m.tape);
    diffusion_free(&all), diffusion_free(&chain);
    arena_free(&arena);
    params_free(&params);
    return 0;
}
