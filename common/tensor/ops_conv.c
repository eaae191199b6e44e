/* ops_conv.c — convolutions, their transposes, and changes of resolution. Images are (B,H,W,C). */
#include "base/error.h"
#include "tensor/tensor.h"

/* ---- conv2d -------------------------------------------------------------------------------------
 *   y[b,i,j,o] = bias[o] + sum over u,v,c of x[b, i s + u - top, j s + v - left, c] w[u,v,c,o]
 *   dx[b,p,q,c]  += sum over i,j,o with i s + u - top = p, j s + v - left = q of dy[b,i,j,o] w[u,v,c,o]
 *   dw[u,v,c,o]  += sum over b,i,j of x[b, i s + u - top, j s + v - left, c] dy[b,i,j,o]
 *   dbias[o]     += sum over b,i,j of dy[b,i,j,o] */

static ConvShape shape_of(const Tensor *y) {
    const Tensor *x = y->in[0], *w = y->in[1];
    return (ConvShape){.b = x->shape[0],
                       .h = x->shape[1],
                       .w = x->shape[2],
                       .ic = x->shape[3],
                       .oc = y->shape[3],
                       .kh = w->shape[0],
                       .kw = w->shape[1],
                       .stride = y->iarg[0],
                       .pad_top = y->iarg[1],
                       .pad_left = y->iarg[2],
                       .oh = y->shape[1],
                       .ow = y->shape[2]};
}

/* dx needs w, dw needs x */
static int conv_reads(const Tensor *x, const Tensor *w) {
    return READS_IF(w, 0) | READS_IF(x, 1);
}

static void bias_back(Tensor *y) {
    bool add;
    int channels = y->shape[3];
    real *db = y->in[2] ? t_grad(y, 2, &add) : NULL;
    if (db) k_sum_axis(1, (int)(y->len / (size_t)channels), channels, y->g, db, add);
}

static void conv2d_back(Tensor *y) {
    ConvShape s = shape_of(y);
    bool add;
    real *dw = t_grad(y, 1, &add);
    if (dw) conv2d_backward_weight(&s, y->in[0]->x, y->g, dw, add);
    t_has_read(y, 0);
    real *dx = t_grad(y, 0, &add);
    if (dx) conv2d_backward_input(&s, y->in[1]->x, y->g, NULL, dx, add);
    bias_back(y);
}

static void conv2d_forward_of(Tensor *y) {
    ConvShape s = shape_of(y);
    conv2d_forward(&s, y->in[0]->x, y->in[1]->x, y->in[2] ? y->in[2]->x : NULL, y->x);
}

/* axis of w that meets x's channels, and axis that makes y's */
static void check_conv(const char *op, Tensor *x, Tensor *w, Tensor *b, ConvPad p, int in,
                       int out) {
    if (x->rank != 4) die("%s: %s is no image batch (B,H,W,C)", op, t_describe(x));
    if (w->rank != 4) die("%s: weights %s have no four axes", op, t_describe(w));
    if (x->shape[3] != w->shape[in])
        die("%s: %s has %d channels but %s takes %d", op, t_describe(x), x->shape[3],
            t_describe(w), w->shape[in]);
    if (b && (b->rank != 1 || b->shape[0] != w->shape[out]))
        die("%s: %s makes %d channels but the bias is %s", op, t_describe(w), w->shape[out],
            t_describe(b));
    if (p.stride < 1 || p.top < 0 || p.left < 0 || p.bottom < 0 || p.right < 0)
        die("%s: stride %d, padding %d %d %d %d", op, p.stride, p.top, p.left, p.bottom, p.right);
}

Tensor *t_conv2d(Tensor *x, Tensor *w, Tensor *b, ConvPad p) {
    check_conv("conv2d", x, w, b, p, 2, 3);
    int h = x->shape[1] + p.top + p.bottom, width = x->shape[2] + p.left + p.right;
    if (h < w->shape[0] || width < w->shape[1])
        die("conv2d: padded input %dx%d of %s is smaller than the kernel of %s", h, width,
            t_describe(x), t_describe(w));
    int oh = (h - w->shape[0]) / p.stride + 1, ow = (width - w->shape[1]) / p.stride + 1;
    Tensor *y = t_new("conv2d", conv2d_back, conv_reads(x, w), 3, (Tensor *[]){x, w, b},
                      SHAPE(x->shape[0], oh, ow, w->shape[3]));
    y->iarg[0] = p.stride, y->iarg[1] = p.top, y->iarg[2] = p.left;
    return t_compute(y, conv2d_forward_of);
}

/* ---- conv_transpose2d ---------------------------------------------------------------------------
 * The gradient of a convolution used as a forward pass: with C the convolution that takes images
 * like y to images like x by the same weights w (KH,KW,OUT,IN),
 *   y = C^T x + bias     dx += C dy     dw += that of C, from its input dy and its output's gradient x  */

static ConvShape shape_of_transpose(const Tensor *y) {
    const Tensor *x = y->in[0], *w = y->in[1];
    return (ConvShape){.b = x->shape[0],
                       .h = y->shape[1],
                       .w = y->shape[2],
                       .ic = y->shape[3],
                       .oc = x->shape[3],
                       .kh = w->shape[0],
                       .kw = w->shape[1],
                       .stride = y->iarg[0],
                       .pad_top = y->iarg[1],
                       .pad_left = y->iarg[2],
                       .oh = x->shape[1],
                       .ow = x->shape[2]};
}

