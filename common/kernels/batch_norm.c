/* batch_norm.c — batch normalisation (Ioffe & Szegedy 2015): x (rows, c), statistics of each
 * column. Rows are cut into blocks of ROW_BLOCK for the threads; the blocks' sums are joined in
 * order. */
#include "kernels.h"
#include "norm_columns.h"
#include "parallel.h"
#include "sizes.h"

enum { ROW_BLOCK = 256 };

static int block_count(int rows) { return (rows + ROW_BLOCK - 1) / ROW_BLOCK; }

void batch_norm_apply_ref(const BatchNormShape *s, const BatchNormArrays *n, real *y) {
    for (int i = 0; i < s->rows; i++)
        for (int j = 0; j < s->c; j++) {
            size_t at = (size_t)i * s->c + j;
            double v = (n->x[at] - (double)n->mean[j]) / sqrt((double)n->var[j] + s->eps);
            y[at] = (real)(v * (n->gain ? n->gain[j] : 1) + (n->shift ? n->shift[j] : 0));
        }
}

void batch_norm_statistics(int rows, int c, const real *x, real *mean, real *var) {
    int blocks = block_count(rows);
    Moments *moments = (Moments *)scratch(SCRATCH_PARTIAL,
                                          (size_t)blocks * c * sizeof(Moments) / sizeof(real));
    PARALLEL_FOR((double)rows * c * 2 * COST_COPY)
    for (int i = 0; i < blocks; i++) {
        int first = i * ROW_BLOCK;
        column_moments(least(ROW_BLOCK, rows - first), c, x + (size_t)first * c, c,
                       moments + (size_t)i * c);
    }
    for (int j = 0; j < c; j++) {
        Moments all = {0};
        for (int i = 0; i < blocks; i++) all = moments_join(all, moments[(size_t)i * c + j]);
        mean[j] = (real)all.mean;
        var[j] = (real)(all.count ? all.m2 / all.count : 0);
    }
}

/* Six numbers per column, in scratch memory. */
static ColumnMap column_map(int c, real eps, const BatchNormArrays *n) {
    real *room = scratch(SCRATCH_A, (size_t)6 * c);
    ColumnMap m = {room, room + c, room + 2 * c, room + 3 * c, room + 4 * c, room + 5 * c};
    for (int j = 0; j < c; j++) {
        m.center[j] = n->mean[j];
        m.scale[j] = (real)((n->gain ? n->gain[j] : 1) / sqrt((double)n->var[j] + eps));
        m.offset[j] = n->shift ? n->shift[j] : 0;
    }
    return m;
}

void batch_norm_apply(const BatchNormShape *s, const BatchNormArrays *n, real *y) {
    int rows = s->rows, c = s->c;
    ColumnMap m = column_map(c, s->eps, n);
    PARALLEL_FOR((double)rows * c * COST_COPY)
    for (int first = 0; first < rows; first += ROW_BLOCK)
        map_columns(least(ROW_BLOCK, rows - first), c, c, n->x + (size_t)first * c, &m, false,
                    y + (size_t)first * c);
}

static void put(Gradient d, int j, double value) {
    if (d.to) d.to[j] = (real)(d.add ? d.to[j] + value : value);
}

/* With xhat = (x - mean) rstd:  dgain = sum dy xhat,  dshift = sum dy,  and for a batch's own
 * statistics
 *     dx = gain rstd (dy - E[dy] - xhat E[dy xhat]);   for constants only the first term. */
void batch_norm_backward(const BatchNormShape *s, const BatchNormArrays *n, const real *dy,
                         const NormGradients *d) {
    int rows = s->rows, c = s->c, blocks = block_count(rows);
    ColumnMap m = column_map(c, s->eps, n);
    double *sums = (double *)scratch(SCRATCH_PARTIAL, (size_t)(blocks + 1) * 4 * c);
    memset(sums, 0, (size_t)(blocks + 1) * 2 * c * sizeof *sums);
    PARALLEL_FOR((double)rows * c * 2 * COST_COPY)
    for (int i = 0; i < blocks; i++) {
        size_t at = (size_t)i * ROW_BLOCK * c;
        double *sum = sums + (size_t)(i + 1) * 2 * c;
        back_column_sums(least(ROW_BLOCK, rows - i * ROW_BLOCK), c, c, n->x + at, dy + at, &m,
                         false, NULL, sum, sum + c);
    }
    for (int i = 1; i <= blocks; i++)    /* the first pair of rows is the total */
        for (int j = 0; j < 2 * c; j++) sums[j] += sums[(size_t)i * 2 * c + j];
    for (int j = 0; j < c; j++) {
        double rstd = 1 / sqrt((double)n->var[j] + s->eps);
        double sum = sums[j], sum_xhat = sums[c + j] * rstd;
        m.p[j] = m.scale[j];
        m.q[j] = s->batch_statistics ? (real)(m.scale[j] * rstd * sum_xhat / rows) : 0;
        m.r[j] = s->batch_statistics ? (real)(m.scale[j] * sum / rows) : 0;
        put(d->gain, j, sum_xhat);
        put(d->shift, j, sum);
    }
    if (!d->x.to) return;
    PARALLEL_FOR((double)rows * c * COST_COPY)
    for (int i = 0; i < blocks; i++) {
        size_t at = (size_t)i * ROW_BLOCK * c;
        back_columns(least(ROW_BLOCK, rows - i * ROW_BLOCK), c, c, n->x + at, dy + at, c, &m,
                     d->x.to + at, d->x.add);
    }
}
