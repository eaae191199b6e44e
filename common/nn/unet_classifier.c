#include "nn/unet_classifier.h"

#include "base/error.h"

#include <math.h>

AttentionPool attention_pool_new(Scope s, int pixels, int channels, int heads, int out) {
    AttentionPool p = {.heads = heads};
    p.positions = param(sub(s, "positions"), "w", INIT_NORMAL, 1 / sqrt(channels),
                        SHAPE(1 + pixels, channels));
    p.qkv = linear_new(sub(s, "qkv"), channels, 3 * channels, true);
    p.out = linear_new(sub(s, "out"), channels, out, true);
    return p;
}

Tensor *attention_pool(const AttentionPool *p, Tensor *x) {
    int B = x->shape[0], C = x->shape[3];
    Tensor *pixels = t_reshape(x, SHAPE(B, -1, C));
    Tensor *h = t_add(t_concat(t_mean_axis(pixels, 1), pixels, 1), p->positions);
    h = t_self_attention(linear(&p->qkv, h), (Attention){.heads = p->heads});
    return linear(&p->out, t_reshape(t_slice(h, 1, 0, 1), SHAPE(B, C)));
}

UNetClassifier unet_classifier_new(Params *p, UNetConfig c, int side) {
    UNetClassifier n = {.encoder = unet_encoder_new(p, c)};
    int channels = c.width * c.multiplier[c.levels - 1], small = side >> (c.levels - 1);
    int heads = c.head_channels ? channels / c.head_channels : c.heads;
    if (side % (1 << (c.levels - 1)))
        die("unet_classifier: %d pixels cannot be halved %d times", side, c.levels - 1);
    n.norm_out = group_norm_new(scope(p, "norm_out"), channels, c.style.groups, c.style.eps);
    n.pool = attention_pool_new(scope(p, "pool"), small * small, channels, heads, c.out);
    return n;
}

Tensor *unet_classifier(const UNetClassifier *c, Tensor *x, Tensor *emb) {
    Tensor *h = unet_encoder(&c->encoder, x, emb, NULL);
    return attention_pool(&c->pool, group_norm_silu(&c->norm_out, h));
}
