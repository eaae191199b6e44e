/* attention.c — softmax(scale q k^T + mask) v without ever storing the (nq, nk) matrix.
 *
 * For each batch item and head, tile by tile of TILE_ROWS queries, the keys pass by in blocks. The
 * softmax of a row is built as they come (Milakov & Gimelshein 2018; Dao et al. 2022,
 * "FlashAttention"): with m the largest score so far and s the sum of e^(score - m), a block with a
 * larger score rescales what was summed by e^(m - new m). A block of scores stays in the
 * first-level cache.
 *
 * The backward pass recomputes the probabilities from the saved log-sum-exp, P = e^(S - lse). With
 * D_i = sum over e of dy_ie y_ie:
 *     dV = P^T dY,   dP = dY V^T,   dS = P (dP - D) scale,   dQ = dS K,   dK = dS^T Q.
 *
 * All products are tiles (tile.h); what they need as `b` is packed into panels of TILE_COLS columns
 * once per head. */
#include "kernels.h"
#include "parallel.h"
#include "tile.h"

enum { KEY_BLOCK = 192, QUERY_BLOCK = 8 * TILE_ROWS };

static int least(int a, int b) { return a < b ? a : b; }
static int round_up(int n, int unit) { return (n + unit - 1) / unit * unit; }

/* ---- the specification ----------------------------------------------------------------------- */

static bool sees(const AttentionShape *s, int item, int i, int j) {
    if (s->causal && j > i) return false;
    return !s->mask || s->mask[item * s->mask_stride + (size_t)i * s->nk + j];
}

static double dot(int n, const real *a, const real *b) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* Where token i of a batch item keeps the `width` numbers of head h. */
static size_t token(int item, int n, int i, int ld, int h, int width) {
    return ((size_t)item * n + i) * ld + (size_t)h * width;
}

void attention_forward_ref(const AttentionShape *s, const real *q, const real *k, const real *v,
                           real *y, real *lse)
{
    for (int row = 0; row < s->b * s->heads * s->nq; row++) {
        int i = row % s->nq, h = row / s->nq % s->heads, n = row / s->nq / s->heads;
        const real *q_i = q + token(n, s->nq, i, s->ldq, h, s->dk);
        real *y_i = y + token(n, s->nq, i, s->heads * s->dv, h, s->dv);
        double largest = -INFINITY, sum = 0;
        for (int j = 0; j < s->nk; j++)
            if (sees(s, n, i, j))
                largest = fmax(
                    largest, s->scale * dot(s->dk, q_i, k + token(n, s->nk, j, s->ldk, h, s->dk)));
        for (int e = 0; e < s->dv; e++) y_i[e] = 0;
        for (int pass = 0; pass < 2; pass++)    /* the sum, then the weighted mean */
            for (int j = 0; j < s->nk; j++) {
                if (!sees(s, n, i, j)) continue;
                const real *k_j = k + token(n, s->nk, j, s->ldk, h, s->dk);
                double p = exp(s->scale * dot(s->dk, q_i, k_j) - largest);
                if (pass == 0) sum += p;
                for (int e = 0; pass == 1 && e < s->dv; e++)
                    y_i[e] += (real)(p / sum * v[token(n, s->nk, j, s->ldv, h, s->dv) + e]);
            }
        lse[row] = (real)(largest + log(sum));
    }
}

static void clear(int rows, int cols, real *x, int ld) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) x[(size_t)i * ld + j] = 0;
}

