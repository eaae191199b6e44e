#include "train/results.h"

#include "base/file.h"
#include "io/npy.h"
#include "tensor/tensor.h"

#include <stdio.h>
#include <stdlib.h>

char *weights_path(const CommonOptions *o) {
    return o->weights ? text_format("%s", o->weights) : path_join(o->out, "weights.safetensors");
}

char *announced(const CommonOptions *o, const char *name) {
    char *path = path_join(o->out, name);
    if (!o->quiet) printf("%s\n", path);
    return path;
}

void samples_save(const CommonOptions *o, const real *images, Grid g, const char *parameters) {
    Arena arena = {0};
    size_t n = (size_t)g.count * (size_t)(g.height * g.width * g.channels);
    real *unit = arena_get(&arena, n * sizeof *unit);
    double range = g.high - g.low;
    k_affine(n, images, (real)(1 / range), (real)(-g.low / range), unit);
    char *picture = path_join(o->out, "samples.png"), *numbers = path_join(o->out, "samples.npy");
    picture_save(picture, images, g, parameters);
    npy_save(numbers, unit, SHAPE(g.count, g.height, g.width, g.channels));
    free(picture), free(numbers);
    arena_free(&arena);
}
