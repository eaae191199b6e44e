/* dalle.h — the three stages together: a caption becomes codes, codes become pictures, and CLIP
 * says which picture fits its caption best.
 *
 * Pictures are (side,side,3) in [0,1], codes (N) of them, row after row.
 *
 * Interface:
 *   - dalle_free
 *   - dalle_draw        pictures of a caption; or of a caption and the upper part of a picture
 *   - dalle_cosines, dalle_rank    which of them fit it best: Ramesh et al. 2021, section 2.6
 *   - caption_nats      what a picture's codes cost after each of several captions */
#ifndef DALLE_H
#define DALLE_H

#include "dvae.h"
#include "eval/frozen_clip.h"
#include "prior.h"

enum { STAGE_DVAE, STAGE_PRIOR, STAGES };
extern const char *const stage_names[STAGES];        /* "dvae", "prior" */

typedef struct {
    Params params[STAGES];
    Dvae dvae;
    Prior prior;
    Bpe bpe;
    int side;                    /* of a picture, in pixels */
} Dalle;

void dalle_free(Dalle *d);
int  dalle_codes(const Dalle *d);        /* N */
/* (n,T): captions as tokens, in memory of the arena; dropout: see prior_text */
int *dalle_texts(const Dalle *d, Arena *arena, int n, const char *const *captions,
                 const BpeDropout *dropout);

/* n pictures x (n,side,side,3), captions[i] for each */
typedef struct {
    int n;
    const char *const *captions;
    TokenSampler sampler;
    double scale;                /* of guidance; 1: none */
    int known;                   /* codes that are given, of each picture; 0: none */
    int *codes;                  /* (n,N): the given ones; becomes all */
    real *x;
} DalleDraw;
void dalle_draw(const Dalle *d, DalleDraw draw, Rng *rng);

/* cosines (n): how well each of the n pictures x fits `caption` */
void dalle_cosines(const FrozenClip *clip, const char *caption, int n, const real *x,
                   real *cosines);
/* best (levels): of the first level[l] cosines the number of the largest, the first if several are;
 * level rises */
void best_of_each(int levels, const int *level, const real *cosines, int *best);
/* and order (n): the numbers of the pictures, the one that fits best first */
void dalle_rank(const FrozenClip *clip, const char *caption, int n, const real *x, int *order,
                real *cosines);

/* nats (n): -ln p(codes | caption i) of one picture's codes (N), each of n captions */
void caption_nats(const Dalle *d, const int *codes, int n, const char *const *captions,
                  double *nats);

#endif
