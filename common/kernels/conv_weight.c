/* conv_weight.c — the gradient of a convolution with respect to its weights.
 *
 *     dw[l][o] = sum over pixels q of x[q][l] dy[q][o],    l = (u,v,c) over kh*kw*ic taps
 *
 * where x[q][l] is number l of pixel q's neighbourhood in its frame (conv.h). A tile is TILE_ROWS
 * output channels by TILE_COLS taps, and the sum runs over pixels: the sums are kept as (oc, taps)
 * and transposed at the end. Where there are few taps or few channels the sums are shaped otherwise.
 *
 * PIXEL_BLOCK pixels at a time, all tiles are summed over them before the next block. For a block,
 * dy is packed in TILE_ROWS channels; for a block and TILE_COLS taps, the taps are packed (12 KB,
 * which stay in the first-level cache while all channels pass by). Read in place they would be 64
 * bytes of every pixel, and with a power of two of channels these fall on few lines of the cache.
 * Loading and storing a tile of dw is 24 memory operations for 12 * PIXEL_BLOCK multiply-adds, one
 * in a hundred.
 *
 * Threads: the batch is cut into parts, as its size alone says; each has its own sums, and they are
 * added in order. Few parts are cut further by taps, which changes no sum.
 */
#include "conv.h"
#include "parallel.h"
#include "tile.h"
#include "winograd.h"
#include "sizes.h"

enum { PIXEL_BLOCK = 192, PIXELS_PER_PART = 1024, MAX_PARTS = 16, TASKS_WANTED = 16,
       LINE = 64 / sizeof(real) };

typedef struct {
    ConvPlan plan;
    int taps, cols, rows;    /* kh*kw*ic; of the sums: taps and oc in whole tiles, or oc and taps */
    const int *offset;       /* of a unit's pixels in its frame */
} WeightPass;

/* packed[o / TILE_ROWS][q][o % TILE_ROWS] = dy[q][o], zeros beyond oc; in the order in which dy lies
 * in memory */
static void pack_dy(const WeightPass *g, int pixels, const real *dy, real *packed) {
    int oc = g->plan.oc;
    for (int q = 0; q < pixels; q++, dy += oc, packed += TILE_ROWS) {
        int o = 0;
        real *to = packed;
        for (int i = 0; i < oc; i += LINE) __builtin_prefetch(dy + 8 * oc + i);
        for (; o + TILE_ROWS <= oc; o += TILE_ROWS, to += (size_t)pixels * TILE_ROWS)
            memcpy(to, dy + o, TILE_ROWS * sizeof(real));
        for (int i = 0; o < oc && i < TILE_ROWS; i++) to[i] = o + i < oc ? dy[o + i] : 0;
    }
}

/* out[q*step .. + count-1] = x[offset[q] ...] */
INLINE int copy_columns(int count, int pixels, const real *x, const int *offset, int step,
                        real *out) {
    for (int q = 0; q < pixels; q++) memcpy(out + q * step, x + offset[q], count * sizeof(real));
    return count;
}

/* Copies the largest power of two of columns that `rest` holds: constant counts become few moves. */
static int copy_piece(int rest, int pixels, const real *x, const int *offset, int step, real *out) {
    if (rest >= TILE_COLS) return copy_columns(TILE_COLS, pixels, x, offset, step, out);
    if (rest >= 8) return copy_columns(8, pixels, x, offset, step, out);
    if (rest >= 4) return copy_columns(4, pixels, x, offset, step, out);
    if (rest >= 2) return copy_columns(2, pixels, x, offset, step, out);
    return copy_columns(1, pixels, x, offset, step, out);
}

/* packed[q*step + j] = tap l+j of pixel q, l+j < end; whole runs of kw*ic lie together */
static void pack_taps(const WeightPass *g, const real *frame, const int *offset, int pixels, int l,
                      int end, int step, real *packed)
{
    const ConvPlan *p = &g->plan;
    int run = p->kw * p->ic;
    for (int from = l; from < end;) {
        int u = from / run, to = least(end, (u + 1) * run), width = to - from;
        const real *x = frame + (size_t)u * p->frame_w * p->ic + from - u * run;
        real *out = packed + from - l;
        for (int done = 0; done < width;) {    /* in pieces of a constant power of two */
            int rest = width - done;
            done += copy_piece(rest, pixels, x + done, offset, step, out + done);
        }
        from = to;
    }
}

/* ---- few output channels --------------------------------------------------------------------- */

/* Tiles of TILE_ROWS channels would be nearly empty, and packing would cost more than multiplying.
 * Instead
 * STRIP vectors of taps are summed over the pixels for one channel, read from the frame in place. */
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

/* add_unit for few channels; whole kernel rows, so the taps are not split among threads. */
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

/* ---- few taps -------------------------------------------------------------------------------- */

/* The first layer of a network has 9 or 27 taps, which would fill a part of TILE_COLS. There the tile
 * is TILE_ROWS taps by TILE_COLS channels, dy is read in place, and the sums are (taps, oc), as dw is.
 * Rows of a tile beyond the last tap hold what nobody reads. */
static bool is_shallow(const WeightPass *g) {
    return g->taps <= 4 * TILE_ROWS && g->plan.oc % TILE_COLS == 0;
}

