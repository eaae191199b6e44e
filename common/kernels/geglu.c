/* geglu.c — the gated activation of Shazeer 2020 ("GLU Variants Improve Transformer"): of each row
 * a | g one half, weighted by the other's gelu.
 *
 *   y = a gelu(g)      da = dy gelu(g)      dg = dy a gelu'(g),  gelu(g) = g Phi(g),
 *   gelu'(g) = Phi(g) + g phi(g), Phi and phi the distribution and density of N(0,1). */
#include "kernels.h"
#include "parallel.h"
#include "simd.h"
#include "sizes.h"

void k_geglu_ref(int rows, int c, const real *x, real *y) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < c; j++) {
            double a = x[(size_t)i * 2 * c + j], g = x[(size_t)i * 2 * c + c + j];
            y[(size_t)i * c + j] = (real)(a * g * 0.5 * erfc(-g * 0.70710678118654752440));
        }
}

/* The loops below take whole vectors, then what is left of a row: n numbers of a vector. */
INLINE vec load_some(const real *x, int n) {
    return n == VEC ? vload(x) : vload_part(x, n);
}

INLINE void store_some(real *x, vec v, int n) {
    if (n == VEC) vstore(x, v);
    else vstore_part(x, v, n);
}

static void forward_row(int c, const real *x, real *y) {
    for (int j = 0; j < c; j += VEC) {
        int n = least(VEC, c - j);
        vec a = load_some(x + j, n), g = load_some(x + c + j, n), bell;
        store_some(y + j, a * g * vnormal_cdf(g, &bell), n);
    }
}

static void backward_row(int c, const real *x, const real *dy, real *dx, bool add) {
    const vec density = vset((real)0.39894228040143267794);          /* 1 / sqrt(2 pi) */
    for (int j = 0; j < c; j += VEC) {
        int n = least(VEC, c - j);
        vec a = load_some(x + j, n), g = load_some(x + c + j, n), d = load_some(dy + j, n), bell;
        vec phi = vnormal_cdf(g, &bell);
        vec da = d * g * phi, dg = d * a * (phi + g * bell * density);
        store_some(dx + j, add ? load_some(dx + j, n) + da : da, n);
        store_some(dx + c + j, add ? load_some(dx + c + j, n) + dg : dg, n);
    }
}

void k_geglu(int rows, int c, const real *x, real *y) {
    PARALLEL_ROWS(rows, (double)rows * c * COST_FUNCTION)
    for (int i = 0; i < rows; i++) forward_row(c, x + (size_t)i * 2 * c, y + (size_t)i * c);
}

void k_geglu_back(int rows, int c, const real *x, const real *dy, real *dx, bool add) {
    PARALLEL_ROWS(rows, (double)rows * c * COST_FUNCTION)
    for (int i = 0; i < rows; i++) {
        size_t at = (size_t)i * c;
        backward_row(c, x + 2 * at, dy + at, dx + 2 * at, add);
    }
}
