/* tile.h — the inner loop of every matrix product, convolution and attention in this library.
 *
 * A tile is TILE_ROWS x TILE_COLS sums held in registers while the kernel runs along the k axis:
 *
 *     t[i][j] += sum over l of a_i[l] * b[l][j]
 *
 * One step loads TILE_VECS vectors of b and broadcasts one number of each row of a, and each of
 * those loads feeds several multiply-adds. A processor that starts two multiply-adds per cycle and
 * needs four cycles to finish one wants at least 8 independent sums; it also loads at most two or
 * three vectors per cycle. 6 x 2 vectors are 12 sums and 8 loads for 12 multiply-adds, and with two
 * vectors of b and one broadcast they fill 15 of 16 vector registers. Where there are 32 registers
 * (AVX-512, NEON), 12 x 2 use 27 of them and need fewer loads still.
 *
 * What differs between the callers is only where the rows of a begin: rows of a matrix, pixels of
 * an image (conv.c: consecutive taps of a channels-last image are consecutive in memory, so a
 * pixel's neighbourhood is a matrix row without being copied), queries of attention.
 *
 * The sums are a local array, which the compilers keep in registers once the loops over it are
 * unrolled.
 */
#ifndef TILE_H
#define TILE_H

#include "simd.h"

#if defined __aarch64__ || (defined __AVX512F__ && VEC_BYTES == 64)
enum { TILE_ROWS = 12 };
#else
enum { TILE_ROWS = 6 };
#endif
enum { TILE_VECS = 2, TILE_COLS = TILE_VECS * VEC };

/* Half a vector, for 8 channels where vectors hold 16; short vectors are not halved. Processors that
 * execute a vector in two halves save one of them. */
#if VEC_BYTES > 16
typedef real half __attribute__((vector_size(VEC_BYTES / 2)));
typedef real half_unaligned
    __attribute__((vector_size(VEC_BYTES / 2), aligned(sizeof(real)), may_alias));
#else
typedef vec half;
typedef vec_unaligned half_unaligned;
#endif
enum { HALF = sizeof(half) / sizeof(real) };

typedef struct {
    vec v[TILE_ROWS][TILE_VECS];
} Tile;

INLINE void tile_step(vec sum[TILE_ROWS][TILE_VECS], int vecs, const vec b[TILE_VECS], int i,
                      real a) {
    vec a_i = vset(a);
#pragma GCC unroll 4
    for (int j = 0; j < vecs; j++) sum[i][j] += a_i * b[j];
}

/* The last tile of a matrix seldom has all its rows: there is a loop for one, two and three thirds.
 * The last tile of a row seldom has all its columns: there is a loop for one vector. */
enum { TILE_THIRD = TILE_ROWS / 3 };

/* The first `rows` rows and `vecs` vectors, constants, of t += a b; see tile_rows. */
INLINE void tile_rows_of(int rows, int vecs, int segments, int k, const real *const a[TILE_ROWS],
                         size_t a_segment, const real *b, size_t b_step, Tile *t) {
    Tile sum = *t;
    for (int s = 0; s < segments; s++) {
        const real *row[TILE_ROWS];
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) row[i] = a[i] + s * a_segment;
        for (size_t l = 0; l < (size_t)k; l++, b += b_step) {
            vec b_l[TILE_VECS];
#pragma GCC unroll 4
            for (int j = 0; j < vecs; j++) b_l[j] = vload(b + j * VEC);
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++) tile_step(sum.v, vecs, b_l, i, row[i][l]);
        }
    }
    *t = sum;
}

/* t += a b, `rows` rows and `cols` columns, or a few more. Row i of a is `segments` runs of k numbers,
 * a_i[s*a_segment + l]; the rows of b follow one another over all segments, b_step apart. A plain
 * matrix has one segment. */
INLINE void tile_rows(int rows, int cols, int segments, int k, const real *const a[TILE_ROWS],
                      size_t a_segment, const real *b, size_t b_step, Tile *t) {
    enum { R = TILE_ROWS, THIRD = TILE_THIRD, V = TILE_VECS };
    if (rows <= THIRD) tile_rows_of(THIRD, V, segments, k, a, a_segment, b, b_step, t);
    else if (cols <= VEC) tile_rows_of(R, 1, segments, k, a, a_segment, b, b_step, t);
    else if (rows <= 2 * THIRD)
        tile_rows_of(2 * THIRD, V, segments, k, a, a_segment, b, b_step, t);
    else tile_rows_of(R, V, segments, k, a, a_segment, b, b_step, t);
}

