#include "pictures.h"

#include "base/error.h"
#include "io/npy.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- shapes ---------------------------------------------------------------------------------- */

static void shape_text(const Npy *a, char text[static 128]) {
    size_t n = (size_t)snprintf(text, 128, "(");
    for (int i = 0; i < a->rank && n < 100; i++) {
        n += (size_t)snprintf(text + n, 128 - n, i ? ",%zu" : "%zu", a->shape[i]);
    }
    snprintf(text + n, 128 - n, ")");
}

/* (N,c,h,w), as PyTorch has them? */
static bool channels_first(const Npy *a, Geometry g) {
    const size_t *s = a->shape, h = (size_t)g.height, w = (size_t)g.width;
    return a->rank == 4 && s[1] == (size_t)g.channels && s[2] == h && s[3] == w;
}

static bool holds_pictures(const Npy *a, Geometry g) {
    const size_t *s = a->shape, h = (size_t)g.height, w = (size_t)g.width;
    size_t c = (size_t)g.channels;
    return (a->rank == 3 && s[1] == h && s[2] == w && c == 1) ||
           (a->rank == 4 && s[1] == h && s[2] == w && s[3] == c) || channels_first(a, g) ||
           (a->rank == 2 && s[1] == h * w * c);
}

static void check_shape(const Npy *a, const char *path, Geometry g) {
    char shape[128];
    int h = g.height, w = g.width, c = g.channels;
    shape_text(a, shape);
    if (!holds_pictures(a, g)) {
        char grey[32] = "";
        if (c == 1) snprintf(grey, sizeof grey, "(N,%d,%d), ", h, w);
        fail("%s: its shape is %s; pictures are %s(N,%d,%d,%d), (N,%d,%d,%d) or (N,%d)", path,
             shape, grey, h, w, c, c, h, w, h * w * c);
    }
    if (a->shape[0] > INT_MAX) fail("%s: its shape is %s: too many pictures", path, shape);
}

int pictures_side(const char *path) {
    Npy a = npy_open(path);
    size_t side = a.rank != 4 ? 0 : a.shape[3] == 3 ? a.shape[1] : a.shape[1] == 3 ? a.shape[2] : 0;
    npy_close(&a);
    return side < 4096 ? (int)side : 0;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* smallest and largest value; all must be numbers */
static void limits(const Npy *a, const char *path, size_t picture, double *low, double *high) {
    *low = INFINITY, *high = -INFINITY;
    for (size_t i = 0; i < a->len; i++) {
        double v = npy_number(a, i);
        if (!isfinite(v)) {
            fail("%s: picture %zu, pixel %zu is %g, not a number from black to white", path,
                 i / picture, i % picture, v);
        }
        if (v < *low) *low = v;
        if (v > *high) *high = v;
    }
}

/* Within the range? A thousandth of it, a quarter of a byte's step, may be rounding. */
static bool are_within(double low, double high, double black, double white) {
    double hair = 1e-3 * (white - black);
    return low >= black - hair && high <= white + hair;
}

/* what black and white are. A guess is made only where it is safe: pictures in -1:1 have a black
 * background, so some value is near -1. */
static void find_range(const Npy *a, const char *path, size_t picture, const char *range,
                       double *black, double *white) {
    double low, high;
    limits(a, path, picture, &low, &high);
    if (strcmp(range, "auto") != 0) {
        sscanf(range, "%lf:%lf", black, white);
        if (!are_within(low, high, *black, *white)) {
            fail("%s: its values are %g to %g, outside --range %s; clamp them before saving", path,
                 low, high, range);
        }
        return;
    }
    *black = 0, *white = a->type == NPY_U8 ? 255 : 1;
    if (are_within(low, high, 0, *white)) return;
    *black = -1;
    if (low < -0.5 && are_within(low, high, -1, 1)) return;
    fail("%s: its values are %g to %g: neither in 0 to 1, nor in -1 to 1 with a black near -1, nor "
         "bytes; say --range, or clamp them before saving", path, low, high);
}

/* where number i of the file goes, in (n,h,w,c) */
static size_t place(size_t i, Geometry g, bool first) {
    size_t area = (size_t)g.height * (size_t)g.width, c = (size_t)g.channels;
    if (!first) return i;
    size_t picture = i / (area * c), channel = i / area % c, pixel = i % area;
    return (picture * area + pixel) * c + channel;
}

real *pictures_load(Arena *arena, const char *path, Geometry g, const char *range, bool quiet,
                    int *n) {
    Npy a = npy_open(path);
    double black, white;
    check_shape(&a, path, g);
    *n = (int)a.shape[0];
    find_range(&a, path, (size_t)(g.height * g.width * g.channels), range, &black, &white);
    real *x = arena_get(arena, a.len * sizeof *x);
    bool first = channels_first(&a, g);
    for (size_t i = 0; i < a.len; i++) {
        double unit = (npy_number(&a, i) - black) / (white - black);
        x[place(i, g, first)] = (real)fmin(fmax(unit, 0), 1);
    }
    npy_close(&a);
    if (!quiet) printf("%s: %d pictures, %g is black, %g is white\n", path, *n, black, white);
    return x;
}

int *labels_load(Arena *arena, const char *path, int n, int classes) {
    Npy a = npy_open(path);
    char shape[128];
    shape_text(&a, shape);
    if (a.rank != 1 || a.shape[0] != (size_t)n) {
        fail("%s: its shape is %s; labels of %d pictures are (%d)", path, shape, n, n);
    }
    int *labels = arena_get(arena, (size_t)n * sizeof *labels);
    for (int i = 0; i < n; i++) {
        double v = npy_number(&a, (size_t)i);
        if (!(v >= 0 && v < classes) || v != floor(v)) {
            fail("%s: label %d is %g, 0 to %d is expected", path, i, v, classes - 1);
        }
        labels[i] = (int)v;
    }
    npy_close(&a);
    return labels;
}
