/* nets_transformer.c — a GPT of four blocks: minGPT's layers (tanh GELU, untied head without bias),
 * 96 tokens. */
#include "nets.h"

enum { LAYERS = 4, CHANNELS = 256, HEADS = 8, LENGTH = 96, VOCABULARY = 512 };

typedef struct {
    Embedding tokens, positions;
    Transformer block;
    LayerNorm norm;
    Linear head;
    const int *text, *next;
} Gpt;

static void build(Training *t) {
    Gpt *g = net_alloc(t, sizeof *g);
    Params *p = &t->params[0];
    t->adam[0] = (Adam){.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1,
                        .decay_matrices_only = true};
    g->tokens = embedding_new(scope(p, "tokens"), VOCABULARY, CHANNELS);
    g->positions = embedding_new(scope(p, "positions"), LENGTH, CHANNELS);
    TransformerConfig d = {.width = CHANNELS, .depth = LAYERS, .heads = HEADS, .eps = 1e-5,
                           .activation = GELU_TANH};
    g->block = transformer_new(scope(p, "block"), &d);
    g->norm = layer_norm_new(scope(p, "norm"), CHANNELS, 1e-5);
    g->head = linear_new(scope(p, "head"), CHANNELS, VOCABULARY, false);
    g->text = input_index(t, "text", VOCABULARY, t->batch * LENGTH);
    g->next = input_index(t, "next", VOCABULARY, t->batch * LENGTH);
}

static double step(Training *t) {
    const Gpt *g = t->net;
    Tensor *x = embedding(&g->tokens, &t->tape, g->text, t->batch * LENGTH);
    x = t_reshape(x, SHAPE(t->batch, LENGTH, CHANNELS));
    x = t_add(x, t_use(&t->tape, g->positions.table));
    x = transformer(&g->block, x, (Attention){.causal = true});
    Tensor *logits = linear(&g->head, layer_norm(&g->norm, x));
    return descend(t, 0, t_cross_entropy(logits, g->next), 3e-4);
}

const NetKind net_gpt = {"gpt", "GPT 4x256, 96 tokens", 32, false, build, step};
