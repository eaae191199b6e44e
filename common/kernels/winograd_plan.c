/* winograd_plan.c — phases, sheets and tiles, and when all this pays; see winograd_plan.h. */
#include "winograd_plan.h"

#include "conv.h"
#include "tile.h"
#include "winograd.h"
#include "sizes.h"

#include <limits.h>

enum { MAX_SIDE = 4, MIN_R = 2, MAX_R = 5 };

/* ---- sheets ---------------------------------------------------------------------------------- */

/* Positions on an axis are counted from the first tile on: pixel i of a phase is at i - start. */
static int reach(const Side *g, bool columns) {
    int end = 0;
    for (int i = 0; i < g->phases; i++) {
        const PhaseAxis *h = columns ? &g->phase[i].cols : &g->phase[i].rows;
        end = most(end, h->size - h->start);
    }
    return end;
}

/* How far apart images must be for the outputs of one not to read pixels of the next. */
static int period(const WinogradPlan *p, bool columns) {
    int end = reach(&p->out, columns), read = end + p->r - 1, border = INT_MAX;
    for (int i = 0; i < p->in.phases; i++)
        border = least(border, -(columns ? p->in.phase[i].cols.start : p->in.phase[i].rows.start));
    return most(end, most(read - border, least(read, reach(&p->in, columns))));
}

/* Sheets of n x n images: how many tiles are in the batch? */
static int lay_out(WinogradPlan *p, int n) {
    p->side = n;
    p->row_period = period(p, false);
    p->col_period = period(p, true);
    p->tile_rows = ceil_div((n - 1) * p->row_period + reach(&p->out, false), p->m);
    p->tile_cols = ceil_div((n - 1) * p->col_period + reach(&p->out, true), p->m);
    if (n == 1) p->row_period = p->col_period = INT_MAX;    /* nothing follows */
    p->tiles = ceil_div(p->shape.b, n * n) * p->tile_rows * p->tile_cols;
    return p->tiles;
}

/* ---- phases ---------------------------------------------------------------------------------- */

static Side side(int h, int w, int channels, int phases) {
    return (Side){.channels = channels, .phases = phases, .image = (size_t)h * w * channels,
                  .row = (size_t)w * channels, .col = channels};
}

static WinogradPlan plan(const ConvShape *s, bool exchanged) {
    int r = ceil_div(most(s->kh, s->kw), s->stride), phases = s->stride * s->stride;
    Side x = side(s->h, s->w, s->ic, phases), y = side(s->oh, s->ow, s->oc, phases);
    WinogradPlan p = {.shape = *s, .exchanged = exchanged, .r = r, .m = WINOGRAD_N + 1 - r,
                      .in = exchanged ? y : x, .out = exchanged ? x : y};
    *(exchanged ? &p.in.phases : &p.out.phases) = 1;
    return p;
}

static void finish(WinogradPlan *p) {
    int best = 1;
    for (int n = 2, tiles = lay_out(p, 1); n <= MAX_SIDE && n * n <= p->shape.b; n++)
        if (lay_out(p, n) < tiles) best = n, tiles = p->tiles;
    lay_out(p, best);
    p->depth = p->in.phases * p->in.channels;
    p->cols = p->out.phases * round_up(p->out.channels, TILE_COLS);
}

static PhaseAxis whole_axis(int size, int start) { return (PhaseAxis){0, 1, size, start, 0, 0}; }

/* Phase r0 of the padded image is what kernel rows r0, r0 + stride, ... read. */
static PhaseAxis forward_axis(int r0, int size, int stride, int pad) {
    int origin = ((r0 - pad) % stride + stride) % stride;    /* its first row in the image */
    return (PhaseAxis){origin, stride, most(0, ceil_div(size - origin, stride)),
                       (r0 - pad - origin) / stride, r0, stride};
}

WinogradPlan winograd_plan_forward(const ConvShape *s) {
    WinogradPlan p = plan(s, false);
    for (int i = 0; i < p.in.phases; i++)
        p.in.phase[i] = (Phase){forward_axis(i / s->stride, s->h, s->stride, s->pad_top),
                                forward_axis(i % s->stride, s->w, s->stride, s->pad_left)};
    p.out.phase[0] = (Phase){whole_axis(s->oh, 0), whole_axis(s->ow, 0)};
    finish(&p);
    return p;
}

/* Position a of phase h of dx receives from outputs low + a ... low + a + taps - 1, through the
 * phase's taps from the last to the first. */
static int low_of(ConvPhase h) { return h.shift - h.taps + 1; }

static int lowest_of_phases(int size, int kernel, int stride, int pad) {
    int lowest = INT_MAX;
    for (int r0 = 0; r0 < stride; r0++)
        lowest = least(lowest, low_of(conv_phase(r0, size, kernel, stride, pad)));
    return lowest;
}

/* All phases share V, whose first tile begins at output `lowest`. A phase with fewer taps than r
 * may begin earlier than at its own low, and its first taps are zero. */
