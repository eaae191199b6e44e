/* transformer.h — the pre-norm transformer block, stacks of it, and sampling with a cache.
 *
 *     x = x + attn(norm1(x))                     self-attention
 *     x = x + cross(norm_cross(x), context)      if the block has it
 *     x = x + mlp.fc2(f(mlp.fc1(norm2(x))))
 *
 * Vaswani et al. 2017 with the norms before the layers (Radford et al. 2019): the block of GPT-2,
 * ViT, MAE, CLIP, GLIDE's and unCLIP's text transformers and, with cross-attention and GEGLU, of
 * Stable Diffusion's U-Net. Sequences are (B,N,C).
 *
 *     TransformerConfig c = {.width = 256, .depth = 4, .heads = 8, .eps = 1e-5,
 *                            .activation = GELU_TANH};
 *     Transformer t = transformer_new(scope(&params, "h"), &c);
 *     x = transformer(&t, x, (Attention){.causal = true});
 *
 * Parameters: norm1, attn.qkv, attn.out, norm2, mlp.fc1, mlp.fc2; norm_cross, cross.q, cross.k,
 * cross.v, cross.out. q, k and v of a self-attention stand side by side, each with its heads side
 * by side; files that keep them head by head are brought into this order when they are read. */
#ifndef TRANSFORMER_H
#define TRANSFORMER_H

#include "nn/layers.h"

/* f of the MLP. GEGLU: fc1 gives twice the hidden units, a | g, and f = a gelu(g) */
typedef enum { GELU, GELU_TANH, QUICK_GELU, GEGLU } Activation;

/* Matrices start from N(0, std^2) by where they stand, with biases 0; 0: as the scope says. GPT-2: 0.02,
 * and 0.02 / sqrt(2 depth) for what ends a residual branch: out and fc2. */
typedef struct {
    double qkv, out, fc1, fc2;
} TransformerStd;

typedef struct {
    int width, depth, heads;        /* channels; blocks; heads must divide width */
    int hidden;                     /* units of the MLP; 0: 4 width */
    Activation activation;
    double eps;                     /* of the layer norms */
    bool no_qkv_bias;
    int context;                    /* channels of the context; 0: no cross-attention */
    TransformerStd std;             /* starting values; none: those of the scope */
    bool pytorch_attention;         /* attention starts as torch.nn.MultiheadAttention's: Glorot's
                                       projection to q, k and v, which are one; biases 0 */
} TransformerConfig;

typedef struct {
    LayerNorm norm1, norm_cross, norm2;
    SelfAttention attn;
    CrossAttention cross;
    Linear fc1, fc2;
    Activation activation;
} TransformerBlock;

TransformerBlock transformer_block_new(Scope s, const TransformerConfig *c);
/* (B,N,C) -> (B,N,C); `a` says what tokens see of each other: causal, mask */
Tensor *transformer_block(const TransformerBlock *b, Tensor *x, Attention a);
/* the same with cross-attention: context (B,M,D), of which tokens see what `cross` says */
Tensor *transformer_block_cross(const TransformerBlock *b, Tensor *x, Attention a, Tensor *context,
                                Attention cross);

/* the last line of the block alone: x + mlp(norm2(x)) */
Tensor *transformer_mlp(const TransformerBlock *b, Tensor *x);

/* `depth` blocks, named 0, 1, ... */
typedef struct {
    TransformerConfig config;
    TransformerBlock *blocks;
} Transformer;

Transformer transformer_new(Scope s, const TransformerConfig *c);
Tensor *transformer(const Transformer *t, Tensor *x, Attention a);
/* the same where blocks differ in what tokens see: a (depth) */
Tensor *transformer_each(const Transformer *t, Tensor *x, const Attention *a);

/* ---- sampling ----------------------------------------------------------------------------------
 * Token by token, each passed once: its keys and values stay for those that follow.
 *
 *     KeyValueCache cache = cache_new(&arena, &t, B, N);
 *     for (int i = 0; i < N; i++) {
 *         Tensor *h = transformer_next(&t, embed(tokens[i]), (Attention){.causal = true}, &cache);
 *         ... tokens[i + 1] from h (B,1,C) ...
 *         tape_reset(&tape);
 *     }                                                                                          */
typedef struct {
    int batch, capacity, count;     /* count: tokens held, of at most `capacity` */
    real **keys, **values;          /* of each block: (batch,capacity,width) */
} KeyValueCache;

/* memory from the arena; to begin anew, set count to 0 */
KeyValueCache cache_new(Arena *arena, const Transformer *t, int batch, int capacity);
/* The next n tokens, x (B,n,C) -> (B,n,C): what transformer() gives them when all before them are
 * passed again, up to rounding. `a` must be causal; its mask, if it has one, is that of the whole
 * pass, (capacity,capacity) or one per item. Without gradients and without cross-attention. */
Tensor *transformer_next(const Transformer *t, Tensor *x, Attention a, KeyValueCache *cache);
/* the same for transformer_each */
Tensor *transformer_next_each(const Transformer *t, Tensor *x, const Attention *a,
                              KeyValueCache *cache);

#endif
