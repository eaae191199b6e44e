#include "ar_prior.h"

#include "base/error.h"
#include "embedding.h"
#include "eval/pca.h"

#include <math.h>
#include <string.h>

ArPriorConfig ar_prior_config(int tokens, int dim) {
    return (ArPriorConfig){.tokens = tokens, .dim = dim, .codes = 32, .buckets = 32,
                           .width = 128, .depth = 3, .heads = 4};
}

ArPrior ar_prior_new(Params *p, ArPriorConfig c) {
    TransformerConfig d = {.width = c.width, .depth = c.depth, .heads = c.heads,
                           .activation = GELU, .eps = 1e-5};
    Scope s = scope(p, "%s", "");
    ArPrior m = {.config = c};
    m.text_tokens = linear_new(sub(s, "text_tokens"), c.dim, c.width, true);
    m.text = linear_new(sub(s, "text"), c.dim, c.width, true);
    m.dots = embedding_new(sub(s, "dots"), c.buckets, c.width);
    m.values = embedding_new(sub(s, "values"), c.codes * c.buckets, c.width);
    init_normal(m.dots.table, 0.02, p->seed);
    init_normal(m.values.table, 0.02, p->seed);
    m.positions = param(s, "positions", INIT_NORMAL, 0.02,
                        SHAPE(1, c.tokens + 1 + c.codes, c.width));
    m.block = transformer_new(sub(s, "block"), &d);
    m.norm = layer_norm_new(sub(s, "norm"), c.width, 1e-5);
    m.out = linear_new(sub(s, "out"), c.width, c.buckets, true);
    m.mean = buffer(s, "pca.average", 0, SHAPE(c.dim));
    m.basis = buffer(s, "pca.basis", 0, SHAPE(c.codes, c.dim));
    m.least = buffer(s, "pca.least", -1, SHAPE(c.codes));
    m.most = buffer(s, "pca.most", 1, SHAPE(c.codes));
    m.dot_least = buffer(s, "dot_least", -1, SHAPE(1));
    m.dot_most = buffer(s, "dot_most", 1, SHAPE(1));
    m.dot_share = buffer(s, "dot_share", 0, SHAPE(c.buckets));
    return m;
}

/* ---- embeddings as codes --------------------------------------------------------------------- */

double ar_prior_coordinate(const ArPrior *m, const real *embedding, int k) {
    const real *u = m->basis->x + k * m->config.dim;
    double sum = 0;
    for (int i = 0; i < m->config.dim; i++) sum += (double)u[i] * (embedding[i] - m->mean->x[i]);
    return sum;
}

static int bucket(double x, double least, double most, int buckets) {
    int k = (int)floor((x - least) / (most - least) * buckets);
    return k < 0 ? 0 : k >= buckets ? buckets - 1 : k;
}

int ar_prior_dot(const ArPrior *m, const real *image, const real *text) {
    return bucket(cosine(m->config.dim, image, text), m->dot_least->x[0], m->dot_most->x[0],
                  m->config.buckets);
}

void ar_prior_encode(const ArPrior *m, int n, const real *embedding, int *code) {
    int K = m->config.codes, D = m->config.dim;
    for (int i = 0; i < n * K; i++) {
        int k = i % K;
        code[i] = bucket(ar_prior_coordinate(m, embedding + (size_t)(i / K) * D, k), m->least->x[k],
                         m->most->x[k], m->config.buckets);
    }
}

void ar_prior_decode(const ArPrior *m, int n, const int *code, real *embedding) {
    int K = m->config.codes, D = m->config.dim;
    for (int i = 0; i < n; i++) {
        real *z = embedding + (size_t)i * D;
        memcpy(z, m->mean->x, (size_t)D * sizeof *z);
        for (int k = 0; k < K; k++) {
            double least = m->least->x[k], step = (m->most->x[k] - least) / m->config.buckets;
            double x = least + (code[i * K + k] + 0.5) * step;
            for (int d = 0; d < D; d++) z[d] += (real)(x * m->basis->x[k * D + d]);
        }
    }
}

/* Between the least and the largest value in training, and a little more: neither is a border. */
static void fit_range(int n, const double *x, real *least, real *most) {
    double low = INFINITY, high = -INFINITY;
    for (int i = 0; i < n; i++) low = fmin(low, x[i]), high = fmax(high, x[i]);
    double beyond = 1e-3 * (high - low) + 1e-6;
    *least = (real)(low - beyond), *most = (real)(high + beyond);
}

static void fit_ranges(ArPrior *m, int n, const real *image, const real *text) {
    Arena arena = {0};
    int D = m->config.dim;
    double *x = arena_get(&arena, (size_t)n * sizeof *x);
    for (int k = 0; k < m->config.codes; k++) {
        for (int i = 0; i < n; i++) x[i] = ar_prior_coordinate(m, image + (size_t)i * D, k);
        fit_range(n, x, &m->least->x[k], &m->most->x[k]);
    }
    for (int i = 0; i < n; i++) x[i] = cosine(D, image + (size_t)i * D, text + (size_t)i * D);
    fit_range(n, x, m->dot_least->x, m->dot_most->x);
    arena_free(&arena);
}

