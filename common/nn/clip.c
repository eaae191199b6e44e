/* clip.c — an image encoder and a text encoder with one space for both (Radford et al. 2021). */
#include "nn/clip.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

/* ---- configurations -------------------------------------------------------------------------- */

/* heads of 64 channels, everywhere */
static ClipConfig official(int patch, int width, int depth, int text_width, int dim) {
    return (ClipConfig){
        .image = {.side = 224, .patch = patch, .width = width, .depth = depth,
                  .heads = width / 64},
        .text = {.context = 77, .vocabulary = 49408, .width = text_width, .depth = 12,
                 .heads = text_width / 64},
        .dim = dim,
        .mean = {0.48145466, 0.4578275, 0.40821073}, .std = {0.26862954, 0.26130258, 0.27577711}};
}

ClipConfig clip_official(const char *name) {
    if (!strcmp(name, "vit-b32")) return official(32, 768, 12, 512, 512);
    if (!strcmp(name, "vit-b16")) return official(16, 768, 12, 512, 512);
    if (!strcmp(name, "vit-l14")) return official(14, 1024, 24, 768, 768);
    die("clip_official: there is no %s", name);
}

ClipConfig clip_small(int side, int vocabulary) {
    return (ClipConfig){
        .image = {.side = side, .patch = side / 8, .width = 128, .depth = 4, .heads = 4},
        .text = {.context = 32, .vocabulary = vocabulary, .width = 128, .depth = 4, .heads = 4},
        .dim = 128, .mean = {0.5, 0.5, 0.5}, .std = {0.5, 0.5, 0.5}};
}

/* ---- networks -------------------------------------------------------------------------------- */

static const double eps = 1e-5;          /* of all layer norms */

/* N(0, std^2) */
static Tensor *normal(Scope s, const char *name, double std, int rank, const int *shape) {
    return param(s, name, INIT_NORMAL, std, rank, shape);
}

/* Starting values as in the official code: there the vision transformer is left to PyTorch. */
static TransformerConfig image_config(const ClipImageConfig *c) {
    return (TransformerConfig){.width = c->width, .depth = c->depth, .heads = c->heads,
                               .activation = QUICK_GELU, .eps = eps, .pytorch_attention = true};
}

static TransformerConfig text_config(const ClipTextConfig *c) {
    double w = c->width, residual = 1 / sqrt(w) / sqrt(2 * c->depth);
    return (TransformerConfig){.width = c->width, .depth = c->depth, .heads = c->heads,
                               .activation = QUICK_GELU, .eps = eps,
                               .std = {.qkv = 1 / sqrt(w), .out = residual,
                                       .fc1 = 1 / sqrt(2 * w), .fc2 = residual}};
}

ClipImage clip_image_new(Scope s, ClipImageConfig c, int dim) {
    if (c.patch < 1 || c.side % c.patch)
        die("clip: images of %d pixels in patches of %d", c.side, c.patch);
    int grid = c.side / c.patch, W = c.width;
    ClipImage e = {.config = c};
    TransformerConfig blocks = image_config(&c);
    e.patch = conv2d_new(sub(s, "patch"), 3, W, c.patch, c.patch, 0, false);
    e.class_token = c.timesteps ? normal(s, "class_token", 1 / sqrt(W), SHAPE(c.timesteps, W))
                                : normal(s, "class_token", 1 / sqrt(W), SHAPE(W));
    e.positions = normal(s, "positions", 1 / sqrt(W), SHAPE(1 + grid * grid, W));
    e.norm_pre = layer_norm_new(sub(s, "norm_pre"), W, eps);
    e.block = transformer_new(sub(s, "block"), &blocks);
    e.norm_post = layer_norm_new(sub(s, "norm_post"), W, eps);
    e.proj = normal(s, "proj", 1 / sqrt(W), SHAPE(W, dim));
    return e;
}

