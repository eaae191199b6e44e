/* loss.c — gradients of the losses with respect to their inputs, one pass each. */
#include "kernels/kernels.h"
#include "kernels/parallel.h"

void k_difference(size_t n, real a, const real *x, const real *y, real *d, bool add) {
    if (add)
        for (size_t i = 0; i < n; i++) d[i] += a * (x[i] - y[i]);
    else
        for (size_t i = 0; i < n; i++) d[i] = a * (x[i] - y[i]);
}

void k_sign_difference(size_t n, real a, const real *x, const real *y, real *d, bool add) {
    for (size_t i = 0; i < n; i++) {
        real s = x[i] > y[i] ? a : x[i] < y[i] ? -a : 0;
        d[i] = add ? d[i] + s : s;
    }
}

void k_bce_logits_back(size_t n, real a, const real *x, const real *t, real *dx, bool add) {
    enum { BLOCK = 1024 };
    real s[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t m = n - i < BLOCK ? n - i : BLOCK;
        k_sigmoid(m, x + i, 0, 0, s);
        k_difference(m, a, s, t + i, dx + i, add);
    }
}