double ar_prior_fit(ArPrior *m, int n, const real *image, const real *text) {
    int D = m->config.dim;
    Pca pca = pca_fit(n, D, image, m->config.codes);
    double kept = 0;
    for (int k = 0; k < m->config.codes; k++) kept += pca.variance[k];
    kept /= pca.total_variance;
    memcpy(m->mean->x, pca.mean, m->mean->len * sizeof(real));
    memcpy(m->basis->x, pca.basis, m->basis->len * sizeof(real));
    pca_free(&pca);
    fit_ranges(m, n, image, text);
    k_fill(m->dot_share->len, 0, m->dot_share->x);
    for (int i = 0; i < n; i++)
        m->dot_share->x[ar_prior_dot(m, image + i * D, text + i * D)] += 1 / (real)n;
    return kept;
}

/* ---- the network ----------------------------------------------------------------------------- */

/* (B,n) tokens of one embedding table -> (B,n,width) */
static Tensor *embed(const Embedding *e, Tape *t, const int *token, int B, int n) {
    return t_reshape(embedding(e, t, token, B * n), SHAPE(B, n, e->table->shape[1]));
}

/* the first n codes of each text, as (B,n,width); code (B,codes) */
static Tensor *embed_codes(const ArPrior *m, Tape *t, const int *code, int B, int first, int n) {
    int K = m->config.codes, *row = arena_get(&t->arena, (size_t)(B * n) * sizeof *row);
    for (int i = 0; i < B * n; i++) {
        int k = first + i % n;
        row[i] = k * m->config.buckets + code[i / n * K + k];
    }
    return embed(&m->values, t, row, B, n);
}

/* text and dot product (B,tokens + 2,width), without positions */
static Tensor *prefix(const ArPrior *m, CaptionFeatures text, const int *dot) {
    Tape *t = text.embedding->tape;
    int B = text.embedding->shape[0], width = m->config.width;
    Tensor *h = linear(&m->text_tokens, text.tokens);
    h = t_concat(h, t_reshape(linear(&m->text, text.embedding), SHAPE(B, 1, width)), 1);
    return t_concat(h, embed(&m->dots, t, dot, B, 1), 1);
}

static Attention attention(const ArPrior *m, CaptionFeatures text) {
    return (Attention){.causal = true, .mask_per_item = true,
                       .mask = prior_mask(text.embedding->tape, text, 1 + m->config.codes)};
}

/* h (B,n,width) at places first ... first + n - 1 of the sequence */
static Tensor *with_positions(const ArPrior *m, Tensor *h, int first) {
    Tensor *positions = t_use(h->tape, m->positions);
    return t_add(h, t_slice(positions, 1, first, h->shape[1]));
}

Tensor *ar_prior_logits(const ArPrior *m, CaptionFeatures text, const int *dot, const int *code) {
    Tape *t = text.embedding->tape;
    int B = text.embedding->shape[0], K = m->config.codes, N = m->config.tokens;
    Tensor *h = prefix(m, text, dot);
    if (K > 1) h = t_concat(h, embed_codes(m, t, code, B, 0, K - 1), 1);
    h = transformer(&m->block, with_positions(m, h, 0), attention(m, text));
    h = t_slice(h, 1, N + 1, K);
    return linear(&m->out, layer_norm(&m->norm, h));
}

int ar_prior_draw_dot(const ArPrior *m, Rng *rng) {
    real draw;
    rng_uniform(rng, 1, &draw);
    double u = 0.5 + 0.5 * (double)draw;
    int k = 0;
    for (double sum = m->dot_share->x[0]; sum < u && k < m->config.buckets - 1; )
        sum += m->dot_share->x[++k];
    return k;
}

void ar_prior_sample(const ArPrior *m, CaptionFeatures text, const TokenSampler *s, Rng *rng,
                     int *code) {
    Tape *t = text.embedding->tape, step = {.no_grad = true};
    if (!t->no_grad) die("ar_prior_sample: on a tape that records");
    int B = text.embedding->shape[0], K = m->config.codes, N = m->config.tokens;
    int *dot = arena_get(&t->arena, 2 * (size_t)B * sizeof *dot), *token = dot + B;
    for (int b = 0; b < B; b++) dot[b] = ar_prior_draw_dot(m, rng);
    KeyValueCache cache = cache_new(&t->arena, &m->block, B, N + 1 + K);
    Attention a = attention(m, text);
    Tensor *h = with_positions(m, prefix(m, text, dot), 0);
    for (int k = 0; k < K; k++) {
        h = transformer_next(&m->block, h, a, &cache);
        h = t_slice(h, 1, h->shape[1] - 1, 1);
        Tensor *logits = linear(&m->out, layer_norm(&m->norm, h));
        token_sample(s, t_reshape(logits, SHAPE(B, m->config.buckets)), rng, token);
        for (int b = 0; b < B; b++) code[b * K + k] = token[b];
        tape_reset(&step);
        if (k < K - 1) h = with_positions(m, embed_codes(m, &step, code, B, k, 1), N + 2 + k);
    }
    tape_free(&step);
}
