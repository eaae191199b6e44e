/* gemm.c — matrix products.
 *
 * The product is cut in three directions so that every level of memory is used many times per load
 * (Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication"):
 *
 *   - K_BLOCK steps of k at a time. A panel of b, TILE_COLS columns by K_BLOCK, is 24 KB: it stays
 *     in the first-level cache while all rows of a pass by it.
 *   - ROW_BLOCK rows of a at a time: ROW_BLOCK x K_BLOCK is about 150 KB and stays in the level-2
 *     cache while all panels of b pass by.
 *   - One tile of c (tile.h) in registers.
 *
 * Panels of b are copied ("packed") so that they are contiguous, whatever b's row length or
 * transposition; a is packed only where the copy is used often enough to pay. What comes from
 * memory is asked for some hundred cycles before it is wanted: the tile of c, the next rows of a.
 * The sum for one element of c runs over l in order within each k block, however the work is
 * shared out.
 */
#include "gemm_few.h"
#include "parallel.h"
#include "sizes.h"
#include "tile.h"

enum { K_BLOCK = 384, ROW_BLOCK = 16 * TILE_ROWS, LINE = 64 / sizeof(real) };

/* Steps l0 .. l0+depth-1 of the k axis. */
typedef struct {
    int l0, depth;
} Slice;

static Product product(const GemmShape *s, const real *a, const real *b, const real *bias, real *c,
                       bool add) {
    return (Product){.ta = s->ta, .tb = s->tb, .m = s->m, .n = s->n, .k = s->k,
                     .a = a, .lda = s->lda ? s->lda : s->ta ? s->m : s->k,
                     .b = b, .ldb = s->ldb ? s->ldb : s->tb ? s->k : s->n,
                     .bias = bias, .c = c, .ldc = s->ldc ? s->ldc : s->n, .add = add};
}

void gemm_ref(const GemmShape *s, const real *a, const real *b, const real *bias, real *c,
              bool add) {
    Product p = product(s, a, b, bias, c, add);
    for (int i = 0; i < s->m; i++)
        for (int j = 0; j < s->n; j++) {
            double sum = bias ? bias[j] : 0;
            for (int l = 0; l < s->k; l++) {
                double a_il = s->ta ? a[l * p.lda + i] : a[i * p.lda + l];
                double b_lj = s->tb ? b[j * p.ldb + l] : b[l * p.ldb + j];
                sum += a_il * b_lj;
            }
            real *c_ij = c + i * p.ldc + j;
            *c_ij = (real)(add ? *c_ij + sum : sum);
        }
}

/* ---- packing --------------------------------------------------------------------------------- */

/* panel[l][j] = op(b)[l0+l][j0+j], zeros beyond column n */
static void pack_b(const Product *p, Slice s, int j0, real *panel) {
    int cols = least(TILE_COLS, p->n - j0), l = 0;
    if (cols < TILE_COLS) memset(panel, 0, (size_t)s.depth * TILE_COLS * sizeof(real));
    if (!p->tb) {
        const real *b = p->b + s.l0 * p->ldb + j0;
        if (cols == TILE_COLS)
            for (; l < s.depth; l++, b += p->ldb) {
                __builtin_prefetch(b + TILE_COLS);
                memcpy(panel + l * TILE_COLS, b, TILE_COLS * sizeof(real));
            }
        for (; l < s.depth; l++, b += p->ldb)
            for (int j = 0; j < cols; j++) panel[l * TILE_COLS + j] = b[j];
        return;
    }
    const real *b = p->b + j0 * p->ldb + s.l0;
    for (; cols == TILE_COLS && l + VEC <= s.depth; l += VEC)
        for (int j = 0; j < TILE_COLS; j += VEC)
            vtranspose(b + j * p->ldb + l, p->ldb, panel + l * TILE_COLS + j, TILE_COLS);
    for (; l < s.depth; l++)
        for (int j = 0; j < cols; j++) panel[l * TILE_COLS + j] = b[j * p->ldb + l];
}

/* block[l][i] = a[i0+i][l0+l]; rows beyond m repeat the last one, and their results are not used.
 * VEC columns at a time are transposed in registers. Only whole vectors are stored: what one writes
 * beyond its TILE_ROWS numbers the next one overwrites, and the last needs VEC more of room. */