static void add_unit_shallow(const WeightPass *g, const ConvUnit *u, const real *dy, real *room,
                             real *sums)
{
    int oc = g->plan.oc, step = round_up(g->taps, TILE_ROWS);
    for (int q = 0; q < u->pixels; q += PIXEL_BLOCK, dy += (size_t)PIXEL_BLOCK * oc) {
        int pixels = least(PIXEL_BLOCK, u->pixels - q);
        pack_taps(g, u->frame, g->offset + q, pixels, 0, g->taps, step, room);
        for (int o = 0; o < oc; o += TILE_COLS)
            for (int l = 0; l < g->taps; l += TILE_ROWS) {
                Tile t;
                tile_load(&t, sums + (size_t)l * oc + o, oc);
                tile_columns(g->taps - l, TILE_COLS, pixels, room + l, step, dy + o, oc, &t);
                tile_save(&t, sums + (size_t)l * oc + o, oc);
            }
    }
}

/* dw (taps, oc) [+]= the parts, first to last */
static void add_parts_shallow(const WeightPass *g, int parts, const real *sums, real *dw, bool add) {
    size_t part = (size_t)g->rows * g->cols;
    for (int l = 0; l < g->taps * g->plan.oc; l += VEC) {
        vec sum = {0};
        for (int i = 0; i < parts; i++) sum += vload(sums + i * part + l);
        vstore(dw + l, add ? vload(dw + l) + sum : sum);
    }
}

/* ---- many output channels -------------------------------------------------------------------- */

/* sums (rows, cols) += the unit's pixels, for the taps first <= l < last. `room`: PIXEL_BLOCK rows
 * of dy, then of taps. dy is the unit's first pixel. */
static void add_unit(const WeightPass *g, const ConvUnit *u, const real *dy, int first, int last,
                     real *room, real *sums)
{
    real *taps = room + (size_t)PIXEL_BLOCK * g->rows;
    for (int q = 0; q < u->pixels; q += PIXEL_BLOCK) {
        int pixels = least(PIXEL_BLOCK, u->pixels - q);
        pack_dy(g, pixels, dy + (size_t)q * g->plan.oc, room);
        for (int l = first; l < last; l += TILE_COLS) {
            int end = least(l + TILE_COLS, g->taps);
            if (end < l + TILE_COLS) memset(taps, 0, (size_t)pixels * TILE_COLS * sizeof(real));
            pack_taps(g, u->frame, g->offset + q, pixels, l, end, TILE_COLS, taps);
            for (int o = 0; o < g->rows; o += TILE_ROWS) {
                Tile t;
                tile_load(&t, sums + (size_t)o * g->cols + l, g->cols);
                tile_columns(g->plan.oc - o, g->taps - l, pixels, room + (size_t)o * pixels,
                             TILE_ROWS, taps, TILE_COLS, &t);
                tile_save(&t, sums + (size_t)o * g->cols + l, g->cols);
            }
        }
    }
}

/* The sums of one part over the taps first <= l < last. */
static void add_units(const WeightPass *g, int unit, int end, const real *x, const real *dy,
                      int first, int last, real *room, real *sums)
{
    const ConvPlan *p = &g->plan;
    for (int o = 0; o < g->rows; o++)
        memset(sums + (size_t)o * g->cols + first, 0, (last - first) * sizeof(real));
    real *frame = room + (size_t)PIXEL_BLOCK * (g->rows + TILE_COLS);
    for (; unit < end; unit++) {
        ConvUnit u = conv_unit(p, unit, x, frame);
        size_t pixel = ((size_t)u.first_image * p->oh + u.first_row) * p->ow;
        if (is_shallow(g)) add_unit_shallow(g, &u, dy + pixel * p->oc, room, sums);
        else if (is_narrow(g)) add_unit_narrow(g, &u, dy + pixel * p->oc, sums);
        else add_unit(g, &u, dy + pixel * p->oc, first, last, room, sums);
    }
}

/* dw (taps, oc) [+]= the transposed parts (rows, cols each), first to last */
static void add_parts(const WeightPass *g, int parts, const real *sums, real *dw, bool add) {
    size_t part = (size_t)g->rows * g->cols;
    int oc = g->plan.oc;
    PARALLEL_FOR((double)parts * part * COST_COPY)
    for (int l0 = 0; l0 < g->taps; l0 += TILE_COLS)
        for (int o = 0; o < oc; o++) {
            vec sum[TILE_VECS] = {0};
            for (int i = 0; i < parts; i++)
                for (int j = 0; j < TILE_VECS; j++)
                    sum[j] += vload(sums + i * part + (size_t)o * g->cols + l0 + j * VEC);
            for (int l = l0; l < least(l0 + TILE_COLS, g->taps); l++) {
                real *dw_lo = dw + (size_t)l * oc + o, d = sum[(l - l0) / VEC][(l - l0) % VEC];
                *dw_lo = add ? *dw_lo + d : d;
            }
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
    bool shallow = is_shallow(&g);
    g.cols = shallow ? p->oc : round_up(g.taps, TILE_COLS);
    g.rows = round_up(shallow ? g.taps : p->oc, TILE_ROWS);
    double pixels = (double)p->b * p->oh * p->ow;
    int parts = most(1, (int)fmin(MAX_PARTS, pixels / PIXELS_PER_PART));
    conv_plan(p, parts);
    parts = least(parts, p->units);
    int splits = parts ? least((TASKS_WANTED + parts - 1) / parts, g.cols / TILE_COLS) : 0;
    if (shallow || is_narrow(&g)) splits = least(splits, 1);
    int width = splits ? round_up((g.cols + splits - 1) / splits, TILE_COLS) : 0;

    size_t part = (size_t)g.rows * g.cols;
    size_t room = (size_t)PIXEL_BLOCK * (g.rows + TILE_COLS) + conv_frame_count(p);
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
    if (shallow) add_parts_shallow(&g, parts, sums, dw, add);
    else add_parts(&g, parts, sums, dw, add);
}
