/* reduce.c — sums, softmax, losses. */
#include "kernels.h"

#include <math.h>
#include <string.h>

double k_sum(size_t n, const real *x)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum;
}

double k_sum_squares(size_t n, const real *x)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sum;
}

double k_sum_squared_difference(size_t n, const real *a, const real *b)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sum;
}

double k_sum_absolute_difference(size_t n, const real *a, const real *b)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += fabs((double)a[i] - b[i]);
    return sum;
}

double k_sum_bce_logits(size_t n, const real *x, const real *t)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fmax(x[i], 0) - (double)x[i] * t[i] + log1p(exp(-fabs((double)x[i])));
    return sum;
}

bool k_all_finite(size_t n, const real *x)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

void k_sum_axis_ref(int outer, int n, int inner, const real *x, real *y, bool add)
{
    for (int o = 0; o < outer; o++)
        for (int k = 0; k < inner; k++) {
            double sum = 0;
            for (int i = 0; i < n; i++) sum += x[((size_t)o * n + i) * inner + k];
            real *y_ok = y + (size_t)o * inner + k;
            *y_ok = (real)(add ? *y_ok + sum : sum);
        }
}

void k_sum_axis(int outer, int n, int inner, const real *x, real *y, bool add)
{
    k_sum_axis_ref(outer, n, inner, x, y, add);
}

void k_max_axis(int outer, int n, int inner, const real *x, real *y, int *winner)
{
    for (int o = 0; o < outer; o++)
        for (int k = 0; k < inner; k++) {
            const real *x_ok = x + (size_t)o * n * inner + k;
            int best = 0;
            for (int i = 1; i < n; i++)
                if (x_ok[(size_t)i * inner] > x_ok[(size_t)best * inner]) best = i;
            y[(size_t)o * inner + k] = x_ok[(size_t)best * inner];
            winner[(size_t)o * inner + k] = best;
        }
}

void k_spread_axis(int outer, int n, int inner, real a, const real *x, real *y, bool add)
{
    for (int o = 0; o < outer; o++)
        for (int i = 0; i < n; i++)
            for (int k = 0; k < inner; k++, y++) {
                real d = a * x[(size_t)o * inner + k];
                *y = add ? *y + d : d;
            }
}

static double row_max(int c, const real *x)
{
    double largest = -INFINITY;
    for (int j = 0; j < c; j++) largest = fmax(largest, x[j]);
    return largest;
}

static double row_lse(int c, const real *x)
{
    double largest = row_max(c, x), sum = 0;
    for (int j = 0; j < c; j++) sum += exp(x[j] - largest);
    return largest + log(sum);
}

void k_softmax_ref(int rows, int c, const real *x, real *y)
{
    for (int i = 0; i < rows; i++, x += c, y += c) {
        double lse = row_lse(c, x);
        for (int j = 0; j < c; j++) y[j] = (real)exp(x[j] - lse);
    }
}

void k_softmax(int rows, int c, const real *x, real *y) { k_softmax_ref(rows, c, x, y); }

void k_softmax_back(int rows, int c, const real *y, const real *dy, real *dx, bool add)
{
    for (int i = 0; i < rows; i++, y += c, dy += c, dx += c) {
        double inner = 0;
        for (int j = 0; j < c; j++) inner += (double)y[j] * dy[j];
        for (int j = 0; j < c; j++) {
            real d = (real)(y[j] * (dy[j] - inner));
            dx[j] = add ? dx[j] + d : d;
        }
    }
}

void k_log_softmax_ref(int rows, int c, const real *x, real *y)
{
    for (int i = 0; i < rows; i++, x += c, y += c) {
        double lse = row_lse(c, x);
        for (int j = 0; j < c; j++) y[j] = (real)(x[j] - lse);
    }
}

void k_log_softmax(int rows, int c, const real *x, real *y) { k_log_softmax_ref(rows, c, x, y); }

void k_log_softmax_back(int rows, int c, const real *y, const real *dy, real *dx, bool add)
{
    for (int i = 0; i < rows; i++, y += c, dy += c, dx += c) {
        double sum = 0;
        for (int j = 0; j < c; j++) sum += dy[j];
        for (int j = 0; j < c; j++) {
            real d = (real)(dy[j] - exp(y[j]) * sum);
            dx[j] = add ? dx[j] + d : d;
        }
    }
}

double k_cross_entropy(int rows, int c, const real *x, const int *target, real *lse)
{
    double total = 0;
    for (int i = 0; i < rows; i++, x += c) {
        double l = row_lse(c, x);
        lse[i] = (real)l;
        if (target[i] >= 0) total += l - x[target[i]];
    }
    return total;
}

void k_cross_entropy_back(int rows, int c, const real *x, const int *target, const real *lse, real a,
                          real *dx, bool add)
{
    for (int i = 0; i < rows; i++, x += c, dx += c)
        for (int j = 0; j < c; j++) {
            double d = target[i] < 0 ? 0 : a * (exp((double)x[j] - lse[i]) - (j == target[i]));
            dx[j] = (real)(add ? dx[j] + d : d);
        }
}
