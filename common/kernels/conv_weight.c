/* conv_weight.c — the gradient of a convolution with respect to its weights.
 *
 *     dw[l][o] = sum over pixels q of x[q][l] dy[q][o],    l = (u,v,c) over kh*kw*ic taps
 *
 * where x[q][l] is number l of pixel q's neighbourhood in its frame (conv.h). A tile is TILE_ROWS
 * taps by TILE_COLS output channels, and the sum runs over pixels. x is read in place: of a pixel a
 * tile wants TILE_ROWS consecutive numbers, one or two lines for 2 * TILE_ROWS multiply-adds. A tile's
 * channels of dy are copied where many tiles use them: in place, with a power of two of channels,
 * they would lie in few sets of the cache. Where kernel rows are short, taps are copied too.
 *
 * PIXEL_BLOCK pixels at a time, all tiles are summed over them before the next block. Loading and
 * storing a tile of dw is 24 memory operations for 12 * PIXEL_BLOCK multiply-adds, one in a hundred.
 *
 * Threads: the batch is cut into parts, as its size alone says; each has its own sums, and they are
 * added in order. Few parts are cut further by channels, which changes no sum.
 */
#include "conv.h"
#include "parallel.h"
#include "tile.h"
#include "winograd.h"
#include "sizes.h"

enum { PIXEL_BLOCK = 192, PIXELS_PER_PART = 256, MAX_PARTS = 16, TASKS_WANTED = 16,
       LINE = 64 / sizeof(real) };

typedef struct {
    ConvPlan plan;
    int taps;                 /* kh*kw*ic */
    bool narrow, packed;      /* few output channels; short kernel rows */
    int step;                 /* packed: numbers from one pixel's taps to the next's */
    int rows, cols;           /* of the sums: (taps, oc) with what tiles need, narrow (oc, taps) */
    size_t room;              /* numbers that add_unit copies; the frame follows */
    const int *offset;        /* of a unit's pixels in its frame */
} WeightPass;

/* Some pixels of a unit: `rows` kernel rows of `run` taps, `row` apart; and `cols` channels of dy at b,
 * b_step from pixel to pixel. */
typedef struct {
    const real *x, *b;
    const int *offset;
    int pixels, rows, run, row, cols, b_step;
} Block;

/* ---- few output channels --------------------------------------------------------------------- */

/* Tiles would be nearly empty. Instead STRIP_VECS vectors of taps are summed over the pixels for one
 * channel. */
enum { NARROW = TILE_ROWS / 2, STRIP_VECS = 8 };

static bool is_narrow(const WeightPass *g) {
    return g->plan.oc <= NARROW && g->plan.kw * g->plan.ic >= 2 * VEC;
}

/* dw[0 .. vecs*VEC-1] += sum over pixels of x[offset[q] + ...] dy[q*oc] */
INLINE void add_strip(int vecs, int pixels, const real *x, const int *offset, const real *dy,
                      int oc, real *dw) {
    vec sum[STRIP_VECS];
#pragma GCC unroll 8
    for (int j = 0; j < vecs; j++) sum[j] = vload(dw + j * VEC);
    for (int q = 0; q < pixels; q++) {
        vec dy_q = vset(dy[(size_t)q * oc]);
#pragma GCC unroll 8
        for (int j = 0; j < vecs; j++) sum[j] += vload(x + offset[q] + j * VEC) * dy_q;
    }
#pragma GCC unroll 8
    for (int j = 0; j < vecs; j++) vstore(dw + j * VEC, sum[j]);
}

/* One channel, the taps of one kernel row: `run` consecutive numbers of the frame. */
static void add_run(int run, int pixels, const real *x, const int *offset, const real *dy, int oc,
                    real *dw)
{
    int l = 0;
    for (; l + STRIP_VECS * VEC <= run; l += STRIP_VECS * VEC)
        add_strip(STRIP_VECS, pixels, x + l, offset, dy, oc, dw + l);
    for (; l + VEC <= run; l += VEC) add_strip(1, pixels, x + l, offset, dy, oc, dw + l);
    for (; l < run; l++)
        for (int q = 0; q < pixels; q++) dw[l] += x[offset[q] + l] * dy[(size_t)q * oc];
}

/* sums (oc, taps) += the unit */
static void add_unit_narrow(const WeightPass *g, const ConvUnit *u, const real *dy, real *sums) {
    const ConvPlan *p = &g->plan;
    int run = p->kw * p->ic;
    for (int q = 0; q < u->pixels; q += PIXEL_BLOCK)
        for (int t = 0; t < p->oc * p->kh; t++) {
            int o = t / p->kh, row = t % p->kh;
            add_run(run, least(PIXEL_BLOCK, u->pixels - q),
                    u->frame + (size_t)row * p->frame_w * p->ic, g->offset + q,
                    dy + (size_t)q * p->oc + o, p->oc, sums + (size_t)o * g->cols + row * run);
        }
}

