/* softmax.c — softmax, its logarithm and cross-entropy, over the last axis of (rows, c).
 *
 * The largest element of a row is subtracted first, so no exponential overflows. Rows are shared
 * out among the threads some at a time. Short rows are padded to whole vectors by -infinity, whose
 * exponential is 0. */
#include "kernels.h"
#include "columns.h"
#include "parallel.h"
#include "simd.h"
#include "sizes.h"

/* Rows in a piece of work: about 4096 numbers. */
static int rows_at_a_time(int c) { return 4096 / (c + 1) + 1; }

/* ---- one row --------------------------------------------------------------------------------- */

/* x[i..] up to a vector, the rest of the vector being `padding` */
INLINE vec load_padded(const real *x, int n, real padding) {
    if (n >= VEC) return vload(x);
    vec v = vset(padding);
    for (int j = 0; j < n; j++) v[j] = x[j];
    return v;
}

static real row_max(int c, const real *x) {
    vec largest = vset(-INFINITY);
    for (int i = 0; i < c; i += VEC) {
        vec v = load_padded(x + i, c - i, -INFINITY);
        largest = vmax(largest, v);
    }
    return vmax_element(largest);
}

/* Sum of e^(x - shift); y, if not NULL, receives the terms. */
INLINE double row_exp(int c, const real *x, real shift, real *y) {
    double total = 0;
    for (int start = 0; start < c; start += RUN * VEC) {
        vec run = {0};
        for (int i = start; i < least(c, start + RUN * VEC); i += VEC) {
            vec e = vexp(load_padded(x + i, c - i, -INFINITY) - vset(shift));
            if (y) vstore_some(y + i, e, c - i);
            run += e;
        }
        total += vsum(run);
    }
    return total;
}

static double row_lse(int c, const real *x) {
    real largest = row_max(c, x);
    return largest + log(row_exp(c, x, largest, NULL));
}

/* sum of a b, and of a alone where b is NULL */
INLINE double row_dot(int c, const real *a, const real *b) {
    double total = 0;
    for (int start = 0; start < c; start += RUN * VEC) {
        vec run = {0};
        for (int i = start; i < least(c, start + RUN * VEC); i += VEC)
            run += load_padded(a + i, c - i, 0) * (b ? load_padded(b + i, c - i, 0) : vset(1));
        total += vsum(run);
    }
    return total;
}

/* ---- softmax --------------------------------------------------------------------------------- */

static double exact_max(int c, const real *x) {
    double largest = -INFINITY;
    for (int j = 0; j < c; j++) largest = fmax(largest, x[j]);
    return largest;
}

static double exact_sum(int c, const real *x, double largest) {
    double sum = 0;
    for (int j = 0; j < c; j++) sum += exp(x[j] - largest);
    return sum;
}

void k_softmax_ref(int rows, int c, const real *x, real *y) {
    for (int i = 0; i < rows; i++, x += c, y += c) {
        double largest = exact_max(c, x), sum = exact_sum(c, x, largest);
        for (int j = 0; j < c; j++) y[j] = (real)(exp(x[j] - largest) / sum);
    }
}

static void softmax_row(int c, const real *x, real *y) {
    real scale = (real)(1 / row_exp(c, x, row_max(c, x), y));
    for (int j = 0; j < c; j++) y[j] *= scale;
}

void k_softmax(int rows, int c, const real *x, real *y) {
    int step = rows_at_a_time(c);
    PARALLEL_FOR((double)rows * c * COST_FUNCTION)
    for (int start = 0; start < rows; start += step)
        for (int i = start; i < least(rows, start + step); i++)
            softmax_row(c, x + (size_t)i * c, y + (size_t)i * c);
}

/* dx = y (dy - sum of y dy) */
static void softmax_back_row(int c, const real *y, const real *dy, real *dx, bool add) {
    real inner = (real)row_dot(c, y, dy);
    for (int j = 0; j < c; j++) {
        real d = y[j] * (dy[j] - inner);
        dx[j] = add ? dx[j] + d : d;
    }
}

