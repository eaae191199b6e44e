#include "vqvae2.h"

#include "base/error.h"

#include <string.h>

/* ---- construction ---------------------------------------------------------------------------- */

const OfficialMap vqvae2_official = {.rows = NULL};

/* Layers are numbered as in the public code, which counts activations too. */
static void residuals_new(Residual *r, Scope s, int first, int blocks, int width, int inside) {
    for (int i = 0; i < blocks; i++) {
        Scope block = sub(s, "blocks.%d", first + i);
        r[i].wide = conv2d_new(sub(block, "conv.1"), width, inside, 3, 1, 1, true);
        r[i].narrow = conv2d_new(sub(block, "conv.3"), inside, width, 1, 1, 0, true);
    }
}

static Encoder encoder_new(Scope s, const Vqvae2Config *c, int in, int down) {
    Encoder e = {.convs = down + 1, .blocks = c->res_blocks};
    for (int i = 0; i < down; i++) {
        bool last = i == down - 1 && down > 1;
        int out = last ? c->width : c->width / 2;
        e.conv[i] = conv2d_new(sub(s, "blocks.%d", 2 * i), in, out, 4, 2, 1, true);
        in = out;
    }
    e.conv[down] = conv2d_new(sub(s, "blocks.%d", 2 * down), in, c->width, 3, 1, 1, true);
    residuals_new(e.res, s, 2 * down + 1, c->res_blocks, c->width, c->res_channels);
    return e;
}

static Decoder decoder_new(Scope s, const Vqvae2Config *c, int in, int out, int up) {
    Decoder d = {.blocks = c->res_blocks, .ups = up};
    int width = c->width;
    d.conv = conv2d_new(sub(s, "blocks.0"), in, width, 3, 1, 1, true);
    residuals_new(d.res, s, 1, c->res_blocks, width, c->res_channels);
    for (int i = 0; i < up; i++) {
        int to = i == up - 1 ? out : width / 2;
        d.up[i] = conv_transpose2d_new(sub(s, "blocks.%d", c->res_blocks + 2 + 2 * i), width, to, 4,
                                       2, 1, true);
        width = to;
    }
    return d;
}

Vqvae2 vqvae2_new(Params *p, Vqvae2Config c) {
    const double decay = 0.99;
    Vqvae2 v = {.c = c};
    Scope s = scope(p, "%s", "");
    int D = c.dim;
    bool top = c.levels == 2;
    if (c.levels < 1 || c.levels > 2 || c.res_blocks > VQVAE2_RES || c.width % 2)
        die("vqvae2: %d levels, %d residual blocks, %d channels", c.levels, c.res_blocks, c.width);
    v.enc_b = encoder_new(sub(s, "enc_b"), &c, c.channels, 2);
    if (top) {
        v.enc_t = encoder_new(sub(s, "enc_t"), &c, c.width, 1);
        v.to_top = conv2d_new(sub(s, "quantize_conv_t"), c.width, D, 1, 1, 0, true);
        v.top = codebook_new(sub(s, "quantize_t"), c.codes, D, decay);
        v.dec_t = decoder_new(sub(s, "dec_t"), &c, D, D, 1);
        v.upsample_t = conv_transpose2d_new(sub(s, "upsample_t"), D, D, 4, 2, 1, true);
    }
    int seen = top ? D + c.width : c.width;
    v.to_bottom = conv2d_new(sub(s, "quantize_conv_b"), seen, D, 1, 1, 0, true);
    v.bottom = codebook_new(sub(s, "quantize_b"), c.codes, D, decay);
    v.dec = decoder_new(sub(s, "dec"), &c, top ? 2 * D : D, c.channels, 2);
    return v;
}

/* ---- the networks ---------------------------------------------------------------------------- */

static Tensor *residuals(const Residual *r, int blocks, Tensor *x) {
    for (int i = 0; i < blocks; i++) {
        Tensor *h = t_relu(conv2d(&r[i].wide, t_relu(x)));
        x = t_add(conv2d(&r[i].narrow, h), x);
    }
    return t_relu(x);
}

static Tensor *encoder(const Encoder *e, Tensor *x) {
    x = conv2d(&e->conv[0], x);
    for (int i = 1; i < e->convs; i++) x = conv2d(&e->conv[i], t_relu(x));
    return residuals(e->res, e->blocks, x);
}

static Tensor *decoder(const Decoder *d, Tensor *x) {
    x = residuals(d->res, d->blocks, conv2d(&d->conv, x));
    x = conv_transpose2d(&d->up[0], x);
    for (int i = 1; i < d->ups; i++) x = conv_transpose2d(&d->up[i], t_relu(x));
    return x;
}

