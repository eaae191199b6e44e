/* vqvae2.h — a picture as two maps of codes: a coarse one, the top, and a finer one, the bottom.
 *
 * Razavi, van den Oord & Vinyals 2019, "Generating Diverse High-Fidelity Images with VQ-VAE-2",
 * section 3.1; networks and parameter names are those of rosinality/vq-vae-2-pytorch.
 *
 *     x (B,H,W,C) --enc_b--> (B,H/4,W/4,.) --enc_t--> (B,H/8,W/8,.) --nearest--> top codes
 *     bottom codes: nearest of [dec_t(top codes), enc_b(x)]
 *     x' = dec([upsample_t(top codes), bottom codes])
 *
 * The bottom's vectors are computed from the decoded top, too, so it need not repeat what the top
 * holds. With one level there is no top: a plain VQ-VAE of the same parts, to compare with.
 *
 * Interface:
 *   - vqvae2_new, vqvae2_start       the network; codes start at encoder outputs
 *   - encode, decode, vqvae2_loss    with gradients
 *   - codebooks_update               the averages, after a training pass's encode
 *   - encode_all, decode_all         many pictures, without gradients; decoding without a level */
#ifndef VQVAE2_H
#define VQVAE2_H

#include "nn/codebook.h"
#include "nn/layers.h"
#include "nn/official_names.h"

typedef struct {
    int levels;                       /* 2; or 1: without the top */
    int channels;                     /* of pictures */
    int width;                        /* channels inside */
    int res_blocks, res_channels;
    int codes, dim;                   /* K and D of either codebook */
} Vqvae2Config;

enum { VQVAE2_RES = 8 };

typedef struct {
    Conv2d wide, narrow;              /* x + narrow(relu(wide(relu(x)))): 3x3, then 1x1 */
} Residual;

typedef struct {
    Conv2d conv[3];                   /* the last is 3x3, those before downsample by 2 */
    int convs;
    Residual res[VQVAE2_RES];
    int blocks;
} Encoder;

typedef struct {
    Conv2d conv;
    Residual res[VQVAE2_RES];
    int blocks;
    ConvTranspose2d up[2];
    int ups;
} Decoder;

typedef struct {
    Vqvae2Config c;
    Encoder enc_b, enc_t;
    Conv2d to_top, to_bottom;         /* 1x1, to the D numbers that are quantised */
    Codebook top, bottom;
    Decoder dec_t, dec;
    ConvTranspose2d upsample_t;
} Vqvae2;

Vqvae2 vqvae2_new(Params *p, Vqvae2Config c);
/* of files of rosinality/vq-vae-2-pytorch: the same names as here */
extern const OfficialMap vqvae2_official;

/* The quantised levels of x (B,H,W,C), H and W multiples of 8 (of 4, for one level) */
typedef struct {
    Quantised top, bottom;      /* (B,H/8,W/8,D); (B,H/4,W/4,D). One level: top.codes is NULL */
} Encoding;
Encoding encode(const Vqvae2 *v, Tensor *x);
Tensor *decode(const Vqvae2 *v, Tensor *top, Tensor *bottom);    /* -> (B,H,W,C); top NULL: none */

/* mean (x' - x)^2 / variance + 0.25 (the two commitment losses). The variance is the data's:
 * dividing by it makes 0.25 independent of the pixels' scale. (The public code leaves it out.) */
Tensor *vqvae2_loss(const Encoding *e, Tensor *x, Tensor *decoded, double variance);

/* Before the first step: puts the codes of both levels at the encoder's outputs for x. */
void vqvae2_start(Vqvae2 *v, Tensor *x, Rng *rng);
/* After encode, once a step. Codes that fewer than `threshold` vectors a step chose on average
 * are put at random vectors of this step; returns how many. */
int codebooks_update(Vqvae2 *v, const Encoding *e, double threshold, Rng *rng);

/* ---- n pictures (n,H,W,C) in plain arrays ---------------------------------------------------- */

/* top (n,H/8,W/8) and bottom (n,H/4,W/4): numbers of codes */
void encode_all(const Vqvae2 *v, int n, int height, int width, const real *x, int *top,
                int *bottom);
/* A level that is NULL is left out: in its place stands the codebook's mean, each code weighted
 * by how often it was chosen: the same for every picture. */
void decode_all(const Vqvae2 *v, int n, int height, int width, const int *top, const int *bottom,
                real *x);

#endif
