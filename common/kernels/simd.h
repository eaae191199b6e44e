/* simd.h — vectors of `real`, and the functions of one number that kernels need, on vectors.
 *
 * Written with the vector extensions of GCC and Clang: `a * b + c` on two `vec` is element by
 * element, a comparison gives a `vmask` of all-ones or all-zeros per element, and the compiler
 * chooses the instructions. One source thus serves AVX-512, AVX2, SSE and NEON, in float and in
 * double.
 *
 *   vec, VEC            a vector and how many reals it holds; VEC_BYTES may be set by -DVEC_BYTES=N
 *   vload vstore        any alignment; vload_part, vstore_part: only the first n < VEC elements;
 *                       vload_some, vstore_some: the first n, or all
 *   vset vselect vmax vmin vabs vsum vmax_element vsqrt
 *   vtranspose          a VEC x VEC block; vtranspose_block: one in registers
 *   vexp vexpm1 vlog vlog1p_unit vsoftplus vsigmoid vtanh vnormal_cdf vsincos_turns
 *
 * Accuracy is 1 to 3 units in the last place where nothing else is said. Every function
 * keeps NaN a NaN. Results that would be denormal may be flushed to zero.
 *
 * The compiler may contract a*b+c into one fused operation, so two machines may differ in the last
 * bit. On one machine the same call always gives the same bits.
 */
#ifndef SIMD_H
#define SIMD_H

#include "real.h"

#include <math.h>
#include <string.h>

#ifndef VEC_BYTES
#if defined __AVX512F__
#define VEC_BYTES 64
#elif defined __AVX__
#define VEC_BYTES 32
#else
#define VEC_BYTES 16
#endif
#endif

/* Vectors are passed between inlined functions only; the ABI notes GCC prints do not matter here. */
#pragma GCC diagnostic ignored "-Wpsabi"

typedef real vec __attribute__((vector_size(VEC_BYTES)));
typedef real vec_unaligned
    __attribute__((vector_size(VEC_BYTES), aligned(sizeof(real)), may_alias));
#ifdef REAL_DOUBLE
typedef int64_t lane_type;
typedef uint64_t lane_bits;
enum { MANTISSA_BITS = 52 };
#else
typedef int32_t lane_type;
typedef uint32_t lane_bits;
enum { MANTISSA_BITS = 23 };
#endif
typedef lane_type vmask __attribute__((vector_size(VEC_BYTES)));
typedef lane_bits vbits __attribute__((vector_size(VEC_BYTES)));    /* sums that may wrap around */
enum { VEC = VEC_BYTES / sizeof(real) };

#define INLINE static inline __attribute__((always_inline, unused))

/* ---- moving ---------------------------------------------------------------------------------- */

INLINE vec vload(const real *p) { return *(const vec_unaligned *)p; }
INLINE void vstore(real *p, vec v) { *(vec_unaligned *)p = v; }

/* x - 0 is x for every x, so the compiler emits a broadcast; 0 + x would be an addition: -0 + 0 =
 * 0. */
INLINE vec vset(real x) { return x - (vec){0}; }

INLINE vec vload_part(const real *p, size_t n) {
    real padded[VEC] = {0};
    memcpy(padded, p, n * sizeof(real));
    return vload(padded);
}

INLINE void vstore_part(real *p, vec v, size_t n) {
    memcpy(p, &v, n * sizeof(real));
}

/* the first n elements, or all */
INLINE vec vload_some(const real *p, int n) { return n >= VEC ? vload(p) : vload_part(p, n); }
INLINE void vstore_some(real *p, vec v, int n) {
    if (n >= VEC) vstore(p, v);
    else vstore_part(p, v, n);
}

INLINE vec vselect(vmask m, vec yes, vec no) {
    return (vec)((m & (vmask)yes) | (~m & (vmask)no));
}