ClipText clip_text_new(Scope s, ClipTextConfig c, int dim) {
    int W = c.width;
    ClipText e = {.config = c};
    TransformerConfig blocks = text_config(&c);
    LayerInit tokens = {WEIGHTS_NORMAL, .scale = 0.02};
    e.tokens = embedding_new(with_init(sub(s, "tokens"), tokens), c.vocabulary, W);
    e.positions = normal(s, "positions", 0.01, SHAPE(c.context, W));
    e.block = transformer_new(sub(s, "block"), &blocks);
    e.norm = layer_norm_new(sub(s, "norm"), W, eps);
    if (dim) e.proj = normal(s, "proj", 1 / sqrt(W), SHAPE(W, dim));
    return e;
}

Clip clip_new(Params *p, ClipConfig c) {
    Clip net = {.config = c};
    net.image = clip_image_new(scope(p, "image"), c.image, c.dim);
    net.text = clip_text_new(scope(p, "text"), c.text, c.dim);
    net.logit_scale = param((Scope){.params = p}, "logit_scale", INIT_CONSTANT, log(1 / 0.07),
                            SHAPE(1));
    return net;
}

/* ---- images ---------------------------------------------------------------------------------- */

/* of B images, the same for all or by their timesteps: (B,1,W) */
static Tensor *class_tokens(const ClipImage *e, Tape *tape, const int *t, int B) {
    int W = e->config.width;
    if (t) return t_reshape(t_gather_rows(t_use(tape, e->class_token), t, B), SHAPE(B, 1, W));
    return token_of_each(tape, e->class_token, B);
}

