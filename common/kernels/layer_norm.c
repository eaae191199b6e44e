/* layer_norm.c — layer normalisation (Ba, Kiros & Hinton 2016): x (rows, c), statistics of each
 * row. A row fits the first-level cache, so it is read three times: mean, spread, output. */
#include "kernels.h"
#include "columns.h"
#include "parallel.h"
#include "simd.h"
#include "sizes.h"

enum { ROW_BLOCK = 32 };

void layer_norm_forward_ref(const LayerNormShape *s, const NormArrays *n, real *y) {
    int c = s->c;
    const real *x = n->x, *gain = n->gain, *shift = n->shift;
    for (int i = 0; i < s->rows; i++, x += c, y += c) {
        double sum = 0, squares = 0;
        for (int j = 0; j < c; j++) sum += x[j];
        double mu = sum / c;
        for (int j = 0; j < c; j++) squares += (x[j] - mu) * (x[j] - mu);
        double r = 1 / sqrt(squares / c + s->eps);
        n->mean[i] = (real)mu;
        n->rstd[i] = (real)r;
        for (int j = 0; j < c; j++)
            y[j] = (real)((x[j] - mu) * r * (gain ? gain[j] : 1) + (shift ? shift[j] : 0));
    }
}

/* ---- forward --------------------------------------------------------------------------------- */

/* Sum of (x - center)^power, power 1 or 2. */
INLINE double sum_distances(int c, const real *x, real center, int power) {
    double total = 0;
    int j = 0;
    while (j + VEC <= c) {
        vec run = {0};
        for (int l = 0; l < RUN && j + VEC <= c; l++, j += VEC) {
            vec d = vload(x + j) - vset(center);
            run += power == 1 ? d : d * d;
        }
        total += vsum(run);
    }
    for (; j < c; j++) total += power == 1 ? x[j] - center : (x[j] - center) * (x[j] - center);
    return total;
}

static void forward_row(int c, real eps, const real *x, const real *gain, const real *shift,
                        real *y, real *mean, real *rstd) {
    double exact = x[0] + sum_distances(c, x, x[0], 1) / c;
    *mean = (real)exact;
    double lost = exact - *mean;    /* what rounding took from the mean, put back below */
    *rstd = (real)(1 / sqrt(fmax(0, sum_distances(c, x, *mean, 2) / c - lost * lost) + eps));
    vec center = vset(*mean), scale = vset(*rstd), start = vset((real)(-lost * *rstd));
    for (int j = 0; j < c; j += VEC) {
        vec v = (vload_some(x + j, c - j) - center) * scale + start;
        if (gain) v *= vload_some(gain + j, c - j);
        if (shift) v += vload_some(shift + j, c - j);
        vstore_some(y + j, v, c - j);
    }
}

void layer_norm_forward(const LayerNormShape *s, const NormArrays *n, real *y) {
    int rows = s->rows, c = s->c;
    if (!c) return;
    PARALLEL_FOR((double)rows * c * 2 * COST_COPY)
    for (int first = 0; first < rows; first += ROW_BLOCK)
        for (int i = first; i < least(rows, first + ROW_BLOCK); i++)
            forward_row(c, s->eps, n->x + (size_t)i * c, n->gain, n->shift, y + (size_t)i * c,
                        n->mean + i, n->rstd + i);
}

/* ---- backward -------------------------------------------------------------------------------- */

/* With xhat = (x - mean) rstd and E the mean over the row,
 *     dx = rstd (dy gain - E[dy gain] - xhat E[dy gain xhat]),
 * and the row's part of dshift = sum of dy and dgain = sum of dy xhat is added to sums[j] and
 * sums[c+j], unless sums is NULL. Both are read twice, the second time from the first-level
 * cache. */
static void backward_row(int c, const real *x, const real *gain, real mean, real rstd,
                         const real *dy, real *dx, bool add, real *sums) {
    double e = 0, e_x = 0;
    for (int start = 0; start < c; start += RUN * VEC) {
        vec run = {0}, run_x = {0};
        for (int j = start; j < least(c, start + RUN * VEC); j += VEC) {
            vec d = vload_some(dy + j, c - j);    /* 0 in the padding */
            vec d_x = d * (vload_some(x + j, c - j) - vset(mean));
            if (sums) {
                vstore_some(sums + j, vload_some(sums + j, c - j) + d, c - j);
                vstore_some(sums + c + j, vload_some(sums + c + j, c - j) + d_x * vset(rstd),
                            c - j);
            }
            vec g = gain ? vload_some(gain + j, c - j) : vset(1);
            run += d * g;
            run_x += d_x * g;
        }
        e += vsum(run);
        e_x += vsum(run_x);
    }
    vec r = vset((real)(rstd * e / c)), q = vset((real)(rstd * (e_x * rstd / c) * rstd));
    for (int j = 0; dx && j < c; j += VEC) {
        vec d = vload_some(dy + j, c - j) * vset(rstd);
        if (gain) d *= vload_some(gain + j, c - j);
        d -= r + (vload_some(x + j, c - j) - vset(mean)) * q;
        vstore_some(dx + j, add ? vload_some(dx + j, c - j) + d : d, c - j);
    }
}

/* out[j] (+)= sum over blocks of sums[block][j], in order */
static void add_blocks(int blocks, int c, const real *sums, double *total, Gradient out) {
    memset(total, 0, c * sizeof *total);
    add_column_sums(blocks, c, sums, (size_t)2 * c, total);
    for (int j = 0; j < c; j++) out.to[j] = (real)(out.add ? out.to[j] + total[j] : total[j]);
}

void layer_norm_backward(const LayerNormShape *s, const NormArrays *n, const real *dy,
                         const NormGradients *d) {
    int rows = s->rows, c = s->c, blocks = (rows + ROW_BLOCK - 1) / ROW_BLOCK;
    real *dx = d->x.to;
    bool sums_wanted = d->gain.to || d->shift.to;
    double *total = (double *)scratch(SCRATCH_A, (size_t)2 * c);
    real *sums = scratch(SCRATCH_PARTIAL, sums_wanted ? (size_t)blocks * 2 * c : 0);
    PARALLEL_FOR((double)rows * c * 4 * COST_COPY)
    for (int block = 0; block < blocks; block++) {
        int first = block * ROW_BLOCK, end = least(rows, first + ROW_BLOCK);
        size_t at = (size_t)first * c;
        real *mine = sums_wanted ? sums + (size_t)block * 2 * c : NULL;
        for (int j = 0; mine && j < 2 * c; j++) mine[j] = 0;
        for (int i = first; i < end; i++, at += c)
            backward_row(c, n->x + at, n->gain, n->mean[i], n->rstd[i], dy + at,
                         dx ? dx + at : NULL, d->x.add, mine);
    }
    if (d->shift.to) add_blocks(blocks, c, sums, total, d->shift);
    if (d->gain.to) add_blocks(blocks, c, sums + c, total, d->gain);
}
