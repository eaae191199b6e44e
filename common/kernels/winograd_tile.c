/* winograd_tile.c — the transforms of winograd.c, on vectors of channels. */
#include "winograd_tile.h"

#include "simd.h"
#include "sizes.h"

enum { N = WINOGRAD_N, POINTS = WINOGRAD_POINTS };

/* ---- the three matrices, along one axis ------------------------------------------------------ */

/* The finite points besides 0 are +-near and +-far. With the usual 1 and 2 rounding errors would be
 * twice as large on average and four times at worst. E and B of these are exact in a float. */
static const double near = 5. / 8, far = 3. / 2;
static const double near2 = 25. / 64, far2 = 9. / 4;

/* N: one over the product of a point's distances from the other finite points:
 * 1 / (near2 far2), 1 / (2 near2 (near2 - far2)), 1 / (2 far2 (far2 - near2)) */
static const double scale[N] = {256. / 225, -2048. / 2975, -2048. / 2975, 128. / 1071, 128. / 1071,
                                1};

/* Results lie `step` vectors apart. Values at z and -z are the sum and the difference of an even
 * and an odd part. */

/* E: the values of c[0] + c[1] z + ... + c[n-1] z^(n-1) */
INLINE void evaluate(int n, const vec *c, vec *at, int step) {
    vec even_near = c[0], even_far = c[0], odd_near = c[1], odd_far = c[1];
    double power_near = near2, power_far = far2;
#pragma GCC unroll 8
    for (int i = 2; i < n; i++) {
        vec *to_near = i % 2 ? &odd_near : &even_near, *to_far = i % 2 ? &odd_far : &even_far;
        *to_near += vset((real)power_near) * c[i];
        *to_far += vset((real)power_far) * c[i];
        if (i % 2) power_near *= near2, power_far *= far2;
    }
    at[0] = c[0];
    at[step] = even_near + vset((real)near) * odd_near;
    at[2 * step] = even_near - vset((real)near) * odd_near;
    at[3 * step] = even_far + vset((real)far) * odd_far;
    at[4 * step] = even_far - vset((real)far) * odd_far;
    at[5 * step] = c[n - 1];
}

/* E^T */
INLINE void combine(int n, const vec *at, vec *c, int step) {
    vec even_near = at[1] + at[2], odd_near = at[1] - at[2];
    vec even_far = at[3] + at[4], odd_far = at[3] - at[4];
    double power_near = near, power_far = far;
    c[0] = at[0] + even_near + even_far;
#pragma GCC unroll 8
    for (int i = 1; i < n; i++, power_near *= near, power_far *= far) {
        vec near_part = i % 2 ? odd_near : even_near, far_part = i % 2 ? odd_far : even_far;
        vec c_i = vset((real)power_near) * near_part + vset((real)power_far) * far_part;
        c[i * step] = i == n - 1 ? c_i + at[5] : c_i;
    }
}

/* B^T, with n = near and f = far; beside each row the polynomial that has its coefficients:
 *     n2 f2    0    -n2-f2    0     1   0        (z^2 - n2)(z^2 - f2)
 *       0   -n f2    -f2      n     1   0        z (z + n)(z^2 - f2)
 *       0    n f2    -f2     -n     1   0        z (z - n)(z^2 - f2)
 *       0   -f n2    -n2      f     1   0        z (z + f)(z^2 - n2)
 *       0    f n2    -n2     -f     1   0        z (z - f)(z^2 - n2)
 *       0   n2 f2     0    -n2-f2   0   1        z (z^2 - n2)(z^2 - f2) */
INLINE void transform_input(const vec *d, vec *v, int step) {
    vec product = vset((real)(near2 * far2)), sum = vset((real)(near2 + far2));
    vec d1 = d[1], d2 = d[2], d3 = d[3], d4 = d[4];
    vec even_near = d4 - vset((real)far2) * d2, odd_near = d3 - vset((real)far2) * d1;
    vec even_far = d4 - vset((real)near2) * d2, odd_far = d3 - vset((real)near2) * d1;
    v[0] = product * d[0] - sum * d2 + d4;
    v[step] = even_near + vset((real)near) * odd_near;
    v[2 * step] = even_near - vset((real)near) * odd_near;
    v[3 * step] = even_far + vset((real)far) * odd_far;
    v[4 * step] = even_far - vset((real)far) * odd_far;
    v[5 * step] = product * d1 - sum * d3 + d[5];
}

/* ---- along both axes ------------------------------------------------------------------------- */

/* Each function below takes the channels c .. c+width-1, width VEC or, where there are fewer
 * channels than that, all of them. Columns first, into half[], then rows. */
INLINE vec load(const real *x, int width) {
    return width == VEC ? vload(x) : vload_part(x, width);
}
INLINE void store(real *x, vec v, int width) {
    if (width == VEC) vstore(x, v);
    else vstore_part(x, v, width);
}

/* A copy of function f for each size, so that its loops unroll. */
#define FOR_SIZE(n, f, ...) \
    ((n) == 5 ? f(5, __VA_ARGS__) : (n) == 4 ? f(4, __VA_ARGS__) \
     : (n) == 3 ? f(3, __VA_ARGS__) : f(2, __VA_ARGS__))

