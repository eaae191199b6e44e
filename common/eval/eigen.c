#include "eval/eigen.h"

#include <math.h>

/* the rotation that makes a[p][q] zero, applied to rows and columns p, q of a and to rows of v */
static void rotate(int n, double *a, double *v, int p, int q) {
    double apq = a[p * n + q];
    if (fabs(apq) < 1e-300) return;
    double theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
    double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < n; k++) {
        double x = a[k * n + p], y = a[k * n + q];
        a[k * n + p] = c * x - s * y;
        a[k * n + q] = s * x + c * y;
    }
    for (int k = 0; k < n; k++) {
        double x = a[p * n + k], y = a[q * n + k];
        a[p * n + k] = c * x - s * y;
        a[q * n + k] = s * x + c * y;
        x = v[p * n + k], y = v[q * n + k];
        v[p * n + k] = c * x - s * y;
        v[q * n + k] = s * x + c * y;
    }
}

static void swap_rows(int n, double *v, int i, int j) {
    for (int k = 0; k < n; k++) {
        double x = v[i * n + k];
        v[i * n + k] = v[j * n + k];
        v[j * n + k] = x;
    }
}

static void sort_falling(int n, double *values, double *v) {
    for (int i = 0; i < n; i++) {
        int top = i;
        for (int j = i + 1; j < n; j++)
            if (values[j] > values[top]) top = j;
        double x = values[i];
        values[i] = values[top];
        values[top] = x;
        if (top != i) swap_rows(n, v, i, top);
    }
}

void symmetric_eigen(int n, double *a, double *values, double *v) {
    for (int i = 0; i < n * n; i++) v[i] = i % (n + 1) == 0;
    for (int sweep = 0; sweep < 60; sweep++) {
        double off = 0, diagonal = 0;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) *(i == j ? &diagonal : &off) += a[i * n + j] * a[i * n + j];
        if (off <= 1e-30 * diagonal) break;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) rotate(n, a, v, p, q);
    }
    for (int i = 0; i < n; i++) values[i] = a[i * n + i];
    sort_falling(n, values, v);
}
