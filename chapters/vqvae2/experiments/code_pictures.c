#include "code_pictures.h"

#include <string.h>

real *uniform_codes(Arena *arena, const ImageSet *d, const Model *m, int n, Rng *rng) {
    Codes c = codes_new(arena, d, n);
    uint32_t K = (uint32_t)m->autoencoder.c.codes;
    for (int s = TOP; s <= BOTTOM; s++)
        for (int i = 0; i < n * c.positions[s]; i++) c.z[s][i] = (int)rng_below(rng, K);
    return decode_codes(arena, &m->autoencoder, &c, BOTH_LEVELS);
}

/* `n` times the codes of image i */
static Codes repeated(Arena *arena, const ImageSet *d, const Codes *c, int i, int n) {
    Codes many = codes_new(arena, d, n);
    for (int k = 0; k < n; k++) {
        many.labels[k] = c->labels[i];
        for (int s = TOP; s <= BOTTOM; s++) {
            int N = c->positions[s];
            memcpy(many.z[s] + k * N, c->z[s] + i * N, (size_t)N * sizeof(int));
        }
    }
    return many;
}

real *bottoms_of_a_top(Arena *arena, const ImageSet *d, const Model *m, int rows, int columns,
                       double temperature, Rng *rng) {
    Codes c = encode_set(arena, d, &m->autoencoder, &d->test, rows);
    size_t len = (size_t)image_len(d);
    real *grid = arena_get(arena, (size_t)(rows * columns) * len * sizeof *grid);
    for (int i = 0; i < rows; i++) {
        real *row = grid + (size_t)(i * columns) * len;
        Codes shown = repeated(arena, d, &c, i, columns - 1);
        int *drawn = shown.z[BOTTOM] + c.positions[BOTTOM];     /* the first are the image's own */
        snail_sample(&m->prior[BOTTOM], shown.n - 1, (SnailCondition){shown.z[TOP], shown.labels},
                     temperature, rng, drawn);
        images_get(&d->test, 1, &i, -1, 1, row, NULL);
        memcpy(row + len, decode_codes(arena, &m->autoencoder, &shown, BOTH_LEVELS),
               (size_t)shown.n * len * sizeof *row);
    }
    return grid;
}

/* one image's codes (side,side) as an image (size,size,3) */
static void paint_codes(const Codebook *book, int side, const int *z, int size, real *rgb) {
    int D = book->dim;
    for (int i = 0; i < size * size; i++) {
        int row = i / size * side / size, column = i % size * side / size;
        const real *e = book->table->x + z[row * side + column] * D;
        for (int k = 0; k < 3; k++) rgb[3 * i + k] = e[k * (D - 1) / 2];
    }
}

real *codes_as_colours(Arena *arena, const ImageSet *d, const Model *m, int columns) {
    const Vqvae2 *v = &m->autoencoder;
    Codes c = encode_set(arena, d, v, &d->test, columns);
    int len = d->size * d->size * 3, rows = v->c.levels + 1;
    const real *x = images_new(arena, &d->test, columns, -1, 1, NULL);
    real *rgb = arena_get(arena, (size_t)(rows * columns * len) * sizeof *rgb);
    for (int k = 0; k < columns * len; k++) rgb[k] = x[d->channels == 3 ? k : k / 3];
    for (int i = 0; i < columns; i++)
        for (int s = rows == 3 ? TOP : BOTTOM; s <= BOTTOM; s++) {
            int row = s == TOP ? 1 : rows - 1;
            paint_codes(s == TOP ? &v->top : &v->bottom, s == TOP ? c.side / 2 : c.side,
                        c.z[s] + i * c.positions[s], d->size, rgb + (row * columns + i) * len);
        }
    return rgb;
}
