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
#include "attention_few.h"
#include "parallel.h"
#include "sizes.h"
#include "tile.h"

enum { KEY_BLOCK = 192, BLOCK_AREA = 48 * KEY_BLOCK };

/* ---- the specification ----------------------------------------------------------------------- */

static bool sees(const AttentionShape *s, int item, int i, int j) {
    if (s->causal && j > i + s->past) return false;
    return !s->mask || s->mask[item * s->mask_stride + (size_t)i * s->nk + j];
}

/* from one batch item's keys to the next one's */
static int room_of(const AttentionShape *s) {
    return s->room ? s->room : s->nk;
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
    int room = room_of(s);
    for (int row = 0; row < s->b * s->heads * s->nq; row++) {
        int i = row % s->nq, h = row / s->nq % s->heads, n = row / s->nq / s->heads;
        const real *q_i = q + token(n, s->nq, i, s->ldq, h, s->dk);
        real *y_i = y + token(n, s->nq, i, s->heads * s->dv, h, s->dv);
        double largest = -INFINITY, sum = 0;
        for (int j = 0; j < s->nk; j++)
            if (sees(s, n, i, j))
                largest = fmax(
                    largest, s->scale * dot(s->dk, q_i, k + token(n, room, j, s->ldk, h, s->dk)));
        for (int e = 0; e < s->dv; e++) y_i[e] = 0;
        for (int pass = 0; pass < 2; pass++)    /* the sum, then the weighted mean */
            for (int j = 0; j < s->nk; j++) {
                if (!sees(s, n, i, j)) continue;
                const real *k_j = k + token(n, room, j, s->ldk, h, s->dk);
                double p = exp(s->scale * dot(s->dk, q_i, k_j) - largest);
                if (pass == 0) sum += p;
                for (int e = 0; pass == 1 && e < s->dv; e++)
                    y_i[e] += (real)(p / sum * v[token(n, room, j, s->ldv, h, s->dv) + e]);
            }
        lse[row] = (real)(largest + log(sum));
    }
}

/* of each batch item's tokens, the first `tokens` of `room` */
static void clear(int items, int tokens, int room, int cols, real *x, int ld) {
    for (int i = 0; i < items * tokens; i++)
        for (int j = 0; j < cols; j++)
            x[((size_t)(i / tokens) * room + i % tokens) * ld + j] = 0;
}

void attention_backward_ref(const AttentionShape *s, const AttentionArrays *a,
                            const AttentionGradients *d) {
    int room = room_of(s);
    real *dq = d->q.to, *dk = d->k.to, *dv = d->v.to;
    if (!d->q.add) clear(s->b, s->nq, s->nq, s->heads * s->dk, dq, s->ldq);
    if (!d->k.add) clear(s->b, s->nk, room, s->heads * s->dk, dk, s->ldk);
    if (!d->v.add) clear(s->b, s->nk, room, s->heads * s->dv, dv, s->ldv);
    for (int row = 0; row < s->b * s->heads * s->nq; row++) {
        int i = row % s->nq, h = row / s->nq % s->heads, n = row / s->nq / s->heads;
        size_t q_i = token(n, s->nq, i, s->ldq, h, s->dk);
        size_t y_i = token(n, s->nq, i, s->heads * s->dv, h, s->dv);
        double d_i = dot(s->dv, a->y + y_i, a->dy + y_i);
        for (int j = 0; j < s->nk; j++) {
            if (!sees(s, n, i, j)) continue;
            size_t k_j = token(n, room, j, s->ldk, h, s->dk);
            size_t v_j = token(n, room, j, s->ldv, h, s->dv);
            double p = exp(s->scale * dot(s->dk, a->q + q_i, a->k + k_j) - a->lse[row]);
            double ds = p * (dot(s->dv, a->dy + y_i, a->v + v_j) - d_i) * s->scale;
            for (int e = 0; e < s->dv; e++) dv[v_j + e] += (real)(p * a->dy[y_i + e]);
            for (int e = 0; e < s->dk; e++) {
                dq[q_i + e] += (real)(ds * a->k[k_j + e]);
                dk[k_j + e] += (real)(ds * a->q[q_i + e]);
            }
        }
    }
}

