/* winograd.c — convolutions by Winograd's minimal filtering.
 *
 * m outputs of a convolution with r weights, y_i = sum over u of d_(i+u) g_u, depend on m + r - 1
 * inputs, and n = m + r - 1 multiplications suffice instead of m r (Winograd 1980; for networks
 * Lavin & Gray 2016). It is Toom and Cook's product of polynomials read backwards: the product of
 * polynomials with the coefficients g_0 .. g_(r-1) and y_0 .. y_(m-1) has n coefficients and is
 * known from its values at n points, each the product of one value of g and one of y. Evaluation
 * is a matrix E (n, coefficients). Getting the coefficients back from the values is a matrix B N,
 * where N is diagonal and keeps the fractions out of B. The transpose of y -> B N (E g . E y),
 * where . is element by element, is the convolution:
 *
 *     y = E_m^T [(N E_r g) . (B^T d)]
 *
 * In two dimensions each matrix acts on columns and on rows. With n x n inputs d, r x r weights g
 * and m x m outputs y,
 *
 *     V = B^T d B,    U = N E_r g E_r^T N,    y = E_m^T (U . V) E_m
 *
 * Channels are summed between the product and the last step, so for each of the n*n frequencies f
 * there is a matrix product M[f] = V[f] U[f], (tiles, channels in) by (channels in, channels out):
 * n*n/(m*m) multiply-adds for an output instead of r*r. The gradient with respect to the weights
 * is again a transposed map:
 *
 *     Z = E_m dy E_m^T,    dU[f] = sum over tiles of V[f]^T Z[f],    dg = E_r^T N dU N E_r
 *
 * The points are 0, two pairs +-z and infinity (where the value is the last coefficient): n is 6
 * and m = 7 - r always, and B is one matrix for all r. winograd_tile.c has the numbers.
 *
 *     r 2, m 5: 36/25 multiply-adds instead of 4      r 3, m 4: 36/16 instead of 9
 *     r 4, m 3: 36/9 instead of 16                    r 5, m 2: 36/4 instead of 25
 *
 * A convolution with stride s is a sum of convolutions with stride 1: each of the s*s phases of
 * the input (every s-th row and column) with every s-th row and column of the kernel. 5x5 at
 * stride 2 has kernels of 3x3, 3x2, 2x3 and 2x2, which are filled up with zeros to 3x3. The phases
 * of what is read are channels of V; in the gradient of the input the phases are those of what is
 * written, and channels of M. winograd_plan.c says which pixels a tile reads and writes.
 *
 * Tiles are numbered through the whole batch. Pixels outside the images are read from a row of
 * zeros and written to a row that nobody reads.
 *
 * Errors. The transforms cancel, so rounding costs more than in a sum, and an output with a small
 * sum shares the errors of its whole tile. In units of eps times the largest sum of |x||w| in the
 * call, tests/test_conv.c allows 8 (2 for the direct kernels) and 16 for sizes where nobody would
 * use this; tests/bench/SPEED.md has the usual errors, which are twice those of the direct
 * kernels. Small images share tiles with their neighbours in the batch: what separates them is
 * exact in real numbers, but the last bits of one may depend on the other, and a number that is
 * not finite spreads to all of its tile.
 */
#include "winograd.h"

#include "conv.h"
#include "parallel.h"
#include "tile.h"
#include "winograd_plan.h"
#include "sizes.h"

enum { N = WINOGRAD_N, POINTS = WINOGRAD_POINTS };

/* ---- V, M and Z ------------------------------------------------------------------------------ */

/* The transformed tiles: V[f][tile][channel], M and Z alike. */
typedef struct {
    const WinogradPlan *plan;
    size_t ld_v, ld_m;          /* from one tile to the next */
    size_t plane_v, plane_m;    /* from one f to the next */
    real *v, *m;
    const real *zeros;          /* pixels outside are read here, */
    real *nowhere;              /* or written here: as many numbers as a pixel has */
} Room;

/* An odd number of 64-byte lines. The numbers of one f may not lie a power of two after those of
 * the one before: a transform writes all f at once, and they would share few sets of the cache. */