/* what the bottom codebook quantises: a 1x1 convolution of the decoded top and the features */
static Tensor *bottom_vectors(const Vqvae2 *v, Tensor *features, Tensor *top) {
    if (top) features = t_concat(decoder(&v->dec_t, top), features, -1);
    return conv2d(&v->to_bottom, features);
}

static Tensor *top_vectors(const Vqvae2 *v, Tensor *features) {
    return conv2d(&v->to_top, encoder(&v->enc_t, features));
}

Encoding encode(const Vqvae2 *v, Tensor *x) {
    Encoding e = {0};
    Tensor *features = encoder(&v->enc_b, x);
    if (v->c.levels == 2) e.top = quantise(&v->top, top_vectors(v, features));
    e.bottom = quantise(&v->bottom, bottom_vectors(v, features, e.top.codes));
    return e;
}

Tensor *decode(const Vqvae2 *v, Tensor *top, Tensor *bottom) {
    if (top) bottom = t_concat(conv_transpose2d(&v->upsample_t, top), bottom, -1);
    return decoder(&v->dec, bottom);
}

Tensor *vqvae2_loss(const Encoding *e, Tensor *x, Tensor *decoded, double variance) {
    Tensor *commitment = e->bottom.commitment_loss;
    if (e->top.codes) commitment = t_add(commitment, e->top.commitment_loss);
    return t_add(t_scale(t_mse(decoded, x), 1 / variance), t_scale(commitment, 0.25));
}

/* ---- codebooks ------------------------------------------------------------------------------- */

void vqvae2_start(Vqvae2 *v, Tensor *x, Rng *rng) {
    Tensor *features = encoder(&v->enc_b, x), *top = NULL;
    if (v->c.levels == 2) {
        Tensor *z = top_vectors(v, features);
        codebook_start(&v->top, z, rng);
        top = quantise(&v->top, z).codes;
    }
    codebook_start(&v->bottom, bottom_vectors(v, features, top), rng);
}

int codebooks_update(Vqvae2 *v, const Encoding *e, double threshold, Rng *rng) {
    int revived = 0;
    if (v->c.levels == 2) {
        codebook_update(&v->top, &e->top);
        revived += codebook_revive(&v->top, &e->top, threshold, rng);
    }
    codebook_update(&v->bottom, &e->bottom);
    return revived + codebook_revive(&v->bottom, &e->bottom, threshold, rng);
}

/* ---- many images, no gradients --------------------------------------------------------------- */

enum { AT_ONCE = 32 };

void encode_all(const Vqvae2 *v, int n, int height, int width, const real *x, int *top,
                int *bottom) {
    Tape t = {.no_grad = true};
    int pixels = height * width * v->c.channels, N = height * width / 16;
    for (int i = 0; i < n; i += AT_ONCE) {
        tape_reset(&t);
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        Encoding e = encode(v, t_input(&t, x + (size_t)i * (size_t)pixels,
                                       SHAPE(B, height, width, v->c.channels)));
        size_t at = (size_t)i * (size_t)N;
        if (e.top.codes) memcpy(top + at / 4, e.top.index, (size_t)e.top.n * sizeof *top);
        memcpy(bottom + at, e.bottom.index, (size_t)e.bottom.n * sizeof *bottom);
    }
    tape_free(&t);
}

/* the codes of B pictures, or at every place the mean of the codebook's codes by their use */
static Tensor *vectors(const Codebook *book, Tape *t, int B, int h, int w, const int *index) {
    int D = book->dim;
    if (index) return codebook_lookup(book, t, index, SHAPE(B, h, w, D));
    double uses = k_sum((size_t)book->count, book->cluster_size->x);
    Tensor *y = t_input(t, NULL, SHAPE(B, h, w, D));
    for (int d = 0; d < D; d++) {
        double sum = 0;
        for (int k = 0; k < book->count; k++)
            sum += (double)book->cluster_size->x[k] * (double)book->table->x[k * D + d];
        for (int i = 0; i < B * h * w; i++) y->x[i * D + d] = (real)(sum / uses);
    }
    return y;
}

void decode_all(const Vqvae2 *v, int n, int height, int width, const int *top, const int *bottom,
                real *x) {
    Tape t = {.no_grad = true};
    int pixels = height * width * v->c.channels, h = height / 4, w = width / 4, N = h * w;
    for (int i = 0; i < n; i += AT_ONCE) {
        tape_reset(&t);
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        Tensor *high = NULL;
        if (v->c.levels == 2)
            high = vectors(&v->top, &t, B, h / 2, w / 2, top ? top + i * N / 4 : NULL);
        Tensor *low = vectors(&v->bottom, &t, B, h, w, bottom ? bottom + i * N : NULL);
        Tensor *y = decode(v, high, low);
        memcpy(x + (size_t)i * (size_t)pixels, y->x, y->len * sizeof *x);
    }
    tape_free(&t);
}