/* ---- panels ---------------------------------------------------------------------------------- */

/* panels[j / TILE_COLS][i][j % TILE_COLS] = x[i][j], zeros beyond cols: x as the right-hand factor */
static void pack(int rows, int cols, const real *x, size_t ld, real *panels) {
    for (int j = 0; j < cols; j += TILE_COLS)
        for (int i = 0; i < rows; i++, panels += TILE_COLS) {
            const real *from = x + i * ld + j;
            for (int l = 0; cols - j < TILE_COLS && l < TILE_COLS; l++)
                panels[l] = l < cols - j ? from[l] : 0;
            if (cols - j >= TILE_COLS) memcpy(panels, from, TILE_COLS * sizeof(real));
        }
}

/* panels[i / TILE_COLS][j][i % TILE_COLS] = scale x[i][j]: x transposed as that factor. Beyond the
 * last row stand copies of it, and what they give is not used. */
static void pack_transposed(int rows, int cols, const real *x, size_t ld, real scale, real *panels)
{
    for (int i = 0; i < round_up(rows, TILE_COLS); i += VEC) {
        const real *row[VEC];
        real *to = panels + (size_t)(i / TILE_COLS) * cols * TILE_COLS + i % TILE_COLS;
        int j = 0;
        for (int l = 0; l < VEC; l++) row[l] = x + least(i + l, rows - 1) * ld;
        for (; j + VEC <= cols; j += VEC) {
            vec v[VEC];
#pragma GCC unroll 16
            for (int l = 0; l < VEC; l++) v[l] = vload(row[l] + j) * vset(scale);
            vtranspose_block(v);
#pragma GCC unroll 16
            for (int l = 0; l < VEC; l++) vstore(to + (j + l) * TILE_COLS, v[l]);
        }
        for (; j < cols; j++)
            for (int l = 0; l < VEC; l++) to[j * TILE_COLS + l] = scale * row[l][j];
    }
}

/* Rows i .. of x; rows beyond the last repeat it, and their results are not used. */
static void row_pointers(const real *x, size_t ld, int i, int rows, const real *a[TILE_ROWS]) {
    for (int l = 0; l < TILE_ROWS; l++) a[l] = x + least(i + l, rows - 1) * ld;
}

/* n in equal parts of about `size` */
static int equal_parts(int n, int size, int unit) {
    int parts = ceil_div(n, size);
    return round_up((n + parts - 1) / parts, unit);
}

/* Keys in a block. A multiple of both sides of a tile, so that only the last block ends in an
 * incomplete one. */
static int key_block(int nk) {
    _Static_assert(3 * TILE_COLS % TILE_ROWS == 0, "a block is made of whole tiles");
    if (nk <= KEY_BLOCK + KEY_BLOCK / 2) return round_up(nk, 3 * TILE_COLS);
    return equal_parts(nk, KEY_BLOCK, 3 * TILE_COLS);
}

/* Keys among j .. j+cols-1 that some query before `end` sees. */
static int seen_keys(const AttentionShape *s, int end, int j, int cols) {
    if (!s->causal) return cols;
    return end + s->past < j ? 0 : least(cols, end + s->past - j);
}

/* `rows` rows of out (TILE_ROWS, ld) = a times the panels of `depth` rows that cover `cols` columns */
static void multiply(int rows, const real *const a[TILE_ROWS], int depth, const real *panels,
                     int cols, real *out, size_t ld)
{
    for (int j = 0; j < cols; j += TILE_COLS, panels += (size_t)depth * TILE_COLS) {
        Tile t = {0};
        tile_rows(rows, cols - j, 1, depth, a, 0, panels, TILE_COLS, &t);
        tile_save(&t, out + j, ld);
    }
}

/* The scores of query i with keys j0 .. j0+cols-1 that it may not see become -infinity, as do the
 * columns that only fill `width`. */
static void mask_scores(const AttentionShape *s, int item, int i, int j0, int cols, int width,
                        real *score)
{
    if (s->mask) {
        const uint8_t *allowed = s->mask + item * s->mask_stride + (size_t)i * s->nk + j0;
        for (int j = 0; j < cols; j++) score[j] = allowed[j] ? score[j] : -INFINITY;
    }
    for (int j = seen_keys(s, i + 1, j0, cols); j < width; j++) score[j] = -INFINITY;
}