/* ---- short kernel rows ----------------------------------------------------------------------- */

/* Runs of 1, 3 or 9 taps would fill a part of a tile. Copied, all taps of a pixel are one run. */
static bool is_packed(const WeightPass *g) {
    int run = g->plan.kw * g->plan.ic;
    return run < TILE_ROWS || (run % TILE_ROWS && g->taps <= 48);
}

/* out[q*step .. + count-1] = x[offset[q] ...] */
INLINE int copy_columns(int count, const Block *k, const real *x, int step, real *out) {
    for (int q = 0; q < k->pixels; q++)
        memcpy(out + q * step, x + k->offset[q], count * sizeof(real));
    return count;
}

/* Copies the largest power of two of columns that `rest` holds: constant counts become few moves. */
static int copy_piece(int rest, const Block *k, const real *x, int step, real *out) {
    if (rest >= 8) return copy_columns(8, k, x, step, out);
    if (rest >= 4) return copy_columns(4, k, x, step, out);
    if (rest >= 2) return copy_columns(2, k, x, step, out);
    return copy_columns(1, k, x, step, out);
}

/* The block with its taps at `room`, one run of whole thirds of tiles. What follows the last tap is
 * summed where nobody reads. */
static Block pack_taps(const WeightPass *g, const Block *k, int *offset, real *room) {
    for (int u = 0; u < k->rows; u++)
        for (int l = 0; l < k->run;)
            l += copy_piece(k->run - l, k, k->x + (size_t)u * k->row + l, g->step,
                            room + u * k->run + l);
    for (int q = 0; q < k->pixels; q++) offset[q] = q * g->step;
    return (Block){.x = room, .offset = offset, .pixels = k->pixels, .rows = 1, .run = g->step};
}

/* ---- one block ------------------------------------------------------------------------------- */

static int rows_of(int rest) {
    return rest >= TILE_ROWS ? TILE_ROWS : rest >= TILE_THIRD ? TILE_THIRD : 1;
}

/* sums (taps, cols) += the block, for its channels */
static void add_block(const WeightPass *g, const Block *k, real *sums) {
    for (int u = 0; u < k->rows; u++)
        for (int l = 0, rows; l < k->run; l += rows) {
            Tile t;
            real *at = sums + (size_t)(u * k->run + l) * g->cols;
            rows = rows_of(k->run - l);
            tile_load(&t, at, g->cols);
            tile_scattered(rows, k->cols, k->pixels, k->x + (size_t)u * k->row + l, k->offset, k->b,
                           k->b_step, &t);
            tile_save(&t, at, g->cols);
        }
}

/* Sets the block's cols, b and b_step for a tile of the channels o, o + 1 ...: in place, or copied.
 * What follows the last channel of a copy is summed where nobody reads. */
static void take_channels(const WeightPass *g, Block *k, int o, const real *dy, real *room) {
    enum { TILES_WORTH_COPYING = 8 };
    int oc = g->plan.oc, rest = oc - o;
    k->cols = rest > VEC ? TILE_COLS : rest > HALF ? VEC : HALF;
    k->b = dy + o, k->b_step = oc;
    bool part = rest < k->cols;
    bool copied = oc > TILE_COLS && k->cols == TILE_COLS
                  && g->taps >= TILES_WORTH_COPYING * TILE_ROWS;
    if (!part && !copied) return;
    for (int q = 0; q < k->pixels; q++) {
        real *to = room + (size_t)q * k->cols;
        const real *from = dy + (size_t)q * oc + o;
        if (part) memcpy(to, from, rest * sizeof(real));
        else memcpy(to, from, TILE_COLS * sizeof(real));
    }
    k->b = room, k->b_step = k->cols;
}

/* sums (rows, cols) += the unit, for the channels first <= o < last. dy is the unit's first pixel. */
static void add_unit(const WeightPass *g, const ConvUnit *u, const real *dy, int first, int last,
                     real *room, real *sums)
{
    const ConvPlan *p = &g->plan;
    int offset[PIXEL_BLOCK];
    for (int q = 0; q < u->pixels; q += PIXEL_BLOCK) {
        Block k = {.x = u->frame, .offset = g->offset + q,
                   .pixels = least(PIXEL_BLOCK, u->pixels - q), .rows = p->kh,
                   .run = p->kw * p->ic, .row = p->frame_w * p->ic};
        if (g->packed) k = pack_taps(g, &k, offset, room + PIXEL_BLOCK * TILE_COLS);
        for (int o = first; o < last; o += TILE_COLS) {
            take_channels(g, &k, o, dy + (size_t)q * p->oc, room);
            add_block(g, &k, sums + o);
        }
    }
}

/* ---- the batch ------------------------------------------------------------------------------- */

