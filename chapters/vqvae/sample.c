#include "codes.h"
#include "commands.h"
#include "draw.h"
#include "base/file.h"
#include "train/results.h"
#include "settings.h"

/* test pictures, their codes as colours, what is rebuilt from them */
static void picture_of_codes(Arena *arena, const Vqvae *v, const Coded *c) {
    size_t row = (size_t)COLUMNS * PIXELS * 3;
    real *grid = arena_get(arena, 3 * row * sizeof *grid);
    real *colours = arena_get(arena, (size_t)o.codes * 3 * sizeof *colours);
    code_colours(&v->book, times_chosen(arena, c), colours);
    in_colour(COLUMNS * PIXELS, c->x, grid);
    draw_maps(COLUMNS, c->codes, colours, grid + row);
    in_colour(COLUMNS * PIXELS, c->rebuilt, grid + 2 * row);
    save_grid(announced(&o.common, "codes.png"), grid, 3, 3);
}

int sample(void) {
    Model m = load_model();
    Arena arena = {0};
    Fashion data = load_data();
    folder_create(o.common.out);
    Coded test = code_first(&arena, &m.autoencoder, &data.test, HELD_OUT);
    picture_of_samples(&m.autoencoder, &m.prior, announced(&o.common, "samples.png"));
    picture_of_samples(&m.autoencoder, NULL, announced(&o.common, "uniform.png"));
    picture_of_reconstructions(&m.autoencoder, &data.test,
                               announced(&o.common, "reconstructions.png"));
    picture_of_codes(&arena, &m.autoencoder, &test);
    fashion_free(&data);
    arena_free(&arena);
    model_free(&m);
    return 0;
}