void attention_backward_ref(const AttentionShape *s, const real *q, const real *k, const real *v,
                            const real *y, const real *lse, const real *dy, real *dq, bool add_q,
                            real *dk, bool add_k, real *dv, bool add_v)
{
    if (!add_q) clear(s->b * s->nq, s->heads * s->dk, dq, s->ldq);
    if (!add_k) clear(s->b * s->nk, s->heads * s->dk, dk, s->ldk);
    if (!add_v) clear(s->b * s->nk, s->heads * s->dv, dv, s->ldv);
    for (int row = 0; row < s->b * s->heads * s->nq; row++) {
        int i = row % s->nq, h = row / s->nq % s->heads, n = row / s->nq / s->heads;
        size_t q_i = token(n, s->nq, i, s->ldq, h, s->dk);
        size_t y_i = token(n, s->nq, i, s->heads * s->dv, h, s->dv);
        double d_i = dot(s->dv, y + y_i, dy + y_i);
        for (int j = 0; j < s->nk; j++) {
            if (!sees(s, n, i, j)) continue;
            size_t k_j = token(n, s->nk, j, s->ldk, h, s->dk);
            size_t v_j = token(n, s->nk, j, s->ldv, h, s->dv);
            double p = exp(s->scale * dot(s->dk, q + q_i, k + k_j) - lse[row]);
            double ds = p * (dot(s->dv, dy + y_i, v + v_j) - d_i) * s->scale;
            for (int e = 0; e < s->dv; e++) dv[v_j + e] += (real)(p * dy[y_i + e]);
            for (int e = 0; e < s->dk; e++) {
                dq[q_i + e] += (real)(ds * k[k_j + e]);
                dk[k_j + e] += (real)(ds * q[q_i + e]);
            }
        }
    }
}

/* ---- panels ---------------------------------------------------------------------------------- */

/* panels[j / TILE_COLS][i][j % TILE_COLS] = x[i][j], zeros beyond cols: x as the right-hand factor */
static void pack(int rows, int cols, const real *x, size_t ld, real *panels) {
    for (int j = 0; j < cols; j += TILE_COLS, panels += (size_t)rows * TILE_COLS) {
        int width = least(TILE_COLS, cols - j);
        for (int i = 0; i < rows; i++) {
            real *to = panels + (size_t)i * TILE_COLS;
            if (width < TILE_COLS) memset(to, 0, TILE_COLS * sizeof(real));
            for (int l = 0; l < width; l++) to[l] = x[i * ld + j + l];
        }
    }
}

/* panels[i / TILE_COLS][j][i % TILE_COLS] = x[i][j], zeros beyond rows: x transposed as that factor */
static void pack_transposed(int rows, int cols, const real *x, size_t ld, real *panels) {
    for (int i = 0; i < rows; i += TILE_COLS, panels += (size_t)cols * TILE_COLS) {
        int height = least(TILE_COLS, rows - i), j = 0;
        for (; height == TILE_COLS && j + VEC <= cols; j += VEC)
            for (int l = 0; l < TILE_COLS; l += VEC)
                vtranspose(x + (i + l) * ld + j, ld, panels + j * TILE_COLS + l, TILE_COLS);
        for (; j < cols; j++)
            for (int l = 0; l < TILE_COLS; l++)
                panels[j * TILE_COLS + l] = l < height ? x[(i + l) * ld + j] : 0;
    }
}

/* Rows i .. of x; rows beyond the last repeat it, and their results are not used. */
static void row_pointers(const real *x, size_t ld, int i, int rows, const real *a[TILE_ROWS]) {
    for (int l = 0; l < TILE_ROWS; l++) a[l] = x + least(i + l, rows - 1) * ld;
}

/* Keys in a block: all of them, or equal parts of about KEY_BLOCK. A multiple of both sides of a
 * tile, so that only the last block ends in an incomplete one. */
static int key_block(int nk) {
    _Static_assert(3 * TILE_COLS % TILE_ROWS == 0, "a block is made of whole tiles");
    int blocks = (nk + KEY_BLOCK - 1) / KEY_BLOCK;
    return round_up((nk + blocks - 1) / blocks, 3 * TILE_COLS);
}

/* out (TILE_ROWS, ld) = a times the panels of `depth` rows that cover `cols` columns */
static void multiply(const real *const a[TILE_ROWS], int depth, const real *panels, int cols,
                     real *out, size_t ld)
{
    for (int j = 0; j < cols; j += TILE_COLS, panels += (size_t)depth * TILE_COLS) {
        Tile t = {0};
        tile_rows(1, depth, a, 0, panels, TILE_COLS, &t);
        tile_save(&t, out + j, ld);
    }
}

