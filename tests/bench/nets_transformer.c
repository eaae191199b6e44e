/* nets_transformer.c — the pre-norm transformer block, and a GPT made of four of them. */
#include "nets.h"

/* ---- block ----------------------------------------------------------------------------------- */

Block block_new(Scope s, int channels, int heads, double eps) {
    Block b = {0};
    b.norm1 = layer_norm_new(sub(s, "norm1"), channels, eps);
    b.attn = self_attention_new(sub(s, "attn"), channels, heads, true);
    b.norm2 = layer_norm_new(sub(s, "norm2"), channels, eps);
    b.fc1 = linear_new(sub(s, "fc1"), channels, 4 * channels, true);
    b.fc2 = linear_new(sub(s, "fc2"), 4 * channels, channels, true);
    return b;
}

Tensor *block(const Block *b, Tensor *x) {
    Attention a = {.causal = b->causal};
    Tensor *h = self_attention(&b->attn, t_brief(layer_norm(&b->norm1, x)), a);
    x = t_add(x, t_give(h));
    h = linear(&b->fc1, t_brief(layer_norm(&b->norm2, x)));
    h = b->gelu_tanh ? t_gelu_tanh(h) : t_gelu(h);
    return t_add(x, t_give(linear(&b->fc2, t_brief(h))));
}

/* ---- GPT: minGPT's layers (tanh GELU, untied head without bias), 96 tokens ------------------- */

enum { LAYERS = 4, CHANNELS = 256, HEADS = 8, LENGTH = 96, VOCABULARY = 512 };

typedef struct {
    Embedding tokens, positions;
    Block block[LAYERS];
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
    for (int i = 0; i < LAYERS; i++) {
        g->block[i] = block_new(scope(p, "block.%d", i), CHANNELS, HEADS, 1e-5);
        g->block[i].causal = g->block[i].gelu_tanh = true;
    }
    g->norm = layer_norm_new(scope(p, "norm"), CHANNELS, 1e-5);
    g->head = linear_new(scope(p, "head"), CHANNELS, VOCABULARY, false);
    g->text = input_index(t, "text", VOCABULARY, t->batch * LENGTH);
    g->next = input_index(t, "next", VOCABULARY, t->batch * LENGTH);
}

static double step(Training *t) {
    const Gpt *g = t->net;
    Tensor *x = embedding(&g->tokens, &t->tape, g->text, t->batch * LENGTH);
    x = t_reshape(x, SHAPE(t->batch, LENGTH, CHANNELS));
    x = t_add(t_give(x), t_use(&t->tape, g->positions.table));
    for (int i = 0; i < LAYERS; i++) x = block(&g->block[i], x);
    Tensor *logits = linear(&g->head, t_brief(layer_norm(&g->norm, x)));
    return descend(t, 0, t_cross_entropy(logits, g->next), 3e-4);
}

const NetKind net_gpt = {"gpt", "GPT 4x256, 96 tokens", 32, false, build, step};
