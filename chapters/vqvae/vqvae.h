/* vqvae.h — the autoencoder: x (B,28,28,c) -> z_e (B,7,7,D) -> numbers of the nearest codes
 * (B,7,7) -> z_q (B,7,7,D) -> reconstruction (B,28,28,c).
 *
 * Van den Oord, Vinyals & Kavukcuoglu 2017, "Neural Discrete Representation Learning"; the network
 * is the one its authors published (DeepMind's Sonnet, nets/vqvae.py), of any width. The quantiser
 * is in common/nn/codebook.h, the prior, which generates maps of codes, in common/nn/pixelcnn.h.
 *
 * Interface:
 *   - vqvae_new, encode, decode, vqvae_loss      the network and its loss
 *   - encode_all, decode_all                     many pictures, without gradients
 *   - observation_nats, fit_scale                -ln p(x|z_q), for a bound in bits per dimension */
#ifndef VQVAE_H
#define VQVAE_H

#include "nn/codebook.h"
#include "nn/layers.h"

enum { IMAGE = 28, PIXELS = IMAGE * IMAGE, MAP = IMAGE / 4, POSITIONS = MAP * MAP, RESIDUALS = 2 };

typedef struct {
    int channels;              /* of a picture: 1 grey, 3 colour */
    int hidden, residual;      /* channels of the maps, and inside a residual block */
    int codes, dim;            /* K, D */
    double decay;              /* of the codebook's averages; 0: by gradient */
} Design;

typedef struct {
    Conv2d conv3, conv1;
} Residual;

typedef struct {
    Design design;
    Conv2d down[2], encoder_in;              /* 28 -> 14 -> 7 pixels */
    Residual encoder[RESIDUALS];
    Conv2d to_codes;                         /* 1x1, hidden -> D */
    Codebook book;
    Conv2d decoder_in;
    Residual decoder[RESIDUALS];
    ConvTranspose2d up[2];
} Vqvae;

Vqvae vqvae_new(Params *p, Design d);
/* number of parameters, the codebook's included even where it is a buffer (trained by averages) */
size_t vqvae_count(const Vqvae *v, const Params *p);

/* pixels in [0,1] outside, in [-1/2,1/2] inside */
Tensor *encode(const Vqvae *v, Tensor *x);            /* (B,28,28,c) -> z_e (B,7,7,D) */
Tensor *decode(const Vqvae *v, Tensor *z_q);          /* (B,7,7,D) -> (B,28,28,c) */

/* |x - rebuilt|^2 / variance + |sg[z_e] - e|^2 + beta |z_e - sg[e]|^2, all means (eq. 3); the
 * middle term only where the codebook learns by gradient. Divided by the data's variance, the first
 * term is the share of it that is lost, whatever the scale of the pixels. */
Tensor *vqvae_loss(Tensor *x, Tensor *rebuilt, const Quantised *q, double variance, double beta);

/* ---- n grey images in plain arrays ----------------------------------------------------------- */

void encode_all(const Vqvae *v, int n, const real *x, int *codes);           /* codes (n,49) */
void decode_all(const Vqvae *v, int n, const int *codes, real *images);      /* clamped to [0,1] */

/* ---- the probability of a picture given its codes ----------------------------------------------
 * The decoder's output m is a mean; a likelihood needs a distribution around it. A pixel is one of
 * 256 levels; the probability of level k is what a logistic distribution around m, with one scale s
 * for all pixels, gives to the interval from k - 1/2 to k + 1/2 (Salimans et al. 2017, eq. 2);
 * levels 0 and 255 get the tails. */

/* -ln P in nats, summed over n numbers; x, mean in [0,1], scale in levels of 1/255 */
double observation_nats(size_t n, const real *x, const real *mean, double scale);
double fit_scale(size_t n, const real *x, const real *mean);   /* the scale with the fewest nats */

#endif
