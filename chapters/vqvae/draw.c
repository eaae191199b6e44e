#include "draw.h"

#include "eval/scores.h"
#include "io/picture.h"
#include "settings.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 6 };

void save_grid(char *path, const real *images, int rows, int channels) {
    picture_save(path, images,
                 (Grid){.count = rows * COLUMNS, .height = IMAGE, .width = IMAGE,
                        .channels = channels, .columns = COLUMNS, .enlarge = 2, .low = 0,
                        .high = 1},
                 cli.line);
    free(path);
}

void draw_pictures(const Vqvae *v, const Prior *p, uint64_t seed, int n, int *labels,
                   real *images) {
    Arena arena = {0};
    int *codes = arena_get(&arena, (size_t)n * POSITIONS * sizeof *codes);
    Rng rng = rng_new(seed, "samples");
    for (int i = 0; i < n; i++) labels[i] = i % SCORE_CLASSES;
    if (p) prior_sample(p, n, MAP, MAP, labels, o.temperature, &rng, codes);
    else
        for (int i = 0; i < n * POSITIONS; i++) codes[i] = (int)rng_below(&rng, (uint32_t)o.codes);
    decode_all(v, n, codes, images);
    arena_free(&arena);
}

void picture_of_samples(const Vqvae *v, const Prior *p, char *path) {
    static real images[ROWS * COLUMNS * PIXELS];
    int labels[ROWS * COLUMNS];
    draw_pictures(v, p, o.common.seed, ROWS * COLUMNS, labels, images);
    save_grid(path, images, ROWS, 1);
}

void picture_of_reconstructions(const Vqvae *v, const Images *set, char *path) {
    Arena arena = {0};
    Coded c = code_first(&arena, v, set, COLUMNS);
    real *grid = new_images(&arena, 2 * COLUMNS);
    memcpy(grid, c.x, COLUMNS * PIXELS * sizeof *grid);
    memcpy(grid + COLUMNS * PIXELS, c.rebuilt, COLUMNS * PIXELS * sizeof *grid);
    save_grid(path, grid, 2, 1);
    arena_free(&arena);
}
