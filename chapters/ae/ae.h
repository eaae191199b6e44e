/* ae.h — autoencoders: x (B,28,28,1) -> code h (B,code) -> x' (B,28,28,1), trained so that x' is x.
 *
 * Hinton & Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural Networks", and a
 * convolutional network for the same task. Left out: their layer-by-layer pretraining (README.md
 * says why).
 *
 * Interface:
 *   - autoencoder_new       one of three networks
 *   - encode, decode        the two halves; decode_logits stops before the last sigmoid
 *   - squared_error, cross_entropy   the two losses, per image
 *   - encode_all, decode_all, reconstruct_all, mean_squared_error_per_image   for many images,
 *     without gradients
 *   - code_statistics, random_codes          what is done with codes after training */
#ifndef AE_H
#define AE_H

#include "nn/layers.h"

enum { IMAGE = 28, PIXELS = IMAGE * IMAGE, DENSE_LAYERS = 4 };

typedef enum { CONVOLUTIONAL, HINTON_2006, LINEAR } Architecture;

typedef struct {
    Architecture architecture;
    int code, layers;
    /* dense: HINTON_2006 has 4 + 4, LINEAR 1 + 1 */
    Linear encoder[DENSE_LAYERS], decoder[DENSE_LAYERS];
    Conv2d down[2];                                        /* convolutional: 28 -> 14 -> 7 pixels */
    Linear features, to_code, from_code, from_features;
    ConvTranspose2d up[2];                                 /* 7 -> 14 -> 28 pixels */
    Conv2d out;
} Autoencoder;

Architecture architecture_named(const char *config);     /* "default", "hinton2006", "linear" */
Autoencoder autoencoder_new(Params *p, Architecture architecture, int code);

Tensor *encode(const Autoencoder *a, Tensor *x);          /* (B,28,28,1) -> (B,code) */
Tensor *decode_logits(const Autoencoder *a, Tensor *h);   /* (B,code) -> (B,28,28,1) */
Tensor *decode(const Autoencoder *a, Tensor *h);          /* in [0,1]; any value for LINEAR */

/* Summed over the 784 pixels, averaged over images, as the paper reports it. */
Tensor *squared_error(Tensor *reconstruction, Tensor *x);
/* in nats, summed and averaged likewise; its smallest value is the entropy of grey pixels, not 0 */
Tensor *cross_entropy(Tensor *logits, Tensor *x);

/* For n images or codes in plain arrays, 256 at a time. */
void encode_all(const Autoencoder *a, int n, const real *images, real *codes);
void decode_all(const Autoencoder *a, int n, const real *codes, real *images);
void reconstruct_all(const Autoencoder *a, int n, const real *images, real *reconstructions);
double mean_squared_error_per_image(int n, const real *a, const real *b);

/* Mean and standard deviation of each of `code` entries over n codes. */
void code_statistics(int n, int code, const real *codes, real *mean, real *deviation);
/* h = mean + deviation * N(0,1), entry by entry; NULL: standard normal */
void random_codes(int n, int code, const real *mean, const real *deviation, Rng *rng, real *codes);

#endif
