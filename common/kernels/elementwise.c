/* elementwise.c — one function of one number, and its derivative.
 *
 * Each function is written twice in one line: on vectors, which the kernels run, and in double with
 * the
 * C library, which is the specification. Arrays are cut into blocks of BLOCK numbers, a multiple of
 * the vector length, so only the last block of an array ends in an incomplete vector, whatever the
 * number of threads. */
#include "kernels.h"
#include "parallel.h"
#include "simd.h"
#include "sizes.h"

enum { BLOCK = 8192 };

/* ---- the specification ----------------------------------------------------------------------- */

static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
static double normal_cdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }
static double gelu_inner(double x) { return 0.79788456080286535588 * (x + 0.044715 * x * x * x); }

#define SPECIFICATIONS(F)                                        \
    F(affine, p *x + q)                                          \
    F(exp, exp(x))                                               \
    F(log, log(x))                                               \
    F(sqrt, sqrt(x))                                             \
    F(square, x *x)                                              \
    F(abs, fabs(x))                                              \
    F(tanh, tanh(x))                                             \
    F(sigmoid, sigmoid(x))                                       \
    F(softplus, fmax(x, 0) + log1p(exp(-fabs(x))))               \
    F(relu, x < 0 ? 0 : x)                                       \
    F(leaky_relu, x > 0 ? x : p * x)                             \
    F(elu, x > 0 ? x : expm1(x))                                 \
    F(silu, x *sigmoid(x))                                       \
    F(gelu, x *normal_cdf(x))                                    \
    F(gelu_tanh, 0.5 * x * (1 + tanh(gelu_inner(x))))            \
    F(quick_gelu, x *sigmoid(1.702 * x))                         \
    F(clamp, x < p ? p : x > q ? q : x)

#define DEFINE_SPECIFICATION(name, formula)                                              \
    static double name##_exactly(double x, double p, double q)                           \
    {                                                                                    \
        (void)p, (void)q;                                                                \
        return formula;                                                                  \
    }                                                                                    \
    void k_##name##_ref(size_t n, const real *x, real p, real q, real *y)                \
    {                                                                                    \
        for (size_t i = 0; i < n; i++) y[i] = (real)name##_exactly(x[i], p, q);          \
    }
SPECIFICATIONS(DEFINE_SPECIFICATION)

/* ---- the functions on vectors ---------------------------------------------------------------- */

INLINE vec one(void) { return vset(1); }
INLINE vec zero(void) { return vset(0); }

/* tanh(u) = 2 sigmoid(2u) - 1, so x/2 (1 + tanh(u)) = x sigmoid(2u) */
INLINE vec gelu_gate(vec x) {
    return vsigmoid(vset((real)1.5957691216057307) * (x + vset((real)0.044715) * x * x * x));
}

INLINE vec gelu_tanh_slope(vec x) {
    vec s = gelu_gate(x), twice_inner_slope = vset((real)1.5957691216057307)
                                              * (one() + vset((real)0.134145) * x * x);
    return s + x * s * (one() - s) * twice_inner_slope;
}

INLINE vec gelu_value(vec x) {
    vec bell;
    return x * vnormal_cdf(x, &bell);
}

INLINE vec gelu_slope(vec x) {
    vec bell, phi = vnormal_cdf(x, &bell);
    return phi + x * bell * vset((real)0.39894228040143267794);    /* 1 / sqrt(2 pi) */
}

INLINE vec silu_slope(vec x) {
    vec s = vsigmoid(x);
    return s * (one() + x * (one() - s));
}

INLINE vec quick_gelu_slope(vec x) {
    vec u = vset((real)1.702) * x, s = vsigmoid(u);
    return s * (one() + u * (one() - s));
}

/* name, f(x; p, q), f'(x; p, q) where y = f(x) is known: by y where it can be, so that y may be
 * computed over x */
#define FUNCTIONS(F)                                                                            \
    F(affine, p *x + q, p)                                                                      \
    F(exp, vexp(x), y)                                                                          \
    F(log, vlog(x), one() / x)                                                                  \
    F(sqrt, vsqrt(x), vset((real)0.5) / y)                                                      \
    F(square, x *x, x + x)                                                                      \
    F(abs, vabs(x), vselect(x > zero(), one(), vselect(x < zero(), -one(), zero())))            \
    F(tanh, vtanh(x), one() - y * y)                                                            \
    F(sigmoid, vsigmoid(x), y *(one() - y))                                                     \
    F(softplus, vsoftplus(x), vsigmoid(x))                                                      \
    F(relu, vmax(zero(), x), vselect(y > zero(), one(), zero()))                                \
    F(leaky_relu, vselect(x > zero(), x, p * x), vselect(y > zero(), one(), p))                 \
    F(elu, vselect(x > zero(), x, vexpm1(x)), vselect(y > zero(), one(), y + one()))            \
    F(silu, x *vsigmoid(x), silu_slope(x))                                                      \
    F(gelu, gelu_value(x), gelu_slope(x))                                                       \
    F(gelu_tanh, x *gelu_gate(x), gelu_tanh_slope(x))                                           \
    F(quick_gelu, x *vsigmoid(vset((real)1.702) * x), quick_gelu_slope(x))                      \
    F(clamp, vmin(q, vmax(p, x)), vselect((x >= p) & (x <= q), one(), zero()))

