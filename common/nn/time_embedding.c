#include "nn/time_embedding.h"

#include "base/error.h"

#include <math.h>

Tensor *sinusoidal_embedding(Tape *t, const double *time, int B, int width, bool sines_first) {
    int half = width / 2, steps = sines_first ? half - 1 : half;
    Tensor *e = t_input(t, NULL, SHAPE(B, width));
    for (int b = 0; b < B; b++)
        for (int i = 0; i < half; i++) {
            double angle = time[b] * pow(1e4, -(double)i / steps);
            real *first = &e->x[b * width + i], *second = first + half;
            *first = (real)(sines_first ? sin(angle) : cos(angle));
            *second = (real)(sines_first ? cos(angle) : sin(angle));
        }
    return e;
}

TimeEmbedding time_embedding_new(Scope s, int width, int out, bool sines_first) {
    if (width < 4 || width % 2) die("time_embedding: a width of %d; even, 4 or more", width);
    TimeEmbedding e = {.width = width, .sines_first = sines_first};
    e.layer[0] = linear_new(sub(s, "0"), width, out, true);
    e.layer[1] = linear_new(sub(s, "1"), out, out, true);
    return e;
}

Tensor *time_embedding(const TimeEmbedding *e, Tape *t, const double *time, int B) {
    Tensor *waves = sinusoidal_embedding(t, time, B, e->width, e->sines_first);
    return linear(&e->layer[1], t_silu(linear(&e->layer[0], waves)));
}
