#include "io/half.h"

#include <string.h>

static uint32_t bits_of(float x) {
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

uint16_t half_from_float(float x) {
    uint32_t b = bits_of(x), sign = b >> 16 & 0x8000, magnitude = b & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00);    /* NaN */
    if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00);   /* 65520, half-way to 2^16 */
    if (magnitude < 0x38800000) {
        /* Below 2^-14 a half counts in steps of 2^-24. In 0.5 + |x| a float's last bit is
         * worth just that, so the addition does the rounding. */
        uint32_t steps = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
        return (uint16_t)(sign | steps);
    }
    /* 13 fraction bits go: add just under half of the last that stays, plus that bit itself, so
     * that a tie goes to the even neighbour. A carry runs into the exponent, as it should. */
    uint32_t odd = magnitude >> 13 & 1;
    magnitude += 0xfff + odd;
    return (uint16_t)(sign | ((magnitude - (112u << 23)) >> 13));    /* exponent bias 127 to 15 */
}

float half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    if (exponent == 0) {
        float x = (float)fraction * 0x1p-24f;
        return sign ? -x : x;
    }
    uint32_t biased = exponent == 31 ? 255 : exponent + 112;
    return float_of(sign | biased << 23 | fraction << 13);
}

float bfloat16_to_float(uint16_t h) {
    return float_of((uint32_t)h << 16);
}
