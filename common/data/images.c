#include "data/images.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void images_get(const Images *m, int n, const int *index, double low, double high, real *x,
                int *labels) {
    real value[256];
    for (int v = 0; v < 256; v++) value[v] = (real)(low + (high - low) * v / 255);
    size_t size = (size_t)m->height * m->width * m->channels;
    for (int i = 0; i < n; i++) {
        int k = index ? index[i] : i;
        if (k < 0 || k >= m->count) die("images_get: image %d of %d", k, m->count);
        const uint8_t *p = m->pixels + k * size;
        for (size_t j = 0; j < size; j++) x[i * size + j] = value[p[j]];
        if (labels) labels[i] = m->labels[k];
    }
}

real *images_new(Arena *arena, const Images *m, int n, double low, double high, int *labels) {
    if (n > m->count) n = m->count;
    size_t size = (size_t)m->height * m->width * m->channels;
    real *x = arena_get(arena, (size_t)n * size * sizeof *x);
    images_get(m, n, NULL, low, high, x, labels);
    return x;
}

void as_bytes(size_t n, real *x) {
    for (size_t i = 0; i < n; i++) {
        double byte = round(fmin(fmax((double)x[i], -1), 1) * 127.5 + 127.5);
        x[i] = (real)(-1 + 2 * byte / 255);
    }
}

real *images_downsample(Arena *arena, int n, int side, const real *x) {
    Tape t = {.no_grad = true};
    Tensor *small = t_avg_pool2(t_input(&t, x, SHAPE(n, side, side, 3)));
    real *y = arena_get(arena, small->len * sizeof *y);
    memcpy(y, small->x, small->len * sizeof *y);
    as_bytes(small->len, y);
    tape_free(&t);
    return y;
}

const real *shrink(Arena *arena, int n, int side, int small, const real *x) {
    for (; side > small; side /= 2) x = images_downsample(arena, n, side, x);
    return x;
}

real *n_copies(Arena *arena, int n, size_t len, const real *x) {
    real *all = arena_get(arena, (size_t)n * len * sizeof *all);
    for (size_t i = 0; i < (size_t)n; i++) memcpy(all + i * len, x, len * sizeof *x);
    return all;
}

Images images_part(const Images *m, int first, int count) {
    Images part = *m;
    part.count = count;
    part.pixels += (size_t)first * m->height * m->width * m->channels;
    part.labels += first;
    if (part.captions) part.captions += first;
    return part;
}

Images images_pad(Arena *arena, const Images *m, int border) {
    Images padded = *m;
    size_t line = (size_t)(m->width * m->channels), rim = (size_t)(border * m->channels);
    padded.height += 2 * border, padded.width += 2 * border;
    size_t size = (size_t)padded.height * (line + 2 * rim);
    uint8_t *pixels = arena_get(arena, (size_t)m->count * size);
    memset(pixels, 0, (size_t)m->count * size);
    for (size_t i = 0; i < (size_t)m->count; i++)
        for (size_t row = 0; row < (size_t)m->height; row++)
            memcpy(pixels + i * size + (row + (size_t)border) * (line + 2 * rim) + rim,
                   m->pixels + (i * (size_t)m->height + row) * line, line);
    padded.pixels = pixels;
    return padded;
}

double images_variance(const Images *m) {
    uint64_t times[256] = {0};
    double mean = 0, square = 0;
    size_t n = (size_t)m->count * (size_t)(m->height * m->width * m->channels);
    for (size_t i = 0; i < n; i++) times[m->pixels[i]]++;
    for (int k = 0; k < 256; k++) mean += (double)times[k] / (double)n * k / 255;
    for (int k = 0; k < 256; k++) {
        double d = k / 255.0 - mean;
        square += (double)times[k] / (double)n * d * d;
    }
    if (!(square > 0)) fail("all pixels are the same in %d images", m->count);
    return square;
}

/* In units of 1/size of an input pixel, output pixel i covers [i side, (i+1) side) and input pixel
 * j [j size, (j+1) size): all weights are whole numbers; those of one output add up to `side`. */
static int overlap(int i, int j, int side, int size) {
    int64_t from = (int64_t)i * side, to = from + side;
    int64_t begin = (int64_t)j * size, end = begin + size;
    return (int)((to < end ? to : end) - (from > begin ? from : begin));
}

/* one line of `side` pixels to `size` sums, each `side` times the mean */
static void average_line(const uint8_t *line, int side, int size, uint32_t *sum) {
    memset(sum, 0, 3 * (size_t)size * sizeof *sum);
    for (int i = 0; i < size; i++) {
        int j = (int)((int64_t)i * side / size);
        for (int w; j < side && (w = overlap(i, j, side, size)) > 0; j++) {
            for (int c = 0; c < 3; c++) sum[3 * i + c] += (uint32_t)w * line[3 * (size_t)j + c];
        }
    }
}

void area_average(const uint8_t *pixels, size_t stride, int side, int size, uint8_t *out) {
    size_t n = 3 * (size_t)size;
    uint32_t *line = memory_new(n, sizeof *line, "a picture of %d pixels", size);
    uint64_t *sum = memory_new(n, sizeof *sum, "a picture of %d pixels", size);
    uint64_t area = (uint64_t)side * (uint64_t)side;
    int ready = -1;                        /* the input line that `line` holds */
    for (int i = 0; i < size; i++, out += n) {
        memset(sum, 0, n * sizeof *sum);
        int j = (int)((int64_t)i * side / size);
        for (int w; j < side && (w = overlap(i, j, side, size)) > 0; j++) {
            if (j != ready) average_line(pixels + (size_t)j * stride, side, size, line);
            ready = j;
            for (size_t k = 0; k < n; k++) sum[k] += (uint64_t)w * line[k];
        }
        for (size_t k = 0; k < n; k++) out[k] = (uint8_t)((sum[k] + area / 2) / area);
    }
    free(line);
    free(sum);
}
