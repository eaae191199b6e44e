/* transformer.c — the pre-norm transformer block, and stacks of it. */
#include "nn/transformer.h"

#include "base/error.h"

/* ---- block ----------------------------------------------------------------------------------- */

static int hidden_of(const TransformerConfig *c) {
    return c->hidden ? c->hidden : 4 * c->width;
}

TransformerBlock transformer_block_new(Scope s, const TransformerConfig *c) {
    int C = c->width, hidden = hidden_of(c);
    TransformerBlock b = {.activation = c->activation};
    b.norm1 = layer_norm_new(sub(s, "norm1"), C, c->eps);
    b.attn = self_attention_new(sub(s, "attn"), C, c->heads, !c->no_qkv_bias);
    if (c->context) {
        b.norm_cross = layer_norm_new(sub(s, "norm_cross"), C, c->eps);
        b.cross = cross_attention_new(sub(s, "cross"), C, c->context, c->heads, !c->no_qkv_bias);
    }
    b.norm2 = layer_norm_new(sub(s, "norm2"), C, c->eps);
    b.fc1 = linear_new(sub(s, "mlp.fc1"), C, c->activation == GEGLU ? 2 * hidden : hidden, true);
    b.fc2 = linear_new(sub(s, "mlp.fc2"), hidden, C, true);
    return b;
}

static Tensor *activate(Activation f, Tensor *x) {
    switch (f) {
    case GELU: return t_gelu(x);
    case GELU_TANH: return t_gelu_tanh(x);
    case QUICK_GELU: return t_quick_gelu(x);
    case GEGLU: return t_geglu(x);
    }
    die("transformer: there is no activation %d", (int)f);
}

Tensor *transformer_mlp(const TransformerBlock *b, Tensor *x) {
    Tensor *h = linear(&b->fc1, layer_norm(&b->norm2, x));
    h = activate(b->activation, h);
    return t_add(x, linear(&b->fc2, h));
}

Tensor *transformer_block(const TransformerBlock *b, Tensor *x, Attention a) {
    if (b->cross.heads) die("transformer_block: %s needs a context", t_describe(b->cross.q.w));
    x = t_add(x, self_attention(&b->attn, layer_norm(&b->norm1, x), a));
    return transformer_mlp(b, x);
}

Tensor *transformer_block_cross(const TransformerBlock *b, Tensor *x, Attention a, Tensor *context,
                                Attention cross) {
    if (!b->cross.heads)
        die("transformer_block_cross: the block of %s reads no context",
            t_describe(b->attn.qkv.w));
    x = t_add(x, self_attention(&b->attn, layer_norm(&b->norm1, x), a));
    Tensor *h = layer_norm(&b->norm_cross, x);
    h = cross_attention(&b->cross, h, context, cross);
    x = t_add(x, h);
    return transformer_mlp(b, x);
}

/* ---- stack ----------------------------------------------------------------------------------- */

Transformer transformer_new(Scope s, const TransformerConfig *c) {
    Transformer t = {.config = *c};
    if (c->depth < 1) die("transformer: %d blocks", c->depth);
    t.blocks = arena_get(&s.params->arena, (size_t)c->depth * sizeof *t.blocks);
    for (int i = 0; i < c->depth; i++) t.blocks[i] = transformer_block_new(sub(s, "%d", i), c);
    return t;
}

Tensor *transformer(const Transformer *t, Tensor *x, Attention a) {
    Mark start = t_mark(x->tape), block = t_mark(x->tape);
    for (int i = 0; i < t->config.depth; i++)
        x = t_release(block, transformer_block(&t->blocks[i], x, a));
    return t_release(start, x);
}

/* ---- starting values ------------------------------------------------------------------------- */

static void xavier(const Linear *l, uint64_t seed) {
    init_xavier_uniform(l->w, l->w->shape[0], l->w->shape[1], seed);
    if (l->b) init_constant(l->b, 0);
}

static void normal(const Linear *l, double std, uint64_t seed) {
    init_normal(l->w, std, seed);
    if (l->b) init_constant(l->b, 0);
}

void transformer_init_xavier(const Transformer *t, uint64_t seed) {
    for (int i = 0; i < t->config.depth; i++) {
        const TransformerBlock *b = &t->blocks[i];
        xavier(&b->attn.qkv, seed), xavier(&b->attn.out, seed);
        xavier(&b->fc1, seed), xavier(&b->fc2, seed);
        if (!b->cross.heads) continue;
        xavier(&b->cross.q, seed), xavier(&b->cross.k, seed), xavier(&b->cross.v, seed);
        xavier(&b->cross.out, seed);
    }
}

void transformer_init_normal(const Transformer *t, TransformerStd std, uint64_t seed) {
    for (int i = 0; i < t->config.depth; i++) {
        const TransformerBlock *b = &t->blocks[i];
        normal(&b->attn.qkv, std.qkv, seed), normal(&b->attn.out, std.out, seed);
        normal(&b->fc1, std.fc1, seed), normal(&b->fc2, std.fc2, seed);
        if (!b->cross.heads) continue;
        normal(&b->cross.q, std.qkv, seed), normal(&b->cross.k, std.qkv, seed);
        normal(&b->cross.v, std.qkv, seed), normal(&b->cross.out, std.out, seed);
    }
}
