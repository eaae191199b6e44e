/* dvae.h — stage 1: a picture as a small picture of codes, and back.
 *
 * Ramesh et al. 2021, "Zero-Shot Text-to-Image Generation", section 2.1 and appendix A; networks
 * and parameter names are those of openai/DALL-E.
 *
 *     x (B,H,W,3) --encoder--> logits (B,h,w,K) --softmax((l + g)/tau)--> y --decoder--> (B,H,W,6)
 *
 * At every position stands a categorical posterior over K codes. Drawing a code has no gradient, so
 * training draws from the Gumbel-softmax relaxation (Jang et al. 2016, Maddison et al. 2016), which
 * becomes the draw as the temperature tau goes to 0. The decoder's first layer is 1x1: on one-hot y
 * it looks up a row of its weights, which are the codebook.
 *
 *     loss = mean over values of -ln p(x|y)  +  beta KL(q(y|x), uniform) / values of a picture
 *
 * With `dim` the codes are those of a VQ-VAE instead (nn/codebook.h): the encoder makes vectors,
 * the decoder reads the nearest codes, and the commitment loss stands in the KL's place.
 *
 * Letters: B pictures of H x W pixels, h x w codes of K. Pixels are in [0,1].
 *
 * Interface:
 *   - dvae_new, dvae_encoder_new, dvae_decoder_new       the networks
 *   - dvae_start                   before the first step
 *   - dvae_encoder, dvae_decoder   with gradients
 *   - gumbel_softmax, kl_to_uniform, logit_laplace_nats  the terms of the loss; dvae_loss
 *   - dvae_encode, dvae_decode     many pictures to codes and back, without gradients */
#ifndef DVAE_H
#define DVAE_H

#include "nn/codebook.h"
#include "nn/layers.h"
#include "nn/official_names.h"

typedef struct {
    int channels;           /* of a picture */
    int groups, blocks;     /* groups of so many blocks; a picture is halved between groups */
    int width;              /* n_hid: of the group at full size; it doubles with each halving */
    int init;               /* n_init: what the decoder's first layer makes of y */
    int codes;              /* K */
    int dim;                /* 0: Gumbel-softmax; else VQ with codes of so many numbers */
    double least_scale;     /* added to the likelihood's scale b */
    double gain;            /* of residual branches; 0: the paper's, see dvae.c */
} DvaeConfig;

DvaeConfig dvae_config(const char *name);       /* "default", "openai" */
/* a picture's side is so many times that of its codes */
int dvae_factor(const DvaeConfig *c);

enum { DVAE_GROUPS = 4, DVAE_BLOCKS = 4 };

/* id(x) + gain res(x); res is four times relu and convolution, through a quarter of the channels */
typedef struct {
    Conv2d id;              /* 1x1, where widths differ; else w is NULL */
    Conv2d conv[4];
} DvaeBlock;

typedef struct {
    DvaeConfig c;
    Conv2d input, output;
    DvaeBlock block[DVAE_GROUPS][DVAE_BLOCKS];
} DvaeNet;

DvaeNet dvae_encoder_new(Scope s, DvaeConfig c);
DvaeNet dvae_decoder_new(Scope s, DvaeConfig c);
/* mapped pixels (B,H,W,channels) -> (B,h,w,K), or (B,h,w,dim) */
Tensor *dvae_encoder(const DvaeNet *e, Tensor *x);
/* (B,h,w,K), or (B,h,w,dim) -> (B,H,W,2 channels): mu, ln b of each value */
Tensor *dvae_decoder(const DvaeNet *d, Tensor *y);

typedef struct {
    DvaeConfig c;
    DvaeNet encoder, decoder;        /* under the scopes "encoder" and "decoder" */
    Codebook book;                   /* of a VQ */
} Dvae;

Dvae dvae_new(Params *p, DvaeConfig c);
/* The codebook of a VQ is put at what the encoder makes of x (B,H,W,channels). */
void dvae_start(Dvae *d, Tensor *x, Rng *rng);

/* ---- the parts of the loss ------------------------------------------------------------------- */

/* softmax((logits + g) / tau) over the last axis, g of the standard Gumbel distribution */
Tensor *gumbel_softmax(Tensor *logits, double tau, Rng *rng);
/* KL(softmax(logits), uniform) of all positions of (B,h,w,K) together, mean over pictures: nats */
Tensor *kl_to_uniform(Tensor *logits);

/* (1 - 2 eps) x + eps with eps = 0.1: [0,1] into the open interval that the density is of; back,
 * clamped to [0,1] */
Tensor *map_pixels(Tensor *x);
void unmap_pixels(size_t n, const real *x, real *pixels);
/* Appendix A.3: the density of x in (0,1) when logit x has a Laplace distribution,
 *     f(x) = exp(-|logit x - mu| / b) / (2 b x (1 - x)),
 * as -ln f, mean over values. x (B,H,W,C) is mapped; stats (B,H,W,2C) holds mu, then ln b; to b is
 * added least_scale. (With 0, as in the paper, the density has no largest value where pixels are
 * always the same, as on a plain ground.) */
Tensor *logit_laplace_nats(Tensor *stats, Tensor *x, double least_scale);

/* goes from `from` to `to` on half a cosine in so many steps, and stays there */
double cosine_schedule(double from, double to, int64_t step, int64_t steps);

typedef struct {
    Tensor *loss;
    Tensor *nats;                /* -ln p(x|y), mean over values */
    Tensor *kl;                  /* kl_to_uniform; of a VQ: NULL */
    Tensor *commitment;          /* of a VQ; else NULL */
    Tensor *stats;               /* what the decoder said */
    Quantised codes;             /* of a VQ: for codebook_update */
} DvaeTerms;

/* x (B,H,W,channels) in [0,1]; beta, tau as they are at this step */
DvaeTerms dvae_loss(const Dvae *d, Tensor *x, double tau, double beta, Rng *rng);
/* After dvae_loss, once a step: the codebook of a VQ; returns how many codes began anew */
int dvae_update(Dvae *d, const DvaeTerms *terms, Rng *rng);

/* pixels (n values in [0,1]) of the decoder's stats (n/C,2C): unmap(sigmoid(mu)) */
void dvae_pixels(const Tensor *stats, real *pixels);

/* ---- n pictures (n,side,side,channels) in [0,1], in plain arrays ----------------------------- */

/* codes (n,h,w): the most probable ones, without noise */
void dvae_encode(const Dvae *d, int n, int side, const real *x, int *codes);
void dvae_decode(const Dvae *d, int n, int side, const int *codes, real *x);
/* -ln p(x|hard codes), mean over values: a loss for the decoder alone, since hard codes have no
 * gradient. x (B,H,W,channels) in [0,1] */
DvaeTerms dvae_hard_loss(const Dvae *d, Tensor *x);
/* squared error of y over the variance of x, of n values around one mean */
double lost_variance(size_t n, const real *x, const real *y);

/* encoder and decoder in one file, under the official names behind "encoder." and "decoder." */
extern const OfficialMap dvae_official;

#endif
