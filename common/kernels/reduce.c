/* reduce.c — sums of whole arrays, and sums, maxima and copies along an axis.
 *
 * A sum is taken over blocks of BLOCK numbers, each on one thread, in double; the blocks are then
 * added in order. */
#include "kernels.h"
#include "columns.h"
#include "parallel.h"
#include "simd.h"
#include "sizes.h"

enum { BLOCK = 16384 };

/* ---- sums of whole arrays -------------------------------------------------------------------- */

typedef vec Term(vec a, vec b);    /* what is summed */

INLINE vec term_value(vec a, vec b) { return (void)b, a; }
INLINE vec term_square(vec a, vec b) { return (void)b, a * a; }
INLINE vec term_squared_difference(vec a, vec b) { return (a - b) * (a - b); }
INLINE vec term_absolute_difference(vec a, vec b) { return vabs(a - b); }
INLINE vec term_bce(vec x, vec t) { return vsoftplus(x) - x * t; }

/* Runs of RUN vectors are added in real, on SIDES sums side by side that do not wait for each
 * other, then in double. */
INLINE double sum_block(Term *term, size_t n, const real *a, const real *b) {
    enum { SIDES = 4 };
    double total = 0;
    for (size_t start = 0; start < n; start += RUN * VEC) {
        vec run = {0}, side[SIDES] = {0};
        size_t i = start, end = least_size(n, start + RUN * VEC);
        for (; i + SIDES * VEC <= end; i += SIDES * VEC)
#pragma GCC unroll 4
            for (int s = 0; s < SIDES; s++)
                side[s] += term(vload(a + i + s * VEC), vload(b + i + s * VEC));
        for (; i + VEC <= end; i += VEC) run += term(vload(a + i), vload(b + i));
        for (int s = 0; s < SIDES; s++) run += side[s];
        if (i < end) {
            vec last = term(vload_part(a + i, end - i), vload_part(b + i, end - i));
            for (size_t j = 0; j < end - i; j++) total += last[j];
        }
        for (int j = 0; j < VEC; j++) total += run[j];
    }
    return total;
}

/* The blocks shared out, their sums added in order. */
#define DEFINE_SUM(name)                                                                           \
    static double sum_##name(size_t n, const real *a, const real *b) {                             \
        size_t blocks = (n + BLOCK - 1) / BLOCK;                                                   \
        double *sums = (double *)scratch(SCRATCH_PARTIAL, 2 * blocks), total = 0;                  \
        PARALLEL_FOR((double)n *COST_COPY)                                                         \
        for (size_t i = 0; i < blocks; i++) {                                                      \
            size_t at = i * BLOCK;                                                                 \
            sums[i] = sum_block(term_##name, least_size(BLOCK, n - at), a + at, b + at);           \
        }                                                                                          \
        for (size_t i = 0; i < blocks; i++) total += sums[i];                                      \
        return total;                                                                              \
    }
DEFINE_SUM(value)
DEFINE_SUM(square)
DEFINE_SUM(squared_difference)
DEFINE_SUM(absolute_difference)
DEFINE_SUM(bce)

double k_sum(size_t n, const real *x) { return sum_value(n, x, x); }
double k_sum_squares(size_t n, const real *x) { return sum_square(n, x, x); }
double k_sum_squared_difference(size_t n, const real *a, const real *b) {
    return sum_squared_difference(n, a, b);
}
double k_sum_absolute_difference(size_t n, const real *a, const real *b) {
    return sum_absolute_difference(n, a, b);
}
double k_sum_bce_logits(size_t n, const real *x, const real *t) { return sum_bce(n, x, t); }