void k_softmax_back(int rows, int c, const real *y, const real *dy, real *dx, bool add) {
    int step = rows_at_a_time(c);
    PARALLEL_FOR((double)rows * c * COST_COPY)
    for (int start = 0; start < rows; start += step)
        for (int i = start; i < least(rows, start + step); i++)
            softmax_back_row(c, y + (size_t)i * c, dy + (size_t)i * c, dx + (size_t)i * c, add);
}

/* ---- log softmax ----------------------------------------------------------------------------- */

void k_log_softmax_ref(int rows, int c, const real *x, real *y) {
    for (int i = 0; i < rows; i++, x += c, y += c) {
        double largest = exact_max(c, x), sum = exact_sum(c, x, largest);
        for (int j = 0; j < c; j++) y[j] = (real)((x[j] - largest) - log(sum));
    }
}

static void log_softmax_row(int c, const real *x, real *y) {
    /* in this order: the sum of the two would round where they are large */
    real largest = row_max(c, x), rest = (real)log(row_exp(c, x, largest, NULL));
    for (int j = 0; j < c; j++) y[j] = (x[j] - largest) - rest;
}

void k_log_softmax(int rows, int c, const real *x, real *y) {
    int step = rows_at_a_time(c);
    PARALLEL_FOR((double)rows * c * COST_FUNCTION)
    for (int start = 0; start < rows; start += step)
        for (int i = start; i < least(rows, start + step); i++)
            log_softmax_row(c, x + (size_t)i * c, y + (size_t)i * c);
}

/* dx (+)= d + a e^(x - shift): the gradient of both log softmax (d = dy) and cross-entropy (d NULL:
 * 0) */
INLINE void exp_row(int c, const real *x, real shift, real a, const real *d, real *dx, bool add) {
    for (int i = 0; i < c; i += VEC) {
        vec v = vset(a) * vexp(load_padded(x + i, c - i, 0) - vset(shift));
        if (d) v += load_padded(d + i, c - i, 0);
        if (add) v += load_padded(dx + i, c - i, 0);
        vstore_some(dx + i, v, c - i);
    }
}

/* dx = dy - softmax(x) sum of dy */
void k_log_softmax_back(int rows, int c, const real *y, const real *dy, real *dx, bool add) {
    int step = rows_at_a_time(c);
    PARALLEL_FOR((double)rows * c * COST_FUNCTION)
    for (int start = 0; start < rows; start += step)
        for (int i = start; i < least(rows, start + step); i++) {
            const real *dy_i = dy + (size_t)i * c;
            real sum = (real)row_dot(c, dy_i, NULL);
            exp_row(c, y + (size_t)i * c, 0, -sum, dy_i, dx + (size_t)i * c, add);
        }
}

/* ---- cross-entropy --------------------------------------------------------------------------- */

double k_cross_entropy(int rows, int c, const real *x, const int *target, real *lse) {
    int step = rows_at_a_time(c);
    PARALLEL_FOR((double)rows * c * COST_FUNCTION)
    for (int start = 0; start < rows; start += step)
        for (int i = start; i < least(rows, start + step); i++)
            lse[i] = (real)row_lse(c, x + (size_t)i * c);
    double total = 0;
    for (int i = 0; i < rows; i++)
        if (target[i] >= 0) total += (double)lse[i] - x[(size_t)i * c + target[i]];
    return total;
}

static void cross_entropy_back_row(int c, const real *x, int target, real lse, real a, real *dx,
                                   bool add)
{
    if (target < 0) {
        if (!add) memset(dx, 0, c * sizeof(real));
        return;
    }
    exp_row(c, x, lse, a, NULL, dx, add);
    dx[target] -= a;
}

void k_cross_entropy_back(int rows, int c, const real *x, const int *target, const real *lse,
                          real a, real *dx, bool add) {
    int step = rows_at_a_time(c);
    PARALLEL_FOR((double)rows * c * COST_FUNCTION)
    for (int start = 0; start < rows; start += step)
        for (int i = start; i < least(rows, start + step); i++)
            cross_entropy_back_row(c, x + (size_t)i * c, target[i], lse[i], a, dx + (size_t)i * c,
                                   add);
}