static void conv_transpose2d_back(Tensor *y) {
    ConvShape s = shape_of_transpose(y);
    Tensor *x = y->in[0];
    bool add;
    real *dw = t_grad(y, 1, &add);
    if (dw) conv2d_backward_weight(&s, y->g, x->x, dw, add);
    t_has_read(y, 0);
    real *dx = t_grad(y, 0, &add);
    if (dx && !add) conv2d_forward(&s, y->g, y->in[1]->x, NULL, dx);
    if (dx && add) {
        real *more = arena_get(&y->tape->values, x->len * sizeof *more);
        conv2d_forward(&s, y->g, y->in[1]->x, NULL, more);
        k_axpy(x->len, 1, more, dx, true);
        arena_give_back(&y->tape->values, more, x->len * sizeof *more);
    }
    bias_back(y);
}

static void conv_transpose2d_forward(Tensor *y) {
    ConvShape s = shape_of_transpose(y);
    const Tensor *b = y->in[2];
    conv2d_backward_input(&s, y->in[1]->x, y->in[0]->x, b ? b->x : NULL, y->x, false);
}

Tensor *t_conv_transpose2d(Tensor *x, Tensor *w, Tensor *b, ConvPad p) {
    check_conv("conv_transpose2d", x, w, b, p, 3, 2);
    int h = (x->shape[1] - 1) * p.stride + w->shape[0] - p.top - p.bottom;
    int width = (x->shape[2] - 1) * p.stride + w->shape[1] - p.left - p.right;
    if (h < 1 || width < 1)
        die("conv_transpose2d: %s by %s would give an image of %dx%d", t_describe(x), t_describe(w),
            h, width);
    Tensor *y = t_new("conv_transpose2d", conv_transpose2d_back, conv_reads(x, w), 3,
                      (Tensor *[]){x, w, b}, SHAPE(x->shape[0], h, width, w->shape[2]));
    y->iarg[0] = p.stride, y->iarg[1] = p.top, y->iarg[2] = p.left;
    return t_compute(y, conv_transpose2d_forward);
}

/* ---- upsample2, avg_pool2 -----------------------------------------------------------------------
 * upsample2: y[b,i,j] = x[b,i/2,j/2]                     dx[b,i,j] += sum of the 2x2 block of dy
 * avg_pool2: y[b,i,j] = mean of the 2x2 block of x       dx[b,i,j] += dy[b,i/2,j/2] / 4             */

static void upsample2_back(Tensor *y) {
    const int *s = y->in[0]->shape;
    bool add;
    real *dx = t_grad(y, 0, &add);
    if (dx) k_sum_pool2(s[0], s[1], s[2], s[3], 1, y->g, dx, add);
}

static void upsample2_forward(Tensor *y) {
    const int *s = y->in[0]->shape;
    k_upsample2(s[0], s[1], s[2], s[3], 1, y->in[0]->x, y->x, false);
}

Tensor *t_upsample2(Tensor *x) {
    const int *s = x->shape;
    if (x->rank != 4) die("upsample2: %s is no image batch (B,H,W,C)", t_describe(x));
    Tensor *y = t_new("upsample2", upsample2_back, CHEAP, 1, &x,
                      SHAPE(s[0], 2 * s[1], 2 * s[2], s[3]));
    return t_compute(y, upsample2_forward);
}

static void check_pool(const char *op, const Tensor *x) {
    if (x->rank != 4) die("%s: %s is no image batch (B,H,W,C)", op, t_describe(x));
    if (x->shape[1] % 2 || x->shape[2] % 2)
        die("%s: %s has an odd height or width", op, t_describe(x));
}

static void avg_pool2_back(Tensor *y) {
    const int *s = y->shape;
    bool add;
    real *dx = t_grad(y, 0, &add);
    if (dx) k_upsample2(s[0], s[1], s[2], s[3], (real)0.25, y->g, dx, add);
}

static void avg_pool2_forward(Tensor *y) {
    const int *s = y->shape;
    k_sum_pool2(s[0], s[1], s[2], s[3], (real)0.25, y->in[0]->x, y->x, false);
}

Tensor *t_avg_pool2(Tensor *x) {
    check_pool("avg_pool2", x);
    Tensor *y = t_new("avg_pool2", avg_pool2_back, READS_NOTHING, 1, &x,
                      SHAPE(x->shape[0], x->shape[1] / 2, x->shape[2] / 2, x->shape[3]));
    return t_compute(y, avg_pool2_forward);
}

/* ---- max_pool2: y = largest of the 2x2 block;  dx += dy at the first place that is largest --- */

static void max_pool2_back(Tensor *y) {
    const int *s = y->shape;
    bool add;
    real *dx = t_grad(y, 0, &add);
    if (dx) k_max_pool2_back(s[0], s[1], s[2], s[3], (uint8_t *)y->isaved, y->g, dx, add);
}

static void max_pool2_forward(Tensor *y) {
    const int *s = y->shape;
    k_max_pool2(s[0], s[1], s[2], s[3], y->in[0]->x, y->x, (uint8_t *)y->isaved);
}

Tensor *t_max_pool2(Tensor *x) {
    check_pool("max_pool2", x);
    Tensor *y = t_new("max_pool2", max_pool2_back, READS_NOTHING, 1, &x,
                      SHAPE(x->shape[0], x->shape[1] / 2, x->shape[2] / 2, x->shape[3]));
    y->isaved = arena_get(y->arena, y->len);
    return t_compute(y, max_pool2_forward);
}
