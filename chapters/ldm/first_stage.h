/* first_stage.h — perceptual compression: an autoencoder whose latents are images, f times as low
 * and narrow as the picture.
 *
 * Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", section 3.1
 * and appendix G; Esser et al. 2021, "Taming Transformers for High-Resolution Image Synthesis".
 * Letters: pictures (B,H,W,3) in [-1,1], latents (B,h,w,e), h = H/f.
 *
 * Two kinds keep the latents from growing without bound:
 *   - KL: the encoder gives a normal distribution for each number of the latent, pulled a little
 *     towards N(0,1)
 *   - VQ: the decoder begins with a codebook; diffusion runs on what comes before it
 *
 * Interface:
 *   - first_stage_published, first_stage_new        the network
 *   - encode, posterior_sample, posterior_kl        x -> moments -> z
 *   - decode                                        z -> x, through the codebook if there is one
 *   - first_stage_official                          official names of all weights */
#ifndef FIRST_STAGE_H
#define FIRST_STAGE_H

#include "nn/codebook.h"
#include "nn/official_names.h"
#include "nn/unet_blocks.h"

enum { FS_LEVELS = 8, FS_BLOCKS = 8 };

typedef struct {
    int channels;                        /* of pictures */
    int width;                           /* channels of level l: width * multiplier[l] */
    int levels, multiplier[FS_LEVELS];   /* f = 2^(levels - 1) */
    int blocks;                          /* residual blocks of a level, encoding; decoding: one more */
    bool attends[FS_LEVELS];             /* attention after each of them? */
    bool plain_middle;                   /* no attention in the middle */
    int z, embed;                        /* channels between the networks; of a latent: e */
    int codes;                           /* in the codebook; 0: KL */
    int groups;                          /* of the group normalisations */
} FirstStageConfig;

/* the published ones, for 256x256: "kl-f4", "kl-f8", "kl-f16", "kl-f32", "vq-f4", "vq-f4-noattn", "vq-f8";
 * false: there is none of this name */
bool first_stage_published(const char *name, FirstStageConfig *c);
int  downsampling_factor(const FirstStageConfig *c);           /* f */

/* ---- network --------------------------------------------------------------------------------- */

typedef struct {
    ResBlock block[FS_BLOCKS];
    AttentionBlock attention[FS_BLOCKS];
    Conv2d resample;                     /* after them; .w NULL: none */
} CoderLevel;

/* encoder or decoder */
typedef struct {
    int levels, blocks;                  /* of each level */
    bool attends[FS_LEVELS], plain_middle;
    Conv2d in, out;
    CoderLevel level[FS_LEVELS];         /* 0: the picture's size */
    ResBlock middle[2];
    AttentionBlock middle_attention;     /* none if plain */
    GroupNorm norm_out;
} Coder;

typedef struct {
    FirstStageConfig config;
    Coder encoder, decoder;
    Linear quant, post_quant;            /* at each pixel, between z and e channels */
    Codebook codebook;                   /* of VQ */
} FirstStage;

FirstStage first_stage_new(Params *p, FirstStageConfig c);
/* without the encoder: encode must not be called */
FirstStage first_stage_decoder_new(Params *p, FirstStageConfig c);

/* x (B,H,W,3) -> KL: (B,h,w,2e), mean and log variance side by side; VQ: the latent (B,h,w,e) */
Tensor *encode(const FirstStage *f, Tensor *x);
/* z (B,h,w,e) -> (B,H,W,3). VQ: each vector is replaced by its nearest code first. */
Tensor *decode(const FirstStage *f, Tensor *z);
/* The same up to the last convolution, f->decoder.out, from what the decoder is given: z, or codes.
 * (B,H,W,C) */
Tensor *decoder_features(const FirstStage *f, Tensor *z);

/* ---- q(z|x) of KL ---------------------------------------------------------------------------- */

typedef struct {
    Tensor *mean, *log_variance;         /* (B,h,w,e); the log variance within [-30,20] */
} Posterior;

Posterior posterior(Tensor *moments);
/* mean + sigma noise; noise (B,h,w,e) ~ N(0,I) */
Tensor *posterior_sample(Posterior q, Tensor *noise);
/* KL(q(z|x) || N(0,I)) of each picture, nats: (B,1) */
Tensor *posterior_kl(Posterior q);

/* ---- official names -------------------------------------------------------------------------- */

/* CompVis/latent-diffusion's; in Stable Diffusion's checkpoints behind "first_stage_model." */
extern const OfficialMap first_stage_official;

#endif
