/* norm.c — group, layer and batch normalisation. */
#include "kernels.h"

#include <math.h>

static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }

void group_norm_forward_ref(int b, int hw, int c, int groups, real eps, const real *x,
                            const real *gain, const real *shift, bool silu, real *y, real *mean,
                            real *rstd)
{
    int width = c / groups;
    double count = (double)hw * width;
    for (int i = 0; i < b * groups; i++) {
        size_t start = (size_t)(i / groups) * hw * c + (size_t)(i % groups) * width;
        double sum = 0, squares = 0;
        for (int p = 0; p < hw; p++)
            for (int j = 0; j < width; j++) sum += x[start + (size_t)p * c + j];
        double mu = sum / count;
        for (int p = 0; p < hw; p++)
            for (int j = 0; j < width; j++) {
                double d = x[start + (size_t)p * c + j] - mu;
                squares += d * d;
            }
        double r = 1 / sqrt(squares / count + eps);
        mean[i] = (real)mu;
        rstd[i] = (real)r;
        for (int p = 0; p < hw; p++)
            for (int j = 0; j < width; j++) {
                int ch = i % groups * width + j;
                double v = (x[start + (size_t)p * c + j] - mu) * r;
                v = v * (gain ? gain[ch] : 1) + (shift ? shift[ch] : 0);
                y[start + (size_t)p * c + j] = (real)(silu ? v * sigmoid(v) : v);
            }
    }
}

void group_norm_forward(int b, int hw, int c, int groups, real eps, const real *x, const real *gain,
                        const real *shift, bool silu, real *y, real *mean, real *rstd)
{
    group_norm_forward_ref(b, hw, c, groups, eps, x, gain, shift, silu, y, mean, rstd);
}

void group_norm_backward(int b, int hw, int c, int groups, const real *x, const real *gain,
                         const real *shift, bool silu, const real *mean, const real *rstd,
                         const real *dy, real *dx, bool add_x, real *dgain, bool add_gain,
                         real *dshift, bool add_shift)
{
    int width = c / groups;
    for (int j = 0; j < c; j++) {
        if (dgain && !add_gain) dgain[j] = 0;
        if (dshift && !add_shift) dshift[j] = 0;
    }
    for (int i = 0; i < b * groups; i++) {
        size_t start = (size_t)(i / groups) * hw * c + (size_t)(i % groups) * width;
        double sum = 0, sum_xhat = 0, count = (double)hw * width;
        for (int pass = 0; pass < 2; pass++)
            for (int p = 0; p < hw; p++)
                for (int j = 0; j < width; j++) {
                    int ch = i % groups * width + j;
                    size_t at = start + (size_t)p * c + j;
                    double xhat = (x[at] - (double)mean[i]) * rstd[i], d = dy[at];
                    double scale = gain ? gain[ch] : 1;
                    if (silu) {
                        double v = xhat * scale + (shift ? shift[ch] : 0), s = sigmoid(v);
                        d *= s * (1 + v * (1 - s));
                    }
                    if (pass == 0) {
                        sum += d * scale;
                        sum_xhat += d * scale * xhat;
                        if (dgain) dgain[ch] += (real)(d * xhat);
                        if (dshift) dshift[ch] += (real)d;
                    } else if (dx) {
                        double g = (d * scale - (sum + xhat * sum_xhat) / count) * rstd[i];
                        dx[at] = (real)(add_x ? dx[at] + g : g);
                    }
                }
    }
}

void layer_norm_forward_ref(int rows, int c, real eps, const real *x, const real *gain,
                            const real *shift, real *y, real *mean, real *rstd)
{
    group_norm_forward_ref(rows, 1, c, 1, eps, x, gain, shift, false, y, mean, rstd);
}

void layer_norm_forward(int rows, int c, real eps, const real *x, const real *gain,
                        const real *shift, real *y, real *mean, real *rstd)
{
    layer_norm_forward_ref(rows, c, eps, x, gain, shift, y, mean, rstd);
}

void layer_norm_backward(int rows, int c, const real *x, const real *gain, const real *mean,
                         const real *rstd, const real *dy, real *dx, bool add_x, real *dgain,
                         bool add_gain, real *dshift, bool add_shift)
{
    group_norm_backward(rows, 1, c, 1, x, gain, NULL, false, mean, rstd, dy, dx, add_x, dgain,
                        add_gain, dshift, add_shift);
}

void batch_norm_statistics(int rows, int c, const real *x, real *mean, real *var)
{
    for (int j = 0; j < c; j++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < rows; i++) sum += x[(size_t)i * c + j];
        double mu = sum / rows;
        for (int i = 0; i < rows; i++) {
            double d = x[(size_t)i * c + j] - mu;
            squares += d * d;
        }
        mean[j] = (real)mu;
        var[j] = (real)(squares / rows);
    }
}

void batch_norm_apply_ref(int rows, int c, real eps, const real *x, const real *mean,
                          const real *var, const real *gain, const real *shift, real *y)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < c; j++) {
            size_t at = (size_t)i * c + j;
            double v = (x[at] - (double)mean[j]) / sqrt((double)var[j] + eps);
            y[at] = (real)(v * (gain ? gain[j] : 1) + (shift ? shift[j] : 0));
        }
}

void batch_norm_apply(int rows, int c, real eps, const real *x, const real *mean, const real *var,
                      const real *gain, const real *shift, real *y)
{
    batch_norm_apply_ref(rows, c, eps, x, mean, var, gain, shift, y);
}

void batch_norm_backward(int rows, int c, real eps, const real *x, const real *mean, const real *var,
                         const real *gain, bool batch_statistics, const real *dy, real *dx,
                         bool add_x, real *dgain, bool add_gain, real *dshift, bool add_shift)
{
    for (int j = 0; j < c; j++) {
        double rstd = 1 / sqrt((double)var[j] + eps), sum = 0, sum_xhat = 0;
        for (int i = 0; i < rows; i++) {
            size_t at = (size_t)i * c + j;
            sum += dy[at];
            sum_xhat += dy[at] * (x[at] - (double)mean[j]) * rstd;
        }
        if (dgain) dgain[j] = (real)(add_gain ? dgain[j] + sum_xhat : sum_xhat);
        if (dshift) dshift[j] = (real)(add_shift ? dshift[j] + sum : sum);
        for (int i = 0; dx && i < rows; i++) {
            size_t at = (size_t)i * c + j;
            double xhat = (x[at] - (double)mean[j]) * rstd, d = dy[at];
            if (batch_statistics) d -= (sum + xhat * sum_xhat) / rows;
            d *= rstd * (gain ? gain[j] : 1);
            dx[at] = (real)(add_x ? dx[at] + d : d);
        }
    }
}
