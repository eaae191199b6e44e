/* networks.c — four pairs of generator and discriminator. */
#include "gan.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

Design design_named(const char *config, bool conditional, bool spectral) {
    int classes = conditional ? CLASSES : 0;
    if (!strcmp(config, "goodfellow"))
        return (Design){GOODFELLOW, 100, 0, IMAGE, 1, 0, 1200, false};
    if (!strcmp(config, "dcgan28")) return (Design){DCGAN28, 100, classes, IMAGE, 1, 0, 64, false};
    if (!strcmp(config, "dcgan64")) return (Design){DCGAN64, 100, 0, 64, 3, -1, 64, false};
    return (Design){DEFAULT, 64, classes, IMAGE, 1, -1, 32, spectral};
}

/* ---- parts ----------------------------------------------------------------------------------- */

static BatchNorm norm_new(Scope s, int channels) {
    return batch_norm_new(s, channels, 0.1, 1e-5);
}

/* D's activation (Radford et al. 2015, section 3) */
static Tensor *leaky(Tensor *x) {
    return t_leaky_relu(x, 0.2);
}

/* what follows each of G's layers but the last */
static Tensor *norm_relu(const BatchNorm *n, Tensor *x, bool training) {
    return t_relu(batch_norm(n, x, training));
}

/* Starting values: all weights from N(0, 0.02^2) (Radford et al. 2015), in DCGAN64 gains from
 * N(1, 0.02^2) as well, which has "no real rationale, just empirical success" (their author,
 * pytorch/examples #516); Goodfellow's uniform, within +-bound. Biases at 0. */
static Scope top(Params *p, Architecture architecture, double bound) {
    LayerInit init = {WEIGHTS_NORMAL, .scale = 0.02, .zero_bias = true};
    if (architecture == DCGAN64) init.gain_std = 0.02;
    if (architecture == GOODFELLOW) init.weights = WEIGHTS_UNIFORM, init.scale = bound;
    return with_init(scope(p, "%s", ""), init);
}

/* x with the class as ten more features, or as ten more constant maps; x alone without a class */
static Tensor *with_label(Tensor *x, Tensor *y) {
    if (!y) return x;
    if (x->rank == 2) return t_concat(x, y, -1);
    int B = x->shape[0], H = x->shape[1], W = x->shape[2], K = y->shape[1];
    Tensor *maps = t_input(x->tape, NULL, SHAPE(B, H, W, K));
    k_spread_axis(B, H * W, K, 1, y->x, maps->x, false);
    return t_concat(x, maps, -1);
}

static Tensor *flat(Tensor *x) {
    return t_reshape(x, SHAPE(x->shape[0], -1));
}

/* ---- goodfellow: 100-1200-1200-784, against 784-240x5-240x5-1 -------------------------------- */

enum { MAXOUT_UNITS = 240, PIECES = 5 };

static void goodfellow_generator_new(Generator *g, Scope s) {
    int hidden = g->design.width;
    g->fc[0] = linear_new(sub(s, "fc.0"), g->design.code, hidden, true);
    g->fc[1] = linear_new(sub(s, "fc.1"), hidden, hidden, true);
    g->fc[2] = linear_new(sub(s, "fc.2"), hidden, PIXELS, true);
}

static Tensor *goodfellow_generator(const Generator *g, Tensor *z) {
    Tensor *h = t_relu(linear(&g->fc[0], z));
    h = t_relu(linear(&g->fc[1], h));
    return t_reshape(t_sigmoid(linear(&g->fc[2], h)), SHAPE(-1, IMAGE, IMAGE, 1));
}

void generator_start_at(const Generator *g, const real *mean) {
    for (int i = 0; i < PIXELS; i++) {
        double m = fmin(fmax((double)mean[i], 1e-6), 1 - 1e-6);
        g->fc[2].b->x[i] = (real)log(m / (1 - m));
    }
}

static void goodfellow_discriminator_new(Discriminator *d, Scope s) {
    d->fc[0] = linear_new(sub(s, "fc.0"), PIXELS, MAXOUT_UNITS * PIECES, true);
    d->fc[1] = linear_new(sub(s, "fc.1"), MAXOUT_UNITS, MAXOUT_UNITS * PIECES, true);
    d->fc[2] = linear_new(sub(s, "fc.2"), MAXOUT_UNITS, 1, true);
}

