/* ar_prior.h — unCLIP's autoregressive prior: Ramesh et al. 2022, section 2.2. No official code is
 * public.
 *
 * An image embedding becomes a sequence of codes: its coordinates along the principal components of
 * training embeddings, the one of largest variance first, each in one of so many equal buckets
 * between the least and the largest value in training. A causal transformer predicts each code from
 * the text and the codes before:
 *
 *     text 0 ... text N-1 | text embedding | dot product | code 0 ... code K-2  ->  code 0 ... K-1
 *
 * The dot product of text and image embedding is a token too. In training it is the pair's own;
 * when drawing it is one of the larger half of those in training, so that images are drawn that
 * CLIP finds fitting. */
#ifndef AR_PRIOR_H
#define AR_PRIOR_H

#include "nn/token_sampler.h"
#include "prior.h"

typedef struct {
    int tokens, dim;                    /* as in PriorConfig */
    int codes, buckets;                 /* principal components; values of a code, and of the dot */
    int width, depth, heads;
} ArPriorConfig;

typedef struct {
    ArPriorConfig config;
    Linear text_tokens, text, out;
    Embedding dots, values;             /* (buckets,width); (codes buckets,width): one per code */
    Tensor *positions;                  /* (1,tokens + 1 + codes,width) */
    Transformer block;
    LayerNorm norm;
    /* buffers, of training embeddings: (dim), (codes,dim), (codes), (codes); (1), (1), (buckets) */
    Tensor *mean, *basis, *least, *most, *dot_least, *dot_most, *dot_share;
} ArPrior;

/* for texts of `tokens` tokens with `dim` features */
ArPriorConfig ar_prior_config(int tokens, int dim);
ArPrior ar_prior_new(Params *p, ArPriorConfig c);

/* Principal components, ranges and the dot products' shares, of n pairs (n,dim). Returns
 * the part of the variance that the components keep. */
double ar_prior_fit(ArPrior *m, int n, const real *image, const real *text);

/* one embedding's, along principal component k */
double ar_prior_coordinate(const ArPrior *m, const real *embedding, int k);
/* (n,dim) <-> (n,codes); what lies outside the range is in the bucket at its end, and what comes
 * back is the middle of the bucket */
void ar_prior_encode(const ArPrior *m, int n, const real *embedding, int *code);
void ar_prior_decode(const ArPrior *m, int n, const int *code, real *embedding);
/* the dot product of two embeddings, brought to length 1, as a token */
int ar_prior_dot(const ArPrior *m, const real *image, const real *text);

/* dot (B), code (B,codes) -> logits (B,codes,buckets) of each code, given those before it */
Tensor *ar_prior_logits(const ArPrior *m, CaptionFeatures text, const int *dot, const int *code);
/* a dot product as a token, drawn from the larger half of those in training */
int ar_prior_draw_dot(const ArPrior *m, Rng *rng);
/* B texts -> code (B,codes), drawn one after another with a cache, without gradients; the dot
 * products by ar_prior_draw_dot */
void ar_prior_sample(const ArPrior *m, CaptionFeatures text, const TokenSampler *s, Rng *rng,
                     int *code);

#endif