/* 0, 1, 2 ... */
INLINE vmask lane_numbers(void) {
    static const lane_type __attribute__((aligned(64)))
    number[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return *(const vmask *)number;
}

/* where the two do not compare, b: vmax(limit, x) keeps a NaN in x */
INLINE vec vmax(vec a, vec b) { return vselect(a > b, a, b); }
INLINE vec vmin(vec a, vec b) { return vselect(a < b, a, b); }
INLINE vec vabs(vec x) { return (vec)((vmask)x & ~(vmask)vset((real)-0.0)); }
INLINE vec vcopysign(vec size, vec sign) {
    vmask bit = (vmask)vset((real)-0.0);
    return (vec)((~bit & (vmask)size) | (bit & (vmask)sign));
}

/* lane i from lane i + by, those at the end from the beginning. Clang finds the shuffle in the loop,
 * GCC does not. */
INLINE vec vrotate(vec v, int by) {
#ifdef __clang__
    vec rotated;
#pragma GCC unroll 16
    for (int i = 0; i < VEC; i++) rotated[i] = v[(i + by) % VEC];
    return rotated;
#else
    return __builtin_shuffle(v, lane_numbers() + by);    /* of a lane's number the last bits count */
#endif
}

/* Halves are added to halves, so the order does not depend on the instruction set. */
INLINE real vsum(vec v) {
#pragma GCC unroll 4
    for (int half = VEC / 2; half; half /= 2) v += vrotate(v, half);
    return v[0];
}

INLINE real vmax_element(vec v) {
#pragma GCC unroll 4
    for (int half = VEC / 2; half; half /= 2) v = vmax(vrotate(v, half), v);
    return v[0];
}

/* One instruction when the compiler need not set errno (-fno-math-errno). */
INLINE vec vsqrt(vec x) {
    for (int i = 0; i < VEC; i++)
        x[i] = sizeof(real) == 8 ? (real)__builtin_sqrt(x[i]) : (real)__builtin_sqrtf((float)x[i]);
    return x;
}

/* ---- transposing ----------------------------------------------------------------------------- */

/* One step of a transposition by halves: seen as a 2x2 matrix of blocks of `half` lanes, (a; b)
 * exchanges its off-diagonal blocks. Lane i of the results comes from lane i of a or b, or from
 * `half` lanes further. Clang finds the shuffle instruction in the loop, GCC does not. */
INLINE void vexchange(vec *a, vec *b, int half) {
#ifdef __clang__
    vec low = *a, high = *b;
#pragma GCC unroll 16
    for (int i = 0; i < VEC; i++)
        if (i & half) low[i] = (*b)[i - half];
        else high[i] = (*a)[i + half];
    *a = low;
    *b = high;
#else
    vmask lane = lane_numbers();
    vmask from_b = ((lane & half) != 0) & (VEC - half);    /* lanes of b are numbered from VEC on */
    vec low = __builtin_shuffle(*a, *b, lane + from_b);
    *b = __builtin_shuffle(*a, *b, lane + half + from_b);
    *a = low;
#endif
}

/* v[j][i] and v[i][j] change places, all in registers: log2(VEC) rounds. */
INLINE void vtranspose_block(vec v[VEC]) {
#pragma GCC unroll 4
    for (int half = VEC / 2; half; half /= 2)
#pragma GCC unroll 16
        for (int i = 0; i < VEC; i++)
            if (!(i & half)) vexchange(&v[i], &v[i + half], half);
}

/* out[j*ld_out + i] = in[i*ld_in + j] for i, j < VEC */
INLINE void vtranspose(const real *in, size_t ld_in, real *out, size_t ld_out) {
    vec v[VEC];
#pragma GCC unroll 16
    for (int i = 0; i < VEC; i++) v[i] = vload(in + i * ld_in);
    vtranspose_block(v);
#pragma GCC unroll 16
    for (int i = 0; i < VEC; i++) vstore(out + i * ld_out, v[i]);
}

/* ---- polynomials ----------------------------------------------------------------------------- */

/* c[0] + c[1] x + ... + c[n-1] x^(n-1); n is a constant where this is inlined, so the loop unrolls. */
INLINE vec polynomial(vec x, int n, const double *c) {
    vec y = vset((real)c[n - 1]);
#pragma GCC unroll 32
    for (int i = n - 2; i >= 0; i--) y = y * x + vset((real)c[i]);
    return y;
}

/* How many terms of a series float and double need. */
#define TERMS(in_float, in_double) (sizeof(real) == 8 ? (in_double) : (in_float))

/* ---- exp ------------------------------------------------------------------------------------- */

/* e^x = 2^n e^r with n the integer nearest to x / ln 2, so |r| <= ln(2)/2. There e^r is Taylor's
 * series in double; in float 1 + r + r^2 p(r), p the Chebyshev interpolant of degree 4, within
 * 8e-9. Adding 1.5 * 2^23 (2^52 in double) pushes the fraction out of the mantissa: n appears in
 * the low bits of the sum. ln 2 is subtracted in two parts, the first so short that n * part is
 * exact. */
static const double exp_series_float[7] = {
    1., 1., 0.5, 0.16666576894606, 0.04166655449841, 0.00836319488241, 0.00139262033616};
static const double exp_series_double[14] = {
    1., 1., 1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040, 1. / 40320, 1. / 362880,
    1. / 3628800, 1. / 39916800, 1. / 479001600, 1. / 6227020800};
static const double exp_round = TERMS(0x1.8p23, 0x1.8p52);
/* Above: infinity. A little below the true limit, because at it the rounded series may reach 1
 * where it should stay under, and one more in a full exponent is NaN. */
static const double exp_highest = TERMS(88.7228, 709.7827);
static const double exp_lowest = TERMS(-87.336544, -708.396418532264);    /* below: denormal, 0 */
static const double ln2_high = TERMS(0.693359375, 6.93147180369123816490e-01);
static const double ln2_low = TERMS(-2.12194440054690583e-4, 1.90821492927058770002e-10);

INLINE vec exp_remainder(vec x, vec *rounded) {
    *rounded = x * vset((real)1.44269504088896340736) + vset((real)exp_round);
    vec n = *rounded - vset((real)exp_round);
    return x - n * vset((real)ln2_high) - n * vset((real)ln2_low);
}

INLINE vec vexp(vec x) {
    vec rounded, r = exp_remainder(x, &rounded);
    vec y = sizeof(real) == 8 ? polynomial(r, 14, exp_series_double)
                              : polynomial(r, 7, exp_series_float);
    /* times 2^n: n more in the exponent */
    y = (vec)((vbits)y + ((vbits)rounded << MANTISSA_BITS));
    y = vselect(x < vset((real)exp_lowest), vset(0), y);
    return vselect(x <= vset((real)exp_highest), y, x + vset(INFINITY));    /* NaN stays NaN */
}

/* e^x - 1 without cancellation: 2^n (e^r - 1) + (2^n - 1). */
INLINE vec vexpm1(vec x) {
    vec low = vset((real)-40), high = vset((real)exp_highest);
    /* below -40 the result is -1 in any case */
    vec inside = vmin(vselect(x < low, low, x), high);
    vec rounded, r = exp_remainder(inside, &rounded);
    vec part = r * (sizeof(real) == 8 ? polynomial(r, 13, exp_series_double + 1)
                                      : polynomial(r, 6, exp_series_float + 1));
    /* 2^(n-1), doubled at the end, because 2^128 itself is no float */
    vec half = (vec)(((vbits)rounded << MANTISSA_BITS) + (vbits)vset((real)0.5));
    vec y = part * half + (half - vset((real)0.5));
    return vselect(x <= high, y + y, x + vset(INFINITY));
}

/* 1 / (1 + e^-x): e^-x may overflow to infinity, which gives the right 0. */
INLINE vec vsigmoid(vec x) { return vset(1) / (vset(1) + vexp(-x)); }

/* tanh |x| = m / (m + 2) with m = e^(2|x|) - 1; beyond 20 it is 1 in float and double. */
INLINE vec vtanh(vec x) {
    vec m = vexpm1(vselect(vabs(x) > vset(20), vset(40), vset(2) * vabs(x)));
    return vcopysign(m / (m + vset(2)), x);
}

/* ---- log ------------------------------------------------------------------------------------- */

/* x = 2^e m with sqrt(1/2) <= m < sqrt(2); with f = m - 1 and s = f / (2 + f),
 * ln m = 2 atanh s = 2 s + 2 s^3/3 + 2 s^5/5 + ...,  and 2 s = f - s f has f as an exact first
 * term. */
static const double log_series[10] = {2. / 3, 2. / 5, 2. / 7, 2. / 9, 2. / 11, 2. / 13, 2. / 15,
                                      2. / 17, 2. / 19, 2. / 21};

INLINE vec vlog(vec x) {
    vec tiny = vset((real)TERMS(0x1p-126, 0x1p-1022)), lift = vset((real)TERMS(0x1p30, 0x1p60));
    vmask denormal = x < tiny;
    vec lifted = vselect(denormal, x * lift, x);
    /* integer view: subtracting sqrt(1/2) makes the exponent field that of the m wanted */
    vmask root_half = (vmask)vset((real)0.70710678118654752440);
    vmask above = (vmask)lifted - root_half;
    vmask exponent = above >> MANTISSA_BITS;    /* arithmetic shift: may be negative */
    vec m = (vec)((vmask)lifted - (exponent << MANTISSA_BITS));
    vec e = __builtin_convertvector(exponent, vec);
    e -= vselect(denormal, vset(TERMS(30, 60)), vset(0));
    vec f = m - vset(1), s = f / (vset(2) + f), s2 = s * s;
    vec tail = s * (f - s2 * polynomial(s2, TERMS(4, 10), log_series)) - e * vset((real)ln2_low);
    vec y = e * vset((real)ln2_high) + (f - tail);
    y = vselect(x < vset(INFINITY), y, x);    /* infinity and NaN are their own logarithms */
    y = vselect(x < vset(0), vset(NAN), y);
    return vselect(x == vset(0), vset(-INFINITY), y);
}

/* ln(1 + x) for 0 <= x <= 1: with s = x / (2 + x) it is 2 atanh s = s p(s^2), p the Chebyshev
 * interpolant, within 2e-10 and 1e-16 relatively. Nothing is lost where x is small. */
static const double log1p_series_float[6] = {2.,           0.666666797,  0.3999865481,
                                             0.2862183194, 0.2137978945, 0.2446883202};
static const double log1p_series_double[14] = {
    2.0, 0.6666666666666666669, 0.3999999999999998877, 0.2857142857143112687,
    0.2222222222191920706, 0.1818181820330585959, 0.1538461439946426807, 0.1333336391043881405,
    0.1176404684248361969, 0.1053627173623308522, 0.09419086768962152528, 0.09442214580137879096,
    0.04608990496527463986, 0.1589360144710062208};

INLINE vec vlog1p_unit(vec x) {
    vec s = x / (vset(2) + x);
    return s * (sizeof(real) == 8 ? polynomial(s * s, 14, log1p_series_double)
                                  : polynomial(s * s, 6, log1p_series_float));
}

/* ln(1 + e^x), without overflow */
INLINE vec vsoftplus(vec x) { return vmax(vset(0), x) + vlog1p_unit(vexp(-vabs(x))); }

/* ---- the normal distribution ----------------------------------------------------------------- */

/* For a >= 0, 1 - Phi(a) = e^(-a^2/2) h(a) where h falls smoothly from 1/2 to 0. In
 * t = (a-4)/(a+4), which runs over [-1,1), h is a polynomial: the Chebyshev interpolant, degree 10
 * within 3e-7 of h relatively, degree 23 within 6e-16. The exponential's own argument rounds, so
 * far out in the tail the relative error grows to a^2/2 units in the last place. */
static const double normal_tail_float[11] = {
    0.0944106430, -0.170397684, 0.124379158, -0.0717080608, 0.0308659375, -0.00848834962,
    0.000502586539, 0.000629872608, -0.000177111768, -3.57766839e-05, 1.87867172e-05};
static const double normal_tail_double[24] = {
    0.094410641301968926, -0.17039772154845542, 0.12437925533926537, -0.071707407337738033,
    0.030864804106225149, -0.0084920954820849638, 0.00050756207679997667, 0.00063881385140638388,
    -0.00018718428669887063, -4.5554892640060871e-05, 2.8648442798101077e-05,
    4.6315550140054976e-06, -4.3039043450196465e-06, -8.2941293878046842e-07,
    6.6229710585840413e-07, 2.0602259248552516e-07, -9.5347019133523537e-08,
    -5.2845593722767399e-08, 1.0479976061382058e-08, 1.192567665480571e-08,
    -4.5839768732485549e-10, -2.0206876937789418e-09, -4.7678748442527603e-11,
    1.854491374509022e-10};

/* Phi(x), and e^(-x^2/2), which the derivative wants too. */
INLINE vec vnormal_cdf(vec x, vec *bell) {
    vec a = vabs(x), t = vset(1) - vset(8) / (a + vset(4));
    vec h = sizeof(real) == 8 ? polynomial(t, 24, normal_tail_double)
                              : polynomial(t, 11, normal_tail_float);
    *bell = vexp(vset((real)-0.5) * x * x);
    vec tail = *bell * h;
    return vselect(x > vset(0), vset(1) - tail, tail);
}

/* ---- sine and cosine ------------------------------------------------------------------------- */

static const double sine_series[9] = {1., -1. / 6, 1. / 120, -1. / 5040, 1. / 362880,
                                      -1. / 39916800, 1. / 6227020800, -1. / 1307674368000,
                                      1. / 355687428096000};
static const double cosine_series[9] = {1., -1. / 2, 1. / 24, -1. / 720, 1. / 40320, -1. / 3628800,
                                        1. / 479001600, -1. / 87178291200, 1. / 20922789888000};

/* sin and cos of 2 pi t, 0 <= t <= 1: the nearest quarter turn is taken out, which leaves at most
 * 1/8 turn for the series; odd quarters swap the two, and two bits of the quarter give the signs. */
INLINE void vsincos_turns(vec t, vec *sine, vec *cosine) {
    vec shifted = vset(4) * t + vset((real)exp_round);
    vmask quarter = (vmask)shifted;
    vec r = t - (shifted - vset((real)exp_round)) * vset((real)0.25);
    r *= vset((real)6.28318530717958647693);
    vec r2 = r * r;
    vec s = r * polynomial(r2, TERMS(5, 9), sine_series);
    vec c = polynomial(r2, TERMS(5, 9), cosine_series);
    vmask odd = (quarter & 1) == 1;
    enum { SIGN_SHIFT = sizeof(real) * 8 - 2 };    /* moves bit 1 to the sign */
    vmask sign_sine = (quarter & 2) << SIGN_SHIFT;
    vmask sign_cosine = ((quarter + 1) & 2) << SIGN_SHIFT;
    *sine = (vec)((vmask)vselect(odd, c, s) ^ sign_sine);
    *cosine = (vec)((vmask)vselect(odd, s, c) ^ sign_cosine);
}

#endif