static void pack_rows(const Product *p, Slice s, int i0, real *block) {
    enum { GROUPS = (TILE_ROWS + VEC - 1) / VEC };
    const real *a[GROUPS * VEC];
    int l = 0;
    for (int i = 0; i < GROUPS * VEC; i++)
        a[i] = p->a + least(i0 + i, p->m - 1) * p->lda + s.l0;
    for (; l + VEC <= s.depth; l += VEC) {
        vec v[GROUPS][VEC];
#pragma GCC unroll 4
        for (int g = 0; g < GROUPS; g++) {
#pragma GCC unroll 16
            for (int i = 0; i < VEC; i++) v[g][i] = vload(a[g * VEC + i] + l);
            vtranspose_block(v[g]);
        }
#pragma GCC unroll 16
        for (int j = 0; j < VEC; j++, block += TILE_ROWS)
#pragma GCC unroll 4
            for (int g = 0; g < GROUPS; g++) vstore(block + g * VEC, v[g][j]);
    }
    for (; l < s.depth; l++, block += TILE_ROWS)
        for (int i = 0; i < TILE_ROWS; i++) block[i] = a[i][l];
}

/* The same of rows i0 .. i1-1 of a transposed a, tile after tile in `packed`, in the order in which
 * a lies in memory. */
static void pack_columns(const Product *p, Slice s, int i0, int i1, real *packed) {
    const real *a = p->a + s.l0 * p->lda;
    for (int l = 0; l < s.depth; l++, a += p->lda, packed += TILE_ROWS) {
        int i = i0;
        real *to = packed;
        for (int r = i0; r < i1; r += LINE) __builtin_prefetch(a + 8 * p->lda + r);
        for (; i + TILE_ROWS <= i1; i += TILE_ROWS, to += (size_t)s.depth * TILE_ROWS)
            memcpy(to, a + i, TILE_ROWS * sizeof(real));
        if (i < i1)
            for (int r = 0; r < TILE_ROWS; r++) to[r] = a[least(i + r, i1 - 1)];
    }
}

/* ---- multiplying ----------------------------------------------------------------------------- */

/* One tile of c: rows i0.., columns j0... `packed` is the tile's part of a, NULL to read a, `ahead`
 * with the rows below. */
static void multiply_tile(const Product *p, Slice s, int i0, int j0, const real *packed,
                          const real *panel, bool ahead)
{
    int rows = least(TILE_ROWS, p->m - i0), cols = least(TILE_COLS, p->n - j0);
    Tile t = {0};
    real *c[TILE_ROWS];
    for (int i = 0; i < TILE_ROWS; i++) c[i] = p->c + least(i0 + i, p->m - 1) * p->ldc + j0;
    tile_prefetch(c);
    if (packed) {
        tile_columns(rows, cols, s.depth, packed, TILE_ROWS, panel, TILE_COLS, &t);
    } else {
        const real *a[TILE_ROWS];
        for (int i = 0; i < TILE_ROWS; i++) a[i] = p->a + least(i0 + i, p->m - 1) * p->lda + s.l0;
        if (ahead && rows == TILE_ROWS && cols > VEC)
            tile_rows_ahead(s.depth, a, TILE_ROWS * p->lda, panel, TILE_COLS, &t);
        else tile_rows(rows, cols, 1, s.depth, a, 0, panel, TILE_COLS, &t);
    }
    bool first = s.l0 == 0;
    tile_store(&t, first && p->bias ? p->bias + j0 : NULL, c, rows, cols, p->add || !first);
}

/* Asks for the rows of the tile that begins at row i0, which will be wanted next. */
static void prefetch_rows(const Product *p, Slice s, int i0) {
    const real *a = p->a + i0 * p->lda + s.l0;
    for (int i = i0; i < least(i0 + TILE_ROWS, p->m); i++, a += p->lda)
        for (int l = 0; l < s.depth; l += LINE) __builtin_prefetch(a + l);
}

/* A copy of a pays when many panels use it. A transposed a is copied in any case: read in place,
 * each step of k would touch another line, and the last tile numbers beyond a's rows. */
static bool packs_a(const Product *p) {
    return p->ta || p->n > 12 * TILE_COLS;
}

static void pack_a(const Product *p, Slice s, int i0, int i1, real *packed) {
    if (p->ta) pack_columns(p, s, i0, i1, packed);
    for (int i = i0; !p->ta && i < i1; i += TILE_ROWS) {
        prefetch_rows(p, s, i + TILE_ROWS);
        pack_rows(p, s, i, packed + (size_t)(i - i0) * s.depth);
    }
}

