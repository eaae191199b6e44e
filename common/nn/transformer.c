/* transformer.c — the pre-norm transformer block, and stacks of it. */
#include "nn/transformer.h"

#include "base/error.h"

/* ---- block ----------------------------------------------------------------------------------- */

static int hidden_of(const TransformerConfig *c) {
    return c->hidden ? c->hidden : 4 * c->width;
}

static Scope normal(Scope s, double std) {
    if (std == 0) return s;
    return with_init(s, (LayerInit){WEIGHTS_NORMAL, .scale = std, .zero_bias = true});
}

static SelfAttention self_new(Scope s, const TransformerConfig *c) {
    Scope qkv = normal(sub(s, "qkv"), c->std.qkv), out = normal(sub(s, "out"), c->std.out);
    if (c->pytorch_attention) {
        qkv = with_init(qkv, (LayerInit){WEIGHTS_XAVIER, .zero_bias = true});
        out = with_init(out, (LayerInit){WEIGHTS_PYTORCH, .zero_bias = true});
    }
    SelfAttention l = {.heads = c->heads};
    l.qkv = linear_new(qkv, c->width, 3 * c->width, !c->no_qkv_bias);
    l.out = linear_new(out, c->width, c->width, true);
    return l;
}

static CrossAttention cross_new(Scope s, const TransformerConfig *c) {
    Scope qkv = normal(s, c->std.qkv);
    bool bias = !c->no_qkv_bias;
    CrossAttention l = {.heads = c->heads};
    l.q = linear_new(sub(qkv, "q"), c->width, c->width, bias);
    l.k = linear_new(sub(qkv, "k"), c->context, c->width, bias);
    l.v = linear_new(sub(qkv, "v"), c->context, c->width, bias);
    l.out = linear_new(normal(sub(s, "out"), c->std.out), c->width, c->width, true);
    return l;
}

TransformerBlock transformer_block_new(Scope s, const TransformerConfig *c) {
    int C = c->width, hidden = hidden_of(c);
    TransformerBlock b = {.activation = c->activation};
    b.norm1 = layer_norm_new(sub(s, "norm1"), C, c->eps);
    b.attn = self_new(sub(s, "attn"), c);
    if (c->context) {
        b.norm_cross = layer_norm_new(sub(s, "norm_cross"), C, c->eps);
        b.cross = cross_new(sub(s, "cross"), c);
    }
    b.norm2 = layer_norm_new(sub(s, "norm2"), C, c->eps);
    b.fc1 = linear_new(normal(sub(s, "mlp.fc1"), c->std.fc1), C,
                       c->activation == GEGLU ? 2 * hidden : hidden, true);
    b.fc2 = linear_new(normal(sub(s, "mlp.fc2"), c->std.fc2), hidden, C, true);
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
    Tensor *h = activate(b->activation, linear(&b->fc1, layer_norm(&b->norm2, x)));
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
    x = t_add(x, cross_attention(&b->cross, h, context, cross));
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

/* block i with a[i * step] */
static Tensor *pass(const Transformer *t, Tensor *x, const Attention *a, int step) {
    Mark start = t_mark(x->tape), block = t_mark(x->tape);
    for (int i = 0; i < t->config.depth; i++)
        x = t_release(block, transformer_block(&t->blocks[i], x, a[i * step]));
    return t_release(start, x);
}

Tensor *transformer(const Transformer *t, Tensor *x, Attention a) {
    return pass(t, x, &a, 0);
}

Tensor *transformer_each(const Transformer *t, Tensor *x, const Attention *a) {
    return pass(t, x, a, 1);
}