/* Goodfellow et al. 2013: the largest of five linear functions; (B,in) -> (B,240) */
static Tensor *maxout(const Linear *l, Tensor *x) {
    Tensor *pieces = t_reshape(linear(l, x), SHAPE(-1, MAXOUT_UNITS, PIECES));
    return t_reshape(t_max_axis(pieces, -1), SHAPE(-1, MAXOUT_UNITS));
}

static Tensor *goodfellow_discriminator(const Discriminator *d, Tensor *x) {
    Tensor *h = maxout(&d->fc[0], t_dropout(flat(x), 1 - 0.8));
    h = maxout(&d->fc[1], t_dropout(h, 0.5));
    return linear(&d->fc[2], t_dropout(h, 0.5));
}

/* ---- dcgan28: Newmu/dcgan_code, mnist ----------------------------------------------------------
 * The class enters every layer. Batch normalisation has no gain and shift, layers no biases. */

enum { UNITS = 1024, SMALL = 7 };

static BatchNorm plain_norm_new(Scope s, int channels) {
    return batch_norm_plain_new(s, channels, 0.1, 1e-5);
}

static ConvTranspose2d doubling5x5(Scope s, int in, int out) {
    ConvTranspose2d l = conv_transpose2d_new(s, in, out, 5, 2, 2, false);
    /* 7 -> 14 -> 28: a row and a column fewer are cut off at the end than at the start */
    l.pad.bottom = l.pad.right = 1;
    return l;
}

static void dcgan28_generator_new(Generator *g, Scope s) {
    int K = g->design.classes, C = g->design.width, map = SMALL * SMALL * 2 * C;
    g->fc[0] = linear_new(sub(s, "fc.0"), g->design.code + K, UNITS, false);
    g->fc[1] = linear_new(sub(s, "fc.1"), UNITS + K, map, false);
    g->up[0] = doubling5x5(sub(s, "up.0"), 2 * C + K, C);
    g->up[1] = doubling5x5(sub(s, "up.1"), C + K, 1);
    g->norm[0] = plain_norm_new(sub(s, "norm.0"), UNITS);
    g->norm[1] = plain_norm_new(sub(s, "norm.1"), map);
    g->norm[2] = plain_norm_new(sub(s, "norm.2"), C);
    g->norms = 3;
}

static Tensor *dcgan28_generator(const Generator *g, Tensor *z, Tensor *y, bool training) {
    Tensor *h = linear(&g->fc[0], with_label(z, y));
    h = norm_relu(&g->norm[0], h, training);
    h = linear(&g->fc[1], with_label(h, y));
    h = norm_relu(&g->norm[1], h, training);
    h = t_reshape(h, SHAPE(-1, SMALL, SMALL, 2 * g->design.width));
    h = conv_transpose2d(&g->up[0], with_label(h, y));                 /* (B,14,14,64) */
    h = norm_relu(&g->norm[2], h, training);
    return t_sigmoid(conv_transpose2d(&g->up[1], with_label(h, y)));   /* (B,28,28,1) */
}

static void dcgan28_discriminator_new(Discriminator *d, Scope s) {
    int K = d->design.classes, C = d->design.width;
    d->down[0] = conv2d_new(sub(s, "down.0"), 1 + K, C, 5, 2, 2, false);
    d->down[1] = conv2d_new(sub(s, "down.1"), C + K, 2 * C, 5, 2, 2, false);
    d->fc[0] = linear_new(sub(s, "fc.0"), SMALL * SMALL * 2 * C + K, UNITS, false);
    d->fc[1] = linear_new(sub(s, "fc.1"), UNITS + K, 1, false);
    d->norm[1] = plain_norm_new(sub(s, "norm.1"), 2 * C);
    d->norm[2] = plain_norm_new(sub(s, "norm.2"), UNITS);
}

static Tensor *dcgan28_discriminator(const Discriminator *d, Tensor *x, Tensor *y, bool training) {
    Tensor *h = leaky(conv2d(&d->down[0], with_label(x, y)));          /* (B,14,14,64) */
    h = conv2d(&d->down[1], with_label(h, y));                         /* (B,7,7,128) */
    h = flat(leaky(batch_norm(&d->norm[1], h, training)));
    h = linear(&d->fc[0], with_label(h, y));
    h = leaky(batch_norm(&d->norm[2], h, training));
    return linear(&d->fc[1], with_label(h, y));
}