/* The first half vector of each row of a tile, or of its first rows. */
typedef struct {
    half v[TILE_ROWS];
} HalfTile;

INLINE HalfTile tile_half(const Tile *t, int rows) {
    HalfTile sum;
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) sum.v[i] = *(const half_unaligned *)&t->v[i][0];
    return sum;
}

INLINE void tile_set_half(Tile *t, int rows, const HalfTile *sum) {
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) *(half_unaligned *)&t->v[i][0] = sum->v[i];
}

/* tile_rows of all rows and half a vector of columns. It is apart because tile_rows keeps t in registers,
 * and here its address is taken. */
INLINE void tile_rows_half(int segments, int k, const real *const a[TILE_ROWS], size_t a_segment,
                           const real *b, size_t b_step, Tile *t) {
    HalfTile sum = tile_half(t, TILE_ROWS);
    for (int s = 0; s < segments; s++) {
        const real *row[TILE_ROWS];
#pragma GCC unroll 16
        for (int i = 0; i < TILE_ROWS; i++) row[i] = a[i] + s * a_segment;
        for (size_t l = 0; l < (size_t)k; l++, b += b_step) {
            half b_l = *(const half_unaligned *)b;
#pragma GCC unroll 16
            for (int i = 0; i < TILE_ROWS; i++) sum.v[i] += row[i][l] * b_l;
        }
    }
    tile_set_half(t, TILE_ROWS, &sum);
}

/* tile_rows of one segment that asks for the rows of the tile below, `ahead` numbers further, one line
 * a step: all at once they would keep this tile waiting. */
INLINE void tile_rows_ahead(int k, const real *const a[TILE_ROWS], size_t ahead, const real *b,
                            size_t b_step, Tile *t) {
    enum { LINE = 64 / sizeof(real) };
    const real *below[LINE];
    for (int i = 0; i < LINE; i++) below[i] = a[i % TILE_ROWS] + ahead;
    Tile sum = *t;
    for (size_t l = 0; l < (size_t)k; l++, b += b_step) {
        vec b_l[TILE_VECS];
        __builtin_prefetch(below[l % LINE] + l, 0, 2);
#pragma GCC unroll 4
        for (int j = 0; j < TILE_VECS; j++) b_l[j] = vload(b + j * VEC);
#pragma GCC unroll 16
        for (int i = 0; i < TILE_ROWS; i++) tile_step(sum.v, TILE_VECS, b_l, i, a[i][l]);
    }
    *t = sum;
}

/* t += a b where a is stored transposed, or packed: a[l*a_step + i]; the first `rows` rows and `vecs`
 * vectors of t, constants */
INLINE void tile_columns_of(int rows, int vecs, int k, const real *a, size_t a_step, const real *b,
                            size_t b_step, Tile *t) {
    Tile sum = *t;
    for (int l = 0; l < k; l++, a += a_step, b += b_step) {
        vec b_l[TILE_VECS];
#pragma GCC unroll 4
        for (int j = 0; j < vecs; j++) b_l[j] = vload(b + j * VEC);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) tile_step(sum.v, vecs, b_l, i, a[i]);
    }
    *t = sum;
}

/* the same of `rows` rows and `cols` columns, or a few more */
INLINE void tile_columns(int rows, int cols, int k, const real *a, size_t a_step, const real *b,
                         size_t b_step, Tile *t) {
    enum { R = TILE_ROWS, THIRD = TILE_THIRD, V = TILE_VECS };
    if (rows <= THIRD) tile_columns_of(THIRD, V, k, a, a_step, b, b_step, t);
    else if (cols <= VEC) tile_columns_of(R, 1, k, a, a_step, b, b_step, t);
    else if (rows <= 2 * THIRD) tile_columns_of(2 * THIRD, V, k, a, a_step, b, b_step, t);
    else tile_columns_of(R, V, k, a, a_step, b, b_step, t);
}

/* t[i][j] += sum over l < k of a[from[l] + i] b[l*b_step + j]: the first `rows` rows and `vecs` vectors,
 * constants */
