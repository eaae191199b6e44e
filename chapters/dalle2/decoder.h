/* decoder.h — from CLIP's embedding of an image to an image that has it: unCLIP's decoder, Ramesh
 * et al. 2022, "Hierarchical Text-Conditional Image Generation with CLIP Latents", section 2.1, as
 * kakaobrain/karlo builds it.
 *
 * GLIDE's U-Net with a second input. CLIP's image embedding z goes two ways:
 *
 *     embedding of the time  +  linear(z)  +  linear(text embedding)     into every residual block
 *     [4 tokens, linear(z) | a token for each of the text's]             attended to by the pixels
 *
 * In training z is left out of a tenth of the images, the caption of half, so that either, or both,
 * can be left out when images are drawn: learned numbers stand for no z. */
#ifndef DECODER_H
#define DECODER_H

#include "captions.h"
#include "nn/class_unet.h"

typedef struct {
    UNetConfig unet;                    /* unet.context: numbers of a token */
    int clip;                           /* numbers of CLIP's embeddings and token features */
    int tokens;                         /* that z becomes */
} DecoderConfig;

/* "default"; "karlo" */
DecoderConfig decoder_config(const char *name);

typedef struct {
    DecoderConfig config;
    TimeEmbedding time;
    Linear image_emb, text_emb;         /* z, the text's embedding -> the time's */
    Linear image_tokens, text_tokens;   /* z -> tokens context; a token's features -> context */
    LayerNorm text_norm;                /* after text_tokens */
    Tensor *no_image;                   /* (clip): instead of z */
    UNet unet;
} Decoder;

Decoder decoder_new(Params *p, DecoderConfig c);

/* z (B,clip), which is left out where `without` (B) says so -> (B,clip) */
Tensor *decoder_image(const Decoder *m, Tensor *z, const bool *without);
/* xt (B,side,side,3), time (B), z as decoder_image gives it -> [velocity | v]
 * (B,side,side,6) */
Tensor *decoder_output(const Decoder *m, Tensor *xt, const double *time, Tensor *z,
                       CaptionFeatures text);

/* karlo's names; the map's design is kept in the arena */
OfficialMap decoder_official(Arena *arena, const DecoderConfig *c);
extern const OfficialName decoder_names[];

#endif