/* ---- dcgan64: pytorch/examples, for images of any side 4 2^n ------------------------------- */

static int halvings(int side) {
    int n = 0;
    while (side > 4 && side % 2 == 0) side /= 2, n++;
    if (side != 4 || n < 1 || n >= LAYERS)
        die("dcgan64: images have 8, 16, 32, 64, ... pixels a side");
    return n;
}

/* z -> 4x4x512 -> 8x8x256 -> 16x16x128 -> 32x32x64 -> 64x64x3 */
static void dcgan64_generator_new(Generator *g, Scope s) {
    g->norms = halvings(g->design.side);
    g->layers = g->norms + 1;
    int in = g->design.code, out = g->design.width << (g->norms - 1);
    for (int i = 0; i < g->layers; i++) {
        bool first = i == 0, last = i == g->layers - 1;
        if (last) out = g->design.channels;
        g->up[i] = conv_transpose2d_new(sub(s, "up.%d", i), in, out, 4, first ? 1 : 2,
                                        first ? 0 : 1, false);
        if (!last) g->norm[i] = norm_new(sub(s, "norm.%d", i), out);
        in = out, out /= 2;
    }
}

static Tensor *dcgan64_generator(const Generator *g, Tensor *z, bool training) {
    Tensor *h = t_reshape(z, SHAPE(z->shape[0], 1, 1, -1));
    for (int i = 0; i < g->norms; i++)
        h = norm_relu(&g->norm[i], conv_transpose2d(&g->up[i], h), training);
    return t_tanh(conv_transpose2d(&g->up[g->norms], h));
}

static void dcgan64_discriminator_new(Discriminator *d, Scope s) {
    int n = halvings(d->design.side), in = d->design.channels, out = d->design.width;
    d->layers = n + 1;
    for (int i = 0; i < n; i++) {
        d->down[i] = conv2d_new(sub(s, "down.%d", i), in, out, 4, 2, 1, false);
        if (i > 0) d->norm[i] = norm_new(sub(s, "norm.%d", i), out);
        in = out, out *= 2;
    }
    d->down[n] = conv2d_new(sub(s, "down.%d", n), in, 1, 4, 1, 0, false);
}

static Tensor *dcgan64_discriminator(const Discriminator *d, Tensor *x, bool training) {
    Tensor *h = leaky(conv2d(&d->down[0], x));
    for (int i = 1; i < d->layers - 1; i++)
        h = leaky(batch_norm(&d->norm[i], conv2d(&d->down[i], h), training));
    return flat(conv2d(&d->down[d->layers - 1], h));
}

/* ---- default -----------------------------------------------------------------------------------
 * 4x4 kernels at stride 2 cover every pixel equally often: no checkerboards. G gets the class
 * beside the noise, D by a projection (Miyato & Koyama 2018): logit = w.h + v_y.h. */

/* z -> 7x7x128 -> 14x14x64 -> 28x28x32 -> 28x28x1 */
static void default_generator_new(Generator *g, Scope s) {
    int C = g->design.width;
    g->fc[0] = linear_new(sub(s, "fc"), g->design.code + g->design.classes, SMALL * SMALL * 4 * C,
                          false);
    g->up[0] = conv_transpose2d_new(sub(s, "up.0"), 4 * C, 2 * C, 4, 2, 1, false);
    g->up[1] = conv_transpose2d_new(sub(s, "up.1"), 2 * C, C, 4, 2, 1, false);
    g->out = conv2d_new(sub(s, "out"), C, 1, 3, 1, 1, true);
    for (int i = 0; i < 3; i++) g->norm[i] = norm_new(sub(s, "norm.%d", i), (4 * C) >> i);
    g->norms = 3;
}

static Tensor *default_generator(const Generator *g, Tensor *z, Tensor *y, bool training) {
    Tensor *h = linear(&g->fc[0], with_label(z, y));
    h = t_reshape(h, SHAPE(-1, SMALL, SMALL, 4 * g->design.width));
    h = norm_relu(&g->norm[0], h, training);
    for (int i = 0; i < 2; i++)
        h = norm_relu(&g->norm[i + 1], conv_transpose2d(&g->up[i], h), training);
    return t_tanh(conv2d(&g->out, h));
}