/* ---- forward --------------------------------------------------------------------------------- */

/* What one thread needs for a head. */
typedef struct {
    real *keys, *values;          /* scale k^T and v in panels */
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

/* Of each query of a tile: the largest score so far, the sum of e^(score - largest), and a factor
 * for the weighted sums. In whole vectors, for the logarithms. */
enum { STATES = (TILE_ROWS + VEC - 1) / VEC * VEC };
typedef struct {
    real largest[STATES], total[STATES], factor[STATES];
} Softmax;

/* The largest of each of VEC vectors, in one; then the sums. */
INLINE vec each_largest(vec v[VEC]) {
    vtranspose_block(v);
    vec largest = v[0];
    for (int i = 1; i < VEC; i++) largest = vmax(v[i], largest);
    return largest;
}
INLINE vec each_sum(vec v[VEC]) {
    vtranspose_block(v);
    vec sum = v[0];
    for (int i = 1; i < VEC; i++) sum += v[i];
    return sum;
}

/* The scores (rows, ld) become e^(score - largest), with the new largest score; the factor is
 * what earlier sums must be multiplied by. */
static void exponentials(int rows, int width, real *score, size_t ld, Softmax *x) {
    vec row[STATES] = {0};
    real top[STATES];
    for (int l = 0; l < rows; l++) {
        vec largest = vset(-INFINITY);
        for (int j = 0; j < width; j += VEC) largest = vmax(vload(score + l * ld + j), largest);
        row[l] = largest;
    }
    for (int l = 0; l < STATES; l += VEC) {
        vec none = vset(-INFINITY), before = vload(x->largest + l);
        vec largest = vmax(each_largest(row + l), before);
        vec from = vselect(largest == none, vset(0), largest);    /* nothing seen: all are 0 */
        vstore(x->largest + l, largest);
        vstore(top + l, from);
        vstore(x->factor + l, vselect(before == none, vset(0), vexp(before - from)));
    }
    for (int l = 0; l < rows; l++) {
        vec sum = {0};
        for (int j = 0; j < width; j += VEC) {
            vec e = vexp(vload(score + l * ld + j) - vset(top[l]));
            vstore(score + l * ld + j, e);
            sum += e;
        }
        row[l] = sum;
    }
    for (int l = 0; l < STATES; l += VEC)
        vstore(x->total + l, vload(x->total + l) * vload(x->factor + l) + each_sum(row + l));
}

/* lse, and 1 / total as the last factor; 0 where nothing was seen */
static void finish(Softmax *x, int rows, real *lse) {
    real log_sum[STATES];
    for (int l = 0; l < STATES; l += VEC) {
        vec total = vload(x->total + l);
        vstore(log_sum + l, vload(x->largest + l) + vlog(total));
        vstore(x->factor + l, vselect(total > vset(0), vset(1) / total, vset(0)));
    }
    memcpy(lse, log_sum, rows * sizeof(real));
}

/* Adds `cols` keys' values, weighted by the exponentials, to what r->sum holds of earlier blocks;
 * the last block writes y. */
static void weigh_values(const AttentionShape *s, const ForwardRoom *r, const Softmax *x, int j,
                         int cols, bool last, real *const y[TILE_ROWS], int rows)
{
    const real *p[TILE_ROWS];
    row_pointers(r->score, r->block, 0, TILE_ROWS, p);
    for (int e = 0; e < s->dv; e += TILE_COLS) {
        Tile t = {0};
        if (j > 0) tile_load(&t, r->sum + e, r->dv);
        tile_rows(rows, s->dv - e, 1, cols, p, 0,
                  r->values + (size_t)e * s->nk + j * TILE_COLS, TILE_COLS, &t);
        if (!last) {
            tile_save(&t, r->sum + e, r->dv);
            continue;
        }
        real *to[TILE_ROWS];
        for (int l = 0; l < TILE_ROWS; l++) {
            for (int v = 0; v < TILE_VECS; v++) t.v[l][v] *= vset(x->factor[l]);
            to[l] = y[l] + e;
        }
        tile_store(&t, NULL, to, rows, least(TILE_COLS, s->dv - e), false);
    }
}

static void rescale(const ForwardRoom *r, const Softmax *x) {
    for (int l = 0; l < TILE_ROWS; l++)
        for (int e = 0; e < r->dv; e++) r->sum[(size_t)l * r->dv + e] *= x->factor[l];
}

/* Queries i .. i+TILE_ROWS-1 of one head; q_0, y_0 and lse are the head's first. */
static void forward_tile(const AttentionShape *s, const ForwardRoom *r, int item, int i,
                         const real *q_0, real *y_0, real *lse)
{
    const real *q[TILE_ROWS];
    real *y[TILE_ROWS];
    Softmax x = {.total = {0}};
    int rows = least(TILE_ROWS, s->nq - i), seen = seen_keys(s, i + rows, 0, s->nk);
    row_pointers(q_0, s->ldq, i, s->nq, q);
    for (int l = 0; l < TILE_ROWS; l++)
        y[l] = y_0 + (size_t)least(i + l, s->nq - 1) * s->heads * s->dv;
    for (int l = 0; l < STATES; l++) x.largest[l] = -INFINITY;
    for (int j = 0; j < seen; j += r->block) {
        int cols = least(r->block, seen - j), width = round_up(cols, TILE_COLS);
        bool last = j + r->block >= seen;
        multiply(rows, q, s->dk, r->keys + (size_t)j * s->dk, cols, r->score, r->block);
        for (int l = 0; l < rows; l++)
            mask_scores(s, item, i + l, j, cols, width, r->score + (size_t)l * r->block);
        exponentials(rows, width, r->score, r->block, &x);
        if (j > 0) rescale(r, &x);
        if (last) finish(&x, rows, lse + i);
        weigh_values(s, r, &x, j, cols, last, y, rows);
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
    if (s->nq <= FEW_QUERIES) {
        attention_few(s, q, k, v, y, lse);
        return;
    }
    int heads = s->b * s->heads;
    int parts = heads < 2 * threads_get() && heads ? 2 * threads_get() / heads : 1;
    int width = round_up(ceil_div(s->nq, parts), TILE_ROWS);
    if (width) parts = ceil_div(s->nq, width);
    forward_room(s, NULL, &count);
    real *rooms = scratch(SCRATCH_A, threads_get() * count);
    PARALLEL_FOR((double)heads * s->nq * s->nk * (s->dk + s->dv) * COST_MULTIPLY_ADD)
    for (int piece = 0; piece < heads * parts; piece++) {
        int head = piece / parts, first = piece % parts * width, item = head / s->heads;
        int h = head % s->heads;
        ForwardRoom r = forward_room(s, rooms + thread_index() * count, &(size_t){0});
        pack_transposed(s->nk, s->dk, k + token(item, room_of(s), 0, s->ldk, h, s->dk), s->ldk,
                        s->scale, r.keys);
        pack(s->nk, s->dv, v + token(item, room_of(s), 0, s->ldv, h, s->dv), s->ldv, r.values);
        for (int i = first; i < least(first + width, s->nq); i += TILE_ROWS)
            forward_tile(s, &r, item, i, q + token(item, s->nq, 0, s->ldq, h, s->dk),
                         y + token(item, s->nq, 0, s->heads * s->dv, h, s->dv),
                         lse + (size_t)head * s->nq);
    }
}

/* ---- backward -------------------------------------------------------------------------------- */

typedef struct {
    real *keys_t, *values_t;          /* scale k^T, v^T in panels: for S and dP */
    real *keys, *queries, *dys;       /* k, q, dy in panels: for dQ, dK, dV */
    real *p, *ds;                     /* (query_block, block) */
    int block, query_block;
} BackwardRoom;

static BackwardRoom backward_room(const AttentionShape *s, real *memory, size_t *used) {
    BackwardRoom r = {.block = key_block(s->nk)};
    r.query_block = equal_parts(s->nq, BLOCK_AREA / r.block, TILE_ROWS);
    size_t key_cols = round_up(s->nk, TILE_COLS), wide_k = round_up(s->dk, TILE_COLS);
    size_t wide_v = round_up(s->dv, TILE_COLS);
    *used = 0;
    r.keys_t = take(memory, used, key_cols * s->dk);
    r.values_t = take(memory, used, key_cols * s->dv);
    r.keys = take(memory, used, s->nk * wide_k);
    r.queries = take(memory, used, s->nq * wide_k);
    r.dys = take(memory, used, s->nq * wide_v);
    r.p = take(memory, used, (size_t)r.query_block * r.block + TILE_ROWS);
    r.ds = take(memory, used, (size_t)r.query_block * r.block + TILE_ROWS);
    return r;
}

/* One head: pointers to its first token, and where its gradients go, in the same layouts. */
typedef struct {
    int item;
    AttentionArrays at;
    AttentionGradients d;
} Head;

static real row_dot(int n, const real *a, const real *b) {
    vec sum = {0};
    int i = 0;
    for (; i + VEC <= n; i += VEC) sum += vload(a + i) * vload(b + i);
    if (i < n) sum += vload_part(a + i, n - i) * vload_part(b + i, n - i);
    return vsum(sum);
}

/* Row l of p and ds, which hold S and dP, for query i: P = e^(S - lse), dS = P (dP - D) scale */
static void slopes(const AttentionShape *s, const BackwardRoom *r, const Head *h, int i, int l,
                   int width)
{
    real *p = r->p + (size_t)l * r->block, *ds = r->ds + (size_t)l * r->block;
    real lse = h->at.lse[i] == -INFINITY ? 0 : h->at.lse[i];    /* sees nothing: p is 0 */
    size_t y_i = (size_t)i * s->heads * s->dv;
    vec d = vset(row_dot(s->dv, h->at.y + y_i, h->at.dy + y_i));
    for (int c = 0; c < width; c += VEC) {
        vec p_c = vexp(vload(p + c) - vset(lse));
        vstore(p + c, p_c);
        vstore(ds + c, p_c * (vload(ds + c) - d) * vset(s->scale));
    }
}

/* p and ds for queries i .. i+rows-1 and keys j .. j+cols-1 of a block. A query's row is filled
 * beyond what it sees, as far as the tiles of add_transposed reach. */
static void probabilities(const AttentionShape *s, const BackwardRoom *r, const Head *h, int i,
                          int rows, int j, int cols)
{
    for (int l = 0; l < rows; l += TILE_ROWS) {
        const real *q[TILE_ROWS], *dy[TILE_ROWS];
        int filled = seen_keys(s, i + l + 2 * TILE_ROWS, j, cols);
        int width = round_up(filled, TILE_COLS);
        row_pointers(h->at.q, s->ldq, i + l, s->nq, q);
        row_pointers(h->at.dy, (size_t)s->heads * s->dv, i + l, s->nq, dy);
        multiply(rows - l, q, s->dk, r->keys_t + (size_t)j * s->dk, filled, r->p + (size_t)l * r->block,
                 r->block);
        multiply(rows - l, dy, s->dv, r->values_t + (size_t)j * s->dv, filled, r->ds + (size_t)l * r->block,
                 r->block);
        for (int n = l; n < least(rows, l + TILE_ROWS); n++) {
            mask_scores(s, h->item, i + n, j, filled, width, r->p + (size_t)n * r->block);
            slopes(s, r, h, i + n, n, width);
        }
    }
}

/* out (key, e) (+)= sum over the block's queries of a[query][key] b[query][e], for keys
 * j .. j+cols-1; a is p or ds, b in panels from query i on, out the gradient of v or k. */
static void add_transposed(const AttentionShape *s, int i, int rows, int j, int cols, const real *a,
                           int block, const real *panels, int width, real *out, size_t ld, bool add)
{
    for (int e = 0; e < width; e += TILE_COLS)
        for (int key = 0; key < cols; key += TILE_ROWS) {
            Tile t = {0};
            real *to[TILE_ROWS];
            /* earlier queries do not see these keys */
            int first = s->causal ? most(0, least(rows, j + key - s->past - i)) : 0;
            if (first == rows && add) continue;
            for (int l = 0; l < TILE_ROWS; l++)
                to[l] = out + least(j + key + l, s->nk - 1) * ld + e;
            tile_columns(cols - key, width - e, rows - first, a + (size_t)first * block + key, block,
                         panels + (size_t)e * s->nq + (size_t)(i + first) * TILE_COLS, TILE_COLS,
                         &t);
            tile_store(&t, NULL, to, least(TILE_ROWS, cols - key), least(TILE_COLS, width - e),
                       add);
        }
}

/* dq (+)= ds k for queries i .. i+rows-1 and keys j .. j+cols-1 */
static void add_queries(const AttentionShape *s, const BackwardRoom *r, const Head *h, int i,
                        int rows, int j, int cols)
{
    for (int l = 0; l < rows; l += TILE_ROWS)
        for (int e = 0; e < s->dk; e += TILE_COLS) {
            const real *ds[TILE_ROWS];
            real *to[TILE_ROWS];
            Tile t = {0};
            row_pointers(r->ds, r->block, l, rows, ds);
            for (int n = 0; n < TILE_ROWS; n++)
                to[n] = h->d.q.to + least(i + l + n, s->nq - 1) * (size_t)s->ldq + e;
            tile_rows(rows - l, s->dk - e, 1, seen_keys(s, i + l + TILE_ROWS, j, cols), ds, 0,
                      r->keys + (size_t)e * s->nk + (size_t)j * TILE_COLS, TILE_COLS, &t);
            tile_store(&t, NULL, to, least(TILE_ROWS, rows - l), least(TILE_COLS, s->dk - e),
                       h->d.q.add || j > 0);
        }
}

static void backward_head(const AttentionShape *s, const BackwardRoom *r, const Head *h) {
    const AttentionArrays *at = &h->at;
    pack_transposed(s->nk, s->dk, at->k, s->ldk, s->scale, r->keys_t);
    pack_transposed(s->nk, s->dv, at->v, s->ldv, 1, r->values_t);
    pack(s->nk, s->dk, at->k, s->ldk, r->keys);
    pack(s->nq, s->dk, at->q, s->ldq, r->queries);
    pack(s->nq, s->dv, at->dy, (size_t)s->heads * s->dv, r->dys);
    for (int j = 0; j < s->nk; j += r->block)
        for (int i = 0; i < s->nq; i += r->query_block) {
            int rows = least(r->query_block, s->nq - i), cols = least(r->block, s->nk - j);
            probabilities(s, r, h, i, rows, j, cols);
            add_transposed(s, i, rows, j, cols, r->p, r->block, r->dys, s->dv, h->d.v.to, s->ldv,
                           h->d.v.add || i > 0);
            add_transposed(s, i, rows, j, cols, r->ds, r->block, r->queries, s->dk, h->d.k.to,
                           s->ldk, h->d.k.add || i > 0);
            add_queries(s, r, h, i, rows, j, cols);
        }
}

void attention_backward(const AttentionShape *s, const AttentionArrays *a,
                        const AttentionGradients *d) {
    if (!s->nk || !s->nq) {
        attention_backward_ref(s, a, d);
        return;
    }
    size_t count;
    backward_room(s, NULL, &count);
    real *rooms = scratch(SCRATCH_A, threads_get() * count);
    PARALLEL_FOR(2.5 * s->b * s->heads * s->nq * s->nk * (s->dk + s->dv) * COST_MULTIPLY_ADD)
    for (int head = 0; head < s->b * s->heads; head++) {
        int item = head / s->heads, h = head % s->heads;
        size_t q_0 = token(item, s->nq, 0, s->ldq, h, s->dk);
        size_t k_0 = token(item, room_of(s), 0, s->ldk, h, s->dk);
        size_t v_0 = token(item, room_of(s), 0, s->ldv, h, s->dv);
        size_t y_0 = token(item, s->nq, 0, s->heads * s->dv, h, s->dv);
        BackwardRoom r = backward_room(s, rooms + thread_index() * count, &(size_t){0});
        Head one = {.item = item,
                    .at = {.q = a->q + q_0, .k = a->k + k_0, .v = a->v + v_0, .y = a->y + y_0,
                           .lse = a->lse + (size_t)head * s->nq, .dy = a->dy + y_0},
                    .d = {.q = {d->q.to + q_0, d->q.add}, .k = {d->k.to + k_0, d->k.add},
                          .v = {d->v.to + v_0, d->v.add}}};
        backward_head(s, &r, &one);
    }
}
