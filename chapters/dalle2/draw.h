/* draw.h — trained networks, and the way from captions or embeddings to images: what sample, the
 * commands for a user's pictures and eval share. */
#ifndef DRAW_H
#define DRAW_H

#include "settings.h"

typedef struct {
    FrozenClip clip;
    Params params[STAGES], whitening[STAGES];
    Prior prior;                         /* of needed networks alone */
    ArPrior ar;
    Decoder decoder;
    Whitening prior_whitening, decoder_whitening;
    Upsampler upsampler[2];
    int upsamplers;                      /* so many are there: images become 16, 32 or 64 wide */
} Models;

/* CLIP, the decoder, the upsamplers that are there, and one of the priors, or STAGES for none.
 * Ends the program with one line if weights were trained on another CLIP. */
void models_load(Models *m, Stage prior);
void models_free(Models *m);
int  models_side(const Models *m);       /* of the images that come out */

/* Embeddings of captions (text->n,D), of length 1, as --prior says, in memory of the arena; NULL:
 * none */
real *embed_captions(const Models *m, Arena *arena, const CaptionTable *text);

/* The prior that --prior names; STAGES: none */
Stage chosen_prior(void);
/* sample, eval: options given that --prior and --sampler have no use for end the program */
void refuse_unused(void);
/* Images (text->n,side,side,3) of captions and their embeddings, or NULL, by --scale and --sampler,
 * as large as they become; in memory of the arena */
real *images_of_captions(const Models *m, Arena *arena, const CaptionTable *text, const real *z);

/* n images of 16x16 */
typedef struct {
    int n;
    const real *z;                       /* (n,D) of length 1; NULL: no image embeddings */
    const CaptionTable *text;            /* of n captions; NULL: none */
    const real *start;                   /* x_T (n,16,16,3); NULL: noise of the seed */
    bool ddim;                           /* with eta; else ancestral */
    double scale, eta;
} Decoding;

void decode(const Models *m, Decoding d, real *x);
/* The x_T (n,16,16,3) that DDIM leads back to images x of 16x16 which have embeddings z, without
 * captions and guidance; in place */
void invert(const Models *m, int n, const real *z, real *x);
/* images (n,16,16,3) through the upsamplers -> (n,side,side,3), side of models_side, in memory of
 * the arena */
real *enlarge(const Models *m, Arena *arena, int n, real *x);

#endif