/* x - x is 0 for every finite x and NaN for the others, and a sum with a NaN in it is NaN. */
bool k_all_finite(size_t n, const real *x) {
    size_t i = 0;
    for (; i + RUN * VEC <= n; i += RUN * VEC) {
        vec sum = {0};
        for (int j = 0; j < RUN; j++) sum += vload(x + i + j * VEC) - vload(x + i + j * VEC);
        if (vsum(sum) != 0) return false;
    }
    for (; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

/* ---- along an axis: x (outer, n, inner) ------------------------------------------------------ */

void k_sum_axis_ref(int outer, int n, int inner, const real *x, real *y, bool add) {
    for (int o = 0; o < outer; o++)
        for (int k = 0; k < inner; k++) {
            double sum = 0;
            for (int i = 0; i < n; i++) sum += x[((size_t)o * n + i) * inner + k];
            real *y_ok = y + (size_t)o * inner + k;
            *y_ok = (real)(add ? *y_ok + sum : sum);
        }
}

/* Few long columns are cut into parts of PART_ROWS rows, each summed on its own and added in order. */
void k_sum_axis(int outer, int n, int inner, const real *x, real *y, bool add) {
    enum { PART_ROWS = 512 };
    if (inner == 1 && n >= BLOCK) {
        for (int o = 0; o < outer; o++, x += n)
            y[o] = (real)(sum_value(n, x, x) + (add ? y[o] : 0));
        return;
    }
    if (inner == 1) {
        PARALLEL_ROWS(outer, (double)outer * n * COST_COPY)
        for (int o = 0; o < outer; o++) {
            const real *x_o = x + (size_t)o * n;
            real sum = (real)sum_block(term_value, n, x_o, x_o);
            y[o] = add ? y[o] + sum : sum;
        }
        return;
    }
    int parts = (n + PART_ROWS - 1) / PART_ROWS;
    size_t count = (size_t)outer * parts * inner;
    double *sums = (double *)scratch(SCRATCH_PARTIAL, 2 * count);
    memset(sums, 0, count * sizeof *sums);
    PARALLEL_ROWS(outer * parts, (double)outer * n * inner * COST_COPY)
    for (int i = 0; i < outer * parts; i++) {
        int o = i / parts, first = i % parts * PART_ROWS;
        add_column_sums(least(PART_ROWS, n - first), inner,
                        x + ((size_t)o * n + first) * inner, inner, sums + (size_t)i * inner);
    }
    for (int o = 0; o < outer; o++)
        for (int k = 0; k < inner; k++, y++) {
            double sum = add ? *y : 0;
            for (int i = 0; i < parts; i++) sum += sums[((size_t)o * parts + i) * inner + k];
            *y = (real)sum;
        }
}

void k_max_axis(int outer, int n, int inner, const real *x, real *y, int *winner) {
    PARALLEL_ROWS(outer, (double)outer * n * inner * COST_COPY)
    for (int o = 0; o < outer; o++) {
        real *best = y + (size_t)o * inner;
        int *who = winner + (size_t)o * inner;
        for (int i = 0; i < n; i++) {
            const real *row = x + ((size_t)o * n + i) * inner;
            for (int k = 0; k < inner; k++)
                if (i == 0 || row[k] > best[k]) {
                    best[k] = row[k];
                    who[k] = i;
                }
        }
    }
}

/* Pieces of work are the o: each writes its own n rows. */
void k_max_axis_back(int outer, int n, int inner, const int *winner, const real *dy, real *dx,
                     bool add)
{
    PARALLEL_ROWS(outer, (double)outer * n * inner * COST_COPY)
    for (int o = 0; o < outer; o++) {
        size_t at = (size_t)o * inner;
        real *dx_o = dx + at * n;
        if (!add) memset(dx_o, 0, (size_t)n * inner * sizeof(real));
        for (int k = 0; k < inner; k++) dx_o[(size_t)winner[at + k] * inner + k] += dy[at + k];
    }
}

void k_spread_axis(int outer, int n, int inner, real a, const real *x, real *y, bool add) {
    PARALLEL_ROWS(outer, (double)outer * n * inner * COST_COPY)
    for (int o = 0; o < outer; o++)
        for (int i = 0; i < n; i++) {
            const real *from = x + (size_t)o * inner;
            real *to = y + ((size_t)o * n + i) * inner;
            if (add)
                for (int k = 0; k < inner; k++) to[k] += a * from[k];
            else
                for (int k = 0; k < inner; k++) to[k] = a * from[k];
        }
}
