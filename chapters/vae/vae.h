/* vae.h — variational autoencoders: x (B,28,28,1) -> q(z|x) = N(mu, sigma^2) -> z -> p(x|z).
 *
 * Kingma & Welling 2013, "Auto-Encoding Variational Bayes"; Burda, Grosse & Salakhutdinov 2015 for
 * the importance-weighted bound. All likelihoods are in nats per image: summed over the 784
 * pixels, never averaged over them.
 *
 * Interface:
 *   - vae_new                 one of four networks, with one of two likelihoods
 *   - encode, reparameterize, decode      x -> (mu, logvar) -> z -> logits
 *   - log_likelihood, kl_divergence       the two parts of the ELBO
 *   - observe                 the data as the likelihood is defined for: binarised or dequantised
 *   - encode_all, decode_all, elbo_all, importance_weighted   for many images, without gradients */
#ifndef VAE_H
#define VAE_H

#include "nn/layers.h"

enum { IMAGE = 28, PIXELS = IMAGE * IMAGE, HIDDEN_LAYERS = 2 };

/* AEVB_2013: the paper's, one tanh layer of 500 in each half; KINGMA_2014: of its first author's
 * later program (semi-supervised learning), two softplus layers of 500 */
typedef enum { CONVOLUTIONAL, AEVB_2013, KINGMA_2014, PYTORCH_EXAMPLE } Architecture;

/* What p(x|z) is. BERNOULLI: pixels are 0 or 1, with the logits that the decoder gives. GAUSSIAN:
 * pixels are real numbers in [0,1], normal around the decoder's mean with one learned sigma. */
typedef enum { BERNOULLI, GAUSSIAN } Likelihood;

typedef struct {
    Architecture architecture;
    Likelihood likelihood;
    int code, classes;                       /* dimensions of z; 0 classes: no labels are used */
    int layers;                              /* dense: hidden layers of each half */
    Linear encoder[HIDDEN_LAYERS], decoder[HIDDEN_LAYERS], out;
    Conv2d down[2], refine;                  /* convolutional: 28 -> 14 -> 7 pixels */
    Linear features, from_code, from_features;
    ConvTranspose2d up[2];                   /* 7 -> 14 -> 28 pixels */
    Linear mu, logvar;
    Tensor *log_sigma;                       /* (1), GAUSSIAN only */
} Vae;

Architecture architecture_named(const char *config);     /* "default", "aevb", ... */
Likelihood likelihood_named(const char *name);           /* "bernoulli", "gaussian" */
Vae vae_new(Params *p, Architecture architecture, Likelihood likelihood, int code, int classes);

/* q(z|x): independent normals, (B,code) each; logvar is log sigma^2 */
typedef struct {
    Tensor *mu, *logvar;
} Posterior;

/* labels (B) in 0..classes-1; ignored, and may be NULL, when classes is 0 */
Posterior encode(const Vae *v, Tensor *x, const int *labels);
/* z = mu + exp(logvar/2) eps, eps ~ N(0,I): a sample through which gradients reach mu and sigma */
Tensor *reparameterize(Posterior q, Rng *rng);
Tensor *decode(const Vae *v, Tensor *z, const int *labels);    /* (B,code) -> logits (B,28,28,1) */
Tensor *mean_image(Tensor *logits);       /* E[x|z] in [0,1], for either likelihood */

/* log p(x|z) and KL(q(z|x) || N(0,I)), nats per image, means over the batch: scalars.
 * ELBO = log_likelihood - kl_divergence. */
Tensor *log_likelihood(const Vae *v, Tensor *logits, Tensor *x);
Tensor *kl_divergence(Posterior q);

/* One observation of n grey images in [0,1]: BERNOULLI draws each pixel as 0 or 1 (dynamic
 * binarisation), GAUSSIAN adds uniform noise of one grey level, 1/256 (dequantisation). */
void observe(const Vae *v, size_t pixels, const real *grey, Rng *rng, real *x);

/* ---- n images or codes in plain arrays ------------------------------------------------------- */

void encode_all(const Vae *v, int n, const real *x, const int *labels, real *mu, real *logvar);
void decode_all(const Vae *v, int n, const real *z, const int *labels, real *images);
/* the two parts of the ELBO, one draw of z each, averaged over n images */
typedef struct {
    double log_likelihood, kl;
} Elbo;
Elbo elbo_all(const Vae *v, int n, const real *x, const int *labels, Rng *rng);
/* log p(x|z) of one image, nats, from its logits (784) */
double image_log_likelihood(const Vae *v, const real *logits, const real *x);
/* log (1/K sum_k p(x|z_k) p(z_k) / q(z_k|x)), z_k ~ q(z|x), averaged over n images: a lower bound
 * of log p(x) that rises to it with K (Burda et al. 2015, eq. 8 and theorem 1) */
double importance_weighted(const Vae *v, int n, const real *x, const int *labels, int K, Rng *rng);

/* Per dimension of z: KL averaged over n posteriors, and the variance of mu over them. A dimension
 * is active if its mean varies with x: Var_x mu > 0.01 (Burda et al. 2015). */
void code_use(int n, int code, const real *mu, const real *logvar, double *kl, double *variance);
int active_units(int code, const double *variance);

/* side x side codes of two dimensions at equal steps of the normal distribution's probability */
void manifold_codes(int side, real *codes);

#endif