static size_t spread(size_t count) {
    const size_t line = 64 / sizeof(real);
    return ((count + line - 1) / line | 1) * line;
}

static size_t pixel_room(const WinogradPlan *p) {
    return round_up(most(p->in.channels, p->out.channels), TILE_COLS);
}

/* Room for so many tiles; its memory is still to be set. */
static Room room_for(const WinogradPlan *p, int tiles) {
    Room k = {.plan = p, .ld_v = round_up(p->depth, TILE_COLS), .ld_m = p->cols};
    /* the last channels of V are read by whole tiles, maybe beyond its last row */
    k.plane_v = spread(tiles * k.ld_v + TILE_ROWS);
    k.plane_m = spread(tiles * k.ld_m);
    return k;
}

static size_t room_count(const Room *k) { return POINTS * (k->plane_v + k->plane_m); }

/* Where the n x n pixels of a tile are read. */
static void read_from(const Room *k, const Side *g, int phase, int tile, int n, const real *x,
                      const real *from[POINTS])
{
    ptrdiff_t pixel[POINTS];
    winograd_pixels(k->plan, g, g->phase + phase, tile, n, pixel);
    for (int i = 0; i < n * n; i++) from[i] = pixel[i] < 0 ? k->zeros : x + pixel[i];
}

/* V of `tiles` tiles from `first` on, into rows t0, t0 + 1, ... */
static void read_tiles(const Room *k, int first, int tiles, int t0, const real *x) {
    const WinogradPlan *p = k->plan;
    const real *from[POINTS];
    for (int t = 0; t < tiles; t++)
        for (int i = 0; i < p->in.phases; i++) {
            real *v = k->v + (t0 + t) * k->ld_v + (size_t)i * p->in.channels;
            read_from(k, &p->in, i, first + t, N, x, from);
            winograd_input(from, p->in.channels, v, k->plane_v);
        }
}

/* Z of them, in the place of M */
static void read_gradients(const Room *k, int first, int tiles, int t0, const real *dy) {
    const WinogradPlan *p = k->plan;
    const real *from[POINTS];
    for (int t = 0; t < tiles; t++) {
        read_from(k, &p->out, 0, first + t, p->m, dy, from);
        winograd_gradient(p->m, from, p->out.channels, k->m + (t0 + t) * k->ld_m, k->plane_m);
    }
}

/* y from M */
static void write_tiles(const Room *k, int first, int tiles, const real *bias, real *y, bool add) {
    const WinogradPlan *p = k->plan;
    int width = p->cols / p->out.phases;
    for (int t = 0; t < tiles; t++)
        for (int i = 0; i < p->out.phases; i++) {
            ptrdiff_t pixel[POINTS];
            real *to[POINTS];
            winograd_pixels(p, &p->out, p->out.phase + i, first + t, p->m, pixel);
            for (int l = 0; l < p->m * p->m; l++) to[l] = pixel[l] < 0 ? k->nowhere : y + pixel[l];
            winograd_output(p->m, k->m + t * k->ld_m + (size_t)i * width, k->plane_m,
                            p->out.channels, bias, to, add);
        }
}

/* ---- U --------------------------------------------------------------------------------------- */

/* of the columns from j on, those that hold channels, up to the next phase */
static int channels_from(const WinogradPlan *p, int j) {
    return p->out.channels - j % round_up(p->out.channels, TILE_COLS);
}

static size_t panel_plane(const WinogradPlan *p) { return spread((size_t)p->depth * TILE_COLS); }

/* Panel of TILE_COLS channels from j0 on of one output phase. The weights themselves are packed in
 * panels first, r*r taps for each phase of the input, into `taps`. */
static void pack_panel(const WinogradPlan *p, const ConvWeights *k, int out_phase, int j0,
                       real *taps, real *u)
{
    size_t size = (size_t)p->in.channels * TILE_COLS;
    const real *from[POINTS];
    int tap[POINTS];
    for (int i = 0; i < p->in.phases; i++, u += size) {
        winograd_taps(p, p->exchanged ? p->out.phase + out_phase : p->in.phase + i, tap);
        for (int t = 0; t < p->r * p->r; t++) {
            from[t] = taps + t * size;
            if (tap[t] < 0) memset(taps + t * size, 0, size * sizeof(real));
            else conv_pack_tap(k, tap[t], j0, taps + t * size);
        }
        winograd_weights(p->r, from, (int)size, u, panel_plane(p));
    }
}

