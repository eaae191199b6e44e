/* gan.h — two networks against each other: G makes images from noise, D tells them from real ones.
 *
 * Goodfellow et al. 2014, "Generative Adversarial Nets"; Radford et al. 2015 (DCGAN); Miyato et al.
 * 2018, "Spectral Normalization for Generative Adversarial Networks".
 *
 * Interface:
 *   - design_named                           the networks' sizes, by the name of a configuration
 *   - generator_new, discriminator_new       four pairs of networks
 *   - generator, discriminator               noise -> images, images -> logits
 *   - discriminator_loss, generator_loss     three games, all on logits
 *   - r1_penalty                             the squared slope of D at the real images
 *   - draw_noise, interpolate_noise          z
 *   - scale_images, unscale_images           28x28 images in the networks' size and range, and back
 *   - standing_statistics, generate          what is done with G after training */
#ifndef GAN_H
#define GAN_H

#include "nn/layers.h"
#include "nn/official_names.h"
#include "spectral_norm.h"

enum { IMAGE = 28, PIXELS = IMAGE * IMAGE, CLASSES = 10, LAYERS = 8 };

typedef enum {
    DEFAULT,            /* DCGAN-like G, spectrally normalised D; trains in minutes */
    GOODFELLOW,         /* 2014: a perceptron against maxout units with dropout */
    DCGAN28,            /* the DCGAN authors' own network for 28x28 images */
    DCGAN64,            /* their network for 64x64 ones, as pytorch/examples has it */
} Architecture;

typedef struct {
    Architecture architecture;
    int code;                /* dimensions of z */
    int classes;             /* both networks are conditioned on one of so many classes; 0: not */
    int side, channels;      /* images are (B,side,side,channels) */
    double low;              /* their pixels are in [low,1]: the range of G's last activation */
    int width;               /* channels in the layer next to the image */
    bool spectral;           /* DEFAULT: D's weights are divided by their largest singular value */
} Design;

/* "default", "goodfellow", "dcgan28", "dcgan64" */
Design design_named(const char *config, bool conditional, bool spectral);

typedef struct {
    Design design;
    int layers, norms;
    Linear fc[3];
    ConvTranspose2d up[LAYERS];
    BatchNorm norm[LAYERS];
    Conv2d out;
} Generator;

typedef struct {
    Design design;
    int layers;
    Linear fc[3], embed;
    Conv2d down[LAYERS];
    BatchNorm norm[LAYERS];
    SpectralNorm spectral[LAYERS];       /* of down[]; then of fc[0] and embed */
} Discriminator;

/* Starting values as the authors' (networks.c) */
Generator     generator_new(Params *p, Design d);
Discriminator discriminator_new(Params *p, Design d);
/* DCGAN64's, in files of pytorch/examples (official.c) */
extern const OfficialMap generator_official, discriminator_official;
/* Goodfellow's generator starts at the data's mean image: mean (784) in [0,1] */
void generator_start_at(const Generator *g, const real *mean);

/* z (B,code) -> images (B,side,side,channels). y (B,classes) one-hot; NULL without classes.
 * training: batch normalisation uses this batch's statistics; otherwise the running ones, so that
 * an image does not depend on its neighbours. */
Tensor *generator(const Generator *g, Tensor *z, Tensor *y, bool training);
/* -> logits (B,1): D(x) = sigmoid(logit) is the probability that x is real. training: also one
 * power iteration of the spectral norms. GOODFELLOW: dropout if the tape's `dropout` is set. */
Tensor *discriminator(const Discriminator *d, Tensor *x, Tensor *y, bool training);

/* ---- the games (gan.c) ----------------------------------------------------------------------- */

typedef enum { MINIMAX, NON_SATURATING, HINGE } Loss;
Loss loss_named(const char *name);      /* "minimax", "non-saturating", "hinge" */

/* On logits, means over the batch. MINIMAX and NON_SATURATING: D's loss is -V(D,G), at best
 * log 4 - 2 JSD(p,p_g). They differ in what G minimises. */
Tensor *discriminator_loss(Loss loss, Tensor *on_real, Tensor *on_fake);
Tensor *generator_loss(Loss loss, Tensor *on_fake);
double mean_probability(const Tensor *logits);     /* mean of sigmoid(logit): D(x), D(G(z)) */

/* R1 regularisation (Mescheder et al. 2018, eq. 9) adds gamma/2 E|grad_x l(x)|^2 to D's loss, l the
 * logit of a real image. Its gradient would need second derivatives. This estimate needs none:
 *     mean over the images of ((l(x + h v) - l(x)) / h)^2,    v ~ N(0,I) for each image,
 * since E (v.g)^2 = |g|^2 for any g. Lin et al. 2025 (APT) use it without the factor 1/h^2.
 * DEFAULT's D alone: dropout or the statistics of a batch would differ between the two passes. No
 * power iteration is made, so both have the same weights. */
Tensor *r1_penalty(const Discriminator *d, Tensor *x, Tensor *y, double h, Rng *rng);
/* h, for pixels in [-1,1]. On garments, with the default D without normalisation after 200 steps,
 * in float, the estimate is 0.996 of the mean of (v.g)^2 over the same v; at h = 1e-5 rounding makes
 * it 1.08, at 1 the bends of the rectifiers make it 5.1. */
#define R1_STEP 0.01

/* ---- noise and images ------------------------------------------------------------------------ */

void    draw_noise(const Design *d, int n, Rng *rng, real *z);       /* z (n,code) */
Tensor *noise_tensor(Tape *t, const Design *d, int n, Rng *rng);     /* the same on a tape */
/* `steps` points from a to b, both included: along the great circle for normal noise, along the
 * straight line for uniform noise */
void interpolate_noise(const Design *d, const real *a, const real *b, int steps, real *z);

/* n grey images (28,28) in [0,1] -> (side,side,channels) in [low,1], and back. For
 * 64x64 an image is doubled to 56x56 and framed with `low`. */
void scale_images(const Design *d, int n, const real *images, real *scaled);
void unscale_images(const Design *d, int n, const real *scaled, real *images);

/* Running statistics belong to the weights of past steps. This sets them to the means over
 * `batches` fresh batches of B noises with the weights as they are ("standing statistics", Brock
 * et al. 2019): averaged weights need it. */
void standing_statistics(const Generator *g, int batches, int B, uint64_t seed);

/* n images (side,side,channels) in [low,1] from n noises, with running statistics; labels may be
 * NULL without classes */
void generate_scaled(const Generator *g, int n, const real *z, const int *labels, real *images);
/* the same as grey images (28,28) in [0,1] */
void generate(const Generator *g, int n, const real *z, const int *labels, real *images);

#endif
