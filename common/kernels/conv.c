/* conv.c — convolutions, channels last: the forward pass, and the gradient with respect to the
 * input.
 *
 * Both are the same computation. For every output pixel, the neighbourhood (kh runs of kw*ic
 * numbers in a frame, see conv.h) is multiplied by the weights, a matrix (kh*kw*ic, oc). A tile of
 * TILE_ROWS pixels by TILE_COLS output channels stays in registers (tile.h) for the whole sum, the
 * image is read in place, and only the weights are copied, into panels of TILE_COLS channels.
 *
 * The gradient with respect to the input at stride 1 is a convolution of dy with the kernel turned
 * by 180 degrees and its channels exchanged. At stride s, input row r receives from kernel rows u
 * with (r + pad) mod s = u mod s only: the rows, and the columns, fall into s phases, each of which
 * is a convolution of dy at stride 1 with every s-th row of the kernel.
 *
 * Where Winograd's method needs less time than this, winograd.c takes over.
 */
#include "conv.h"
#include "parallel.h"
#include "tile.h"
#include "winograd.h"
#include "sizes.h"

enum { UNITS_WANTED = 32 };    /* enough for the threads to finish together */

/* ---- weights in panels ----------------------------------------------------------------------- */

/* Which weights a pass uses: tap (u,v) of the pass is kernel tap (u0 + u*step, v0 + v*step). */
typedef struct {
    ConvWeights k;
    int kw, u0, v0, step;
} PassWeights;

/* All panels of a pass: (oc / TILE_COLS, kh, kw, ic, TILE_COLS) in the pass's own sizes. */
static const real *pack_weights(const ConvPlan *p, const PassWeights *w) {
    size_t depth = (size_t)p->kh * p->kw * p->ic;
    int panels = round_up(p->oc, TILE_COLS) / TILE_COLS;
    real *packed = scratch(SCRATCH_B, panels * depth * TILE_COLS);
    PARALLEL_FOR((double)panels * depth * TILE_COLS * COST_COPY)
    for (int i = 0; i < panels; i++)
        for (int t = 0; t < p->kh * p->kw; t++) {
            int u = w->u0 + t / p->kw * w->step, v = w->v0 + t % p->kw * w->step;
            conv_pack_tap(&w->k, u * w->kw + v, i * TILE_COLS,
                          packed + (i * depth + (size_t)t * p->ic) * TILE_COLS);
        }
    return packed;
}

/* ---- few output channels --------------------------------------------------------------------- */

/* With three output channels most of a tile's columns would be idle, even of half a vector. There
 * the vectors run along the neighbourhood instead: each output is a sum of products of vectors, VEC
 * pixels at a time, and the VEC vectors of sums are transposed to add up their elements. */
enum { NARROW = 4 };

static bool is_narrow(const ConvPlan *p) { return p->oc <= NARROW && p->kw * p->ic >= 2 * VEC; }

/* (oc, kh, kw, ic): for each output channel, weights in the order of a neighbourhood */
static const real *pack_narrow(const ConvPlan *p, const PassWeights *w) {
    const ConvWeights *k = &w->k;
    int taps = p->kh * p->kw;
    real *packed = scratch(SCRATCH_B, (size_t)p->oc * taps * p->ic), *to = packed;
    for (int o = 0; o < p->oc; o++)
        for (int t = 0; t < taps; t++) {
            int u = w->u0 + t / p->kw * w->step, v = w->v0 + t % p->kw * w->step;
            const real *tap = k->w + ((size_t)u * w->kw + v) * k->ic * k->oc;
            for (int c = 0; c < p->ic; c++)
                *to++ = k->exchanged ? tap[(size_t)o * k->oc + c] : tap[(size_t)c * k->oc + o];
        }
    return packed;
}

