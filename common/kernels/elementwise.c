/* elementwise.c — one function of one number, and its derivative. */
#include "kernels.h"
#include "parallel.h"

#include <math.h>

static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
static double normal_cdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }
static double normal_density(double x) { return 0.39894228040143267794 * exp(-0.5 * x * x); }
static double gelu_inner(double x) { return 0.79788456080286535588 * (x + 0.044715 * x * x * x); }
static double gelu_tanh_slope(double x)
{
    double t = tanh(gelu_inner(x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.79788456080286535588 * (1 + 0.134145 * x * x);
}

/* name, f(x; p, q), f'(x; p, q) where y = f(x) is known */
#define FORMULAS(F)                                                              \
    F(affine, p *x + q, p)                                                       \
    F(exp, exp(x), y)                                                            \
    F(log, log(x), 1 / x)                                                        \
    F(sqrt, sqrt(x), 0.5 / y)                                                    \
    F(square, x *x, 2 * x)                                                       \
    F(abs, fabs(x), (x > 0) - (x < 0))                                           \
    F(tanh, tanh(x), 1 - y * y)                                                  \
    F(sigmoid, sigmoid(x), y *(1 - y))                                           \
    F(softplus, fmax(x, 0) + log1p(exp(-fabs(x))), sigmoid(x))                   \
    F(relu, x > 0 ? x : 0, x > 0)                                                \
    F(leaky_relu, x > 0 ? x : p * x, x > 0 ? 1 : p)                              \
    F(elu, x > 0 ? x : expm1(x), x > 0 ? 1 : y + 1)                              \
    F(silu, x *sigmoid(x), sigmoid(x) * (1 + x * (1 - sigmoid(x))))              \
    F(gelu, x *normal_cdf(x), normal_cdf(x) + x * normal_density(x))             \
    F(gelu_tanh, 0.5 * x * (1 + tanh(gelu_inner(x))), gelu_tanh_slope(x))        \
    F(clamp, fmin(fmax(x, p), q), x >= p && x <= q)

#define DEFINE(name, f, slope)                                                                  \
    static double f_##name(double x, double p, double q) { (void)x, (void)p, (void)q; return f; } \
    static double slope_##name(double x, double y, double p, double q)                          \
    {                                                                                           \
        (void)x, (void)y, (void)p, (void)q;                                                     \
        return slope;                                                                           \
    }                                                                                           \
    void k_##name##_ref(size_t n, const real *x, real p, real q, real *y)                       \
    {                                                                                           \
        for (size_t i = 0; i < n; i++) y[i] = (real)f_##name(x[i], p, q);                       \
    }                                                                                           \
    void k_##name(size_t n, const real *x, real p, real q, real *y)                             \
    {                                                                                           \
        k_##name##_ref(n, x, p, q, y);                                                          \
    }                                                                                           \
    void k_##name##_back(size_t n, const real *x, const real *y, real p, real q,                \
                         const real *dy, real *dx, bool add)                                    \
    {                                                                                           \
        for (size_t i = 0; i < n; i++) {                                                        \
            real d = (real)(dy[i] * slope_##name(x[i], y[i], p, q));                            \
            dx[i] = add ? dx[i] + d : d;                                                        \
        }                                                                                       \
    }
FORMULAS(DEFINE)

void k_fill(size_t n, real value, real *y)
{
    for (size_t i = 0; i < n; i++) y[i] = value;
}

void k_axpy(size_t n, real a, const real *x, real *y, bool add)
{
    for (size_t i = 0; i < n; i++) y[i] = add ? y[i] + a * x[i] : a * x[i];
}

void k_lerp(size_t n, real t, const real *x, real *y)
{
    for (size_t i = 0; i < n; i++) y[i] += t * (x[i] - y[i]);
}

void k_dropout(size_t n, real p, uint64_t seed, uint64_t stream, uint64_t first, const real *x,
               real *y, bool add)
{
    Rng r = {seed, stream, first};
    for (size_t i = 0; i < n; i++) {
        real u;
        rng_uniform(&r, 1, &u);
        real kept = u >= p ? x[i] / (1 - p) : 0;
        y[i] = add ? y[i] + kept : kept;
    }
}
