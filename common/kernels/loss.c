/* loss.c — gradients of the losses with respect to their inputs, one pass each, in blocks that are
 * shared out among the threads. */
#include "kernels.h"
#include "parallel.h"
#include "simd.h"
#include "sizes.h"

enum { BLOCK = 8192 };

typedef vec Slope(vec x, vec y);    /* of the loss, at prediction x and target y */

INLINE vec slope_squared(vec x, vec y) { return x - y; }
INLINE vec slope_absolute(vec x, vec y) {
    return vselect(x > y, vset(1), vselect(x < y, vset(-1), vset(0)));
}
INLINE vec slope_bce(vec x, vec t) { return vsigmoid(x) - t; }

/* d (+)= a slope(x, y) */
INLINE void slope_block(Slope *slope, size_t n, real a, const real *x, const real *y, real *d,
                        bool add)
{
    size_t i = 0;
    for (; i + VEC <= n; i += VEC) {
        vec v = vset(a) * slope(vload(x + i), vload(y + i));
        vstore(d + i, add ? vload(d + i) + v : v);
    }
    size_t rest = n - i;
    if (!rest) return;
    vec v = vset(a) * slope(vload_part(x + i, rest), vload_part(y + i, rest));
    vstore_part(d + i, add ? vload_part(d + i, rest) + v : v, rest);
}

#define DEFINE_GRADIENT(name, slope, cost)                                                         \
    void name(size_t n, real a, const real *x, const real *y, real *d, bool add) {                 \
        PARALLEL_FOR((double)n * (cost))                                                           \
        for (size_t i = 0; i < n; i += BLOCK)                                                      \
            slope_block(slope, least_size(BLOCK, n - i), a, x + i, y + i, d + i, add);             \
    }
DEFINE_GRADIENT(k_difference, slope_squared, COST_COPY)
DEFINE_GRADIENT(k_sign_difference, slope_absolute, COST_COPY)
DEFINE_GRADIENT(k_bce_logits_back, slope_bce, COST_FUNCTION)
