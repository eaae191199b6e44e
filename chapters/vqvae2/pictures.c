#include "pictures.h"

#include "data/emoji.h"
#include "data/folder.h"
#include "tensor/tensor.h"
#include "base/error.h"

#include <string.h>

void pictures_load(Pictures *d, bool garments, const char *folder) {
    *d = (Pictures){.garments = garments};
    if (garments) {
        d->fashion = fashion_load(folder);
        d->side = 32, d->channels = 1, d->border = 2, d->classes = d->fashion.classes;
        d->train = &d->fashion.train, d->validation = &d->fashion.validation;
        d->test = &d->fashion.test;
        return;
    }
    d->side = 64, d->channels = 3;
    d->captioned = folder ? folder_load(folder, d->side) : emoji_load(d->side, NULL);
    d->by_group = !folder;
    d->classes = folder ? d->captioned.classes : d->captioned.groups;
    d->train = &d->captioned.train, d->validation = &d->captioned.validation;
    d->test = &d->captioned.test;
}

void pictures_free(Pictures *d) {
    if (d->garments) fashion_free(&d->fashion);
    else captioned_free(&d->captioned);
}

void pictures_record(const Pictures *d, Run *run) {
    if (!d->garments) run_record(run, "data", d->captioned.source);
    for (int i = 0; d->garments && i < 4; i++)
        run_record(run, fashion_files[i], d->fashion.file[i].sha256);
}

int picture_len(const Pictures *d) {
    return d->side * d->side * d->channels;
}

/* (n,inner,inner) in the middle of (n,side,side) of black; back: the other way */
static void frame(const Pictures *d, int n, const real *from, real *to, bool back) {
    size_t side = (size_t)d->side, border = (size_t)d->border, inner = side - 2 * border;
    if (!back) k_fill((size_t)n * side * side, -1, to);
    for (size_t i = 0; i < (size_t)n; i++) {
        size_t at = (i * side + border) * side + border, in = i * inner * inner;
        if (back) k_copy_rows(inner, inner, from + at, side, to + in, inner, false);
        else k_copy_rows(inner, inner, from + in, inner, to + at, side, false);
    }
}

/* one at a time: a garment's pixels stand on the stack until they are framed */
static void get_one(const Pictures *d, const Images *set, int index, real *x, int *label) {
    real inner[28 * 28];
    images_get(set, 1, &index, -1, 1, d->garments ? inner : x, label);
    if (d->garments) frame(d, 1, inner, x, false);
    else if (label && d->by_group) *label = d->captioned.group_of[*label];
}

void pictures_get(const Pictures *d, const Images *set, int n, const int *index, real *x,
                  int *labels) {
    for (int i = 0; i < n; i++)
        get_one(d, set, index ? index[i] : i, x + (size_t)i * (size_t)picture_len(d),
                labels ? labels + i : NULL);
}

void garments_of(const Pictures *d, int n, const real *x, real *garments) {
    size_t len = (size_t)(n * 28 * 28);
    frame(d, n, x, garments, true);
    k_affine(len, garments, (real)0.5, (real)0.5, garments);
    k_clamp(len, garments, 0, 1, garments);
}

/* ---- errors ---------------------------------------------------------------------------------- */

double pictures_variance(const Pictures *d) {
    enum { MOST = 2000 };
    int n = d->train->count < MOST ? d->train->count : MOST;
    size_t len = (size_t)(d->train->height * d->train->width * d->channels);
    Arena arena = {0};
    real *x = arena_get(&arena, (size_t)n * len * sizeof *x);
    images_get(d->train, n, NULL, -1, 1, x, NULL);
    double mean = k_sum((size_t)n * len, x) / ((double)n * (double)len);
    double square = k_sum_squares((size_t)n * len, x) / ((double)n * (double)len);
    arena_free(&arena);
    return square - mean * mean;
}

double pictures_error(const Pictures *d, int n, const real *x, const real *y) {
    int side = d->side, row = (side - 2 * d->border) * d->channels;
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int r = d->border; r < side - d->border; r++) {
            size_t at = (size_t)((i * side + r) * side + d->border) * (size_t)d->channels;
            sum += k_sum_squared_difference((size_t)row, x + at, y + at);
        }
    return sum / ((side - 2 * d->border) * row);
}
