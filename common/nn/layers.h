/* layers.h — what networks are built with: parameters under a name, and the op that uses them.
 *
 * x_new(scope, ...) creates the parameters and returns the layer as a plain value; x(&layer, input)
 * applies it. Shapes are checked by the op; its message names the parameter.
 *
 * A parameter's last name says what it is, so that files (nn/entry.h) know how PyTorch
 * stores it: w and b of linear layers and convolutions, wt of transposed convolutions, gain
 * and shift of normalisations, mean and var of batch normalisation, table of embeddings.
 *
 * Weights and biases start as PyTorch's do, uniform within +-1/sqrt(fan_in), gains at 1, shifts at
 * 0, tables from N(0,1), unless the scope says otherwise: with_init. */
#ifndef LAYERS_H
#define LAYERS_H

#include "tensor/tensor.h"

/* The scope for layers that start so. What ends a residual branch often starts at 0, weights and
 * biases, so that at first the branch adds nothing: zero_init. (init.c) */
Scope with_init(Scope s, LayerInit init);
Scope zero_init(Scope s);

typedef struct { Tensor *w, *b; } Linear;                   /* w (in,out), b (out) or NULL */
Linear  linear_new(Scope s, int in, int out, bool bias);
Tensor *linear(const Linear *l, Tensor *x);                 /* (...,in) -> (...,out) */

typedef struct { Tensor *w, *b; ConvPad pad; } Conv2d;      /* w (k,k,in,out) */
Conv2d  conv2d_new(Scope s, int in, int out, int kernel, int stride, int pad, bool bias);
Tensor *conv2d(const Conv2d *l, Tensor *x);            /* padding that differs by side: set .pad */

typedef struct { Tensor *w, *b; ConvPad pad; } ConvTranspose2d;   /* wt (k,k,out,in) */
ConvTranspose2d conv_transpose2d_new(Scope s, int in, int out, int kernel, int stride, int pad,
                                     bool bias);
Tensor *conv_transpose2d(const ConvTranspose2d *l, Tensor *x);

typedef struct { Tensor *gain, *shift; int groups; double eps; } GroupNorm;
GroupNorm group_norm_new(Scope s, int channels, int groups, double eps);
Tensor *group_norm(const GroupNorm *l, Tensor *x);
Tensor *group_norm_silu(const GroupNorm *l, Tensor *x);

typedef struct { Tensor *gain, *shift; double eps; } LayerNorm;
LayerNorm layer_norm_new(Scope s, int channels, double eps);
Tensor *layer_norm(const LayerNorm *l, Tensor *x);

/* mean and var are buffers: saved with the weights, moved by training passes, never by gradients */
typedef struct { Tensor *gain, *shift, *mean, *var; double momentum, eps; } BatchNorm;
BatchNorm batch_norm_new(Scope s, int channels, double momentum, double eps);
/* without gain and shift */
BatchNorm batch_norm_plain_new(Scope s, int channels, double momentum, double eps);
Tensor *batch_norm(const BatchNorm *l, Tensor *x, bool training);

typedef struct { Tensor *table; } Embedding;                /* (count,dim) */
Embedding embedding_new(Scope s, int count, int dim);
Tensor *embedding(const Embedding *l, Tape *t, const int *index, int n);     /* -> (n,dim) */

/* A learned token, C numbers, at one place of each of B sequences: (B,1,C) */
Tensor *token_of_each(Tape *t, Tensor *token, int B);

/* labels (n) in 0..count-1 -> (n,count): 1 at each row's label, 0 elsewhere */
Tensor *one_hot(Tape *t, int n, const int *labels, int count);

/* Multi-head attention (Vaswani et al. 2017, section 3.2.2): softmax(q k^T / sqrt d) v in each
 * head, heads side by side in the channels, projected again. `heads` must divide `channels`.
 * `a` says what may be attended to (causal, mask); a.heads is filled in. The
 * bias of the last projection is always there. (attention_layers.c) */

/* q, k, v are one projection: qkv.w (C,3C). (B,N,C) -> (B,N,C) */
typedef struct { Linear qkv, out; int heads; } SelfAttention;
SelfAttention self_attention_new(Scope s, int channels, int heads, bool qkv_bias);
Tensor *self_attention(const SelfAttention *l, Tensor *x, Attention a);

/* Keys and values come from another sequence: x (B,N,C), context (B,M,D) -> (B,N,C) */
typedef struct { Linear q, k, v, out; int heads; } CrossAttention;
CrossAttention cross_attention_new(Scope s, int channels, int context, int heads, bool qkv_bias);
Tensor *cross_attention(const CrossAttention *l, Tensor *x, Tensor *context, Attention a);

/* For parameters outside of layers, and for tests: values from (seed, its name) alone */
void init_constant(Tensor *w, double value);
void init_normal(Tensor *w, double std, uint64_t seed);
void init_uniform(Tensor *w, double bound, uint64_t seed);

#endif
