/* arrays.c — see arrays.h. */
#include "arrays.h"

#include "testing.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 4 };

static struct { real *memory; size_t count; } arrays[256];
static int array_count;

real *array(size_t count) {
    real *memory = malloc((count + 1 + GUARD) * sizeof(real));
    for (int i = 0; i < GUARD; i++) memory[1 + count + i] = 12345;
    cr_assert(array_count < 256);
    arrays[array_count].memory = memory;
    arrays[array_count++].count = count;
    return memory + 1;
}

void free_arrays(void) {
    while (array_count > 0) {
        real *memory = arrays[--array_count].memory;
        for (int i = 0; i < GUARD; i++)
            cr_assert(memory[1 + arrays[array_count].count + i] == 12345,
                      "array of %zu was written beyond its end", arrays[array_count].count);
        free(memory);
    }
    after_each_test();
}

static uint32_t random_state = 1;

real random_between(double low, double high) {
    random_state = random_state * 1664525u + 1013904223u;
    return (real)(low + (high - low) * (random_state >> 8) / 16777216.0);
}

real *random_range(size_t count, double low, double high) {
    real *x = array(count);
    for (size_t i = 0; i < count; i++) x[i] = random_between(low, high);
    return x;
}

real *random_array(size_t count) { return random_range(count, -1, 1); }

real *copy_of(size_t count, const real *x) {
    real *y = array(count);
    memcpy(y, x, count * sizeof(real));
    return y;
}

void agree(size_t n, const real *got, const real *want, double tol, const char *format, ...) {
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        double e = got[i] == want[i] || (isnan(got[i]) && isnan(want[i])) ? 0
                 : fabs((double)got[i] - want[i]) / fmax(1, fabs((double)want[i]));
        if (!(e <= worst)) worst = isnan(e) ? INFINITY : e, at = i;
    }
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cr_assert(is_near(text, 0, worst, tol),
              "%s: element %zu of %zu is %.9g, expected %.9g: off by %.3g, allowed %.3g", text, at,
              n, n ? (double)got[at] : 0, n ? (double)want[at] : 0, worst, tol);
}

void same_bits(size_t n, const real *a, const real *b, int threads, const char *text) {
    for (size_t i = 0; i < n; i++)
        cr_assert(memcmp(a + i, b + i, sizeof(real)) == 0,
                  "%s: element %zu of %zu is %.9g with 1 thread and %.9g with %d", text, i, n,
                  (double)a[i], (double)b[i], threads);
}
