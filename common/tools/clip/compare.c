#include "compare.h"

#include "base/memory.h"
#include "data/bicubic.h"
#include "data/picture_decode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LONGEST = 100 };          /* sides longer than that many times the other are refused */

/* x (side,side,3) in [0,1], as official networks are trained on them */
static void read_official(const char *path, int side, real *x) {
    int width, height, size = side * side * 3;
    uint8_t *whole = picture_read_whole(path, &width, &height);
    uint8_t *pixels = memory_new((size_t)size, 1, "%s", path);
    if (width / LONGEST > height || height / LONGEST > width)
        fail("%s: has %dx%d pixels; a middle square of it shows next to nothing", path, width,
             height);
    bicubic_square(height, width, whole, side, pixels);
    for (int i = 0; i < size; i++) x[i] = (real)pixels[i] / 255;
    free(whole), free(pixels);
}

/* p_j = exp(scale c_j) / sum */
static void probabilities(double scale, int n, const real *cosines, double *p) {
    double most = -INFINITY, sum = 0;
    for (int j = 0; j < n; j++) most = fmax(most, scale * (double)cosines[j]);
    for (int j = 0; j < n; j++) sum += p[j] = exp(scale * (double)cosines[j] - most);
    for (int j = 0; j < n; j++) p[j] /= sum;
}

void compare(const FrozenClip *f, bool official, int pictures, const char *const *paths, int texts,
             const char *const *text) {
    Arena a = {0};
    int side = f->net.config.image.side, D = f->net.config.dim;
    size_t size = (size_t)side * (size_t)side * 3;
    real *words = arena_get(&a, (size_t)(texts * D) * sizeof *words);
    real *x = arena_get(&a, size * sizeof *x), *features = arena_get(&a, (size_t)D * sizeof *x);
    real *cosines = arena_get(&a, (size_t)texts * sizeof *cosines);
    double *p = arena_get(&a, (size_t)texts * sizeof *p);
    frozen_clip_texts(f, texts, text, words);
    for (int i = 0; i < pictures; i++) {
        if (official) read_official(paths[i], side, x);
        else picture_read(paths[i], side, 0, 1, x);
        frozen_clip_images(f, 1, x, features);
        frozen_clip_cosines(f, 1, features, texts, words, cosines);
        probabilities(frozen_clip_scale(f), texts, cosines, p);
        printf("%s\n", paths[i]);
        for (int j = 0; j < texts; j++)
            printf("  %6.2f %%  cosine %6.3f  %s\n", 100 * p[j], (double)cosines[j], text[j]);
    }
    arena_free(&a);
}
