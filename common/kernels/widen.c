#include "kernels/widen.h"

#include "kernels/parallel.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 8192 };

void k_widen_ref(size_t n, const uint16_t *h, real *y) {
    for (size_t i = 0; i < n; i++) {
        int exponent = h[i] >> 10 & 31, fraction = h[i] & 1023;
        double x = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
        if (exponent == 31) x = fraction ? (double)NAN : (double)INFINITY;
        y[i] = (real)(h[i] & 0x8000 ? -x : x);
    }
}

/* An exponent of 0 means steps of 2^-24; else the exponents' biases differ by 112. Written without
 * branches, so that compilers make vectors of it. */
static void widen_block(size_t n, const uint16_t *h, real *y) {
    for (size_t i = 0; i < n; i++) {
        uint32_t magnitude = h[i] & 0x7fffu, sign = (h[i] & 0x8000u) << 16;
        uint32_t bits = (magnitude << 13) + (112u << 23), small_bits;
        float x, small = (float)(int32_t)magnitude * 0x1p-24f;
        bits |= magnitude >= 0x7c00 ? 0x7f800000u : 0;
        memcpy(&small_bits, &small, sizeof small);
        bits = (magnitude < 0x400 ? small_bits : bits) | sign;
        memcpy(&x, &bits, sizeof x);
        y[i] = x;
    }
}

void k_widen(size_t n, const uint16_t *h, real *y) {
    size_t blocks = (n + BLOCK - 1) / BLOCK;
    PARALLEL_FOR(COST_COPY * (double)n)
    for (size_t b = 0; b < blocks; b++) {
        size_t first = b * BLOCK, left = n - first;
        widen_block(left < BLOCK ? left : BLOCK, h + first, y + first);
    }
}