/* 28x28x1 -> 14x14x64 -> 7x7x128 -> 7x7x256 -> a logit */
static void default_discriminator_new(Discriminator *d, Scope s) {
    int C = 2 * d->design.width, features = SMALL * SMALL * 4 * C;
    d->layers = 3;
    d->down[0] = conv2d_new(sub(s, "down.0"), 1, C, 4, 2, 1, true);
    d->down[1] = conv2d_new(sub(s, "down.1"), C, 2 * C, 4, 2, 1, true);
    d->down[2] = conv2d_new(sub(s, "down.2"), 2 * C, 4 * C, 3, 1, 1, true);
    d->fc[0] = linear_new(sub(s, "fc"), features, 1, true);
    if (d->design.classes)
        d->embed = linear_new(sub(s, "embed"), d->design.classes, features, false);
    if (!d->design.spectral) return;
    for (int i = 0; i < d->layers; i++)
        d->spectral[i] = spectral_norm_new(sub(s, "down.%d", i), d->down[i].w);
    d->spectral[3] = spectral_norm_new(sub(s, "fc"), d->fc[0].w);
    if (d->design.classes) d->spectral[4] = spectral_norm_new(sub(s, "embed"), d->embed.w);
}

/* weight w divided by its sigma; w itself without spectral normalisation */
static Tensor *normalised_weight(const SpectralNorm *n, Tensor *w, Tape *t, bool training) {
    return n->w ? spectral_norm(n, t, training) : w;
}

static Tensor *default_discriminator(const Discriminator *d, Tensor *x, Tensor *y, bool training) {
    Tape *t = x->tape;
    Tensor *h = x;
    for (int i = 0; i < d->layers; i++) {
        Tensor *w = normalised_weight(&d->spectral[i], d->down[i].w, t, training);
        h = leaky(t_conv2d(h, w, d->down[i].b, d->down[i].pad));
    }
    h = flat(h);
    Tensor *w = normalised_weight(&d->spectral[3], d->fc[0].w, t, training);
    Tensor *logit = t_linear(h, w, d->fc[0].b);
    if (!y) return logit;
    Tensor *v = normalised_weight(&d->spectral[4], d->embed.w, t, training);
    Tensor *of_class = t_linear(y, v, NULL);
    return t_add(logit, t_sum_axis(t_mul(of_class, h), -1));
}

/* ---- which of the four ----------------------------------------------------------------------- */

Generator generator_new(Params *p, Design design) {
    Generator g = {.design = design};
    Scope s = top(p, design.architecture, 0.05);
    switch (design.architecture) {
    case DEFAULT: default_generator_new(&g, s); break;
    case GOODFELLOW: goodfellow_generator_new(&g, s); break;
    case DCGAN28: dcgan28_generator_new(&g, s); break;
    case DCGAN64: dcgan64_generator_new(&g, s); break;
    }
    return g;
}

Discriminator discriminator_new(Params *p, Design design) {
    Discriminator d = {.design = design};
    Scope s = top(p, design.architecture, 0.005);
    switch (design.architecture) {
    case DEFAULT: default_discriminator_new(&d, s); break;
    case GOODFELLOW: goodfellow_discriminator_new(&d, s); break;
    case DCGAN28: dcgan28_discriminator_new(&d, s); break;
    case DCGAN64: dcgan64_discriminator_new(&d, s); break;
    }
    return d;
}

Tensor *generator(const Generator *g, Tensor *z, Tensor *y, bool training) {
    switch (g->design.architecture) {
    case GOODFELLOW: return goodfellow_generator(g, z);
    case DCGAN28: return dcgan28_generator(g, z, y, training);
    case DCGAN64: return dcgan64_generator(g, z, training);
    default: return default_generator(g, z, y, training);
    }
}

Tensor *discriminator(const Discriminator *d, Tensor *x, Tensor *y, bool training) {
    switch (d->design.architecture) {
    case GOODFELLOW: return goodfellow_discriminator(d, x);
    case DCGAN28: return dcgan28_discriminator(d, x, y, training);
    case DCGAN64: return dcgan64_discriminator(d, x, training);
    default: return default_discriminator(d, x, y, training);
    }
}
