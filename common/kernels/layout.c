/* layout.c — copies that change shape. All of it is bound by memory; the rows and images are shared
 * out among the threads. */
#include "kernels.h"
#include "parallel.h"
#include "simd.h"
#include "sizes.h"

/* y[i] (+)= a x[i]: the inner loop of most of this file, vectorised by the compilers */
static void put_row(size_t n, real a, const real *x, real *y, bool add) {
    if (add)
        for (size_t i = 0; i < n; i++) y[i] += a * x[i];
    else if (a == 1)
        memcpy(y, x, n * sizeof(real));
    else
        for (size_t i = 0; i < n; i++) y[i] = a * x[i];
}

void k_copy_rows(size_t rows, size_t cols, const real *src, size_t ld_src, real *dst, size_t ld_dst,
                 bool add)
{
    PARALLEL_ROWS(rows, (double)rows * cols * COST_COPY)
    for (size_t i = 0; i < rows; i++) put_row(cols, 1, src + i * ld_src, dst + i * ld_dst, add);
}

/* ---- permuting axes -------------------------------------------------------------------------- */

/* y[j*ld_y + i] (+)= x[i*ld_x + j], i < rows, j < cols: in VEC x VEC blocks, so that both sides are
 * read and written by whole vectors */
static void transpose(int rows, int cols, const real *x, size_t ld_x, real *y, size_t ld_y,
                      bool add) {
    for (int i = 0; i < rows; i += VEC)
        for (int j = 0; j < cols; j += VEC) {
            real block[VEC * VEC];
            int height = least(VEC, rows - i), width = least(VEC, cols - j);
            if (height == VEC && width == VEC)
                vtranspose(x + i * ld_x + j, ld_x, block, VEC);
            else
                for (int k = 0; k < height * width; k++)
                    block[k % width * VEC + k / width] = x[(i + k / width) * ld_x + j + k % width];
            for (int k = 0; k < width; k++)
                put_row(height, 1, block + k * VEC, y + (j + k) * ld_y + i, add);
        }
}

/* Seen from y: along its axis `inner`, x is contiguous. If that is y's last axis too, rows are
 * copied; else each pair of the other two axes is a matrix to transpose. */
void k_permute(const int shape[4], const int perm[4], const real *x, real *y, bool add) {
    size_t x_step[4] = {(size_t)shape[1] * shape[2] * shape[3], (size_t)shape[2] * shape[3],
                        shape[3], 1};
    int size[4], inner = 0, outer[3], found = 0;
    size_t from[4], to[4], step = 1;
    for (int axis = 3; axis >= 0; axis--) {
        size[axis] = shape[perm[axis]];
        from[axis] = x_step[perm[axis]];
        to[axis] = step;
        step *= size[axis];
        if (perm[axis] == 3) inner = axis;
    }
    for (int axis = 0; axis < 3; axis++)
        if (axis != inner) outer[found++] = axis;
    int a = outer[0], b = outer[1], pairs = size[a] * size[b];
    PARALLEL_ROWS(pairs, (double)step * COST_COPY)
    for (int n = 0; n < pairs; n++) {
        size_t i = n / size[b], j = n % size[b];
        const real *x_ij = x + i * from[a] + j * from[b];
        real *y_ij = y + i * to[a] + j * to[b];
        if (inner < 3)
            transpose(size[3], size[inner], x_ij, from[3], y_ij, to[inner], add);
        else
            for (int k = 0; k < size[2]; k++)
                put_row(size[3], 1, x_ij + k * from[2], y_ij + k * to[2], add);
    }
}

/* ---- rows by index --------------------------------------------------------------------------- */

void k_gather_rows(int n, int d, const real *table, const int *index, real *y) {
    PARALLEL_ROWS(n, (double)n * d * COST_COPY)
    for (int i = 0; i < n; i++)
        memcpy(y + (size_t)i * d, table + (size_t)index[i] * d, d * sizeof(real));
}

