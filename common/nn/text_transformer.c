#include "nn/text_transformer.h"

TextTransformer text_transformer_new(Scope s, TextTransformerConfig c) {
    TransformerConfig d = {.width = c.width, .depth = c.depth, .heads = c.heads,
                           .activation = GELU, .eps = 1e-5};
    TextTransformer x = {.config = c};
    LayerInit tokens = {WEIGHTS_NORMAL, .scale = 0.02};       /* not far from that of positions */
    x.tokens = embedding_new(with_init(sub(s, "tokens"), tokens), c.vocabulary, c.width);
    x.positions = param(s, "positions", INIT_NORMAL, 0.01, SHAPE(c.length, c.width));
    if (!c.no_padding) x.padding = param(s, "padding", INIT_NORMAL, 0.01, SHAPE(c.length, c.width));
    x.block = transformer_new(sub(s, "block"), &d);
    if (!c.no_last_norm) x.norm = layer_norm_new(sub(s, "norm"), c.width, 1e-5);
    return x;
}

/* mask h + (1 - mask) padding: h (B,N,C) */
static Tensor *pad(const TextTransformer *x, Tensor *h, const uint8_t *mask) {
    int B = h->shape[0], N = h->shape[1];
    Tensor *there = t_input(h->tape, NULL, SHAPE(B, N, 1));
    Tensor *absent = t_input(h->tape, NULL, SHAPE(B, N, 1));
    for (int i = 0; i < B * N; i++) {
        there->x[i] = mask[i] ? 1 : 0;
        absent->x[i] = mask[i] ? 0 : 1;
    }
    return t_add(t_mul(h, there), t_mul(absent, x->padding));
}

Tensor *text_transformer(const TextTransformer *x, Tape *t, const int *tokens,
                         const uint8_t *mask, int B) {
    int N = x->config.length, C = x->config.width, parts = x->config.parts ? x->config.parts : 1;
    Tensor *h = embedding(&x->tokens, t, tokens, B * N * parts);
    if (parts > 1) h = t_sum_axis(t_reshape(h, SHAPE(B * N, parts, C)), 1);
    h = t_add(t_reshape(h, SHAPE(B, N, C)), x->positions);
    if (x->padding && mask) h = pad(x, h, mask);
    h = transformer(&x->block, h, (Attention){0});
    return x->norm.gain ? layer_norm(&x->norm, h) : h;
}
