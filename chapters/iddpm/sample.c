#include "commands.h"
#include "draw.h"
#include "io/file.h"
#include "io/picture.h"
#include "io/results.h"
#include "settings.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 8, FRAMES = 30, MOMENTS = 10 };

/* Pictures on their way: frames, in each of them x_t above, and the x0 that they are predicted to
 * become below. */
typedef struct {
    int columns, frames;
    real *images;               /* (frames,2,columns,28,28) */
} Recording;

static const real *frame_of(const Recording *r, int k) {
    return r->images + (size_t)k * 2 * (size_t)r->columns * PIXELS;
}

/* the first pictures once more, at up to FRAMES steps of the way, the last among them */
static Recording record(Sampler *m, Arena *arena, const int *label) {
    int T = m->chain->T, n = o.pictures < COLUMNS ? o.pictures : COLUMNS, k = 0;
    Recording r = {.columns = n, .frames = T < FRAMES ? T : FRAMES};
    real *x = new_images(arena, n);
    size_t size = (size_t)n * PIXELS;
    r.images = new_images(arena, r.frames * 2 * n);
    for (int i = 0; i < n; i++) sampling_noise(m->seed, i, X_T, PIXELS, x + i * PIXELS);
    for (int t = T - 1; t >= 0; t--) {
        Reverse p = sample_step(m, t, 0, n, label, x);
        if (T - t != (k + 1) * T / r.frames) continue;
        memcpy(r.images + 2 * k * size, x, size * sizeof *x);
        memcpy(r.images + (2 * k + 1) * size, p.start, size * sizeof *x);
        k++;
    }
    return r;
}

/* the first picture alone, at up to ten moments side by side */
static void save_strip(const Recording *r) {
    static real grid[2 * MOMENTS * PIXELS];
    int moments = r->frames < MOMENTS ? r->frames : MOMENTS;
    for (int k = 0; k < moments; k++) {
        const real *frame = frame_of(r, (k + 1) * r->frames / moments - 1);
        memcpy(grid + k * PIXELS, frame, PIXELS * sizeof *grid);
        memcpy(grid + (moments + k) * PIXELS, frame + r->columns * PIXELS, PIXELS * sizeof *grid);
    }
    save_garments(announced(&o.common, "progress.png"), grid, 2 * moments, moments);
}

static void save_film(const Recording *r) {
    char *path = announced(&o.common, "film.png");
    film_save(path, r->images, garments(2 * r->columns, r->columns),
              (Film){.frames = r->frames, .seconds = 0.1, .last = 2}, cli.line);
    free(path);
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
    Recording recording = record(&m, &arena, label);
    save_strip(&recording);
    save_film(&recording);
    tape_free(&m.tape);
    diffusion_free(&all), diffusion_free(&chain);
    arena_free(&arena);
    params_free(&params);
    return 0;
}