/* Two rows of dy may go to the same row of the table, so threads share out the columns. */
void k_scatter_rows(int n, int d, int table_rows, const int *index, const real *dy, real *dtable,
                    bool add)
{
    const int strip = 64;
    if (!add) k_fill((size_t)table_rows * d, 0, dtable);
    PARALLEL_FOR((double)n * d * COST_COPY)
    for (int j = 0; j < d; j += strip)
        for (int i = 0; i < n; i++)
            put_row(least(strip, d - j), 1, dy + (size_t)i * d + j,
                    dtable + (size_t)index[i] * d + j, true);
}

/* ---- doubling and halving images ------------------------------------------------------------- */

void k_upsample2(int b, int h, int w, int c, real a, const real *x, real *y, bool add) {
    PARALLEL_ROWS(b * h, 4.0 * b * h * w * c * COST_COPY)
    for (int i = 0; i < b * h; i++)
        for (int j = 0; j < w; j++)
            for (int k = 0; k < 4; k++)
                put_row(c, a, x + ((size_t)i * w + j) * c,
                        y + ((size_t)(2 * i + k / 2) * 2 * w + 2 * j + k % 2) * c, add);
}

void k_sum_pool2(int b, int h, int w, int c, real a, const real *x, real *y, bool add) {
    size_t row = (size_t)2 * w * c;
    PARALLEL_ROWS(b * h, 4.0 * b * h * w * c * COST_COPY)
    for (int i = 0; i < b * h; i++)
        for (int j = 0; j < w; j++) {
            const real *at = x + 2 * i * row + (size_t)2 * j * c;
            real *y_ij = y + ((size_t)i * w + j) * c;
            for (int k = 0; k < c; k++) {
                real v = a * ((at[k] + at[c + k]) + (at[row + k] + at[row + c + k]));
                y_ij[k] = add ? y_ij[k] + v : v;
            }
        }
}

/* VEC channels of one block: the largest of its four pixels, and which it was; ties: the first */
static void max_of_block(const real *at, size_t right, size_t below, int n, real *y,
                         uint8_t *winner) {
    vec a = vload_some(at, n), b = vload_some(at + right, n);
    vec c = vload_some(at + below, n), d = vload_some(at + below + right, n);
    vec above = vselect(b > a, b, a), under = vselect(d > c, d, c);
    vec which = vselect(under > above, vselect(d > c, vset(3), vset(2)),
                        vselect(b > a, vset(1), vset(0)));
    vstore_some(y, vselect(under > above, under, above), n);
    real number[VEC];
    vstore(number, which);
    for (int k = 0; k < n; k++) winner[k] = (uint8_t)number[k];
}

void k_max_pool2(int b, int h, int w, int c, const real *x, real *y, uint8_t *winner) {
    size_t row = (size_t)2 * w * c;
    PARALLEL_ROWS(b * h, 4.0 * b * h * w * c * COST_COPY)
    for (int i = 0; i < b * h; i++)
        for (int j = 0; j < w; j++) {
            const real *at = x + 2 * i * row + (size_t)2 * j * c;
            size_t out = ((size_t)i * w + j) * c;
            for (int k = 0; k < c; k += VEC)
                max_of_block(at + k, (size_t)c, row, least(VEC, c - k), y + out + k,
                             winner + out + k);
        }
}

void k_max_pool2_back(int b, int h, int w, int c, const uint8_t *winner, const real *dy, real *dx,
                      bool add)
{
    size_t row = (size_t)2 * w * c;
    PARALLEL_ROWS(b * h, 4.0 * b * h * w * c * COST_COPY)
    for (int i = 0; i < b * h; i++)
        for (int j = 0; j < w; j++)
            for (int l = 0; l < 4; l++) {
                real *at = dx + (2 * i + l / 2) * row + (size_t)(2 * j + l % 2) * c;
                size_t from = ((size_t)i * w + j) * c;
                for (int k = 0; k < c; k++) {
                    real d = winner[from + k] == l ? dy[from + k] : 0;
                    at[k] = add ? at[k] + d : d;
                }
            }
}