/* panels[cols / TILE_COLS][f][depth][TILE_COLS] */
static const real *pack_weights(const WinogradPlan *p, const real *w) {
    ConvWeights k = {w, p->shape.ic, p->shape.oc, p->exchanged};
    int panels = p->cols / TILE_COLS, in_phase = panels / p->out.phases;
    size_t taps = (size_t)p->r * p->r * p->in.channels * TILE_COLS, panel = POINTS * panel_plane(p);
    real *packed = scratch(SCRATCH_B, panels * panel);
    real *rooms = scratch(SCRATCH_A, threads_get() * taps);
    PARALLEL_FOR((double)panels * panel * COST_COPY)
    for (int i = 0; i < panels; i++)
        pack_panel(p, &k, i / in_phase, i % in_phase * TILE_COLS, rooms + thread_index() * taps,
                   packed + i * panel);
    return packed;
}

/* ---- forward, and the gradient of the input -------------------------------------------------- */

/* M[f] = V[f] U[f]; what the unused rows of the last tile become does not matter */
static void multiply(const Room *k, int tiles, const real *packed) {
    const WinogradPlan *p = k->plan;
    size_t plane = panel_plane(p);
    for (int f = 0; f < POINTS; f++)
        for (int j = 0; j < p->cols; j += TILE_COLS)
            for (int i = 0; i < tiles; i += TILE_ROWS) {
                Tile t = {0};
                const real *row[TILE_ROWS];
                for (int l = 0; l < TILE_ROWS; l++)
                    row[l] = k->v + f * k->plane_v + least(i + l, tiles - 1) * k->ld_v;
                tile_rows(tiles - i, channels_from(p, j), 1, p->depth, row, 0,
                          packed + (j / TILE_COLS * POINTS + f) * plane, TILE_COLS, &t);
                tile_save(&t, k->m + f * k->plane_m + i * k->ld_m + j, k->ld_m);
            }
}

/* Tiles go by in units whose V and M fit in the second-level cache, and each is one thread's. */
static int tiles_in_unit(const WinogradPlan *p) {
    const size_t bytes = 384 * 1024;
    size_t tile = POINTS * (round_up(p->depth, TILE_COLS) + p->cols) * sizeof(real);
    int fit = (int)(bytes / tile), share = ceil_div(p->tiles, 4 * threads_get());
    return most(TILE_ROWS, least(fit / TILE_ROWS * TILE_ROWS, round_up(share, TILE_ROWS)));
}

static void convolve(const WinogradPlan *p, const real *x, const real *w, const real *bias, real *y,
                     bool add)
{
    const real *packed = pack_weights(p, w);
    int unit = tiles_in_unit(p);
    Room all = room_for(p, unit);
    size_t pixel = pixel_room(p), room = pixel + room_count(&all);
    real *zeros = scratch(SCRATCH_A, pixel + threads_get() * room), *rooms = zeros + pixel;
    memset(zeros, 0, pixel * sizeof(real));
    all.zeros = zeros;
    PARALLEL_FOR((double)p->tiles * POINTS * p->depth * p->cols * COST_MULTIPLY_ADD)
    for (int first = 0; first < p->tiles; first += unit) {
        int tiles = least(unit, p->tiles - first);
        Room k = all;
        k.nowhere = rooms + thread_index() * room;
        k.v = k.nowhere + pixel;
        k.m = k.v + POINTS * k.plane_v;
        if (add) memset(k.nowhere, 0, pixel * sizeof(real));
        read_tiles(&k, first, tiles, 0, x);
        multiply(&k, tiles, packed);
        write_tiles(&k, first, tiles, bias, y, add);
    }
}

void winograd_forward(const ConvShape *s, const real *x, const real *w, const real *bias, real *y) {
    WinogradPlan p = winograd_plan_forward(s);
    convolve(&p, x, w, bias, y, false);
}

