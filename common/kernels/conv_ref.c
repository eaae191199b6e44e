/* conv_ref.c — what a convolution is: the specification of conv.c and conv_weight.c. */
#include "kernels.h"

/* Where output pixel (n,i,j), kernel tap (u,v) reads: the pixel's first channel, NULL outside. */
static const real *tap(const ConvShape *s, const real *x, int n, int i, int j, int u, int v) {
    int row = i * s->stride + u - s->pad_top, col = j * s->stride + v - s->pad_left;
    if (row < 0 || row >= s->h || col < 0 || col >= s->w) return NULL;
    return x + (((size_t)n * s->h + row) * s->w + col) * s->ic;
}

void conv2d_forward_ref(const ConvShape *s, const real *x, const real *w, const real *bias,
                        real *y)
{
    for (int n = 0; n < s->b; n++)
        for (int i = 0; i < s->oh; i++)
            for (int j = 0; j < s->ow; j++, y += s->oc)
                for (int o = 0; o < s->oc; o++) {
                    double sum = bias ? bias[o] : 0;
                    for (int u = 0; u < s->kh; u++)
                        for (int v = 0; v < s->kw; v++) {
                            const real *x_uv = tap(s, x, n, i, j, u, v);
                            const real *w_uv = w + ((size_t)u * s->kw + v) * s->ic * s->oc;
                            for (int c = 0; x_uv && c < s->ic; c++)
                                sum += (double)x_uv[c] * w_uv[(size_t)c * s->oc + o];
                        }
                    y[o] = (real)sum;
                }
}

void conv2d_backward_input_ref(const ConvShape *s, const real *w, const real *dy, const real *bias,
                               real *dx, bool add)
{
    for (int n = 0; n < s->b; n++)
        for (int row = 0; row < s->h; row++)
            for (int col = 0; col < s->w; col++)
                for (int c = 0; c < s->ic; c++, dx++) {
                    double sum = (bias ? bias[c] : 0) + (add ? *dx : 0);
                    for (int u = 0; u < s->kh; u++)
                        for (int v = 0; v < s->kw; v++) {
                            int i = row + s->pad_top - u, j = col + s->pad_left - v;
                            if (i < 0 || i % s->stride || i / s->stride >= s->oh) continue;
                            if (j < 0 || j % s->stride || j / s->stride >= s->ow) continue;
                            const real *dy_ij = dy + (((size_t)n * s->oh + i / s->stride) * s->ow +
                                                      j / s->stride) * s->oc;
                            const real *w_uv = w + (((size_t)u * s->kw + v) * s->ic + c) * s->oc;
                            for (int o = 0; o < s->oc; o++) sum += (double)dy_ij[o] * w_uv[o];
                        }
                    *dx = (real)sum;
                }
}

void conv2d_backward_weight_ref(const ConvShape *s, const real *x, const real *dy, real *dw,
                                bool add)
{
    for (int u = 0; u < s->kh; u++)
        for (int v = 0; v < s->kw; v++)
            for (int c = 0; c < s->ic; c++)
                for (int o = 0; o < s->oc; o++, dw++) {
                    double sum = add ? *dw : 0;
                    for (int n = 0; n < s->b; n++)
                        for (int i = 0; i < s->oh; i++)
                            for (int j = 0; j < s->ow; j++) {
                                const real *x_uv = tap(s, x, n, i, j, u, v);
                                size_t y_at = (((size_t)n * s->oh + i) * s->ow + j) * s->oc + o;
                                if (x_uv) sum += (double)x_uv[c] * dy[y_at];
                            }
                    *dw = (real)sum;
                }
}
