#include "nn/interpolate.h"

void interpolate_codes(int code, const real *a, const real *b, int steps, real *codes) {
    for (int k = 0; k < steps; k++) {
        real t = steps > 1 ? (real)k / (real)(steps - 1) : 0;
        for (int j = 0; j < code; j++) codes[k * code + j] = (1 - t) * a[j] + t * b[j];
    }
}