void winograd_backward_input(const ConvShape *s, const real *w, const real *dy, const real *bias,
                             real *dx, bool add)
{
    WinogradPlan p = winograd_plan_backward(s);
    convolve(&p, dy, w, bias, dx, add);
}

/* ---- the gradient of the weights ------------------------------------------------------------- */

/* Tiles go by in blocks. First the threads share out a block's tiles and write V and Z; then they
 * share out the frequencies, and each dU[f] has one owner, who adds the tiles in their order. */
enum {
    DEPTH = 96,    /* tiles summed before dU[f] is loaded and stored again */
    SHARE = 8      /* tiles that a thread takes at a time */
};

static int tiles_in_block(const Room *tile, int tiles) {
    const size_t bytes = 4 << 20;    /* they pass through the last level of cache */
    int fit = (int)(bytes / (POINTS * (tile->ld_v + tile->ld_m) * sizeof(real)));
    return most(1, least(tiles, most(DEPTH, fit / DEPTH * DEPTH)));
}

/* dU[f] (rows, cols) = V[f]^T Z[f] [+ dU[f]] */
static void add_products(const Room *k, int f, int tiles, int rows, real *du, bool add) {
    int cols = k->plan->cols;
    for (int t0 = 0; t0 < tiles; t0 += DEPTH, add = true) {
        const real *v = k->v + f * k->plane_v + t0 * k->ld_v;
        const real *z = k->m + f * k->plane_m + t0 * k->ld_m;
        for (int j = 0; j < cols; j += TILE_COLS)
            for (int i = 0; i < rows; i += TILE_ROWS) {
                Tile t = {0};
                real *at = du + (size_t)i * cols + j;
                if (add) tile_load(&t, at, cols);
                tile_columns(k->plan->depth - i, channels_from(k->plan, j), least(DEPTH, tiles - t0), v + i, k->ld_v,
                             z + j, k->ld_m, &t);
                tile_save(&t, at, cols);
            }
    }
}

/* The gradients of the weights from channel `c` of V: row c of each dU[f]. */
static void write_weights(const WinogradPlan *p, int c, const real *du, size_t plane, real *dw,
                          bool add)
{
    int from = p->in.channels, to = p->out.channels, tap[POINTS];
    real *out[POINTS];
    winograd_taps(p, p->in.phase + c / from, tap);
    for (int t = 0; t < p->r * p->r; t++)
        out[t] = tap[t] < 0 ? NULL : dw + ((size_t)tap[t] * from + c % from) * to;
    winograd_weights_back(p->r, du + (size_t)c * p->cols, plane, to, out, add);
}

void winograd_backward_weight(const ConvShape *s, const real *x, const real *dy, real *dw,
                              bool add)
{
    WinogradPlan p = winograd_plan_forward(s);
    Room k = room_for(&p, 1);
    int block = tiles_in_block(&k, p.tiles), rows = round_up(p.depth, TILE_ROWS);
    k = room_for(&p, block);
    size_t pixel = pixel_room(&p), plane = spread((size_t)rows * p.cols);
    real *zeros = scratch(SCRATCH_A, pixel + room_count(&k));
    real *du = scratch(SCRATCH_PARTIAL, POINTS * plane);
    memset(zeros, 0, pixel * sizeof(real));
    k.zeros = zeros;
    k.v = zeros + pixel;
    k.m = k.v + POINTS * k.plane_v;
    for (int first = 0; first < p.tiles; first += block) {
        int tiles = least(block, p.tiles - first);
        PARALLEL_FOR((double)tiles * POINTS * (k.ld_v + k.ld_m) * COST_COPY)
        for (int t = 0; t < tiles; t += SHARE) {
            read_tiles(&k, first + t, least(SHARE, tiles - t), t, x);
            read_gradients(&k, first + t, least(SHARE, tiles - t), t, dy);
        }
        PARALLEL_FOR((double)tiles * POINTS * plane * COST_MULTIPLY_ADD)
        for (int f = 0; f < POINTS; f++)
            add_products(&k, f, tiles, rows, du + f * plane, first > 0);
    }
    PARALLEL_FOR((double)POINTS * plane * COST_COPY)
    for (int c = 0; c < p.depth; c++)
        write_weights(&p, c, du, plane, dw, add);
}
