/* dae.h — denoising autoencoders: x is corrupted to x~, from which the network must reconstruct x.
 *
 * Vincent, Larochelle, Bengio & Manzagol 2008, "Extracting and Composing Robust Features with
 * Denoising Autoencoders", the emphasised loss of their paper of 2010, and a convolutional network
 * for the same task. With CORRUPT_NONE either network is a plain autoencoder. Left out: stacking
 * several of them (README.md says why).
 *
 * Interface:
 *   - corrupt               x -> x~
 *   - dae_new               one of two networks
 *   - dae_encode, dae_decode_logits, dae_reconstruct   h, the logits of r(x~), r(x~) itself
 *   - denoising_loss        corrupt, reconstruct, compare with the clean image
 *   - dae_encode_all, dae_reconstruct_all, corrupt_all, denoising_error   many images, no gradients
 *   - dae_chain_step        the Markov chain of Bengio et al. 2013 */
#ifndef DAE_H
#define DAE_H

#include "nn/layers.h"

enum { IMAGE = 28, PIXELS = IMAGE * IMAGE };

/* ---- corruption ------------------------------------------------------------------------------ */

typedef enum { CORRUPT_NONE, MASKING, SALT_PEPPER, GAUSSIAN } CorruptionKind;

typedef struct {
    CorruptionKind kind;
    double level;       /* v, the probability of a pixel to be corrupted; GAUSSIAN: the deviation */
} Corruption;

CorruptionKind corruption_named(const char *name);   /* "none|masking|salt-pepper|gaussian" */

/* x~ ~ q(x~|x) of n numbers. rng moves on: the next call draws another corruption.
 *   MASKING       0 with probability v; the other pixels are not scaled up (dropout does that)
 *   SALT_PEPPER   0 or 1, either with probability v/2
 *   GAUSSIAN      x + level N(0,1), not clamped
 * chosen (n), or NULL: 1 where a number was chosen to be corrupted, even if it did not change. */
void corrupt(Corruption c, size_t n, const real *x, Rng *rng, real *corrupted, real *chosen);

/* ---- networks -------------------------------------------------------------------------------- */

typedef enum { DAE_CONVOLUTIONAL, VINCENT_2008 } DaeArchitecture;

typedef struct {
    DaeArchitecture architecture;
    int code;                          /* numbers in h */
    /* VINCENT_2008: h = s(x~ W + b), z = s(h W^T + b'): one W for both */
    Tensor *w, *b, *b_out;             /* (784,500), (500), (784) */
    Conv2d down[2], to_code, from_code, out;
    ConvTranspose2d up[2];
} Dae;

DaeArchitecture dae_named(const char *config);       /* "dae|vincent2008" */
Dae dae_new(Params *p, DaeArchitecture architecture);

Tensor *dae_encode(const Dae *d, Tensor *x);         /* (B,28,28,1) -> (B,code) */
Tensor *dae_decode_logits(const Dae *d, Tensor *h);  /* (B,code) -> (B,28,28,1) */
Tensor *dae_reconstruct(const Dae *d, Tensor *x);    /* r(x), in (0,1) */

/* Cross-entropy of r(x~) with the clean x, nats summed over pixels, averaged over images (2008,
 * eq. 2); its best r(x~) is the mean of x given x~, as that of the squared error. alpha is the
 * weight of the pixels chosen to be corrupted, beta that of the others (2010, section 4.2);
 * with both 1 `chosen` is not used and may be NULL. */
Tensor *reconstruction_loss(Tensor *logits, Tensor *clean, const real *chosen, double alpha,
                            double beta);
/* the same of a batch that it corrupts itself, anew at every call */
Tensor *denoising_loss(const Dae *d, Corruption c, Tensor *clean, double alpha, double beta,
                       Rng *rng);

/* ---- many images in plain arrays, 256 at a time ---------------------------------------------- */

void dae_encode_all(const Dae *d, int n, const real *x, real *codes);
void dae_reconstruct_all(const Dae *d, int n, const real *x, real *r);
double squared_error_per_image(int n, const real *a, const real *b);
/* corrupted copies that depend on (seed, purpose) alone */
void corrupt_all(Corruption c, int n, const real *x, uint64_t seed, const char *purpose, real *y);
/* squared error per image of r(x~), the same x~ for the same seed */
double denoising_error(const Dae *d, Corruption c, int n, const real *x, uint64_t seed);

/* One step of n chains (Bengio et al. 2013, section 3): x~ ~ q(x~|x), then x ~ P(x|x~), for which
 * the network gives the mean r(x~); `spread` is the deviation around it, the same for all pixels.
 * r (n,28,28,1), or NULL: the means, which pictures show */
void dae_chain_step(const Dae *d, Corruption c, double spread, int n, real *x, real *r, Rng *rng);

#endif