Tensor *clip_image(const ClipImage *e, Tensor *images, const int *t) {
    int B = images->shape[0], side = e->config.side, W = e->config.width;
    if (images->rank != 4 || images->shape[1] != side || images->shape[2] != side)
        die("clip_image: %s is not (B,%d,%d,3)", t_describe(images), side, side);
    if (!t != !e->config.timesteps)
        die("clip_image: %s timesteps", t ? "an encoder without" : "a noisy image has");
    Tensor *x = t_reshape(conv2d(&e->patch, images), SHAPE(B, -1, W));
    x = t_concat(class_tokens(e, images->tape, t, B), x, 1);
    x = layer_norm(&e->norm_pre, t_add(x, e->positions));
    x = transformer(&e->block, x, (Attention){0});
    x = t_reshape(t_slice(x, 1, 0, 1), SHAPE(B, W));               /* the class token */
    return t_linear(layer_norm(&e->norm_post, x), e->proj, NULL);
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* (B,N) -> (B,N,W), before the last norm */
static Tensor *text_blocks(const ClipText *e, Tape *t, const int *tokens, int B, int N) {
    if (N > e->config.context)
        die("clip_text: texts of %d tokens; at most %d", N, e->config.context);
    Tensor *x = t_reshape(embedding(&e->tokens, t, tokens, B * N), SHAPE(B, N, e->config.width));
    x = t_add(x, t_slice(t_use(t, e->positions), 0, 0, N));
    return transformer(&e->block, x, (Attention){.causal = true});
}

Tensor *clip_text_tokens(const ClipText *e, Tape *t, const int *tokens, int B, int N) {
    return layer_norm(&e->norm, text_blocks(e, t, tokens, B, N));
}

/* the place of the first largest token */
static int end_of_text(const int *tokens, int N) {
    int end = 0;
    for (int i = 1; i < N; i++)
        if (tokens[i] > tokens[end]) end = i;
    return end;
}

/* Tokens see only those before them, so what stands behind the last end of text in the batch is cut
 * off: captions are much shorter than the context. -> (B,L,W) before the last norm; row (B): where
 * the texts end, among the B L rows */
static Tensor *read_cut(const ClipText *e, Tape *t, const int *tokens, int B, int N, int *row) {
    int longest = 0;
    if (!e->proj) die("clip_text: this text encoder has no projection; use clip_text_tokens");
    for (int i = 0; i < B; i++) {
        row[i] = end_of_text(tokens + i * N, N);
        if (row[i] + 1 > longest) longest = row[i] + 1;
    }
    int *cut = arena_get(&t->arena, (size_t)B * (size_t)longest * sizeof *cut);
    for (int i = 0; i < B; i++) {
        memcpy(cut + i * longest, tokens + i * N, (size_t)longest * sizeof *cut);
        row[i] += i * longest;
    }
    return text_blocks(e, t, cut, B, longest);
}

static Tensor *rows_of(Tensor *x, const int *row) {
    return t_gather_rows(t_reshape(x, SHAPE(-1, x->shape[2])), row, x->shape[0]);
}

Tensor *clip_text(const ClipText *e, Tape *t, const int *tokens, int B, int N) {
    int *row = arena_get(&t->arena, (size_t)B * sizeof *row);
    Tensor *x = rows_of(read_cut(e, t, tokens, B, N, row), row);
    return t_linear(layer_norm(&e->norm, x), e->proj, NULL);
}

ClipReading clip_text_read(const ClipText *e, Tape *t, const int *tokens, int B, int N) {
    int *row = arena_get(&t->arena, (size_t)B * sizeof *row);
    Tensor *x = layer_norm(&e->norm, read_cut(e, t, tokens, B, N, row));
    return (ClipReading){x, t_linear(rows_of(x, row), e->proj, NULL)};
}

/* ---- how well they fit ----------------------------------------------------------------------- */

Tensor *clip_normalise(Tensor *features) {
    return t_div(features, t_sqrt(t_sum_axis(t_square(features), -1)));
}

Tensor *clip_logits(const Clip *c, Tensor *image, Tensor *text) {
    int B = image->shape[0], M = text->shape[0], D = image->shape[1];
    Tensor *cosines = t_matmul(t_reshape(image, SHAPE(1, B, D)), t_reshape(text, SHAPE(1, M, D)),
                               true);
    return t_mul(t_reshape(cosines, SHAPE(B, M)), t_exp(t_use(image->tape, c->logit_scale)));
}

/* p_ij = E_ij / n_i */
static Tensor *targets(Tape *t, int B, const int *group) {
    Tensor *p = t_input(t, NULL, SHAPE(B, B));
    for (int i = 0; i < B; i++) {
        int n = 0;
        for (int j = 0; j < B; j++) n += group ? group[i] == group[j] : i == j;
        for (int j = 0; j < B; j++)
            p->x[i * B + j] = (group ? group[i] == group[j] : i == j) ? (real)(1.0 / n) : 0;
    }
    return p;
}

Tensor *clip_loss(Tensor *logits, const int *group) {
    int B = logits->shape[0];
    if (logits->rank != 2 || logits->shape[1] < B)
        die("clip_loss: %s is not (B,B) or wider", t_describe(logits));
    Tensor *p = targets(logits->tape, B, group);          /* symmetric */
    Tensor *images = t_slice(t_log_softmax(logits), 1, 0, B);
    Tensor *texts = t_log_softmax(t_permute(t_slice(logits, 1, 0, B), 2, (int[]){1, 0}));
    return t_scale(t_sum(t_mul(p, t_add(images, texts))), -0.5 / B);
}

Tensor *clip_wrong_logits(const Clip *c, Tensor *image, Tensor *wrong, const int *which) {
    int B = image->shape[0];
    Tape *t = image->tape;
    int *row = arena_get(&t->arena, (size_t)B * sizeof *row);
    Tensor *none = t_input(t, NULL, SHAPE(B, 1));
    for (int i = 0; i < B; i++) {
        row[i] = which[i] < 0 ? 0 : which[i];
        none->x[i] = which[i] < 0 ? -1000 : 0;
    }
    Tensor *cosines = t_sum_axis(t_mul(image, t_gather_rows(wrong, row, B)), 1);
    Tensor *logits = t_mul(t_reshape(cosines, SHAPE(B, 1)), t_exp(t_use(t, c->logit_scale)));
    return t_add(logits, none);
}

void clip_clamp(Clip *c) {
    real most = (real)log(100), *s = c->logit_scale->x;
    *s = *s < 0 ? 0 : *s > most ? most : *s;
}