/* V = B^T d B */
INLINE void input_channels(const real *const *pixel, int c, int width, real *v, size_t plane) {
    vec half[POINTS];
#pragma GCC unroll 8
    for (int j = 0; j < N; j++) {
        vec d[N];
#pragma GCC unroll 8
        for (int i = 0; i < N; i++) d[i] = load(pixel[i * N + j] + c, width);
        transform_input(d, half + j, N);
    }
#pragma GCC unroll 8
    for (int i = 0; i < N; i++) {
        vec v_i[N];
        transform_input(half + i * N, v_i, 1);
#pragma GCC unroll 8
        for (int j = 0; j < N; j++) store(v + (i * N + j) * plane + c, v_i[j], width);
    }
}

/* The last vector of channels overlaps the one before it: it writes the same numbers again. */
void winograd_input(const real *const *pixel, int channels, real *v, size_t plane) {
    if (channels < VEC) input_channels(pixel, 0, channels, v, plane);
    else
        for (int c = 0; c < channels; c += VEC)
            input_channels(pixel, least(c, channels - VEC), VEC, v, plane);
}

/* y = E^T M E [+ bias] [+ y] */
INLINE void output_channels(int m, const real *product, size_t plane, int c, int width,
                            const real *bias, real *const *pixel, bool add) {
    vec half[POINTS], start = bias ? load(bias + c, width) : vset(0);
#pragma GCC unroll 8
    for (int j = 0; j < N; j++) {
        vec at[N];
#pragma GCC unroll 8
        for (int i = 0; i < N; i++) at[i] = vload(product + (i * N + j) * plane + c);
        combine(m, at, half + j, N);
    }
#pragma GCC unroll 8
    for (int i = 0; i < m; i++) {
        vec y[N];
        combine(m, half + i * N, y, 1);
#pragma GCC unroll 8
        for (int j = 0; j < m; j++) {
            real *to = pixel[i * m + j] + c;
            y[j] += start;
            store(to, add ? y[j] + load(to, width) : y[j], width);
        }
    }
}

INLINE void output_tile(int m, const real *product, size_t plane, int channels, const real *bias,
                        real *const *pixel, bool add) {
    int c = 0;
    for (; c + VEC <= channels; c += VEC)
        output_channels(m, product, plane, c, VEC, bias, pixel, add);
    if (c < channels) output_channels(m, product, plane, c, channels - c, bias, pixel, add);
}

void winograd_output(int m, const real *product, size_t plane, int channels, const real *bias,
                     real *const *pixel, bool add)
{
    FOR_SIZE(m, output_tile, product, plane, channels, bias, pixel, add);
}

/* E c E^T for n x n coefficients: Z from dy, and U from g but for N */
INLINE void evaluate_channels(int n, const real *const *pixel, int c, int width, bool scaled,
                              real *z, size_t plane) {
    vec half[POINTS];
#pragma GCC unroll 8
    for (int j = 0; j < n; j++) {
        vec d[N];
#pragma GCC unroll 8
        for (int i = 0; i < n; i++) d[i] = load(pixel[i * n + j] + c, width);
        evaluate(n, d, half + j, N);
    }
#pragma GCC unroll 8
    for (int i = 0; i < N; i++) {
        vec z_i[N];
        evaluate(n, half + i * N, z_i, 1);
#pragma GCC unroll 8
        for (int j = 0; j < N; j++) {
            if (scaled) z_i[j] *= vset((real)(scale[i] * scale[j]));
            store(z + (i * N + j) * plane + c, z_i[j], width);
        }
    }
}

INLINE void evaluate_tile(int n, const real *const *pixel, int channels, bool scaled, real *z,
                          size_t plane) {
    if (channels < VEC) evaluate_channels(n, pixel, 0, channels, scaled, z, plane);
    else
        for (int c = 0; c < channels; c += VEC)
            evaluate_channels(n, pixel, least(c, channels - VEC), VEC, scaled, z, plane);
}

void winograd_gradient(int m, const real *const *pixel, int channels, real *z, size_t plane) {
    FOR_SIZE(m, evaluate_tile, pixel, channels, false, z, plane);
}

void winograd_weights(int r, const real *const *tap, int channels, real *u, size_t plane) {
    FOR_SIZE(r, evaluate_tile, tap, channels, true, u, plane);
}

/* g [+]= E^T N dU N E */
INLINE void weight_channels(int r, const real *du, size_t plane, int c, int width,
                            real *const *tap, bool add) {
    vec half[POINTS];
#pragma GCC unroll 8
    for (int j = 0; j < N; j++) {
        vec at[N];
#pragma GCC unroll 8
        for (int i = 0; i < N; i++)
            at[i] = vload(du + (i * N + j) * plane + c) * vset((real)(scale[i] * scale[j]));
        combine(r, at, half + j, N);
    }
#pragma GCC unroll 8
    for (int i = 0; i < r; i++) {
        vec g[N];
        combine(r, half + i * N, g, 1);
#pragma GCC unroll 8
        for (int j = 0; j < r; j++) {
            if (!tap[i * r + j]) continue;
            real *to = tap[i * r + j] + c;
            store(to, add ? load(to, width) + g[j] : g[j], width);
        }
    }
}

INLINE void weights_back(int r, const real *du, size_t plane, int channels, real *const *tap,
                         bool add) {
    int c = 0;
    for (; c + VEC <= channels; c += VEC) weight_channels(r, du, plane, c, VEC, tap, add);
    if (c < channels) weight_channels(r, du, plane, c, channels - c, tap, add);
}

void winograd_weights_back(int r, const real *du, size_t plane, int channels, real *const *tap,
                           bool add)
{
    FOR_SIZE(r, weights_back, du, plane, channels, tap, add);
}