/* Scales the scores of query i with keys j0 .. j0+cols-1; those it may not see become -infinity, as
 * do the columns that only fill the block. */
static void mask_scores(const AttentionShape *s, int item, int i, int j0, int cols, int width,
                        real *score)
{
    for (int j = 0; j < width; j++) score[j] *= s->scale;
    if (s->mask) {
        const uint8_t *allowed = s->mask + item * s->mask_stride + (size_t)i * s->nk + j0;
        for (int j = 0; j < cols; j++) score[j] = allowed[j] ? score[j] : -INFINITY;
    }
    int seen = s->causal ? i + 1 - j0 : cols;
    for (int j = seen < 0 ? 0 : least(seen, cols); j < width; j++) score[j] = -INFINITY;
}

/* ---- forward --------------------------------------------------------------------------------- */

/* What one thread needs for a head. */
typedef struct {
    real *keys, *values;          /* k^T and v in panels */
    real *score, *sum;            /* (TILE_ROWS, block), (TILE_ROWS, dv in whole tiles) */
    int block, dv;
} ForwardRoom;

/* The next `count` numbers of a room; while the room is only being measured, memory is NULL. */
static real *take(real *memory, size_t *used, size_t count) {
    size_t start = *used;
    *used += (count + 15) / 16 * 16;
    return memory ? memory + start : NULL;
}

static ForwardRoom forward_room(const AttentionShape *s, real *memory, size_t *used) {
    ForwardRoom r = {.block = key_block(s->nk), .dv = round_up(s->dv, TILE_COLS)};
    *used = 0;
    r.keys = take(memory, used, (size_t)round_up(s->nk, TILE_COLS) * s->dk);
    r.values = take(memory, used, (size_t)s->nk * r.dv);
    r.score = take(memory, used, (size_t)TILE_ROWS * r.block);
    r.sum = take(memory, used, (size_t)TILE_ROWS * r.dv);
    return r;
}

/* score becomes e^(score - m), with the new largest score m; returns what earlier sums are scaled
 * by */
static real exponentials(int width, real *score, real *m, real *total) {
    vec largest = vset(*m), sum = {0};
    for (int j = 0; j < width; j += VEC) largest = vmax(vload(score + j), largest);
    real top = vmax_element(largest);
    if (top == -INFINITY) top = 0;    /* nothing seen yet: all exponentials are 0 */
    for (int j = 0; j < width; j += VEC) {
        vec e = vexp(vload(score + j) - vset(top));
        vstore(score + j, e);
        sum += e;
    }
    real rescale = *m == -INFINITY ? 0 : vexp(vset(*m - top))[0];
    *total = *total * rescale + vsum(sum);
    if (*m > -INFINITY || *total > 0) *m = top;
    return rescale;
}

