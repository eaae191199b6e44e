#include "commands.h"
#include "draw.h"
#include "base/file.h"
#include "io/picture.h"
#include "train/results.h"
#include "settings.h"

#include <string.h>

static void picture_of_samples(const Pictures *d, const Models *m, const Judge *judge) {
    enum { ROWS = 8 };
    Arena arena = {0};
    int columns = d->classes < COLUMNS ? d->classes : COLUMNS, n = ROWS * columns;
    int *labels = new_ints(&arena, n);
    real *x = new_pictures(&arena, d, n);
    Rng rng = rng_new(o.common.seed, "samples");
    for (int i = 0; i < n; i++) labels[i] = i % columns;
    if (judge) draw_best(d, m, judge, n, labels, &rng, x);
    else draw(d, m, n, labels, &rng, x);
    save_grid(announced(&o.common, "samples.png"), d, x, ROWS, columns);
    arena_free(&arena);
}

/* codes drawn at random, each as likely as any: why a prior is needed */
static void picture_of_uniform_codes(const Pictures *d, const Models *m) {
    Arena arena = {0};
    int n = 2 * COLUMNS, N = bottom_codes(d);
    int *top = new_ints(&arena, n * N / 4), *bottom = new_ints(&arena, n * N);
    real *x = new_pictures(&arena, d, n);
    Rng rng = rng_new(o.common.seed, "uniform");
    for (int i = 0; i < n * N / 4; i++) top[i] = (int)rng_below(&rng, (uint32_t)o.codes);
    for (int i = 0; i < n * N; i++) bottom[i] = (int)rng_below(&rng, (uint32_t)o.codes);
    rebuild(d, &m->autoencoder, 0, n, top, bottom, x);
    save_grid(announced(&o.common, "uniform.png"), d, x, 2, COLUMNS);
    arena_free(&arena);
}

/* Each row: a test picture, rebuilt, and then with bottoms that the prior draws for its top: what
 * the top has fixed stays, the rest changes. */
static void picture_of_bottoms(const Pictures *d, const Models *m) {
    enum { ROWS = 6 };
    Arena arena = {0};
    int N = bottom_codes(d), len = picture_len(d), draws = COLUMNS - 2;
    Coded c = code_first(&arena, d, &m->autoencoder, d->test, ROWS);
    real *grid = new_pictures(&arena, d, c.n * COLUMNS);
    int *top = new_ints(&arena, draws * N / 4), *bottom = new_ints(&arena, draws * N);
    int labels[COLUMNS];
    Rng rng = rng_new(o.common.seed, "bottoms");
    for (int i = 0; i < c.n; i++) {
        real *row = grid + (size_t)i * COLUMNS * (size_t)len;
        for (int k = 0; k < draws; k++) {
            memcpy(top + k * N / 4, c.top + i * N / 4, (size_t)(N / 4) * sizeof *top);
            labels[k] = c.labels[i];
        }
        snail_sample(&m->prior[BOTTOM], draws, top, labels, o.temperature, &rng, bottom);
        memcpy(row, c.x + (size_t)i * (size_t)len, (size_t)len * sizeof *row);
        rebuild(d, &m->autoencoder, 0, 1, c.top + i * N / 4, c.bottom + i * N, row + len);
        rebuild(d, &m->autoencoder, 0, draws, top, bottom, row + 2 * len);
    }
    save_grid(announced(&o.common, "bottoms.png"), d, grid, c.n, COLUMNS);
    arena_free(&arena);
}

/* a code as a colour: three numbers of its vector, so that codes near each other look alike */
static void paint_codes(const Pictures *d, const Codebook *book, const int *z, int size,
                        real *rgb) {
    int side = d->side, D = book->dim;
    for (int i = 0; i < side * side; i++) {
        int row = i / side * size / side, column = i % side * size / side;
        const real *e = book->table->x + z[row * size + column] * D;
        for (int k = 0; k < 3; k++) rgb[3 * i + k] = e[k * (D - 1) / 2];
    }
}

/* test pictures, their top codes, their bottom codes */
static void picture_of_codes(const Pictures *d, const Models *m) {
    Arena arena = {0};
    Coded c = code_first(&arena, d, &m->autoencoder, d->test, COLUMNS);
    int N = bottom_codes(d), size = d->side / 4, pixels = d->side * d->side, rows = o.levels + 1;
    real *rgb = arena_get(&arena, (size_t)(rows * c.n * pixels * 3) * sizeof *rgb);
    for (int i = 0; i < c.n; i++) {
        real *x = rgb + (size_t)(i * pixels * 3), *below = x + (size_t)(c.n * pixels * 3);
        for (int k = 0; k < 3 * pixels; k++)
            x[k] = c.x[i * picture_len(d) + (d->channels == 3 ? k : k / 3)];
        paint_codes(d, &m->autoencoder.bottom, c.bottom + i * N, size,
                    below + (size_t)((rows - 2) * c.n * pixels * 3));
        if (o.levels == 2)
            paint_codes(d, &m->autoencoder.top, c.top + i * N / 4, size / 2, below);
    }
    Pictures colour = {.side = d->side, .channels = 3};
    save_grid(announced(&o.common, "codes.png"), &colour, rgb, rows, c.n);
    arena_free(&arena);
}

int sample(void) {
    Models m = {0};
    load_all(&m);
    check_keep();
    Pictures d;
    load_data(&d);
    folder_create(o.common.out);
    Judge judge;
    bool judged = o.keep < 1;
    if (judged) judge = judge_new(&d.fashion, CLASSIFIER_WEIGHTS);
    picture_of_samples(&d, &m, judged ? &judge : NULL);
    picture_of_reconstructions(announced(&o.common, "reconstructions.png"), &d, &m.autoencoder,
                               d.test);
    picture_of_codes(&d, &m);
    picture_of_uniform_codes(&d, &m);
    if (o.levels == 2) picture_of_bottoms(&d, &m);
    if (judged) judge_free(&judge);
    models_free(&m), pictures_free(&d);
    return 0;
}
