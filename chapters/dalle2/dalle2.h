/* dalle2.h — unCLIP, from a caption to an image: Ramesh et al. 2022, "Hierarchical Text-Conditional
 * Image Generation with CLIP Latents" (DALL-E 2).
 *
 *     p(image | caption) = p(image | z, caption) p(z | caption)
 *
 * z, CLIP's embedding of the image, is drawn by a prior (prior.h, ar_prior.h); the image by the
 * decoder (decoder.h); larger sizes by the upsamplers (upsampler.h). Here is how their networks are
 * asked:
 *
 *   - prior_loss, ar_prior_loss, decoder_losses, upsampler_losses       training
 *   - guided_prior, draw_embeddings, draw_ar_embeddings                 caption -> z
 *   - guided_decoder, upsampling                                        z -> image -> larger image */
#ifndef DALLE2_H
#define DALLE2_H

#include "clip_pairs.h"
#include "decoder.h"
#include "diffusion/losses.h"
#include "diffusion/sampler.h"
#include "embedding.h"
#include "upsampler.h"

/* ---- training -------------------------------------------------------------------------------- */

/* Mean squared error of the predicted z, whitened (B,D), noised to times t (eq. 2) */
Tensor *prior_loss(const Prior *m, const NoiseSchedule *s, Tensor *z, CaptionFeatures text,
                   const int *t, Rng *noise);
/* -log p(codes | caption, dot), nats of all codes of an embedding, mean over the batch */
Tensor *ar_prior_loss(const ArPrior *m, CaptionFeatures text, const int *dot, const int *code);
/* the cosine one, as the paper's decoder */
NoiseSchedule decoder_schedule(void);
/* L_hybrid of images x0; z as decoder_image gives it */
Losses decoder_losses(const Decoder *m, const NoiseSchedule *s, Tensor *x0, Tensor *z,
                      CaptionFeatures text, const int *t, Rng *noise);
/* L_simple of parts of images and the small ones they are shown */
Losses upsampler_losses(const Upsampler *m, const NoiseSchedule *s, Crops c, const int *t,
                        Rng *noise);

/* ---- caption -> z ---------------------------------------------------------------------------- */

/* The prior, and the captions of embeddings 0, 1, ...; embedding i is of caption i / each. A
 * whitened embedding is an image of one pixel, (1,1,D). */
typedef struct {
    const Prior *net;
    const CaptionTable *text;
    int each;
    double scale;                       /* of guidance: 1 none; karlo's is 4 */
} GuidedPrior;

/* predicts z, within +-10 deviations; *g must outlive it */
NetworkDenoiser guided_prior(const GuidedPrior *g);

/* what n embeddings are drawn with */
typedef struct {
    GuidedPrior prior;                  /* `each` is set */
    const Whitening *whitening;
    const NoiseSchedule *chain;
    uint64_t seed;
    bool quiet;
} EmbeddingDrawing;

/* One for each caption, (n,D) of length 1: the one of two draws with the larger dot product with
 * the text's embedding (section 2.2) */
void draw_embeddings(const EmbeddingDrawing *d, real *z);
/* the same by the autoregressive prior, one draw each */
void draw_ar_embeddings(const ArPrior *m, const CaptionTable *text, uint64_t seed, real *z);

/* ---- z -> image ------------------------------------------------------------------------------ */

/* The decoder, and what it is given of images 0, 1, ... */
typedef struct {
    const Decoder *net;
    const real *z;                      /* (n,D), whitened; NULL: no image embeddings */
    const CaptionTable *text;           /* NULL: no captions */
    double scale;                       /* of guidance towards both; 1: none */
} GuidedDecoder;

NetworkDenoiser guided_decoder(const GuidedDecoder *g);

/* an upsampler, and the small images (n,low,low,3) */
typedef struct {
    const Upsampler *net;
    const real *low;
} Upsampling;

NetworkDenoiser upsampling(const Upsampling *u);

#endif
