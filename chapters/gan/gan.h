/* gan.h — two networks against each other: G makes pictures of noise, D tells them from real ones.
 *
 * Goodfellow et al. 2014, "Generative Adversarial Nets"; Radford et al. 2015 (DCGAN); Miyato et al.
 * 2018, "Spectral Normalization for Generative Adversarial Networks".
 *
 * Interface:
 *   - design_named                           the networks' sizes, by the name of a configuration
 *   - generator_new, discriminator_new       four pairs of networks
 *   - generator, discriminator               noise -> pictures, pictures -> logits
 *   - discriminator_loss, generator_loss     three games, all on logits
 *   - draw_noise, interpolate_noise          where pictures come from
 *   - picture_of, garment_of                 28x28 garments as the networks see them, and back
 *   - settle_statistics, generate            what is done with G after training */
#ifndef GAN_H
#define GAN_H

#include "nn/layers.h"
#include "spectral_norm.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10, LAYERS = 8 };

typedef enum {
    DEFAULT,            /* DCGAN-like G, spectrally normalised D: best pictures for the minutes */
    GOODFELLOW,         /* 2014: a perceptron against maxout units with dropout */
    DCGAN28,            /* the DCGAN authors' own network for 28x28 pictures */
    DCGAN64,            /* their network for 64x64 ones, as pytorch/examples has it */
} Architecture;

typedef struct {
    Architecture architecture;
    int code;                /* dimensions of z */
    int classes;             /* both networks are told the class, one of so many; 0: they are not */
    int side, channels;      /* pictures are (B,side,side,channels) */
    double low;              /* their pixels are in [low,1]: what G's last function reaches */
    int width;               /* channels in the layer next to the picture */
    bool spectral;           /* DEFAULT: D's weights are divided by their largest singular value */
} Design;

/* "default", "collapse", "goodfellow", "dcgan28", "dcgan64" */
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
    Rng *dropout;            /* GOODFELLOW: where its dropout draws from; NULL: none is done */
} Discriminator;

/* Starting values as the authors' (networks.c) */
Generator     generator_new(Params *p, Design d);
Discriminator discriminator_new(Params *p, Design d);
/* Goodfellow's generator starts at the data's average picture: mean (784) in [0,1] */
void generator_start_at(const Generator *g, const real *mean);

/* z (B,code) -> pictures (B,side,side,channels). y (B,classes) one-hot; NULL without classes.
 * training: batch normalisation uses this batch's statistics; otherwise the running ones, so that a
 * picture does not depend on its neighbours. */
Tensor *generator(const Generator *g, Tensor *z, Tensor *y, bool training);
/* -> logits (B,1): D(x) = sigmoid(logit) is the probability that x is real. training: also one
 * power iteration of the spectral norms, and dropout if there is any. */
Tensor *discriminator(const Discriminator *d, Tensor *x, Tensor *y, bool training);

Tensor *one_hot(Tape *t, int n, const int *labels, int classes);   /* (n,classes) */

/* ---- the games (gan.c) ----------------------------------------------------------------------- */

typedef enum { MINIMAX, NON_SATURATING, HINGE } Loss;
Loss loss_named(const char *name);      /* "minimax", "non-saturating", "hinge" */

/* On logits, means over the batch. MINIMAX and NON_SATURATING: D's loss is -V(D,G), at best
 * log 4 - 2 JSD(p,p_g). They differ in what G minimises. */
Tensor *discriminator_loss(Loss loss, Tensor *on_real, Tensor *on_fake);
Tensor *generator_loss(Loss loss, Tensor *on_fake);
double mean_probability(const Tensor *logits);     /* mean of sigmoid(logit): D(x), D(G(z)) */

/* ---- noise and pictures ---------------------------------------------------------------------- */

void draw_noise(const Design *d, int n, Rng *rng, real *z);      /* z (n,code) */
/* `steps` points from a to b, both included: along the great circle for normal noise, along the
 * straight line for uniform noise */
void interpolate_noise(const Design *d, const real *a, const real *b, int steps, real *z);

/* n grey garments (28,28) in [0,1] -> pictures (side,side,channels) in [low,1], and back. 64x64 is
 * a garment doubled to 56x56 in a frame of `low`. */
void picture_of(const Design *d, int n, const real *garments, real *pictures);
void garment_of(const Design *d, int n, const real *pictures, real *garments);

/* Running statistics belong to the weights of past steps. This sets them to the means over
 * `batches` fresh batches of B noises with the weights as they are ("standing statistics", Brock
 * et al. 2019): averaged weights need it. */
void settle_statistics(const Generator *g, int batches, int B, uint64_t seed);

/* n garments (28,28) in [0,1] from n noises, with running statistics; labels may be NULL without
 * classes */
void generate(const Generator *g, int n, const real *z, const int *labels, real *garments);

#endif
