#include "nn/unet_blocks.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

/* ---- layers ---------------------------------------------------------------------------------- */

Scope styled_scope(const BlockStyle *style, Scope s) {
    return style->glorot ? with_init(s, (LayerInit){WEIGHTS_XAVIER, .zero_bias = true}) : s;
}

/* what ends a residual branch */
static Scope branch_end(const BlockStyle *style, Scope s) {
    return style->plain_start ? s : zero_init(s);
}

static Conv2d conv_new(Scope s, int in, int out, int kernel) {
    return conv2d_new(s, in, out, kernel, 1, kernel / 2, true);
}

static GroupNorm norm_new(const BlockStyle *style, Scope s, int channels) {
    return group_norm_new(s, channels, style->groups, style->eps);
}

/* ---- residual block -------------------------------------------------------------------------- */

ResBlock resblock_new(const BlockStyle *style, Scope s, int in, int out, BlockSize size) {
    s = styled_scope(style, s);
    ResBlock r = {.size = size, .scale_shift = style->scale_shift, .dropout = style->dropout};
    r.norm1 = norm_new(style, sub(s, "norm1"), in);
    r.conv1 = conv_new(sub(s, "conv1"), in, out, 3);
    if (style->emb)
        r.emb_proj = linear_new(sub(s, "emb_proj"), style->emb, style->scale_shift ? 2 * out : out,
                                true);
    r.norm2 = norm_new(style, sub(s, "norm2"), out);
    r.conv2 = conv_new(branch_end(style, sub(s, "conv2")), out, out, 3);
    if (in != out) r.skip = conv_new(sub(s, "skip"), in, out, 1);
    return r;
}

static Tensor *resample(BlockSize size, Tensor *x) {
    if (size == SAME_SIZE) return x;
    return size == HALF_SIZE ? t_avg_pool2(x) : t_upsample2(x);
}

/* silu(norm2(h) (1 + scale) + shift): h (B,H,W,C), scale and shift the halves of emb (B,2C) */
static Tensor *ada_group_norm_silu(const GroupNorm *norm, Tensor *h, Tensor *emb) {
    int C = h->shape[3];
    Tensor *scale = t_add_scalar(t_slice(emb, 1, 0, C), 1);
    Tensor *shift = t_slice(emb, 1, C, C);
    return t_silu(t_add_channel(t_mul_channel(group_norm(norm, h), scale), shift));
}

/* the second normalisation with its activation, and what the embedding does there */
static Tensor *norm_with_emb(const ResBlock *r, Tensor *h, Tensor *emb) {
    if (!r->emb_proj.w) return group_norm_silu(&r->norm2, h);
    emb = linear(&r->emb_proj, emb);
    if (r->scale_shift) return ada_group_norm_silu(&r->norm2, h, emb);
    return group_norm_silu(&r->norm2, t_add_channel(h, emb));
}

Tensor *resblock(const ResBlock *r, Tensor *x, Tensor *emb) {
    Tensor *h = conv2d(&r->conv1, resample(r->size, group_norm_silu(&r->norm1, x)));
    h = norm_with_emb(r, h, emb);
    h = conv2d(&r->conv2, t_dropout(h, r->dropout));
    x = resample(r->size, x);
    return t_add(h, r->skip.w ? conv2d(&r->skip, x) : x);
}

/* ---- attention ------------------------------------------------------------------------------- */

AttentionBlock attention_block_new(const BlockStyle *style, Scope s, int channels, int heads,
                                   int context) {
    AttentionBlock a = {.norm = norm_new(style, sub(s, "norm"), channels),
                        .attention.heads = heads};
    Scope qkv = sub(s, "qkv");        /* with Glorot's bound of one of the three side by side */
    if (style->glorot) {
        double bound = sqrt(6.0 / (channels + channels));
        qkv = with_init(qkv, (LayerInit){WEIGHTS_UNIFORM, .scale = bound, .zero_bias = true});
    }
    a.attention.qkv = linear_new(qkv, channels, 3 * channels, true);
    a.attention.out = linear_new(branch_end(style, sub(s, "out")), channels, channels, true);
    if (context)
        a.context_kv = linear_new(styled_scope(style, sub(s, "context_kv")), context, 2 * channels,
                                  true);
    return a;
}

const uint8_t *key_mask(Tape *t, Context context, int queries, int own) {
    if (!context.mask) return NULL;
    size_t B = (size_t)context.tokens->shape[0], M = (size_t)context.tokens->shape[1];
    size_t N = (size_t)queries, row = M + (size_t)own;
    uint8_t *keys = arena_get(&t->arena, B * N * row);
    memset(keys, 1, B * N * row);
    for (size_t r = 0; r < B * N; r++) memcpy(keys + r * row, context.mask + r / N * M, M);
    return keys;
}

/* h (B,N,C) attends to the tokens (B,M,D) and to itself */
static Tensor *attend_with_context(const AttentionBlock *a, Tensor *h, Context context) {
    int N = h->shape[1], C = h->shape[2];
    Attention how = {.heads = a->attention.heads, .mask = key_mask(h->tape, context, N, N),
                     .mask_per_item = true};
    Tensor *qkv = linear(&a->attention.qkv, h), *kv = linear(&a->context_kv, context.tokens);
    Tensor *q = t_slice(qkv, 2, 0, C);
    Tensor *k = t_concat(t_slice(kv, 2, 0, C), t_slice(qkv, 2, C, C), 1);
    Tensor *v = t_concat(t_slice(kv, 2, C, C), t_slice(qkv, 2, 2 * C, C), 1);
    return linear(&a->attention.out, t_attention(q, k, v, how));
}

Tensor *attention_block(const AttentionBlock *a, Tensor *x, Context context) {
    Tensor *h = t_reshape(group_norm(&a->norm, x), SHAPE(x->shape[0], -1, x->shape[3]));
    if (a->context_kv.w) h = attend_with_context(a, h, context);
    else h = self_attention(&a->attention, h, (Attention){0});
    return t_add(x, t_reshape(h, x->rank, x->shape));
}

/* ---- resampling ------------------------------------------------------------------------------ */

Conv2d downsample_new(const BlockStyle *style, Scope s, int channels) {
    Conv2d l = conv_new(styled_scope(style, s), channels, channels, 3);
    l.pad = (ConvPad){.stride = 2, .top = 1, .left = 1, .bottom = 1, .right = 1};
    if (style->pad_far_sides) l.pad.top = l.pad.left = 0;
    return l;
}

Conv2d upsample_new(const BlockStyle *style, Scope s, int channels) {
    return conv_new(styled_scope(style, s), channels, channels, 3);
}

Tensor *downsample(const Conv2d *l, Tensor *x) {
    return l->w ? conv2d(l, x) : t_avg_pool2(x);
}

Tensor *upsample(const Conv2d *l, Tensor *x) {
    x = t_upsample2(x);
    return l->w ? conv2d(l, x) : x;
}