INLINE void tile_scattered_of(int rows, int vecs, int k, const real *a, const int *from, const real *b,
                              size_t b_step, Tile *t) {
    Tile sum = *t;
    for (int l = 0; l < k; l++, b += b_step) {
        const real *a_l = a + from[l];
        vec b_l[TILE_VECS];
#pragma GCC unroll 4
        for (int j = 0; j < vecs; j++) b_l[j] = vload(b + j * VEC);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) tile_step(sum.v, vecs, b_l, i, a_l[i]);
    }
    *t = sum;
}

/* the same for one half vector */
INLINE void tile_scattered_half(int rows, int k, const real *a, const int *from, const real *b,
                                size_t b_step, Tile *t) {
    HalfTile sum = tile_half(t, rows);
    for (int l = 0; l < k; l++, b += b_step) {
        const real *a_l = a + from[l];
        half b_l = *(const half_unaligned *)b;
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) sum.v[i] += a_l[i] * b_l;
    }
    tile_set_half(t, rows, &sum);
}

/* the same of `cols` columns: TILE_COLS, VEC or HALF */
INLINE void tile_scattered_rows(int rows, int cols, int k, const real *a, const int *from,
                                const real *b, size_t b_step, Tile *t) {
    if (cols > VEC) tile_scattered_of(rows, TILE_VECS, k, a, from, b, b_step, t);
    else if (cols == VEC) tile_scattered_of(rows, 1, k, a, from, b, b_step, t);
    else tile_scattered_half(rows, k, a, from, b, b_step, t);
}

/* the same of `rows` rows: TILE_ROWS, TILE_THIRD or 1 */
INLINE void tile_scattered(int rows, int cols, int k, const real *a, const int *from, const real *b,
                           size_t b_step, Tile *t) {
    if (rows == TILE_ROWS) tile_scattered_rows(TILE_ROWS, cols, k, a, from, b, b_step, t);
    else if (rows > 1) tile_scattered_rows(TILE_THIRD, cols, k, a, from, b, b_step, t);
    else tile_scattered_rows(1, cols, k, a, from, b, b_step, t);
}

/* a whole tile in memory, rows ld apart */
INLINE void tile_load(Tile *t, const real *c, size_t ld) {
    for (int i = 0; i < TILE_ROWS; i++)
        for (int j = 0; j < TILE_VECS; j++) t->v[i][j] = vload(c + i * ld + j * VEC);
}

INLINE void tile_save(const Tile *t, real *c, size_t ld) {
    for (int i = 0; i < TILE_ROWS; i++)
        for (int j = 0; j < TILE_VECS; j++) vstore(c + i * ld + j * VEC, t->v[i][j]);
}

/* The edge of a matrix: see tile_store. */
void tile_store_part(const Tile *t, const real *bias, real *const c[TILE_ROWS], int rows, int cols,
                     bool add);

/* c_i[j] = t[i][j] [+ bias[j]] [+ c_i[j] when add] for i < rows, j < cols. A whole tile goes from
 * its registers straight to c. */
INLINE void tile_store(const Tile *t, const real *bias, real *const c[TILE_ROWS], int rows,
                       int cols, bool add)
{
    if (rows < TILE_ROWS || cols < TILE_COLS) {
        Tile copy = *t;    /* so that the address of *t is not taken: t stays in registers */
        tile_store_part(&copy, bias, c, rows, cols, add);
        return;
    }
    vec start[TILE_VECS] = {0};
#pragma GCC unroll 4
    for (int j = 0; bias && j < TILE_VECS; j++) start[j] = vload(bias + j * VEC);
#pragma GCC unroll 16
    for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 4
        for (int j = 0; j < TILE_VECS; j++) {
            vec v = t->v[i][j] + start[j];
            real *at = c[i] + j * VEC;
            vstore(at, add ? v + vload(at) : v);
        }
}

/* Asks for the lines of c that a tile will be written to, so that they come while it is computed. */
INLINE void tile_prefetch(real *const c[TILE_ROWS]) {
#pragma GCC unroll 16
    for (int i = 0; i < TILE_ROWS; i++)
        for (size_t j = 0; j < TILE_COLS * sizeof(real); j += 64)
            __builtin_prefetch((char *)c[i] + j, 1);
}

#endif
