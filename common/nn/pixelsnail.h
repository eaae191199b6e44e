/* pixelsnail.h — an autoregressive prior over a picture of codes: p(z) = prod_i p(z_i | z_<i).
 *
 * Chen, Mishra, Rohaninejad & Abbeel 2018, "PixelSNAIL"; this is the variant of VQ-VAE-2 in
 * rosinality/vq-vae-2-pytorch, whose parameter names are kept. Codes are read row by row. Gated
 * residual blocks of causal convolutions look near, attention over all earlier positions looks far.
 * Every convolution is weight-normalised (Salimans & Kingma 2016): w = g v / |v|, one g an output.
 *
 * Interface:
 *   - snail_new, snail_condition, snail     the network; all positions at once
 *   - snail_one_hot                         codes as the network takes them
 *   - snail_sampler_new, _logits, _put      one position after the other, from what the earlier
 *                                           ones have left behind
 *   - snail_continue, snail_sample          codes drawn from the prior
 *   - snail_nats                            -ln p of given codes, position by position */
#ifndef PIXELSNAIL_H
#define PIXELSNAIL_H

#include "nn/feature_map.h"
#include "nn/layers.h"
#include "nn/token_sampler.h"

typedef struct {
    int height, width, codes;         /* of the picture; K */
    int channels, kernel;             /* kernel is odd */
    int blocks, res_blocks;           /* blocks, and gated residual blocks in each */
    int res_channels;                 /* inside a residual block */
    int out_blocks;                   /* residual blocks of 1x1 convolutions at the end */
    bool attention;                   /* at the end of each block; 8 heads */
    double dropout;                   /* while training, inside residual blocks */
    int condition_channels;           /* 0: no condition */
    int condition_blocks;             /* > 0: conditioned on codes of half the height and width */
    int condition_kernel, condition_codes;
    int classes;                      /* > 0: conditioned on a class */
    /* Position i's first features always see code i-1, also when it ends the row above. In the
     * public code no kernel reaches it there, and attention, whose keys are features of earlier
     * positions, does not either: nearly a whole row is written without it. */
    bool previous;
    /* The weights' masked places hold zeros already, and gradients go there as in the public code,
     * which masks weights but not their gradients: for comparing with it */
    bool masked_weights;
} SnailConfig;

/* A weight-normalised convolution, or a linear layer, whose v has rank 2 */
typedef struct {
    Tensor *v, *g, *b;                /* (kh,kw,in,out) or (in,out); (1,..,out); (out) or NULL */
    ConvPad pad;
    bool causal;                      /* sees rows above, and what is to the left */
} WeightNorm;

/* Gated residual block: x + a sigmoid(b), a | b = conv2(elu(conv1(elu(x)))) */
typedef struct {
    WeightNorm conv1, conv2;
    WeightNorm aux, condition;        /* v is NULL: not there */
} GatedResidual;

enum { SNAIL_BLOCKS = 8, SNAIL_RES = 8, SNAIL_HEADS = 8 };

typedef struct {
    GatedResidual res[SNAIL_RES], key_res, query_res, out_res;
    WeightNorm query, key, value;     /* linear layers */
    WeightNorm join;                  /* without attention: 1x1 over features and coordinates */
} SnailBlock;

typedef struct {
    SnailConfig c;
    Tensor *background;               /* (1,2,H,W): each position's row and column, -1/2 .. 1/2 */
    WeightNorm horizontal, vertical, previous;
    SnailBlock block[SNAIL_BLOCKS];
    WeightNorm condition_first, logits;
    GatedResidual condition_res[SNAIL_RES], out_res[SNAIL_RES];
    Embedding class;                  /* (classes, condition_channels) */
    uint8_t *earlier;                 /* (HW,HW): may i look at j? j < i */
} Snail;

Snail snail_new(Params *p, SnailConfig c);

/* codes (B,H,W) in 0..K-1 -> (B,H,W,K) of zeros and ones */
Tensor *snail_one_hot(const Snail *s, Tape *t, int B, const int *z);

/* What B pictures are conditioned on, as the network needs it: codes (B,H/2,W/2), classes (B); or
 * NULL */
typedef struct {
    const int *top, *classes;
} SnailCondition;

/* (B,H,W,C), or (B,1,1,C) for classes alone, or NULL for nothing */
Tensor *snail_condition(const Snail *s, Tape *t, int B, SnailCondition on);

/* z one-hot (B,H,W,K) -> logits (B,H,W,K); those of position i depend on codes before i alone */
Tensor *snail(const Snail *s, Tensor *z, Tensor *condition);

/* ---- one position after the other ------------------------------------------------------------ */

/* What a layer keeps for later positions */
typedef struct {
    Tensor *w;                        /* g v / |v|, computed once, (kh kw in,out) */
    FeatureMap input;                 /* of the positions so far; none where kernels are 1x1 */
} SnailLayerCache;

enum { SNAIL_LAYERS = 256 };

typedef struct {
    const Snail *net;
    int B, position;                  /* the next one to be computed */
    /* private */
    FeatureMap codes;                 /* one-hot, those before `position` */
    FeatureMap condition, background; /* (B,H,W,C) or (B,1,1,C); (B,H,W,2) */
    Params weights;
    Arena arena;
    Tape tape;
    SnailLayerCache layer[SNAIL_LAYERS];
    int next;                         /* the layer that comes next in this pass */
    FeatureMap attended[SNAIL_BLOCKS][2];     /* keys and values, B rows of HW positions */
} SnailSampler;

/* B pictures at once. condition: from snail_condition, copied */
void snail_sampler_new(SnailSampler *s, const Snail *net, int B, const Tensor *condition);
/* (B,K) of the next position, until the next call */
const real *snail_sampler_logits(SnailSampler *s);
/* (B): the codes at that position are these */
void snail_sampler_put(SnailSampler *s, const int *codes);
void snail_sampler_free(SnailSampler *s);

/* ---- n pictures of codes --------------------------------------------------------------------- */

/* Codes (B,H,W), of which the first `known` of each picture are given; condition: from
 * snail_condition */
void snail_continue(const Snail *s, int B, const Tensor *condition, int known,
                    const TokenSampler *how, Rng *rng, int *codes);
/* Drawn position by position from softmax(logits / temperature): codes (n,H,W). Temperature 0:
 * always the likeliest code. */
void snail_sample(const Snail *s, int n, SnailCondition on, double temperature, Rng *rng,
                  int *codes);

/* -ln p(z_i | z_<i, condition), averaged over the n pictures, for each position: nats (H W) */
void snail_nats(const Snail *s, int n, const int *codes, SnailCondition on, double *nats);

#endif
