/* mae.h — masked autoencoders: cut an image into patches, hide most of them, encode only the
 * visible ones, and predict the hidden ones.
 *
 * He et al. 2021, "Masked Autoencoders Are Scalable Vision Learners". Letters: B images of N
 * patches, each of K = patch * patch * channels numbers; D channels in the encoder.
 *
 * Parameters have the names of the authors' code (blocks.0.attn.qkv, decoder_pred, ...), and so
 * have files, except that attn.proj is attn.out here.
 *
 * Interface:
 *   - mae_shape_named, mae_new, encoder_new     the networks
 *   - mask_random, mask_from_noise, mask_nothing      which patches are visible
 *   - patchify, unpatchify, normalise_patches   images as patches, targets
 *   - encode, decode, masked_error, mae_forward       the autoencoder
 *   - image_features, mae_classifier_new, classify     what the encoder is for
 *   - reconstruct             many images in plain arrays, without gradients */
#ifndef MAE_H
#define MAE_H

#include "nn/official_names.h"
#include "nn/transformer.h"

/* ---- networks -------------------------------------------------------------------------------- */

typedef struct {
    int side, channels, patch;                           /* of square images, in pixels */
    int width, depth, heads;                             /* encoder */
    int decoder_width, decoder_depth, decoder_heads;
    double mlp_ratio;                                    /* hidden units of a block's MLP / width */
    double eps;                                          /* of the layer norms */
    bool mask_tokens_in_encoder;                         /* the ablation: see encode */
} MaeShape;

/* "default", "vit-b16", "vit-l16", "vit-h14" */
MaeShape mae_shape_named(const char *config);
int patches_of(const MaeShape *s);                       /* N */
int patch_numbers(const MaeShape *s);                    /* K */

typedef struct {
    MaeShape shape;
    Conv2d patch_embed;                      /* as wide as its stride: a linear map of a patch */
    Tensor *cls_token, *pos_embed;           /* (1,1,D); (1,1+N,D), fixed */
    Tensor *mask_token;                      /* (1,1,D), for the ablation only */
    Transformer blocks;
    LayerNorm norm;
} Encoder;

typedef struct {
    MaeShape shape;
    Encoder encoder;
    Linear decoder_embed, decoder_pred;
    Tensor *mask_token, *decoder_pos_embed;
    Transformer decoder_blocks;
    LayerNorm decoder_norm;
} Mae;

Mae     mae_new(Params *p, MaeShape shape);
Encoder encoder_new(Params *p, MaeShape shape);          /* the same, without a decoder */
/* the names in the authors' files (official.c) */
extern const OfficialMap mae_official;
/* numbers in all tensors, the fixed positions included, as the authors count them */
size_t  parameters_with_tables(const Params *p);

/* Fixed positions (section "MAE decoder" and the authors' code): the first half of the channels
 * encodes the column, the second the row, each half all its sines, then all its cosines, of
 * place / 10000^(i / (width/4)). table (1+grid*grid,width); row 0, the class token's, is 0. */
void sin_cos_positions(int grid, int width, real *table);

/* ---- masks ----------------------------------------------------------------------------------- */

/* Every image's own: shuffle (B,N) lists its patches, the `keep` visible ones first; restore
 * (B,N) says where in that list patch i stands, so restore[shuffle[i]] = i. */
typedef struct {
    int images, patches, keep;
    int *shuffle, *restore;
} Mask;

/* keeps (int)(N (1 - ratio)) patches; memory from the arena */
Mask mask_random(Arena *a, int B, int N, double ratio, Rng *rng);
/* the patches with the smallest noise (B,N) are kept, in rising order of it */
Mask mask_from_noise(Arena *a, int B, int N, double ratio, const real *noise);
Mask mask_nothing(Arena *a, int B, int N);               /* all patches, in order */

/* ---- patches --------------------------------------------------------------------------------- */

/* (B,H,W,C) -> (B,N,K): patches row by row, in each its rows, pixels, channels; and back */
Tensor *patchify(Tensor *images, int patch);
Tensor *unpatchify(Tensor *patches, int patch, int side);
/* each patch less its mean, over its standard deviation: (t - mean) / sqrt(var + 1e-6), with the
 * unbiased variance, divided by K-1 */
Tensor *normalise_patches(Tensor *patches);

/* ---- the autoencoder ------------------------------------------------------------------------- */

/* patches (B,N,K) -> (B,1+keep,D), the class token first. Hidden patches never enter, unless
 * mask_tokens_in_encoder: then (B,1+N,D), with a mask token for each. */
Tensor *encode(const Encoder *e, Tensor *patches, const Mask *m);
/* -> (B,N,K): a prediction for every patch */
Tensor *decode(const Mae *a, Tensor *latent, const Mask *m);
/* mean squared error over the numbers of hidden patches: scalar */
Tensor *masked_error(Tensor *prediction, Tensor *target, const Mask *m);

typedef struct {
    Tensor *patches, *latent, *prediction, *loss;
} MaePass;
MaePass mae_forward(const Mae *a, Tensor *images, const Mask *m, bool norm_targets);

/* multiply-adds of the matrix products in a forward pass for one image, in the encoder's blocks,
 * when `patches` of its patches (and the class token) are seen */
double encoder_multiply_adds(const MaeShape *s, int patches);

/* ---- what the encoder is for ----------------------------------------------------------------- */

/* One image, all of it visible. mean: of its patches' tokens, (B,D); cls: the class token */
typedef struct {
    Tensor *mean, *cls;
} ImageFeatures;
ImageFeatures image_features(const Encoder *e, Tensor *images);

typedef struct {
    Encoder encoder;
    Linear head;
} MaeClassifier;
MaeClassifier mae_classifier_new(Params *p, MaeShape shape, int classes);
Tensor *classify(const MaeClassifier *c, Tensor *images);          /* logits (B,classes) */

/* ---- many images, without gradients ---------------------------------------------------------- */

/* Images are (n,side,side,channels) in [-1,1]. masked: hidden patches grey; predicted: hidden
 * patches as predicted, visible ones as they are; either may be NULL. Returns the mean squared
 * error of hidden pixels on the scale [0,1]. With norm_targets predictions are turned into pixels
 * by the mean and deviation of the true patch, which the network never sees. */
double reconstruct(const Mae *a, int n, const real *images, double ratio, uint64_t seed,
                   bool norm_targets, real *masked, real *predicted);
/* n numbers of RGB images in [0,1] as the published networks were given them: less ImageNet's mean
 * colour, over its standard deviation; or back again */
void imagenet_scale(size_t n, real *x, bool back);

#endif
