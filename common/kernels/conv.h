/* conv.h — what conv.c and conv_weight.c share: how an image is laid out for the inner loops.
 *
 * Of a channels-last image, kernel row u of an output pixel's neighbourhood is one run of kw*ic
 * consecutive numbers. Once the image has its border of zeros (a frame), the neighbourhood of every
 * pixel, inside or at the border, is kh such runs at fixed distances: a row of a matrix that nobody
 * has to write down. Each thread copies a few images, or a band of rows of a large one, into a
 * frame that fits its second-level cache; if there is no border, the image itself serves.
 */
#ifndef CONV_H
#define CONV_H

#include "kernels.h"

/* y[n,i,j,:] = sum over u,v of x[n, i*stride+u-pad_top, j*stride+v-pad_left, :] w[u,v,:,:], for
 * i < oh, j < ow. Pads may be negative; y may be any grid of pixels in an image. */
typedef struct {
    int b, h, w, ic, kh, kw, stride, pad_top, pad_left, oh, ow, oc;
    size_t y_image, y_row, y_col;    /* numbers from one image, row, pixel of y to the next */
    /* what conv_plan works out: */
    bool copies;                     /* false: x needs no border and is its own frame */
    int frame_h, frame_w;            /* of one image in a frame, or of one band */
    /* of a unit of work: several images, or a band of rows of one */
    int images, rows;
    int bands, units;                /* bands in an image, units in the batch */
} ConvPlan;

/* One unit: `pixels` output pixels; pixel p reads from frame + offset[p], for offset see below. */
typedef struct {
    int first_image, first_row, pixels;
    const real *frame;
} ConvUnit;

void conv_plan(ConvPlan *p, int units_wanted);    /* at least that many units, if b allows */
size_t conv_frame_count(const ConvPlan *p);    /* numbers in a frame; 0 if x serves */
/* offset[q]: where pixel q of a unit begins in its frame, for q < images*rows*ow */
void conv_offsets(const ConvPlan *p, int *offset);
/* the unit's frame, copied to `room` where a copy is needed */
ConvUnit conv_unit(const ConvPlan *p, int unit, const real *x, real *room);

/* ---- weights in panels ----------------------------------------------------------------------- */

/* w (taps,ic,oc). `exchanged`: the pass goes from the kernel's output to its input channels. */
typedef struct {
    const real *w;
    int ic, oc;
    bool exchanged;
} ConvWeights;

/* panel[c][j] = the tap's weight from channel c to channel j0+j, zeros beyond the last channel */
void conv_pack_tap(const ConvWeights *k, int tap, int j0, real *panel);

/* ---- phases ---------------------------------------------------------------------------------- */

/* One phase of an axis in the gradient of the input: input positions r0, r0 + stride, ... receive
 * from kernel taps first, first + stride, ...: position r0 + a*stride from output a + shift - t
 * through tap first + t*stride. */
typedef struct {
    int positions, taps, first, shift;
} ConvPhase;

ConvPhase conv_phase(int r0, int size, int kernel, int stride, int pad);

#endif