/* Queries i .. i+TILE_ROWS-1 of one head; q_0, y_0 and lse are the head's first. */
static void forward_tile(const AttentionShape *s, const ForwardRoom *r, int item, int i,
                         const real *q_0, real *y_0, real *lse)
{
    const real *q[TILE_ROWS], *p[TILE_ROWS];
    real m[TILE_ROWS], total[TILE_ROWS] = {0}, rescale[TILE_ROWS];
    int rows = least(TILE_ROWS, s->nq - i), seen = s->causal ? least(s->nk, i + rows) : s->nk;
    row_pointers(q_0, s->ldq, i, s->nq, q);
    row_pointers(r->score, r->block, 0, TILE_ROWS, p);
    for (int l = 0; l < TILE_ROWS; l++) m[l] = -INFINITY;
    memset(r->sum, 0, (size_t)TILE_ROWS * r->dv * sizeof(real));
    for (int j = 0; j < seen; j += r->block) {
        int cols = least(r->block, s->nk - j), width = round_up(cols, TILE_COLS);
        multiply(q, s->dk, r->keys + (size_t)j * s->dk, cols, r->score, r->block);
        for (int l = 0; l < TILE_ROWS; l++) {
            real *score = r->score + (size_t)l * r->block;
            mask_scores(s, item, least(i + l, s->nq - 1), j, cols, width, score);
            rescale[l] = exponentials(width, score, &m[l], &total[l]);
        }
        for (int e = 0; e < r->dv; e += TILE_COLS) {
            Tile t;
            tile_load(&t, r->sum + e, r->dv);
            for (int l = 0; l < TILE_ROWS; l++)
                for (int v = 0; v < TILE_VECS; v++) t.v[l][v] *= vset(rescale[l]);
            tile_rows(1, cols, p, 0, r->values + (size_t)e * s->nk + j * TILE_COLS, TILE_COLS, &t);
            tile_save(&t, r->sum + e, r->dv);
        }
    }
    for (int l = 0; l < rows; l++) {
        real scale = total[l] > 0 ? 1 / total[l] : 0;
        real *y = y_0 + (size_t)(i + l) * s->heads * s->dv;
        for (int e = 0; e < s->dv; e++) y[e] = r->sum[(size_t)l * r->dv + e] * scale;
        lse[i + l] = total[l] > 0 ? (real)(m[l] + log((double)total[l])) : -INFINITY;
    }
}

/* A piece of work is a head, or a part of its queries where heads are few. */
void attention_forward(const AttentionShape *s, const real *q, const real *k, const real *v,
                       real *y, real *lse) {
    size_t count;
    if (!s->nk) {
        k_fill((size_t)s->b * s->nq * s->heads * s->dv, 0, y);
        k_fill((size_t)s->b * s->nq * s->heads, -INFINITY, lse);
        return;
    }
    int heads = s->b * s->heads;
    int parts = heads < 2 * threads_get() && heads ? 2 * threads_get() / heads : 1;
    int width = round_up((s->nq + parts - 1) / parts, TILE_ROWS);
    forward_room(s, NULL, &count);
    real *rooms = scratch(SCRATCH_A, threads_get() * count);
    PARALLEL_FOR((double)heads * s->nq * s->nk * (s->dk + s->dv) * COST_MULTIPLY_ADD)
    for (int piece = 0; piece < heads * parts; piece++) {
        int head = piece / parts, first = piece % parts * width, item = head / s->heads;
        int h = head % s->heads;
        ForwardRoom r = forward_room(s, rooms + thread_index() * count, &(size_t){0});
        pack_transposed(s->nk, s->dk, k + token(item, s->nk, 0, s->ldk, h, s->dk), s->ldk, r.keys);
        pack(s->nk, s->dv, v + token(item, s->nk, 0, s->ldv, h, s->dv), s->ldv, r.values);
        for (int i = first; i < least(first + width, s->nq); i += TILE_ROWS)
            forward_tile(s, &r, item, i, q + token(item, s->nq, 0, s->ldq, h, s->dk),
                         y + token(item, s->nq, 0, s->heads * s->dv, h, s->dv),
                         lse + (size_t)head * s->nq);
    }
}

/* ---- backward -------------------------------------------------------------------------------- */

typedef struct {
    real *keys_t, *values_t;          /* k^T, v^T in panels: for S and dP */
    real *keys, *queries, *dys;       /* k, q, dy in panels: for dQ, dK, dV */
    real *dq, *dk, *dv;               /* the head's gradients, in whole tiles */
    real *p, *ds;                     /* (QUERY_BLOCK, block) */
    int block, wide_k, wide_v;        /* dk and dv in whole tiles */
} BackwardRoom;

