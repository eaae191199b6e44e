/* arrays.h — arrays for tests of kernels, and comparing them.
 *
 * Arrays come from `array`: they begin at an odd address, so nothing may rely on alignment, and
 * end in a guard that is checked when free_arrays is called, after each case or test. */
#ifndef ARRAYS_H
#define ARRAYS_H

#include "kernels/real.h"

#include <string.h>

real *array(size_t count);
void free_arrays(void);    /* also what every test ends with, after_each_test of testing.h */

real random_between(double low, double high);
real *random_range(size_t count, double low, double high);
real *random_array(size_t count);    /* -1 to 1 */
real *copy_of(size_t count, const real *x);

/* numbers in an array of four axes */
static inline size_t shape_length(const int s[4]) {
    return (size_t)s[0] * (size_t)s[1] * (size_t)s[2] * (size_t)s[3];
}

/* |got - want| <= tol * max(1, |want|) for all; the rest of the arguments describe the case */
__attribute__((format(printf, 5, 6))) void agree(size_t n, const real *got, const real *want,
                                                 double tol, const char *format, ...);

void same_bits(size_t n, const real *a, const real *b, int threads, const char *text);

/* Runs `call`, which must fill `out`, with 1, 2 and 3 threads. */
#define SAME_BITS_FOR_ANY_THREADS(n, out, call)                            \
    do {                                                                   \
        threads_set(1);                                                    \
        call;                                                              \
        real *first = copy_of(n, out);                                     \
        for (int threads = 2; threads <= 3; threads++) {                   \
            threads_set(threads);                                          \
            memset(out, 0x55, (n) * sizeof(real));                         \
            call;                                                          \
            same_bits(n, first, out, threads, #call);                      \
        }                                                                  \
        threads_set(2);                                                    \
    } while (0)

#endif