/* Rows i0 .. i1-1 by the panels j0 .. j1-1 (counted in columns); `packed` has room for the rows. */
static void multiply_block(const Product *p, Slice s, int i0, int i1, int j0, int j1,
                           const real *panels, real *packed)
{
    bool pack = packs_a(p);
    if (pack) pack_a(p, s, i0, i1, packed);
    for (int j = j0; j < j1; j += TILE_COLS)
        for (int i = i0; i < i1; i += TILE_ROWS)
            multiply_tile(p, s, i, j, pack ? packed + (size_t)(i - i0) * s.depth : NULL,
                          panels + (size_t)j * s.depth, j == j0);
}

/* The k axis in blocks of equal size, so that none is a small rest. */
static int block_depth(int k) {
    int blocks = (k + K_BLOCK - 1) / K_BLOCK;
    int depth = blocks ? (k + blocks - 1) / blocks : 0;
    return blocks > 1 ? (depth + 7) / 8 * 8 : depth;
}

static size_t packed_count(int depth) { return (size_t)ROW_BLOCK * depth + VEC; }

/* No products to sum: c = bias [+ c]. */
static void store_bias(const Product *p) {
    for (int i = 0; i < p->m; i++)
        for (int j = 0; j < p->n; j++) {
            real *c = p->c + i * p->ldc + j;
            *c = (p->add ? *c : 0) + (p->bias ? p->bias[j] : 0);
        }
}

static void multiply(const Product *p) {
    if (p->k == 0) {
        store_bias(p);
        return;
    }
    int depth = block_depth(p->k), cols = round_up(p->n, TILE_COLS);
    double time = (double)p->m * p->n * p->k * COST_MULTIPLY_ADD;
    real *panels = scratch(SCRATCH_B, (size_t)cols * depth);
    real *packed = scratch(SCRATCH_A, (size_t)threads_get() * packed_count(depth));
    /* enough pieces for the threads: by rows first, then by columns */
    int row_blocks = (p->m + ROW_BLOCK - 1) / ROW_BLOCK;
    int col_blocks = row_blocks < 4 * threads_get() ? 4 * threads_get() / row_blocks : 1;
    int width = round_up((p->n + col_blocks - 1) / col_blocks, TILE_COLS);
    col_blocks = (p->n + width - 1) / width;

    for (int l0 = 0; l0 < p->k; l0 += depth) {
        Slice s = {l0, least(depth, p->k - l0)};
        PARALLEL_FOR((double)p->n * s.depth * COST_COPY)
        for (int j = 0; j < cols; j += TILE_COLS) pack_b(p, s, j, panels + (size_t)j * s.depth);
        PARALLEL_FOR(time)
        for (int block = 0; block < row_blocks * col_blocks; block++) {
            int i0 = block / col_blocks * ROW_BLOCK, j0 = block % col_blocks * width;
            multiply_block(p, s, i0, least(i0 + ROW_BLOCK, p->m), j0, least(j0 + width, p->n),
                           panels, packed + thread_index() * packed_count(depth));
        }
    }
}

void gemm(const GemmShape *s, const real *a, const real *b, const real *bias, real *c, bool add) {
    Product p = product(s, a, b, bias, c, add);
    if (p.m == 0 || p.n == 0) return;
    if (p.m <= FEW_ROWS && !p.tb && p.k > 0)
        gemm_few(&p, block_depth(p.k));
    else multiply(&p);
}

/* One product on one thread, with scratch of its own. */
static void multiply_alone(const Product *p, real *panels, real *packed) {
    int depth = block_depth(p->k);
    for (int l0 = 0; l0 < p->k; l0 += depth) {
        Slice s = {l0, least(depth, p->k - l0)};
        for (int j = 0; j < p->n; j += TILE_COLS) pack_b(p, s, j, panels + (size_t)j * s.depth);
        for (int i = 0; i < p->m; i += ROW_BLOCK)
            multiply_block(p, s, i, least(i + ROW_BLOCK, p->m), 0, p->n, panels, packed);
    }
    if (p->k == 0) store_bias(p);
}

void gemm_batched(const GemmBatch *g, const real *a, const real *b, real *c, bool add) {
    const GemmShape *s = &g->one;
    if (s->m == 0 || s->n == 0) return;
    size_t b_count = (size_t)round_up(s->n, TILE_COLS) * block_depth(s->k);
    size_t count = b_count + packed_count(block_depth(s->k));
    real *room = scratch(SCRATCH_B, threads_get() * count);
    PARALLEL_FOR((double)g->batch * s->m * s->n * s->k * COST_MULTIPLY_ADD)
    for (int i = 0; i < g->batch; i++) {
        Product p = product(s, a + i * g->stride_a, b + i * g->stride_b, NULL, c + i * g->stride_c,
                            add);
        real *mine = room + thread_index() * count;
        multiply_alone(&p, mine, mine + b_count);
    }
}