static BackwardRoom backward_room(const AttentionShape *s, real *memory, size_t *used) {
    BackwardRoom r = {.block = key_block(s->nk), .wide_k = round_up(s->dk, TILE_COLS),
                      .wide_v = round_up(s->dv, TILE_COLS)};
    size_t key_cols = round_up(s->nk, TILE_COLS), key_rows = round_up(s->nk, TILE_ROWS) + TILE_ROWS;
    size_t query_rows = round_up(s->nq, QUERY_BLOCK);
    *used = 0;
    r.keys_t = take(memory, used, key_cols * s->dk);
    r.values_t = take(memory, used, key_cols * s->dv);
    r.keys = take(memory, used, (size_t)s->nk * r.wide_k);
    r.queries = take(memory, used, (size_t)s->nq * r.wide_k);
    r.dys = take(memory, used, (size_t)s->nq * r.wide_v);
    r.dq = take(memory, used, query_rows * r.wide_k);
    r.dk = take(memory, used, key_rows * r.wide_k);
    r.dv = take(memory, used, key_rows * r.wide_v);
    r.p = take(memory, used, (size_t)QUERY_BLOCK * r.block + TILE_ROWS);
    r.ds = take(memory, used, (size_t)QUERY_BLOCK * r.block + TILE_ROWS);
    return r;
}

/* One head: pointers to its first token, and gradients of the same layout. */
typedef struct {
    int item;
    const real *q, *k, *v, *y, *dy, *lse;
} Head;

/* p and ds for queries i .. i+rows-1 and keys j .. j+cols-1 of a block */
static void probabilities(const AttentionShape *s, const BackwardRoom *r, const Head *h, int i,
                          int rows, int j, int cols)
{
    int ldy = s->heads * s->dv, width = round_up(cols, TILE_COLS);
    for (int l = 0; l < rows; l += TILE_ROWS) {
        const real *q[TILE_ROWS], *dy[TILE_ROWS];
        row_pointers(h->q, s->ldq, i + l, s->nq, q);
        row_pointers(h->dy, ldy, i + l, s->nq, dy);
        multiply(q, s->dk, r->keys_t + (size_t)j * s->dk, cols, r->p + (size_t)l * r->block,
                 r->block);
        multiply(dy, s->dv, r->values_t + (size_t)j * s->dv, cols, r->ds + (size_t)l * r->block,
                 r->block);
    }
    for (int l = 0; l < rows; l++) {
        real *p = r->p + (size_t)l * r->block, *ds = r->ds + (size_t)l * r->block;
        real lse = h->lse[i + l] == -INFINITY ? 0 : h->lse[i + l];    /* sees nothing: p is 0 */
        size_t at = (size_t)(i + l) * ldy;
        vec d = vset((real)dot(s->dv, h->y + at, h->dy + at));
        mask_scores(s, h->item, i + l, j, cols, width, p);
        for (int c = 0; c < width; c += VEC) {
            vec p_c = vexp(vload(p + c) - vset(lse));
            vstore(p + c, p_c);
            vstore(ds + c, p_c * (vload(ds + c) - d) * vset(s->scale));
        }
    }
}

/* out (.., wide) += a^T b: rows j .. j+cols-1 of out, a (rows, block) and b in panels of b_rows
 * rows */
static void add_transposed(int rows, int cols, const real *a, int block, const real *panels,
                           int b_rows, int wide, real *out)
{
    for (int e = 0; e < wide; e += TILE_COLS)
        for (int j = 0; j < cols; j += TILE_ROWS) {
            Tile t;
            tile_load(&t, out + (size_t)j * wide + e, wide);
            tile_columns(rows, a + j, block, panels + (size_t)e * b_rows, TILE_COLS, &t);
            tile_save(&t, out + (size_t)j * wide + e, wide);
        }
}