/* The sums of VEC neighbourhoods with one channel's weights. */
static vec narrow_sums(const ConvPlan *p, const real *const a[VEC], const real *w) {
    int run = p->kw * p->ic;
    size_t row = (size_t)p->frame_w * p->ic;
    vec sum[VEC] = {0};
    for (int u = 0; u < p->kh; u++, w += run) {
        int l = 0;
        for (; l + VEC <= run; l += VEC) {
            vec w_l = vload(w + l);
#pragma GCC unroll 16
            for (int i = 0; i < VEC; i++) sum[i] += vload(a[i] + u * row + l) * w_l;
        }
        if (l == run) continue;
        vec w_l = vload_part(w + l, run - l);
        for (int i = 0; i < VEC; i++) sum[i] += vload_part(a[i] + u * row + l, run - l) * w_l;
    }
    real square[VEC * VEC];
    vtranspose((real *)sum, VEC, square, VEC);
    vec total = vload(square);
    for (int i = 1; i < VEC; i++) total += vload(square + i * VEC);
    return total;
}

/* Pixels q .. q+VEC-1 of a unit, all output channels. */
static void convolve_narrow(const ConvPlan *p, const ConvUnit *u, const int *in, const int *out,
                            int q, const real *packed, const real *bias, real *y, bool add) {
    const real *a[VEC];
    for (int i = 0; i < VEC; i++) a[i] = u->frame + in[least(q + i, u->pixels - 1)];
    y += u->first_image * p->y_image + u->first_row * p->y_row;
    for (int o = 0; o < p->oc; o++) {
        vec sum = narrow_sums(p, a, packed + (size_t)o * p->kh * p->kw * p->ic);
        for (int i = 0; i < least(VEC, u->pixels - q); i++) {
            real *to = y + out[q + i] + o, v = sum[i] + (bias ? bias[o] : 0);
            *to = add ? *to + v : v;
        }
    }
}

/* ---- one pass -------------------------------------------------------------------------------- */

/* out[q]: where pixel q of a unit is written, counted from the unit's first pixel. */
static void output_offsets(const ConvPlan *p, int *out) {
    for (int n = 0; n < p->images; n++)
        for (int i = 0; i < p->rows; i++)
            for (int j = 0; j < p->ow; j++)
                *out++ = (int)(n * p->y_image + i * p->y_row + j * p->y_col);
}

/* The tile of pixels q .. q+TILE_ROWS-1 of a unit, all output channels. The unused rows of the
 * last tile repeat its last pixel. */
static void convolve_tile(const ConvPlan *p, const ConvUnit *u, const int *in, const int *out,
                          int q, const real *packed, const real *bias, real *y, bool add)
{
    size_t depth = (size_t)p->kh * p->kw * p->ic;
    const real *a[TILE_ROWS];
    real *c[TILE_ROWS];
    y += u->first_image * p->y_image + u->first_row * p->y_row;
    for (int i = 0; i < TILE_ROWS; i++) {
        int pixel = least(q + i, u->pixels - 1);
        a[i] = u->frame + in[pixel];
        c[i] = y + out[pixel];
    }
    for (int j = 0; j < p->oc; j += TILE_COLS, packed += depth * TILE_COLS) {
        Tile t = {0};
        real *c_j[TILE_ROWS];
        for (int i = 0; i < TILE_ROWS; i++) c_j[i] = c[i] + j;
        size_t row = (size_t)p->frame_w * p->ic;
        if (p->oc - j <= HALF)
            tile_rows_half(p->kh, p->kw * p->ic, a, row, packed, TILE_COLS, &t);
        else tile_rows(u->pixels - q, p->oc - j, p->kh, p->kw * p->ic, a, row, packed, TILE_COLS, &t);
        tile_store(&t, bias ? bias + j : NULL, c_j, least(TILE_ROWS, u->pixels - q),
                   least(TILE_COLS, p->oc - j), add);
    }
}

