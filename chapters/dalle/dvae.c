/* dvae.c — the discrete autoencoder: networks, likelihood, loss. */
#include "dvae.h"

#include "base/error.h"
#include "nn/optim.h"

#include <math.h>
#include <string.h>

/* ---- configurations -------------------------------------------------------------------------- */

DvaeConfig dvae_config(const char *name) {
    if (!strcmp(name, "openai"))
        return (DvaeConfig){.channels = 3, .groups = 4, .blocks = 2, .width = 256, .init = 128,
                            .codes = 8192};
    return (DvaeConfig){.channels = 3, .groups = 3, .blocks = 1, .width = 32, .init = 128,
                        .codes = 512, .least_scale = 0.05, .gain = 1};
}

int dvae_factor(const DvaeConfig *c) {
    return 1 << (c->groups - 1);
}

/* ---- construction ---------------------------------------------------------------------------- */

/* N(0, 1/fan_in), biases 0 */
static Conv2d conv_new(Scope s, int in, int out, int kernel) {
    LayerInit init = {WEIGHTS_NORMAL, .scale = 1 / sqrt(in * kernel * kernel), .zero_bias = true};
    return conv2d_new(with_init(s, init), in, out, kernel, 1, kernel / 2, true);
}

static DvaeBlock block_new(Scope s, int in, int out, const int kernel[4]) {
    int inside = out / 4;
    DvaeBlock b = {0};
    if (in != out) b.id = conv_new(sub(s, "id_path"), in, out, 1);
    for (int i = 0; i < 4; i++)
        b.conv[i] = conv_new(sub(s, "res_path.conv_%d", i + 1), i ? inside : in,
                             i < 3 ? inside : out, kernel[i]);
    return b;
}

/* groups of blocks; the first is `first` channels wide, the others twice as wide as the one before,
 * or half */
static void groups_new(DvaeNet *n, Scope s, int in, int first, const int kernel[4]) {
    const DvaeConfig *c = &n->c;
    bool wider = first == c->width;
    for (int g = 0; g < c->groups; g++) {
        int out = wider ? first << g : first >> g;
        for (int i = 0; i < c->blocks; i++, in = out)
            n->block[g][i] = block_new(sub(s, "blocks.group_%d.block_%d", g + 1, i + 1), in, out,
                                       kernel);
    }
}

static void check(const DvaeConfig *c) {
    if (c->groups < 1 || c->groups > DVAE_GROUPS || c->blocks < 1 || c->blocks > DVAE_BLOCKS ||
        c->width % 4)
        die("dvae: %d groups of %d blocks, %d channels", c->groups, c->blocks, c->width);
}

DvaeNet dvae_encoder_new(Scope s, DvaeConfig c) {
    static const int kernel[4] = {3, 3, 3, 1};
    check(&c);
    DvaeNet e = {.c = c, .input = conv_new(sub(s, "blocks.input"), c.channels, c.width, 7)};
    groups_new(&e, s, c.width, c.width, kernel);
    e.output = conv_new(sub(s, "blocks.output.conv"), c.width * dvae_factor(&c),
                        c.dim ? c.dim : c.codes, 1);
    return e;
}

DvaeNet dvae_decoder_new(Scope s, DvaeConfig c) {
    static const int kernel[4] = {1, 3, 3, 3};
    check(&c);
    DvaeNet d = {.c = c, .input = conv_new(sub(s, "blocks.input"), c.dim ? c.dim : c.codes, c.init,
                                           1)};
    groups_new(&d, s, c.init, c.width * dvae_factor(&c), kernel);
    d.output = conv_new(sub(s, "blocks.output.conv"), c.width, 2 * c.channels, 1);
    return d;
}

Dvae dvae_new(Params *p, DvaeConfig c) {
    Dvae d = {.c = c};
    d.encoder = dvae_encoder_new(scope(p, "encoder"), c);
    if (c.dim) d.book = codebook_new(scope(p, "codebook"), c.codes, c.dim, 0.99);
    d.decoder = dvae_decoder_new(scope(p, "decoder"), c);
    return d;
}

/* ---- the networks ---------------------------------------------------------------------------- */

/* The paper's gain, 1 / (number of blocks)^2, keeps the sum of all residual paths small at first
 * (appendix A.1), for millions of steps. Ours has a few thousand: they begin at full size. */
static Tensor *block(const DvaeBlock *b, double gain, Tensor *x) {
    Mark start = t_mark(x->tape);
    Tensor *h = x;
    for (int i = 0; i < 4; i++) h = conv2d(&b->conv[i], t_relu(h));
    return t_release(start, t_add(b->id.w ? conv2d(&b->id, x) : x, t_scale(h, gain)));
}

