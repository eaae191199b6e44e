#include "diffusion/recording.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES = 30, MOMENTS = 10 };

Recording recording_new(Arena *arena, int T, int columns, size_t pixels) {
    Recording r = {.steps = T, .frames = T < FRAMES ? T : FRAMES, .columns = columns,
                   .pixels = pixels};
    size_t images = (size_t)r.frames * 2 * (size_t)columns;
    r.images = arena_get(arena, images * pixels * sizeof *r.images);
    return r;
}

void recording_take(Recording *r, int done, const real *x, const real *start) {
    if (done != (r->taken + 1) * r->steps / r->frames) return;
    size_t row = (size_t)r->columns * r->pixels;
    real *frame = r->images + (size_t)r->taken++ * 2 * row;
    memcpy(frame, x, row * sizeof *x);
    memcpy(frame + row, start, row * sizeof *x);
}

void recording_strip(const Recording *r, Grid g, const char *path, const char *parameters) {
    Arena arena = {0};
    char *captions[2 * MOMENTS];
    int moments = r->taken < MOMENTS ? r->taken : MOMENTS;
    size_t row = (size_t)r->columns * r->pixels, bytes = r->pixels * sizeof(real);
    real *grid = arena_get(&arena, 2 * (size_t)moments * bytes);
    for (int k = 0; k < moments; k++) {
        int frame = (k + 1) * r->taken / moments - 1;
        const real *x = r->images + (size_t)frame * 2 * row;
        memcpy(grid + (size_t)k * r->pixels, x, bytes);
        memcpy(grid + (size_t)(moments + k) * r->pixels, x + row, bytes);
        captions[k] = text_format("step %d", (frame + 1) * r->steps / r->frames);
        captions[moments + k] = "";
    }
    g.count = 2 * moments, g.columns = moments;
    g.captions = (const char *const *)captions;
    g.row_labels = "x_t|predicted x0", g.column_labels = NULL;
    picture_save(path, grid, g, parameters);
    for (int k = 0; k < moments; k++) free(captions[k]);
    arena_free(&arena);
}

void recording_film(const Recording *r, Grid g, const char *path, const char *parameters) {
    g.count = 2 * r->columns, g.columns = r->columns;
    g.captions = NULL;                       /* which are those of other rows and columns */
    g.row_labels = "x_t|predicted x0", g.column_labels = NULL;
    film_save(path, r->images, g, (Film){.frames = r->taken, .seconds = 0.1, .last = 2},
              parameters);
}
