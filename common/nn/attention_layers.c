/* attention_layers.c — multi-head attention with its projections (Vaswani et al. 2017, section
 * 3.2.2). */
#include "nn/layers.h"

SelfAttention self_attention_new(Scope s, int channels, int heads, bool qkv_bias) {
    SelfAttention l = {.heads = heads};
    l.qkv = linear_new(sub(s, "qkv"), channels, 3 * channels, qkv_bias);
    l.out = linear_new(sub(s, "out"), channels, channels, true);
    return l;
}

Tensor *self_attention(const SelfAttention *l, Tensor *x, Attention a) {
    a.heads = l->heads;
    return linear(&l->out, t_self_attention(linear(&l->qkv, x), a));
}

/* q, k and v apart: k and v of one projection would have to be copied out of each other's rows */
CrossAttention cross_attention_new(Scope s, int channels, int context, int heads, bool qkv_bias) {
    CrossAttention l = {.heads = heads};
    l.q = linear_new(sub(s, "q"), channels, channels, qkv_bias);
    l.k = linear_new(sub(s, "k"), context, channels, qkv_bias);
    l.v = linear_new(sub(s, "v"), context, channels, qkv_bias);
    l.out = linear_new(sub(s, "out"), channels, channels, true);
    return l;
}

Tensor *cross_attention(const CrossAttention *l, Tensor *x, Tensor *context, Attention a) {
    a.heads = l->heads;
    Tensor *q = linear(&l->q, x);
    Tensor *k = linear(&l->k, context);
    Tensor *v = linear(&l->v, context);
    return linear(&l->out, t_attention(q, k, v, a));
}
