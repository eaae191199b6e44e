#include "embedding.h"

#include <math.h>
#include <string.h>

/* ---- whitening ------------------------------------------------------------------------------- */

Whitening whitening_new(Params *p, int dim) {
    Scope s = {.params = p};
    return (Whitening){buffer(s, "average", 0, SHAPE(dim)), buffer(s, "deviation", 1, SHAPE(dim))};
}

void whitening_fit(Whitening *w, int n, const real *embeddings) {
    int D = w->average->shape[0];
    for (int d = 0; d < D; d++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < n; i++) sum += (double)embeddings[i * D + d];
        for (int i = 0; i < n; i++) squares += pow((double)embeddings[i * D + d] - sum / n, 2);
        w->average->x[d] = (real)(sum / n);
        w->deviation->x[d] = (real)sqrt(squares / n + 1e-12);
    }
}

void whiten(const Whitening *w, int n, const real *embedding, real *x) {
    int D = w->average->shape[0];
    for (int i = 0; i < n * D; i++)
        x[i] = (embedding[i] - w->average->x[i % D]) / w->deviation->x[i % D];
}

void unwhiten(const Whitening *w, int n, const real *x, real *embedding) {
    int D = w->average->shape[0];
    for (int i = 0; i < n * D; i++)
        embedding[i] = x[i] * w->deviation->x[i % D] + w->average->x[i % D];
    for (int i = 0; i < n; i++) normalise(D, embedding + i * D);
}

/* ---- along the sphere ------------------------------------------------------------------------ */

void normalise(int D, real *z) {
    double length = sqrt(k_sum_squares((size_t)D, z));
    for (int d = 0; d < D; d++) z[d] = (real)((double)z[d] / length);
}

double cosine(int n, const real *a, const real *b) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum / sqrt(k_sum_squares((size_t)n, a) * k_sum_squares((size_t)n, b));
}

void slerp(size_t n, const real *a, const real *b, double t, real *y) {
    double angle = acos(fmin(fmax(cosine((int)n, a, b), -1), 1)), from = 1 - t, to = t;
    if (sin(angle) > 1e-6) {
        from = sin((1 - t) * angle) / sin(angle);
        to = sin(t * angle) / sin(angle);
    }
    for (size_t i = 0; i < n; i++) y[i] = (real)(from * (double)a[i] + to * (double)b[i]);
}

void text_difference(int D, const real *from, const real *to, real *difference) {
    for (int d = 0; d < D; d++) difference[d] = to[d] - from[d];
    normalise(D, difference);
}

void few_dimensions(const ArPrior *m, int components, const real *z, real *y) {
    int D = m->config.dim;
    memcpy(y, m->mean->x, (size_t)D * sizeof *y);
    for (int k = 0; k < components; k++) {
        const real *u = m->basis->x + k * D;
        double along = ar_prior_coordinate(m, z, k);
        for (int d = 0; d < D; d++) y[d] = (real)((double)y[d] + along * (double)u[d]);
    }
    normalise(D, y);
}
