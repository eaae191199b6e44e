/* models.h — the two networks as the command line describes them, and pictures as their codes.
 *
 *   - load_data                          Fashion-MNIST, or --data
 *   - new_autoencoder, new_prior         with starting values
 *   - load_autoencoder, load_model       from files
 *   - code_first, maps_of                a set's pictures as codes */
#ifndef MODELS_H
#define MODELS_H

#include "data/fashion.h"
#include "prior.h"
#include "vqvae.h"

enum { COLUMNS = 10, HELD_OUT = 1000 };    /* of pictures; images looked at in training */

Fashion load_data(void);
/* of all pixels of a set; ends the program if it is 0 */
double variance_of(const Images *set);
real *new_images(Arena *arena, int n);                  /* (n,28,28) */

/* ---- networks -------------------------------------------------------------------------------- */

Vqvae new_autoencoder(Params *p);
Prior new_prior(Params *p);
/* the first stage's, as the weights that are passed on keep it: in half precision */
Vqvae load_autoencoder(Params *params);

typedef struct {
    Params of_autoencoder, of_prior;
    Vqvae autoencoder;
    Prior prior;
} Model;

/* the one that --weights (or the run in --out) holds */
Model load_model(void);
void model_free(Model *m);

/* ---- pictures as codes ----------------------------------------------------------------------- */

/* the first n pictures of a set, and what the autoencoder makes of them */
typedef struct {
    int n, *labels, *codes;              /* (n), (n,49) */
    real *x, *rebuilt;                   /* (n,28,28) */
} Coded;

Coded code_first(Arena *arena, const Vqvae *v, const Images *set, int n);
double squared_error(const Coded *c);                   /* mean over all pixels */
/* how often the n pictures' codes were chosen: (K) */
int *times_chosen(Arena *arena, const Coded *c);

/* the codes and classes of a set's pictures */
typedef struct {
    int n, *codes, *labels;
} Maps;

Maps maps_of(Arena *arena, const Vqvae *v, const Images *set);
/* the prior's mean -ln p of a code, over the first n maps */
double first_nats(const Prior *p, const Maps *m, int n);

#endif