/* The loops over a block and over the blocks, the same for every function. */
#define DEFINE_KERNEL(name, f, slope)                                                           \
    INLINE vec name##_at(vec x, vec p, vec q)                                                \
    {                                                                                           \
        (void)p, (void)q;                                                                       \
        return f;                                                                               \
    }                                                                                           \
    INLINE vec name##_back_at(vec x, vec y, vec p, vec q, vec dy)                              \
    {                                                                                           \
        (void)x, (void)y, (void)p, (void)q;                                                     \
        return dy * (slope);                                                                    \
    }                                                                                           \
    static void name##_block(size_t n, const real *x, real p, real q, real *y)                  \
    {                                                                                           \
        size_t i = 0;                                                                           \
        for (; i + VEC <= n; i += VEC)                                                          \
            vstore(y + i, name##_at(vload(x + i), vset(p), vset(q)));                        \
        if (i < n)                                                                              \
            vstore_part(y + i, name##_at(vload_part(x + i, n - i), vset(p), vset(q)), n - i); \
    }                                                                                           \
    static void name##_back_block(size_t n, const real *x, const real *y, real p, real q,       \
                                  const real *dy, real *dx, bool add)                           \
    {                                                                                           \
        size_t i = 0;                                                                           \
        for (; i + VEC <= n; i += VEC) {                                                        \
            vec d = name##_back_at(vload(x + i), vload(y + i), vset(p), vset(q), vload(dy + i)); \
            vstore(dx + i, add ? vload(dx + i) + d : d);                                        \
        }                                                                                       \
        size_t rest = n - i;                                                                    \
        if (!rest) return;                                                                      \
        vec d = name##_back_at(vload_part(x + i, rest), vload_part(y + i, rest), vset(p),      \
                                vset(q), vload_part(dy + i, rest));                             \
        vstore_part(dx + i, add ? vload_part(dx + i, rest) + d : d, rest);                      \
    }                                                                                           \
    void k_##name(size_t n, const real *x, real p, real q, real *y)                             \
    {                                                                                           \
        PARALLEL_FOR((double)n * COST_FUNCTION)                                            \
        for (size_t i = 0; i < n; i += BLOCK)                                                   \
            name##_block(least_size(BLOCK, n - i), x + i, p, q, y + i);                              \
    }                                                                                           \
    void k_##name##_back(size_t n, const real *x, const real *y, real p, real q,                \
                         const real *dy, real *dx, bool add)                                    \
    {                                                                                           \
        PARALLEL_FOR((double)n * COST_FUNCTION)                                            \
        for (size_t i = 0; i < n; i += BLOCK)                                                   \
            name##_back_block(least_size(BLOCK, n - i), x + i, y + i, p, q, dy + i, dx + i, add);    \
    }
FUNCTIONS(DEFINE_KERNEL)

/* ---- filling, scaling, averaging: the compilers vectorise these themselves ------------------- */

void k_fill(size_t n, real value, real *y) {
    PARALLEL_FOR((double)n * COST_COPY)
    for (size_t start = 0; start < n; start += BLOCK)
        for (size_t i = start; i < least_size(n, start + BLOCK); i++) y[i] = value;
}

void k_axpy(size_t n, real a, const real *x, real *y, bool add) {
    PARALLEL_FOR((double)n * COST_COPY)
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t end = least_size(n, start + BLOCK);
        if (add)
            for (size_t i = start; i < end; i++) y[i] += a * x[i];
        else
            for (size_t i = start; i < end; i++) y[i] = a * x[i];
    }
}

void k_lerp(size_t n, real t, const real *x, real *y) {
    PARALLEL_FOR((double)n * COST_COPY)
    for (size_t start = 0; start < n; start += BLOCK)
        for (size_t i = start; i < least_size(n, start + BLOCK); i++) y[i] += t * (x[i] - y[i]);
}

/* ---- dropout --------------------------------------------------------------------------------- */

static void dropout_block(size_t n, real p, Rng r, const real *x, real *y, bool add) {
    enum { RUN = 256 };
    real u[RUN], scale = 1 / (1 - p);
    for (size_t start = 0; start < n; start += RUN) {
        size_t count = least_size(RUN, n - start);
        rng_uniform(&r, count, u);
        for (size_t i = 0; i < count; i++) {
            real kept = u[i] >= p ? x[start + i] * scale : 0;
            y[start + i] = add ? y[start + i] + kept : kept;
        }
    }
}

void k_dropout(size_t n, real p, uint64_t seed, uint64_t stream, uint64_t first, const real *x,
               real *y, bool add)
{
    PARALLEL_FOR((double)n * COST_DRAW)
    for (size_t i = 0; i < n; i += BLOCK)
        dropout_block(least_size(BLOCK, n - i), p, (Rng){seed, stream, first + i}, x + i, y + i, add);
}
