#include "data/augment.h"

#include <math.h>

/* value at (row, column), between pixel centres at whole numbers; beyond the edge, the edge's */
static real bilinear(int side, const real *x, double row, double column) {
    row = fmin(fmax(row, 0), side - 1), column = fmin(fmax(column, 0), side - 1);
    int i = (int)row, j = (int)column, below = i + 1 < side ? i + 1 : i;
    int right = j + 1 < side ? j + 1 : j;
    double v = row - i, h = column - j;
    double top = (1 - h) * (double)x[i * side + j] + h * (double)x[i * side + right];
    double bottom = (1 - h) * (double)x[below * side + j] + h * (double)x[below * side + right];
    return (real)((1 - v) * top + v * bottom);
}

/* u: area, corner's row and column, flip; each in [0,1) */
static void crop(int side, const real *x, const real u[4], real *y) {
    double scale = sqrt(0.6 + 0.4 * (double)u[0]), room = side * (1 - scale);
    double top = room * (double)u[1], left = room * (double)u[2];
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            int column = u[3] < (real)0.5 ? j : side - 1 - j;
            y[i * side + j] = bilinear(side, x, top + scale * (i + 0.5) - 0.5,
                                       left + scale * (column + 0.5) - 0.5);
        }
}

Tensor *augment(Tensor *images, Rng *rng) {
    int B = images->shape[0], side = images->shape[1];
    Tensor *y = t_input(images->tape, NULL, images->rank, images->shape);
    for (int b = 0; b < B; b++) {
        real u[4];
        rng_uniform(rng, 4, u);
        crop(side, images->x + b * side * side, u, y->x + b * side * side);
    }
    return y;
}
