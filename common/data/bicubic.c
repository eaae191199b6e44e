#include "data/bicubic.h"

#include "base/memory.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { FRACTION = 22 };                  /* bits of the weights */

/* Each number of a line is a sum over `count` numbers of the longer line, from `first` on. */
typedef struct {
    int first, count;
    const int *weight;
} Window;

static double cubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/* the window of number i of n, whose weights go to `weight` */
static Window window_at(int i, int from, int n, double *weight, int *fixed) {
    double scale = (double)from / n, stretch = scale < 1 ? 1 : scale, reach = 2 * stretch;
    double centre = (i + 0.5) * scale, sum = 0;
    int first = (int)(centre - reach + 0.5), end = (int)(centre + reach + 0.5);
    if (first < 0) first = 0;
    if (end > from) end = from;
    for (int k = first; k < end; k++) {
        weight[k - first] = cubic((k - centre + 0.5) / stretch);
        sum += weight[k - first];
    }
    for (int k = 0; k < end - first; k++)
        fixed[k] = (int)round(weight[k] / sum * (1 << FRACTION));
    return (Window){first, end - first, fixed};
}

/* Windows for a line of `from` numbers that becomes one of n, in one piece of memory. */
static Window *windows_new(int from, int n) {
    double scale = (double)from / n;
    size_t most = (size_t)ceil(2 * (scale < 1 ? 1 : scale)) * 2 + 1;
    Window *w = memory_new((size_t)n, sizeof *w + most * sizeof(int), "%d pixels", n);
    int *fixed = (int *)(w + n);
    double *weight = memory_new(most, sizeof *weight, "%zu weights", most);
    for (int i = 0; i < n; i++) w[i] = window_at(i, from, n, weight, fixed + (size_t)i * most);
    free(weight);
    return w;
}

/* y = the weighted sum of x[0], x[step], ... */
static uint8_t weigh(const Window *w, const uint8_t *x, size_t step) {
    int64_t sum = 1 << (FRACTION - 1);
    for (int k = 0; k < w->count; k++)
        sum += (int64_t)w->weight[k] * x[(size_t)(w->first + k) * step];
    sum >>= FRACTION;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

void bicubic_resize(int height, int width, const uint8_t *x, int out_height, int out_width,
                    uint8_t *y) {
    Window *columns = windows_new(width, out_width), *rows = windows_new(height, out_height);
    size_t line = (size_t)width * 3, out_line = (size_t)out_width * 3;
    uint8_t *narrow = memory_new((size_t)height, out_line, "%dx%d pixels", out_width, height);
    for (int i = 0; i < height; i++)
        for (size_t j = 0; j < out_line; j++)
            narrow[(size_t)i * out_line + j] = weigh(&columns[j / 3], x + (size_t)i * line + j % 3,
                                                     3);
    for (int i = 0; i < out_height; i++)
        for (size_t j = 0; j < out_line; j++)
            y[(size_t)i * out_line + j] = weigh(&rows[i], narrow + j, out_line);
    free(narrow);
    free(columns);
    free(rows);
}

void bicubic_square(int height, int width, const uint8_t *x, int size, uint8_t *y) {
    bool tall = width < height;
    int64_t longer = (int64_t)size * (tall ? height : width) / (tall ? width : height);
    int h = tall ? (int)longer : size, w = tall ? size : (int)longer;
    uint8_t *all = memory_new((size_t)h * (size_t)w, 3, "a picture of %dx%d pixels", w, h);
    bicubic_resize(height, width, x, h, w, all);
    /* halves go to the even number, as Python rounds */
    int top = (int)rint((h - size) / 2.0), left = (int)rint((w - size) / 2.0);
    for (int i = 0; i < size; i++)
        memcpy(y + (size_t)i * (size_t)size * 3,
               all + ((size_t)(top + i) * (size_t)w + (size_t)left) * 3, (size_t)size * 3);
    free(all);
}
