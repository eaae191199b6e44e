/* nets_vqvae.c — Sonnet's VQ-VAE on 28x28 grey images: 658,625 trained parameters and a codebook of
 * 512 x 64 that follows moving averages (decay 0.99, started from zero and debiased, as Sonnet's).
 * Loss: mean squared error / variance of the data + 0.25 commitment. Adam 3e-4. */
#include "nets.h"

#include <math.h>

enum { SIDE = 28, WIDTH = 128, CODES = 512, DIM = 64 };
static const double decay = 0.99, smoothing = 1e-5, variance = 1.0 / 12;  /* of uniform pixels */

typedef struct {
    Conv2d conv1, conv2;
} Residual;

typedef struct {
    Conv2d conv1, conv2, conv3, to_code;
    Residual residual[2];
} Encoder;

typedef struct {
    Conv2d conv1;
    Residual residual[2];
    ConvTranspose2d deconv1, deconv2;
} Decoder;

typedef struct {
    Tensor *embed;                /* (512,64) */
    Tensor *count, *sum;          /* (512), (512,64): averages before debiasing */
    int step;
} Codebook;

typedef struct {
    Encoder encoder;
    Decoder decoder;
    Codebook codebook;
    const real *images;
} VqVae;

static void residual_stack_new(Residual r[2], Scope s) {
    for (int i = 0; i < 2; i++) {
        r[i].conv1 = conv2d_new(sub(s, "residual.%d.conv1", i), WIDTH, 32, 3, 1, 1, true);
        r[i].conv2 = conv2d_new(sub(s, "residual.%d.conv2", i), 32, WIDTH, 1, 1, 0, true);
    }
}

static Tensor *residual(const Residual *r, Tensor *h) {
    h = t_relu(conv2d(&r->conv1, t_relu(h)));
    return conv2d(&r->conv2, h);
}

static Tensor *residual_stack(const Residual r[2], Tensor *h) {
    for (int i = 0; i < 2; i++)
        h = t_add(h, residual(&r[i], h));
    return t_relu(h);
}

static Encoder encoder_new(Scope s) {
    Encoder e;
    e.conv1 = conv2d_new(sub(s, "conv1"), 1, WIDTH / 2, 4, 2, 1, true);
    e.conv2 = conv2d_new(sub(s, "conv2"), WIDTH / 2, WIDTH, 4, 2, 1, true);
    e.conv3 = conv2d_new(sub(s, "conv3"), WIDTH, WIDTH, 3, 1, 1, true);
    residual_stack_new(e.residual, s);
    e.to_code = conv2d_new(sub(s, "to_code"), WIDTH, DIM, 1, 1, 0, true);
    return e;
}

/* (B,28,28,1) -> (B,7,7,64) */
static Tensor *encoder(const Encoder *e, Tensor *x) {
    Tensor *h = t_relu(conv2d(&e->conv1, x));
    h = t_relu(conv2d(&e->conv2, h));
    h = t_relu(conv2d(&e->conv3, h));
    return conv2d(&e->to_code, residual_stack(e->residual, h));
}

static Decoder decoder_new(Scope s) {
    Decoder d;
    d.conv1 = conv2d_new(sub(s, "conv1"), DIM, WIDTH, 3, 1, 1, true);
    residual_stack_new(d.residual, s);
    d.deconv1 = conv_transpose2d_new(sub(s, "deconv1"), WIDTH, WIDTH / 2, 4, 2, 1, true);
    d.deconv2 = conv_transpose2d_new(sub(s, "deconv2"), WIDTH / 2, 1, 4, 2, 1, true);
    return d;
}

static Tensor *decoder(const Decoder *d, Tensor *z) {
    Tensor *h = residual_stack(d->residual, conv2d(&d->conv1, z));
    return conv_transpose2d(&d->deconv2, t_relu(conv_transpose2d(&d->deconv1, h)));
}

/* N <- d N + (1-d) n,  m <- d m + (1-d) sum z,  both divided by 1-d^t;  e = m / N, where N is
 * smoothed so that no code divides by zero */
static void codebook_update(Codebook *c, const real *z, const int *index, int n) {
    real *count = c->count->x, *sum = c->sum->x;
    k_axpy(CODES, (real)decay, count, count, false);
    k_axpy(CODES * DIM, (real)decay, sum, sum, false);
    for (int i = 0; i < n; i++) {
        count[index[i]] += (real)(1 - decay);
        real *m = sum + index[i] * DIM;
        for (int j = 0; j < DIM; j++) m[j] += (real)(1 - decay) * z[i * DIM + j];
    }
    double debias = 1 / (1 - pow(decay, ++c->step)), total = debias * k_sum(CODES, count);
    for (int k = 0; k < CODES; k++) {
        double smooth = (debias * count[k] + smoothing) / (total + CODES * smoothing) * total;
        k_axpy(DIM, (real)(debias / smooth), sum + k * DIM, c->embed->x + k * DIM, false);
    }
}

static void build(Training *t) {
    VqVae *v = net_alloc(t, sizeof *v);
    Params *p = &t->params[0];
    v->encoder = encoder_new(scope(p, "encoder"));
    v->decoder = decoder_new(scope(p, "decoder"));
    Scope s = scope(p, "codebook");
    v->codebook.embed = buffer(s, "embed", 0, SHAPE(CODES, DIM));
    v->codebook.count = buffer(s, "count", 0, SHAPE(CODES));
    v->codebook.sum = buffer(s, "sum", 0, SHAPE(CODES, DIM));
    init_uniform(v->codebook.embed, sqrt(3.0 / DIM), p->seed);
    v->images = input_uniform(t, "images", -0.5, 0.5, SHAPE(t->batch, SIDE, SIDE, 1));
}

static double step(Training *t) {
    VqVae *v = t->net;
    Tensor *x = t_input(&t->tape, v->images, SHAPE(t->batch, SIDE, SIDE, 1));
    Tensor *z = encoder(&v->encoder, x);
    t_keep(z);                                   /* for codebook_update */
    int n = (int)(z->len / DIM);
    int *index = arena_get(&t->tape.arena, (size_t)n * sizeof *index);
    k_nearest_rows(n, DIM, CODES, z->x, v->codebook.embed->x, index);
    Tensor *codes = t_gather_rows(t_use(&t->tape, v->codebook.embed), index, n);
    codes = t_reshape(codes, z->rank, z->shape);
    Tensor *y = decoder(&v->decoder, t_straight_through(codes, z));
    Tensor *commitment = t_scale(t_mse(z, codes), 0.25);
    double loss = descend(t, 0, t_add(t_scale(t_mse(y, x), 1 / variance), commitment), 3e-4);
    codebook_update(&v->codebook, z->x, index, n);
    return loss;
}

const NetKind net_vqvae = {"vqvae", "VQ-VAE 28x28 (Sonnet)", 64, true, build, step};
