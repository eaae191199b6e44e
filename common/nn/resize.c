#include "nn/resize.h"

#include <math.h>

/* One axis of an image: output o lies between inputs low[o] and high[o], `part` of the way */
typedef struct {
    int *low, *high;
    real *part;
} Between;

static Between between(Arena *a, int from, int to) {
    size_t n = (size_t)to;
    Between b = {arena_get(a, n * sizeof(int)), arena_get(a, n * sizeof(int)),
                 arena_get(a, n * sizeof(real))};
    for (int o = 0; o < to; o++) {
        double at = fmax((o + 0.5) * from / to - 0.5, 0);
        b.low[o] = at < from - 1 ? (int)at : from - 1;
        b.high[o] = b.low[o] < from - 1 ? b.low[o] + 1 : b.low[o];
        b.part[o] = (real)(at - b.low[o]);
    }
    return b;
}

/* x (outer,from,inner) along its middle axis -> (outer,to,inner) */
static Tensor *resize_axis(Tensor *x, int to) {
    Tape *t = x->tape;
    int outer = x->shape[0], from = x->shape[1], inner = x->shape[2];
    Between b = between(&t->arena, from, to);
    int *low = arena_get(&t->arena, (size_t)(outer * to) * sizeof *low);
    int *high = arena_get(&t->arena, (size_t)(outer * to) * sizeof *high);
    Tensor *part = t_input(t, NULL, SHAPE(outer * to, 1));
    for (int i = 0; i < outer * to; i++) {
        low[i] = i / to * from + b.low[i % to];
        high[i] = i / to * from + b.high[i % to];
        part->x[i] = b.part[i % to];
    }
    Tensor *rows = t_reshape(x, SHAPE(outer * from, inner));
    Tensor *first = t_gather_rows(rows, low, outer * to);
    Tensor *second = t_gather_rows(rows, high, outer * to);
    Tensor *y = t_add(first, t_mul(t_sub(second, first), part));
    return t_reshape(y, SHAPE(outer, to, inner));
}

Tensor *resize_bilinear(Tensor *x, int height, int width) {
    int B = x->shape[0], H = x->shape[1], W = x->shape[2], C = x->shape[3];
    x = resize_axis(t_reshape(x, SHAPE(B, H, W * C)), height);
    x = resize_axis(t_reshape(x, SHAPE(B * height, W, C)), width);
    return t_reshape(x, SHAPE(B, height, width, C));
}
