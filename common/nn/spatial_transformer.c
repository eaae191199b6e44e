#include "nn/spatial_transformer.h"

SpatialTransformer spatial_transformer_new(const BlockStyle *style, Scope s,
                                           SpatialTransformerConfig c) {
    TransformerConfig d = {.width = c.channels, .depth = c.depth, .heads = c.heads,
                           .activation = GEGLU, .eps = 1e-5, .no_qkv_bias = true,
                           .context = c.context};
    SpatialTransformer t;
    t.norm = group_norm_new(sub(s, "norm"), c.channels, style->groups, 1e-6);
    t.proj_in = linear_new(sub(s, "proj_in"), c.channels, c.channels, true);
    t.blocks = transformer_new(sub(s, "block"), &d);
    t.proj_out = linear_new(zero_init(sub(s, "proj_out")), c.channels, c.channels, true);
    return t;
}

Tensor *spatial_transformer(const SpatialTransformer *t, Tensor *x, Context context) {
    int B = x->shape[0], N = x->shape[1] * x->shape[2];
    Attention cross = {.mask = key_mask(x->tape, context, N, 0), .mask_per_item = true};
    Tensor *h = t_reshape(group_norm(&t->norm, x), SHAPE(B, N, x->shape[3]));
    h = linear(&t->proj_in, h);
    for (int i = 0; i < t->blocks.config.depth; i++)
        h = transformer_block_cross(&t->blocks.blocks[i], h, (Attention){0}, context.tokens, cross);
    return t_add(x, t_reshape(linear(&t->proj_out, h), x->rank, x->shape));
}
