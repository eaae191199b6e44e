/* model.h — the three networks together: images as codes, and images from the priors. */
#ifndef MODEL_H
#define MODEL_H

#include "data/image_set.h"
#include "eval/scores.h"
#include "nn/pixelsnail.h"
#include "vqvae2.h"

enum { AUTOENCODER, TOP, BOTTOM, STAGES };

typedef struct {
    Params params[STAGES];
    Vqvae2 autoencoder;
    Snail prior[STAGES];                  /* [TOP], unless there is one level, and [BOTTOM] */
} Model;

void model_free(Model *m);

extern const char *const stage_names[STAGES];     /* "autoencoder", "top", "bottom" */

/* n images as codes, and their classes */
typedef struct {
    int n, side, *labels;                 /* the bottom's codes are side x side, the top's half */
    int positions[STAGES];                /* codes in one image: side^2/4 [TOP], side^2 [BOTTOM] */
    int *z[STAGES];                       /* (n,positions) */
} Codes;

Codes codes_new(Arena *arena, const ImageSet *d, int n);
/* of the first n images of a set; or of all, if there are fewer */
Codes encode_set(Arena *arena, const ImageSet *d, const Vqvae2 *v, const Images *set, int n);

/* from both levels, or from one alone */
typedef enum { BOTH_LEVELS, TOP_ALONE, BOTTOM_ALONE } Levels;
real *decode_codes(Arena *arena, const Vqvae2 *v, const Codes *c, Levels levels);

/* The first c->n images' mean squared error over the variance of the data */
double relative_error(const ImageSet *d, const Vqvae2 *v, const Images *set, const Codes *c,
                      Levels levels);
/* how often codes of a level were chosen: (K) */
int *times_chosen(Arena *arena, const Vqvae2 *v, const Codes *c, int level);
/* -ln p of the codes of a level, mean over positions and images */
double nats_per_code(const Model *m, int level, const Codes *c);

/* ---- images from the priors ------------------------------------------------------------------ */

typedef struct {
    int n;
    const int *labels;                    /* the classes of the n images to draw */
    double temperature;
    /* Rejection (Razavi et al. 2019, section 3.3): 1 / keep times as many are drawn, and those kept
     * to whose class the evaluator gives the highest probability. 1: all; evaluator may be NULL */
    double keep;
    const Evaluator *evaluator;
} Draw;

/* top, then bottom, then pixels */
real *sample_images(Arena *arena, const ImageSet *d, const Model *m, Draw request, Rng *rng);

#endif