static PhaseAxis backward_axis(int r0, int size, int kernel, int stride, int pad, int lowest) {
    ConvPhase h = conv_phase(r0, size, kernel, stride, pad);
    int low = most(lowest, low_of(h) - (ceil_div(kernel, stride) - h.taps));
    int last = h.first + (h.taps - 1) * stride;
    return (PhaseAxis){r0, stride, most(0, h.positions), lowest - low,
                       last + (low_of(h) - low) * stride, -stride};
}

WinogradPlan winograd_plan_backward(const ConvShape *s) {
    WinogradPlan p = plan(s, true);
    int top = lowest_of_phases(s->h, s->kh, s->stride, s->pad_top);
    int left = lowest_of_phases(s->w, s->kw, s->stride, s->pad_left);
    p.in.phase[0] = (Phase){whole_axis(s->oh, top), whole_axis(s->ow, left)};
    for (int i = 0; i < p.out.phases; i++)
        p.out.phase[i] = (Phase){
            backward_axis(i / s->stride, s->h, s->kh, s->stride, s->pad_top, top),
            backward_axis(i % s->stride, s->w, s->kw, s->stride, s->pad_left, left)};
    finish(&p);
    return p;
}

/* ---- tiles ----------------------------------------------------------------------------------- */

/* The image, down or across a sheet, and the row or column of it at position `at` of a phase; -1
 * where there is none. */
static int locate(const PhaseAxis *h, int at, int every, int *image) {
    int pixel = at % every + h->start;
    *image = at / every;
    return pixel >= 0 && pixel < h->size ? h->origin + pixel * h->step : -1;
}

void winograd_pixels(const WinogradPlan *p, const Side *g, const Phase *h, int tile, int n,
                     ptrdiff_t *pixel)
{
    int in_sheet = p->tile_rows * p->tile_cols, first = tile / in_sheet * p->side * p->side;
    int down = tile % in_sheet / p->tile_cols * p->m, across = tile % p->tile_cols * p->m;
    int row[WINOGRAD_N], col[WINOGRAD_N], row_image[WINOGRAD_N], col_image[WINOGRAD_N];
    for (int i = 0; i < n; i++) {
        row[i] = locate(&h->rows, down + i, p->row_period, row_image + i);
        col[i] = locate(&h->cols, across + i, p->col_period, col_image + i);
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            int image = first + row_image[i] * p->side + col_image[j];
            bool inside = row[i] >= 0 && col[j] >= 0 && row_image[i] < p->side &&
                          col_image[j] < p->side && image < p->shape.b;
            *pixel++ = inside ? (ptrdiff_t)(image * g->image + row[i] * g->row + col[j] * g->col)
                              : -1;
        }
}

void winograd_taps(const WinogradPlan *p, const Phase *h, int *tap) {
    const ConvShape *s = &p->shape;
    for (int i = 0; i < p->r; i++)
        for (int j = 0; j < p->r; j++) {
            int row = h->rows.first_tap + i * h->rows.tap_step;
            int col = h->cols.first_tap + j * h->cols.tap_step;
            bool inside = row >= 0 && row < s->kh && col >= 0 && col < s->kw;
            *tap++ = inside ? row * s->kw + col : -1;
        }
}

/* ---- when it pays ---------------------------------------------------------------------------- */

/* Costs in multiply-adds of a tile, as measured: one number that a transform
 * reads or writes in V, M or Z, cache misses included; one number of U or dU. */
enum { TRANSFORM_COST = 16, WEIGHT_COST = 10 };

/* Numbers of one frequency, for one tile; less than a vector is moved piecemeal. */
static double transformed(const Side *g) {
    return g->phases * (double)(round_up(g->channels, VEC) + (g->channels < VEC ? 3 * VEC : 0));
}

static double cost(const WinogradPlan *p) {
    double weights = (double)p->depth * p->cols;
    double products = round_up(p->tiles, TILE_ROWS) * weights;
    double transforms = p->tiles * (transformed(&p->in) + transformed(&p->out));
    return WINOGRAD_POINTS * (products + TRANSFORM_COST * transforms + WEIGHT_COST * weights);
}

/* In whole panels, though a vector or half of one may do; few channels have narrow kernels. Counted in
 * vectors, the rule chose direct kernels where Winograd's method is 1.5 to 1.7 times as fast. */
static double direct_cost(const WinogradPlan *p) {
    const ConvShape *s = &p->shape;
    int cols = least(round_up(p->out.channels, TILE_COLS), 3 * p->out.channels);
    return (double)s->b * s->oh * s->ow * s->kh * s->kw * p->in.channels * cols;
}

bool winograd_possible(const ConvShape *s) {
    int r = ceil_div(most(s->kh, s->kw), s->stride);
    bool empty = !(s->b && s->h && s->w && s->ic && s->oc && s->oh && s->ow);
    return !empty && r >= MIN_R && r <= MAX_R && s->stride * s->stride <= WINOGRAD_PHASES;
}

bool winograd_pays(const ConvShape *s, bool to_input) {
    if (!winograd_possible(s)) return false;
    WinogradPlan p = to_input ? winograd_plan_backward(s) : winograd_plan_forward(s);
    return 1.1 * cost(&p) < direct_cost(&p);    /* a tenth for what the rule does not see */
}