static Tensor *groups(const DvaeNet *n, Tensor *x, Tensor *(*resample)(Tensor *)) {
    const DvaeConfig *c = &n->c;
    double blocks = c->groups * c->blocks, gain = c->gain > 0 ? c->gain : 1 / (blocks * blocks);
    for (int g = 0; g < c->groups; g++) {
        if (g) x = resample(x);
        for (int i = 0; i < c->blocks; i++) x = block(&n->block[g][i], gain, x);
    }
    return conv2d(&n->output, t_relu(x));
}

Tensor *dvae_encoder(const DvaeNet *e, Tensor *x) {
    return groups(e, conv2d(&e->input, x), t_max_pool2);
}

Tensor *dvae_decoder(const DvaeNet *d, Tensor *y) {
    return groups(d, conv2d(&d->input, y), t_upsample2);
}

/* ---- the posterior --------------------------------------------------------------------------- */

/* -ln(-ln u); u is kept from 0 and 1, where it would not be finite */
static Tensor *gumbel_noise(Tape *t, int rank, const int *shape, Rng *rng) {
    Tensor *g = t_input(t, NULL, rank, shape);
    rng_uniform(rng, g->len, g->x);
    k_affine(g->len, g->x, (real)(1 - 0x1p-23), (real)0x1p-24, g->x);
    for (int i = 0; i < 2; i++) {
        k_log(g->len, g->x, 0, 0, g->x);
        k_axpy(g->len, -1, g->x, g->x, false);
    }
    return g;
}

Tensor *gumbel_softmax(Tensor *logits, double tau, Rng *rng) {
    Tensor *g = gumbel_noise(logits->tape, logits->rank, logits->shape, rng);
    return t_softmax(t_scale(t_add(logits, g), 1 / tau));
}

Tensor *kl_to_uniform(Tensor *logits) {
    int K = logits->shape[logits->rank - 1], B = logits->shape[0];
    double positions = (double)logits->len / K / B;
    Tensor *log_q = t_log_softmax(logits);
    Tensor *negative_entropy = t_scale(t_sum(t_mul(t_exp(log_q), log_q)), 1.0 / B);
    return t_add_scalar(negative_entropy, positions * log(K));
}

/* ---- the likelihood -------------------------------------------------------------------------- */

static const double epsilon = 0.1;

Tensor *map_pixels(Tensor *x) {
    return t_add_scalar(t_scale(x, 1 - 2 * epsilon), epsilon);
}

void unmap_pixels(size_t n, const real *x, real *pixels) {
    k_affine(n, x, (real)(1 / (1 - 2 * epsilon)), (real)(-epsilon / (1 - 2 * epsilon)), pixels);
    k_clamp(n, pixels, 0, 1, pixels);
}

Tensor *logit_laplace_nats(Tensor *stats, Tensor *x, double least_scale) {
    int C = x->shape[x->rank - 1];
    Tensor *mu = t_slice(stats, -1, 0, C);
    Tensor *b = t_add_scalar(t_exp(t_slice(stats, -1, C, C)), least_scale);
    Tensor *log_x = t_log(x), *log_rest = t_log(t_add_scalar(t_scale(x, -1), 1));
    Tensor *distance = t_abs(t_sub(t_sub(log_x, log_rest), mu));
    Tensor *nats = t_add(t_add(t_log(b), t_div(distance, b)), t_add(log_x, log_rest));
    return t_add_scalar(t_mean(nats), log(2));
}

double cosine_schedule(double from, double to, int64_t step, int64_t steps) {
    return to + (from - to) * lr_cosine(step, 0, steps);
}

/* ---- the loss -------------------------------------------------------------------------------- */

DvaeTerms dvae_loss(const Dvae *d, Tensor *x, double tau, double beta, Rng *rng) {
    DvaeTerms terms = {0};
    double values = (double)x->len / x->shape[0];
    Tensor *mapped = map_pixels(x), *y, *rest;
    Tensor *z = dvae_encoder(&d->encoder, mapped);
    if (d->c.dim) {
        terms.codes = quantise(&d->book, z);
        terms.commitment = terms.codes.commitment_loss;
        y = terms.codes.codes;
        rest = t_scale(terms.commitment, 0.25);
    } else {
        y = gumbel_softmax(z, tau, rng);
        terms.kl = kl_to_uniform(z);
        rest = t_scale(terms.kl, beta / values);
    }
    terms.stats = dvae_decoder(&d->decoder, y);
    terms.nats = logit_laplace_nats(terms.stats, mapped, d->c.least_scale);
    terms.loss = t_add(terms.nats, rest);
    return terms;
}

void dvae_start(Dvae *d, Tensor *x, Rng *rng) {
    if (d->c.dim) codebook_start(&d->book, dvae_encoder(&d->encoder, map_pixels(x)), rng);
}

