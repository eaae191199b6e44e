#include "commands.h"
#include "draw.h"
#include "io/file.h"
#include "io/picture.h"
#include "io/results.h"
#include "settings.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 8, FRAMES = 30, MOMENTS = 10 };

static const real *frame_of(const Recording *r, int k) {
    return r->images + (size_t)k * 2 * (size_t)r->columns * PIXELS;
}

/* the first picture alone, at up to ten moments of T steps side by side */
static void save_strip(const Recording *r, int T) {
    static real grid[2 * MOMENTS * PIXELS];
    char *captions[2 * MOMENTS];
    int moments = r->frames < MOMENTS ? r->frames : MOMENTS;
    for (int k = 0; k < moments; k++) {
        int frame = (k + 1) * r->frames / moments - 1;
        const real *x = frame_of(r, frame);
        memcpy(grid + k * PIXELS, x, PIXELS * sizeof *grid);
        memcpy(grid + (moments + k) * PIXELS, x + r->columns * PIXELS, PIXELS * sizeof *grid);
        captions[k] = text_format("step %d", (frame + 1) * T / r->frames);
        captions[moments + k] = text_format("x0");
    }
    save_captioned(announced(&o.common, "progress.png"), grid, 2 * moments, moments, captions);
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
    Diffusion all = chosen_chain(), chain = sampling_chain(&all);
    Sampler m = new_sampler(&net, &chain);
    const int *label = wanted_classes(&arena, o.pictures);
    int T = chain.T, columns = o.pictures < COLUMNS ? o.pictures : COLUMNS;
    Recording recording = {.columns = columns, .frames = T < FRAMES ? T : FRAMES};
    recording.images = new_images(&arena, recording.frames * 2 * columns);
    folder_create(o.common.out);
    free(announced(&o.common, "samples.png")), free(announced(&o.common, "samples.npy"));
    draw_pictures(&m, o.pictures, label, new_images(&arena, o.pictures),
                  (Drawing){.at_once = 16, .quiet = o.common.quiet, .save = save_pictures,
                            .recording = &recording});
    save_strip(&recording, T);
    save_film(&recording);
    tape_free(&m.tape);
    diffusion_free(&all), diffusion_free(&chain);
    arena_free(&arena);
    params_free(&params);
    return 0;
}