static void convolve(ConvPlan *p, const real *x, const PassWeights *w, const real *bias, real *y,
                     bool add) {
    if (!p->b || !p->oh || !p->ow || !p->oc) return;
    conv_plan(p, UNITS_WANTED);
    bool narrow = is_narrow(p);
    const real *packed = narrow ? pack_narrow(p, w) : pack_weights(p, w);
    size_t frame = conv_frame_count(p);
    real *frames = scratch(SCRATCH_A, threads_get() * frame);
    size_t pixels = (size_t)p->images * p->rows * p->ow;
    int *in = (int *)scratch(SCRATCH_PARTIAL, 2 * pixels), *out = in + pixels;
    conv_offsets(p, in);
    output_offsets(p, out);
    double products = (double)p->b * p->oh * p->ow * p->oc * p->kh * p->kw * p->ic;
    PARALLEL_FOR(products * COST_MULTIPLY_ADD)
    for (int i = 0; i < p->units; i++) {
        ConvUnit u = conv_unit(p, i, x, frames + thread_index() * frame);
        for (int q = 0; narrow && q < u.pixels; q += VEC)
            convolve_narrow(p, &u, in, out, q, packed, bias, y, add);
        for (int q = 0; !narrow && q < u.pixels; q += TILE_ROWS)
            convolve_tile(p, &u, in, out, q, packed, bias, y, add);
    }
}

/* A 1x1 convolution at stride 1 is the product of pixels and weights. */
static bool is_product(const ConvShape *s) {
    return s->kh == 1 && s->kw == 1 && s->stride == 1 && !s->pad_top && !s->pad_left
           && s->oh == s->h && s->ow == s->w;
}

void conv2d_forward(const ConvShape *s, const real *x, const real *w, const real *bias, real *y) {
    if (is_product(s)) {
        GemmShape product = {.m = s->b * s->h * s->w, .n = s->oc, .k = s->ic};
        gemm(&product, x, w, bias, y, false);
        return;
    }
    if (winograd_pays(s, false)) {
        winograd_forward(s, x, w, bias, y);
        return;
    }
    ConvPlan p = {.b = s->b, .h = s->h, .w = s->w, .ic = s->ic, .kh = s->kh, .kw = s->kw,
                  .stride = s->stride, .pad_top = s->pad_top, .pad_left = s->pad_left,
                  .oh = s->oh, .ow = s->ow, .oc = s->oc, .y_col = s->oc,
                  .y_row = (size_t)s->ow * s->oc, .y_image = (size_t)s->oh * s->ow * s->oc};
    PassWeights all = {{w, s->ic, s->oc, false}, s->kw, 0, 0, 1};
    convolve(&p, x, &all, bias, y, false);
}

void conv2d_backward_input(const ConvShape *s, const real *w, const real *dy, const real *bias,
                           real *dx, bool add)
{
    if (is_product(s)) {
        GemmShape product = {.tb = true, .m = s->b * s->h * s->w, .n = s->ic, .k = s->oc};
        gemm(&product, dy, w, bias, dx, add);
        return;
    }
    if (winograd_pays(s, true)) {
        winograd_backward_input(s, w, dy, bias, dx, add);
        return;
    }
    for (int r0 = 0; r0 < s->stride && r0 < s->h; r0++)
        for (int c0 = 0; c0 < s->stride && c0 < s->w; c0++) {
            ConvPhase i = conv_phase(r0, s->h, s->kh, s->stride, s->pad_top);
            ConvPhase j = conv_phase(c0, s->w, s->kw, s->stride, s->pad_left);
            ConvPlan p = {.b = s->b,
                          .h = s->oh,
                          .w = s->ow,
                          .ic = s->oc,
                          .kh = i.taps,
                          .kw = j.taps,
                          .stride = 1,
                          .pad_top = i.taps - 1 - i.shift,
                          .pad_left = j.taps - 1 - j.shift,
                          .oh = i.positions,
                          .ow = j.positions,
                          .oc = s->ic,
                          .y_col = (size_t)s->stride * s->ic,
                          .y_row = (size_t)s->stride * s->w * s->ic,
                          .y_image = (size_t)s->h * s->w * s->ic};
            /* the kernel turned: the pass's first tap is the phase's last */
            PassWeights turned = {{w, s->ic, s->oc, true}, s->kw,
                                  i.first + (i.taps - 1) * s->stride,
                                  j.first + (j.taps - 1) * s->stride, -s->stride};
            convolve(&p, dy, &turned, bias, dx + ((size_t)r0 * s->w + c0) * s->ic, add);
        }
}
