/* winograd_plan.h — which pixels a tile of winograd.c reads and writes. */
#ifndef WINOGRAD_PLAN_H
#define WINOGRAD_PLAN_H

#include "kernels.h"
#include "winograd_tile.h"

enum { WINOGRAD_PHASES = 4 };

/* One axis of a phase. Its pixels are every step-th row (or column) of the image from `origin` on,
 * `size` of them; the first tile begins at pixel `start` <= 0. Tap u of its part of the kernel is
 * kernel row first_tap + u*tap_step where there is such a row, else zero. */
typedef struct {
    int origin, step, size, start, first_tap, tap_step;
} PhaseAxis;

typedef struct {
    PhaseAxis rows, cols;
} Phase;

/* What is read, or what is written. Of the two sides one has a single phase, and taps belong to the
 * other. image, row, col: numbers from one to the next. */
typedef struct {
    int channels, phases;
    Phase phase[WINOGRAD_PHASES];
    size_t image, row, col;
} Side;

/* Images lie side by side on sheets of side x side images, so that a tile may serve two of them
 * where their size is no multiple of m. */
typedef struct {
    ConvShape shape;
    bool exchanged;                     /* from the kernel's output to its input channels */
    int r, m;
    int side, row_period, col_period;   /* periods: from an image on a sheet to the next */
    int tile_rows, tile_cols, tiles;    /* down and across a sheet, in the batch */
    Side in, out;
    int depth, cols;                    /* of the products: channels of V; of M, in whole panels */
} WinogradPlan;

WinogradPlan winograd_plan_forward(const ConvShape *s);
WinogradPlan winograd_plan_backward(const ConvShape *s);    /* from dy to dx */

/* pixel[i*n + j] = offset of pixel (i,j) of tile t's n x n pixels in a phase, -1 outside */
void winograd_pixels(const WinogradPlan *p, const Side *g, const Phase *h, int tile, int n,
                     ptrdiff_t *pixel);

/* tap[i*r + j] = which kernel tap (row*kw + col) tap (i,j) of a phase is, -1 for none */
void winograd_taps(const WinogradPlan *p, const Phase *h, int *tap);

#endif
