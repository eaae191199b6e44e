/* broadcast.c — a + b, a - b, a b, a / b where axes of length 1 are repeated (numpy's rule). */
#include "kernels.h"

#include <string.h>

static double apply(BinaryOp op, double a, double b)
{
    switch (op) {
    case BINARY_ADD: return a + b;
    case BINARY_SUB: return a - b;
    case BINARY_MUL: return a * b;
    default: return a / b;
    }
}

static double slope_a(BinaryOp op, double b)
{
    return op == BINARY_MUL ? b : op == BINARY_DIV ? 1 / b : 1;
}

static double slope_b(BinaryOp op, double a, double b)
{
    switch (op) {
    case BINARY_ADD: return 1;
    case BINARY_SUB: return -1;
    case BINARY_MUL: return a;
    default: return -a / (b * b);
    }
}

/* Where element `at` of y (counted in row-major order) finds its operand. */
static size_t operand(const int shape[4], const int own[4], size_t at)
{
    size_t index = 0, step = 1;
    for (int axis = 3; axis >= 0; axis--) {
        size_t i = at % shape[axis];
        at /= shape[axis];
        if (own[axis] > 1) index += i * step;
        step *= own[axis];
    }
    return index;
}

static size_t length(const int shape[4])
{
    return (size_t)shape[0] * shape[1] * shape[2] * shape[3];
}

void k_binary_ref(BinaryOp op, const int shape[4], const real *a, const int a_shape[4], const real *b,
                  const int b_shape[4], real *y)
{
    for (size_t i = 0; i < length(shape); i++)
        y[i] = (real)apply(op, a[operand(shape, a_shape, i)], b[operand(shape, b_shape, i)]);
}

void k_binary(BinaryOp op, const int shape[4], const real *a, const int a_shape[4], const real *b,
              const int b_shape[4], real *y)
{
    k_binary_ref(op, shape, a, a_shape, b, b_shape, y);
}

void k_binary_back_a(BinaryOp op, const int shape[4], const real *a, const int a_shape[4],
                     const real *b, const int b_shape[4], const real *dy, real *da, bool add)
{
    (void)a;
    bool whole = length(a_shape) == length(shape);
    if (!add && !whole) memset(da, 0, length(a_shape) * sizeof(real));
    for (size_t i = 0; i < length(shape); i++) {
        size_t at = operand(shape, a_shape, i);
        real d = (real)(dy[i] * slope_a(op, b[operand(shape, b_shape, i)]));
        da[at] = add || !whole ? da[at] + d : d;
    }
}

void k_binary_back_b(BinaryOp op, const int shape[4], const real *a, const int a_shape[4],
                     const real *b, const int b_shape[4], const real *dy, real *db, bool add)
{
    bool whole = length(b_shape) == length(shape);
    if (!add && !whole) memset(db, 0, length(b_shape) * sizeof(real));
    for (size_t i = 0; i < length(shape); i++) {
        size_t at = operand(shape, b_shape, i);
        real d = (real)(dy[i] * slope_b(op, a[operand(shape, a_shape, i)], b[at]));
        db[at] = add || !whole ? db[at] + d : d;
    }
}
