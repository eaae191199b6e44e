/* sizes.h — arithmetic on sizes, as every kernel needs it. Not public. */
#ifndef SIZES_H
#define SIZES_H

#include <stddef.h>

static inline int least(int a, int b) { return a < b ? a : b; }
static inline int most(int a, int b) { return a > b ? a : b; }
static inline size_t least_size(size_t a, size_t b) { return a < b ? a : b; }

static inline int ceil_div(int a, int b) { return (a + b - 1) / b; }

/* the next multiple of unit */
static inline int round_up(int n, int unit) { return (n + unit - 1) / unit * unit; }

#endif