/* The sums of one part over the channels first <= o < last. */
static void add_units(const WeightPass *g, int unit, int end, const real *x, const real *dy,
                      int first, int last, real *room, real *sums)
{
    const ConvPlan *p = &g->plan;
    for (int l = 0; l < g->rows; l++)
        memset(sums + (size_t)l * g->cols + first, 0, (last - first) * sizeof(real));
    for (; unit < end; unit++) {
        ConvUnit u = conv_unit(p, unit, x, room + g->room);
        size_t pixel = ((size_t)u.first_image * p->oh + u.first_row) * p->ow;
        if (g->narrow) add_unit_narrow(g, &u, dy + pixel * p->oc, sums);
        else add_unit(g, &u, dy + pixel * p->oc, first, last, room, sums);
    }
}

/* dw (taps, oc) [+]= the parts (rows, cols each), first to last */
static void add_parts(const WeightPass *g, int parts, const real *sums, real *dw, bool add) {
    size_t part = (size_t)g->rows * g->cols;
    int oc = g->plan.oc;
    PARALLEL_ROWS(g->taps, (double)parts * part * COST_COPY)
    for (int l = 0; l < g->taps; l++)
        for (int o = 0; o < oc; o += VEC) {
            vec sum = {0};
            real *dw_lo = dw + (size_t)l * oc + o;
            for (int i = 0; i < parts; i++) sum += vload(sums + i * part + (size_t)l * g->cols + o);
            vstore_some(dw_lo, add ? vload_some(dw_lo, oc - o) + sum : sum, oc - o);
        }
}

static void add_parts_narrow(const WeightPass *g, int parts, const real *sums, real *dw, bool add) {
    size_t part = (size_t)g->rows * g->cols;
    int oc = g->plan.oc;
    PARALLEL_ROWS(g->taps, (double)parts * part * COST_COPY)
    for (int l = 0; l < g->taps; l++)
        for (int o = 0; o < oc; o++) {
            real *dw_lo = dw + (size_t)l * oc + o, sum = 0;
            for (int i = 0; i < parts; i++) sum += sums[i * part + (size_t)o * g->cols + l];
            *dw_lo = add ? *dw_lo + sum : sum;
        }
}

void conv2d_backward_weight(const ConvShape *s, const real *x, const real *dy, real *dw, bool add) {
    if (winograd_pays(s, false)) {
        winograd_backward_weight(s, x, dy, dw, add);
        return;
    }
    WeightPass g = {.plan = {.b = s->b, .h = s->h, .w = s->w, .ic = s->ic, .kh = s->kh, .kw = s->kw,
                             .stride = s->stride, .pad_top = s->pad_top, .pad_left = s->pad_left,
                             .oh = s->oh, .ow = s->ow, .oc = s->oc},
                    .taps = s->kh * s->kw * s->ic};
    ConvPlan *p = &g.plan;
    if (!g.taps || !p->oc) return;
    g.narrow = is_narrow(&g), g.packed = is_packed(&g);
    g.step = round_up(g.taps, TILE_THIRD);
    g.rows = g.narrow ? p->oc : g.step + TILE_ROWS;    /* a tile of one row is saved as a whole one */
    g.cols = g.narrow ? g.taps : round_up(p->oc, TILE_COLS);
    g.room = (size_t)PIXEL_BLOCK * (TILE_COLS + (g.packed ? g.step : 0));
    double pixels = (double)p->b * p->oh * p->ow;
    int parts = most(1, (int)fmin(MAX_PARTS, pixels / PIXELS_PER_PART));
    conv_plan(p, parts);
    parts = least(parts, p->units);
    /* narrow has no channels to divide; if packed, each split would pack the taps anew */
    int splits = !parts ? 0
                 : g.narrow || g.packed ? 1
                                        : least(ceil_div(TASKS_WANTED, parts), g.cols / TILE_COLS);
    int width = splits ? round_up(ceil_div(g.cols, splits), TILE_COLS) : 0;

    size_t part = (size_t)g.rows * g.cols;
    size_t room = g.room + round_up((int)conv_frame_count(p), LINE);
    real *rooms = scratch(SCRATCH_A, threads_get() * room);
    real *sums = scratch(SCRATCH_PARTIAL, parts * part);
    int *offset = (int *)scratch(SCRATCH_B, (size_t)p->images * p->rows * p->ow);
    conv_offsets(p, offset);
    g.offset = offset;
    PARALLEL_FOR(pixels * part * COST_MULTIPLY_ADD)
    for (int i = 0; i < parts * splits; i++) {
        int n = i / splits, first = i % splits * width, last = least(first + width, g.cols);
        if (first < last)
            add_units(&g, (int)((int64_t)n * p->units / parts), (int)((n + 1ll) * p->units / parts),
                      x, dy, first, last, rooms + thread_index() * room, sums + n * part);
    }
    if (g.narrow) add_parts_narrow(&g, parts, sums, dw, add);
    else add_parts(&g, parts, sums, dw, add);
}