int dvae_update(Dvae *d, const DvaeTerms *terms, Rng *rng) {
    if (!d->c.dim) return 0;
    codebook_update(&d->book, &terms->codes);
    return codebook_revive(&d->book, &terms->codes, 0.1, rng);
}

/* ---- many pictures, no gradients ------------------------------------------------------------- */

/* as many pixels as 32 pictures of 64x64 */
static int at_once(int side) {
    int n = 32 * 64 * 64 / (side * side);
    return n > 1 ? n : 1;
}

static int largest(int n, const real *x) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

void dvae_encode(const Dvae *d, int n, int side, const real *x, int *codes) {
    Tape t = {.no_grad = true};
    int C = d->c.channels, K = d->c.codes, some = at_once(side);
    for (int i = 0; i < n; i += some) {
        tape_reset(&t);
        int B = n - i < some ? n - i : some;
        const real *from = x + (size_t)i * (size_t)(side * side * C);
        Tensor *z = dvae_encoder(&d->encoder,
                                 map_pixels(t_input(&t, from, SHAPE(B, side, side, C))));
        int positions = z->shape[1] * z->shape[2], *to = codes + i * positions;
        if (d->c.dim) memcpy(to, quantise(&d->book, z).index, (size_t)(B * positions) * sizeof *to);
        else
            for (int p = 0; p < B * positions; p++) to[p] = largest(K, z->x + (size_t)(p * K));
    }
    tape_free(&t);
}

void dvae_pixels(const Tensor *stats, real *pixels) {
    size_t values = stats->len / 2;
    int C = stats->shape[stats->rank - 1] / 2;
    k_copy_rows(values / (size_t)C, (size_t)C, stats->x, (size_t)(2 * C), pixels, (size_t)C, false);
    k_sigmoid(values, pixels, 0, 0, pixels);
    unmap_pixels(values, pixels, pixels);
}

/* The decoder's first layer on one-hot y: rows of its weights (1,1,K,init) */
static Tensor *first_layer(const Dvae *d, Tape *t, int B, int side, const int *codes) {
    const Conv2d *l = &d->decoder.input;
    if (d->c.dim)
        return conv2d(l, codebook_lookup(&d->book, t, codes, SHAPE(B, side, side, d->c.dim)));
    Tensor *table = t_reshape(t_use(t, l->w), SHAPE(d->c.codes, d->c.init));
    Tensor *rows = t_gather_rows(table, codes, B * side * side);
    return t_reshape(t_add(rows, l->b), SHAPE(B, side, side, d->c.init));
}

static Tensor *decoded(const Dvae *d, Tape *t, int B, int side, const int *codes) {
    return groups(&d->decoder, first_layer(d, t, B, side, codes), t_upsample2);
}

void dvae_decode(const Dvae *d, int n, int side, const int *codes, real *x) {
    Tape t = {.no_grad = true};
    int small = side / dvae_factor(&d->c), some = at_once(side);
    for (int i = 0; i < n; i += some) {
        tape_reset(&t);
        int B = n - i < some ? n - i : some;
        dvae_pixels(decoded(d, &t, B, small, codes + i * small * small),
                    x + (size_t)i * (size_t)(side * side * d->c.channels));
    }
    tape_free(&t);
}

DvaeTerms dvae_hard_loss(const Dvae *d, Tensor *x) {
    int B = x->shape[0], side = x->shape[1], small = side / dvae_factor(&d->c);
    int *codes = arena_get(&x->tape->arena, (size_t)(B * small * small) * sizeof *codes);
    dvae_encode(d, B, side, x->x, codes);
    DvaeTerms terms = {.stats = decoded(d, x->tape, B, small, codes)};
    terms.loss = terms.nats = logit_laplace_nats(terms.stats, map_pixels(x), d->c.least_scale);
    return terms;
}

double lost_variance(size_t n, const real *x, const real *y) {
    double mean = k_sum(n, x) / (double)n;
    double variance = k_sum_squares(n, x) / (double)n - mean * mean;
    return k_sum_squared_difference(n, x, y) / (double)n / variance;
}

/* ---- official names -------------------------------------------------------------------------- */

/* The same, but the last part stays w or b, which else would become weight and bias. */
#define SAME(name) {name ".w", name ".w", 0, 0}, {name ".b", name ".b", 0, 0}
#define NET(prefix)                                                                                \
    SAME(prefix "blocks.input"), SAME(prefix "blocks.output.conv"),                                \
    SAME(prefix "blocks.group_%d.block_%d.id_path"),                                               \
    SAME(prefix "blocks.group_%d.block_%d.res_path.conv_%d")

static const OfficialName names[] = {NET("encoder."), NET("decoder."), NET(""), {0}};

const OfficialMap dvae_official = {.rows = names};
