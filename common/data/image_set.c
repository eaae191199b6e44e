#include "data/image_set.h"

#include "base/error.h"
#include "data/emoji.h"
#include "data/folder.h"

#include <string.h>

ImageSet image_set_fashion(const char *folder) {
    enum { BORDER = 2 };
    ImageSet d = {.is_fashion = true, .fashion = fashion_load_any(folder), .channels = 1,
                  .border = BORDER};
    d.classes = d.fashion.classes, d.class_names = d.fashion.class_names;
    d.train = images_pad(&d.arena, &d.fashion.train, BORDER);
    d.validation = images_pad(&d.arena, &d.fashion.validation, BORDER);
    d.test = images_pad(&d.arena, &d.fashion.test, BORDER);
    d.size = d.train.height;
    return d;
}

/* Emoji have more classes than a class has pictures: their groups stand for them. */
static void use_groups(ImageSet *d) {
    const Captioned *c = &d->captioned;
    uint8_t *groups = arena_get(&d->arena, (size_t)c->all.count);
    for (int i = 0; i < c->all.count; i++) groups[i] = (uint8_t)c->group_of[c->all.labels[i]];
    Images *part[] = {&d->train, &d->validation, &d->test};
    for (int i = 0; i < 3; i++) part[i]->labels = groups + (part[i]->labels - c->all.labels);
    d->classes = c->groups;
}

ImageSet image_set_colour(const char *folder, int size) {
    ImageSet d = {.size = size, .channels = 3};
    d.captioned = folder ? folder_load(folder, size) : emoji_load(size, NULL);
    d.train = d.captioned.train, d.validation = d.captioned.validation;
    d.test = d.captioned.test;
    d.classes = d.captioned.classes;
    if (!folder) use_groups(&d);
    const char **names = arena_get(&d.arena, (size_t)d.classes * sizeof *names);
    memcpy(names, folder ? d.captioned.class_name : d.captioned.group_name,
           (size_t)d.classes * sizeof *names);
    d.class_names = names;
    return d;
}

void image_set_free(ImageSet *d) {
    if (d->is_fashion) fashion_free(&d->fashion);
    else captioned_free(&d->captioned);
    arena_free(&d->arena);
}

int image_len(const ImageSet *d) {
    return d->size * d->size * d->channels;
}

/* ---- without the border ---------------------------------------------------------------------- */

static void crop(const ImageSet *d, int n, const real *x, real *cropped) {
    size_t line = (size_t)(d->size * d->channels), rim = (size_t)(d->border * d->channels);
    size_t rows = (size_t)(d->size - 2 * d->border), inner = line - 2 * rim;
    for (size_t i = 0; i < (size_t)n; i++)
        k_copy_rows(rows, inner, x + (i * (size_t)d->size + (size_t)d->border) * line + rim, line,
                    cropped + i * rows * inner, inner, false);
}

static size_t cropped_len(const ImageSet *d) {
    int side = d->size - 2 * d->border;
    return (size_t)(side * side * d->channels);
}

void image_set_crop(const ImageSet *d, int n, const real *x, real *cropped) {
    size_t len = (size_t)n * cropped_len(d);
    crop(d, n, x, cropped);
    k_affine(len, cropped, (real)0.5, (real)0.5, cropped);
    k_clamp(len, cropped, 0, 1, cropped);
}

double image_set_variance(const ImageSet *d) {
    enum { MOST = 2000 };
    int n = d->train.count < MOST ? d->train.count : MOST;
    size_t len = (size_t)n * cropped_len(d);
    Arena arena = {0};
    real *x = images_new(&arena, &d->train, n, -1, 1, NULL);
    real *inner = arena_get(&arena, len * sizeof *inner);
    crop(d, n, x, inner);
    double mean = k_sum(len, inner) / (double)len;
    double variance = k_sum_squares(len, inner) / (double)len - mean * mean;
    arena_free(&arena);
    if (!(variance > 0)) fail("all pixels are the same in %d training images", n);
    return variance;
}

double image_set_error(const ImageSet *d, int n, const real *x, const real *y) {
    int size = d->size, row = (size - 2 * d->border) * d->channels;
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int r = d->border; r < size - d->border; r++) {
            size_t at = (size_t)((i * size + r) * size + d->border) * (size_t)d->channels;
            sum += k_sum_squared_difference((size_t)row, x + at, y + at);
        }
    return sum / ((size - 2 * d->border) * row);
}