static void backward_block(const AttentionShape *s, const BackwardRoom *r, const Head *h, int i,
                           int j)
{
    int rows = least(QUERY_BLOCK, s->nq - i), cols = least(r->block, s->nk - j);
    if (s->causal && j > i + rows - 1) return;
    probabilities(s, r, h, i, rows, j, cols);
    add_transposed(rows, cols, r->p, r->block, r->dys + (size_t)i * TILE_COLS, s->nq, r->wide_v,
                   r->dv + (size_t)j * r->wide_v);
    add_transposed(rows, cols, r->ds, r->block, r->queries + (size_t)i * TILE_COLS, s->nq,
                   r->wide_k, r->dk + (size_t)j * r->wide_k);
    for (int l = 0; l < rows; l += TILE_ROWS)
        for (int e = 0; e < r->wide_k; e += TILE_COLS) {
            const real *ds[TILE_ROWS];
            Tile t;
            real *dq = r->dq + (size_t)(i + l) * r->wide_k + e;
            row_pointers(r->ds, r->block, l, rows, ds);
            tile_load(&t, dq, r->wide_k);
            tile_rows(1, cols, ds, 0, r->keys + (size_t)e * s->nk + (size_t)j * TILE_COLS,
                      TILE_COLS, &t);
            tile_save(&t, dq, r->wide_k);
        }
}

/* x (rows, cols; ld) [+]= sum (rows, wide) */
static void put_gradient(int rows, int cols, const real *sum, int wide, real *x, size_t ld,
                         bool add) {
    for (int i = 0; i < rows; i++, x += ld, sum += wide)
        for (int e = 0; e < cols; e++) x[e] = add ? x[e] + sum[e] : sum[e];
}

static void backward_head(const AttentionShape *s, const BackwardRoom *r, const Head *h) {
    pack_transposed(s->nk, s->dk, h->k, s->ldk, r->keys_t);
    pack_transposed(s->nk, s->dv, h->v, s->ldv, r->values_t);
    pack(s->nk, s->dk, h->k, s->ldk, r->keys);
    pack(s->nq, s->dk, h->q, s->ldq, r->queries);
    pack(s->nq, s->dv, h->dy, (size_t)s->heads * s->dv, r->dys);
    memset(r->dq, 0, (r->p - r->dq) * sizeof(real));    /* dq, dk and dv lie together */
    for (int j = 0; j < s->nk; j += r->block)
        for (int i = 0; i < s->nq; i += QUERY_BLOCK) backward_block(s, r, h, i, j);
}

void attention_backward(const AttentionShape *s, const real *q, const real *k, const real *v,
                        const real *y, const real *lse, const real *dy, real *dq, bool add_q,
                        real *dk, bool add_k, real *dv, bool add_v)
{
    if (!s->nk || !s->nq) {
        attention_backward_ref(s, q, k, v, y, lse, dy, dq, add_q, dk, add_k, dv, add_v);
        return;
    }
    size_t count;
    backward_room(s, NULL, &count);
    real *rooms = scratch(SCRATCH_A, threads_get() * count);
    PARALLEL_FOR(2.5 * s->b * s->heads * s->nq * s->nk * (s->dk + s->dv) * COST_MULTIPLY_ADD)
    for (int head = 0; head < s->b * s->heads; head++) {
        int item = head / s->heads, h = head % s->heads;
        size_t q_0 = token(item, s->nq, 0, s->ldq, h, s->dk);
        size_t k_0 = token(item, s->nk, 0, s->ldk, h, s->dk);
        size_t v_0 = token(item, s->nk, 0, s->ldv, h, s->dv);
        size_t y_0 = token(item, s->nq, 0, s->heads * s->dv, h, s->dv);
        BackwardRoom r = backward_room(s, rooms + thread_index() * count, &(size_t){0});
        Head one = {item, q + q_0, k + k_0, v + v_0, y + y_0, dy + y_0, lse + (size_t)head * s->nq};
        backward_head(s, &r, &one);
        put_gradient(s->nq, s->dk, r.dq, r.wide_k, dq + q_0, s->ldq, add_q);
        put_gradient(s->nk, s->dk, r.dk, r.wide_k, dk + k_0, s->ldk, add_k);
        put_gradient(s->nk, s->dv, r.dv, r.wide_v, dv + v_0, s->ldv, add_v);
    }
}
