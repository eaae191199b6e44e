#include "spectral_norm.h"

#include <math.h>

static void normalise(size_t n, real *x) {
    real norm = (real)sqrt(k_sum_squares(n, x));
    k_axpy(n, 1 / (norm + (real)1e-12), x, x, false);
}

SpectralNorm spectral_norm_new(Scope s, Tensor *w) {
    int out = w->shape[w->rank - 1];
    SpectralNorm n = {.w = w, .u = buffer(s, "u", 0, SHAPE(out))};
    Rng r = rng_new(s.params->seed, n.u->name);
    rng_normal(&r, n.u->len, n.u->x);
    normalise(n.u->len, n.u->x);
    return n;
}

/* v (rest) = W u / |W u|, the weight seen as a matrix (rest,out): the paper's W transposed */
static void right_vector(const SpectralNorm *n, real *v) {
    int out = (int)n->u->len, rest = (int)(n->w->len / n->u->len);
    gemm(&(GemmShape){.m = rest, .n = 1, .k = out}, n->w->x, n->u->x, NULL, v, false);
    normalise((size_t)rest, v);
}

/* u = W^T v / |W^T v| */
static void left_vector(const SpectralNorm *n, const real *v, real *u) {
    int out = (int)n->u->len, rest = (int)(n->w->len / n->u->len);
    gemm(&(GemmShape){.m = 1, .n = out, .k = rest}, v, n->w->x, NULL, u, false);
    normalise((size_t)out, u);
}

/* u^T W v, shape (1); its gradient reaches W alone. Without training u stays, and v is computed
 * from it */
static Tensor *sigma_of(const SpectralNorm *n, Tensor *w, bool training) {
    int out = (int)n->u->len, rest = (int)(w->len / n->u->len);
    Tensor *v = t_input(w->tape, NULL, SHAPE(1, rest));
    right_vector(n, v->x);
    if (training) left_vector(n, v->x, n->u->x);
    Tensor *u = t_input(w->tape, n->u->x, SHAPE(out, 1));
    Tensor *vw = t_linear(v, t_reshape(w, SHAPE(rest, out)), NULL);   /* (1,out) */
    return t_reshape(t_linear(vw, u, NULL), SHAPE(1));
}

Tensor *spectral_norm(const SpectralNorm *n, Tape *t, bool training) {
    Tensor *w = t_use(t, n->w);
    return t_div(w, sigma_of(n, w, training));
}

double spectral_sigma(const SpectralNorm *n) {
    Tape t = {.no_grad = true};
    double sigma = (double)sigma_of(n, t_use(&t, n->w), false)->x[0];
    tape_free(&t);
    return sigma;
}
