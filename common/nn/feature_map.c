#include "nn/feature_map.h"

#include "base/error.h"

#include <string.h>

FeatureMap feature_map_new(Arena *arena, int n, int height, int width, int channels) {
    FeatureMap m = {n, height, width, channels, NULL};
    size_t len = (size_t)n * (size_t)height * (size_t)width * (size_t)channels;
    m.x = arena_get(arena, len * sizeof *m.x);
    k_fill(len, 0, m.x);
    return m;
}

FeatureMap feature_map_of(Arena *arena, const Tensor *x) {
    const int *shape = x->shape;
    FeatureMap m = feature_map_new(arena, shape[0], shape[1], shape[2], shape[3]);
    memcpy(m.x, x->x, x->len * sizeof *m.x);
    return m;
}

void feature_map_put(FeatureMap *m, const Tensor *x, int row, int column) {
    size_t C = (size_t)m->channels, len = x->len / (size_t)m->n;
    if (x->shape[x->rank - 1] != m->channels || row < 0 || row >= m->height || column < 0 ||
        (size_t)column + len / C > (size_t)m->width)
        die("feature_map_put: %s at (%d,%d) of a map of %d x %d positions, %d channels",
            t_describe(x), row, column, m->height, m->width, m->channels);
    size_t at = ((size_t)row * (size_t)m->width + (size_t)column) * C;
    k_copy_rows((size_t)m->n, len, x->x, len, m->x + at, (size_t)(m->height * m->width) * C, false);
}

Tensor *feature_map_window(const FeatureMap *m, Tape *t, int row, int column, int rows,
                           int columns) {
    size_t C = (size_t)m->channels;
    int first = column < 0 ? 0 : column;
    int last = column + columns < m->width ? column + columns : m->width;
    Tensor *y = t_input(t, NULL, SHAPE(m->n, rows, columns, m->channels));
    k_fill(y->len, 0, y->x);
    for (int b = 0; b < m->n; b++)
        for (int i = 0; i < rows; i++) {
            if (row + i < 0 || row + i >= m->height || first >= last) continue;
            size_t from = ((size_t)b * (size_t)m->height + (size_t)(row + i)) * (size_t)m->width;
            size_t to = (size_t)(b * rows + i) * (size_t)columns + (size_t)(first - column);
            memcpy(y->x + to * C, m->x + (from + (size_t)first) * C,
                   (size_t)(last - first) * C * sizeof(real));
        }
    return y;
}
