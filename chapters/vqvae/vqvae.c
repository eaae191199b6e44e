#include "vqvae.h"

#include <math.h>
#include <string.h>

/* ---- network --------------------------------------------------------------------------------- */

static void residuals_new(Residual *r, Scope s, int hidden, int inner) {
    for (int i = 0; i < RESIDUALS; i++) {
        r[i].conv3 = conv2d_new(sub(s, "%d.conv3", i), hidden, inner, 3, 1, 1, true);
        r[i].conv1 = conv2d_new(sub(s, "%d.conv1", i), inner, hidden, 1, 1, 0, true);
    }
}

Vqvae vqvae_new(Params *p, Design d) {
    Vqvae v = {.design = d};
    int C = d.hidden;
    Scope s = scope(p, "encoder");
    v.down[0] = conv2d_new(sub(s, "down.0"), d.channels, C / 2, 4, 2, 1, true);
    v.down[1] = conv2d_new(sub(s, "down.1"), C / 2, C, 4, 2, 1, true);
    v.encoder_in = conv2d_new(sub(s, "in"), C, C, 3, 1, 1, true);
    residuals_new(v.encoder, sub(s, "res"), C, d.residual);
    v.to_codes = conv2d_new(sub(s, "to_codes"), C, d.dim, 1, 1, 0, true);
    v.book = codebook_new(scope(p, "codebook"), d.codes, d.dim, d.decay);
    s = scope(p, "decoder");
    v.decoder_in = conv2d_new(sub(s, "in"), d.dim, C, 3, 1, 1, true);
    residuals_new(v.decoder, sub(s, "res"), C, d.residual);
    v.up[0] = conv_transpose2d_new(sub(s, "up.0"), C, C / 2, 4, 2, 1, true);
    v.up[1] = conv_transpose2d_new(sub(s, "up.1"), C / 2, d.channels, 4, 2, 1, true);
    return v;
}

size_t vqvae_count(const Vqvae *v, const Params *p) {
    return params_count(p) + (v->design.decay > 0 ? v->book.table->len : 0);
}

/* h + conv1(relu(conv3(relu(h)))), twice, then relu */
static Tensor *residual_stack(const Residual *r, Tensor *h) {
    for (int i = 0; i < RESIDUALS; i++) {
        Tensor *inner = t_relu(conv2d(&r[i].conv3, t_relu(h)));
        h = t_add(h, conv2d(&r[i].conv1, inner));
    }
    return t_relu(h);
}

/* No ReLU after to_codes: z_e may have any sign. */
Tensor *encode(const Vqvae *v, Tensor *x) {
    Tensor *h = t_relu(conv2d(&v->down[0], t_add_scalar(x, -0.5)));     /* (B,14,14,C/2) */
    h = t_relu(conv2d(&v->down[1], h));                                 /* (B,7,7,C) */
    h = t_relu(conv2d(&v->encoder_in, h));
    return conv2d(&v->to_codes, residual_stack(v->encoder, h));
}

Tensor *decode(const Vqvae *v, Tensor *z_q) {
    Tensor *h = residual_stack(v->decoder, conv2d(&v->decoder_in, z_q));
    h = t_relu(conv_transpose2d(&v->up[0], h));                         /* (B,14,14,C/2) */
    return t_add_scalar(conv_transpose2d(&v->up[1], h), 0.5);
}

/* ---- loss ------------------------------------------------------------------------------------ */

Tensor *vqvae_loss(Tensor *x, Tensor *rebuilt, const Quantised *q, double variance, double beta) {
    Tensor *loss = t_scale(t_mse(rebuilt, x), 1 / variance);
    loss = t_add(loss, t_scale(q->commitment_loss, beta));
    return q->codebook_loss ? t_add(loss, q->codebook_loss) : loss;
}

/* ---- many images, no gradients --------------------------------------------------------------- */

enum { AT_ONCE = 256 };

void encode_all(const Vqvae *v, int n, const real *x, int *codes) {
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        tape_reset(&t);
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        Tensor *z = encode(v, t_input(&t, x + (size_t)i * PIXELS, SHAPE(B, IMAGE, IMAGE, 1)));
        k_nearest_rows(B * POSITIONS, v->design.dim, v->design.codes, z->x, v->book.table->x,
                       codes + (size_t)i * POSITIONS);
    }
    tape_free(&t);
}

void decode_all(const Vqvae *v, int n, const int *codes, real *images) {
    Tape t = {.no_grad = true};
    for (int i = 0; i < n; i += AT_ONCE) {
        tape_reset(&t);
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        const int *index = codes + (size_t)i * POSITIONS;
        Tensor *z_q = codebook_lookup(&v->book, &t, index, SHAPE(B, MAP, MAP, v->design.dim));
        Tensor *x = decode(v, z_q);
        k_clamp(x->len, x->x, 0, 1, images + (size_t)i * PIXELS);
    }
    tape_free(&t);
}

/* ---- the probability of a picture given its codes -------------------------------------------- */

/* -ln sigmoid(x) */
static double softplus_minus(double x) {
    return x > 0 ? log1p(exp(-x)) : log1p(exp(x)) - x;
}

/* With a = (k + 1/2 - m)/s and b = (k - 1/2 - m)/s: sigmoid(a) - sigmoid(b) =
 * sigmoid(a) sigmoid(-b) (1 - exp(b - a)), a product in which nothing cancels. */
double observation_nats(size_t n, const real *x, const real *mean, double scale) {
    double sum = 0, inside = -log(-expm1(-1 / scale));
    for (size_t i = 0; i < n; i++) {
        double k = round(255 * (double)x[i]), m = 255 * (double)mean[i];
        double a = (k + 0.5 - m) / scale, b = (k - 0.5 - m) / scale;
        if (k <= 0) sum += softplus_minus(a);
        else if (k >= 255) sum += softplus_minus(-b);
        else sum += softplus_minus(a) + softplus_minus(-b) + inside;
    }
    return sum;
}

/* golden-section search over ln scale; assumes a single minimum */
double fit_scale(size_t n, const real *x, const real *mean) {
    const double golden = (sqrt(5) - 1) / 2;
    double low = log(0.05), high = log(200);
    double a = high - golden * (high - low), b = low + golden * (high - low);
    double at_a = observation_nats(n, x, mean, exp(a)), at_b = observation_nats(n, x, mean, exp(b));
    while (high - low > 1e-4) {
        if (at_a < at_b) {
            high = b, b = a, at_b = at_a;
            a = high - golden * (high - low);
            at_a = observation_nats(n, x, mean, exp(a));
        } else {
            low = a, a = b, at_a = at_b;
            b = low + golden * (high - low);
            at_b = observation_nats(n, x, mean, exp(b));
        }
    }
    return exp((low + high) / 2);
}
