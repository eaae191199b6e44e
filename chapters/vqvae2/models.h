/* models.h — the three networks of the chapter, their files, and pictures as codes.
 *
 *   - build, load_autoencoder, load_all, together     networks as the options describe them
 *   - Coded, code_first            the first pictures of a set with their codes
 *   - rebuild, picture_of_reconstructions             from codes to pictures
 *   - mean_nats, nats_of           what a prior says a code costs */
#ifndef MODELS_H
#define MODELS_H

#include "train/checkpoint.h"
#include "pictures.h"
#include "pixelsnail.h"
#include "settings.h"
#include "vqvae2.h"

/* ---- networks -------------------------------------------------------------------------------- */

/* all three, as far as there are weights for them */
typedef struct {
    Params params[STAGES];
    Vqvae2 autoencoder;
    Snail prior[STAGES];              /* [TOP] and [BOTTOM] */
} Models;

void models_free(Models *m);
void build(Models *m, int stage);                    /* with random weights */
char *weights_of(const char *stage);                 /* path in --out; "": of all together */
/* from `path`, NULL: the one in --out. Ends the program with one line if the file is not right. */
void load_autoencoder(Models *m, const char *path);
void load_all(Models *m);                            /* from --weights, or the file in --out */
Checkpoint together(Models *m);                      /* one file of all networks */

/* ---- pictures and their codes ---------------------------------------------------------------- */

enum { POSITIONS = 256,                   /* of codes, at most */
       HELD_OUT = 500,                    /* pictures that the log's means are over */
       COLUMNS = 12 };                    /* of pictures */

void  load_data(Pictures *d);
real *new_pictures(Arena *arena, const Pictures *d, int n);
int  *new_ints(Arena *arena, int n);
int   bottom_codes(const Pictures *d);    /* N; the top has N / 4 */

/* the first n pictures of a set, their classes and codes */
typedef struct {
    int n, *labels, *top, *bottom;        /* (n), (n,N/4), (n,N) */
    real *x;
} Coded;

Coded code_first(Arena *arena, const Pictures *d, const Vqvae2 *v, const Images *set, int n);

/* rows of `columns` pictures; `path` is freed */
void save_grid(char *path, const Pictures *d, const real *x, int rows, int columns);
/* decodes n pictures' codes: 0 from both levels, 1 the top alone, 2 the bottom alone */
void rebuild(const Pictures *d, const Vqvae2 *v, int kind, int n, const int *top,
             const int *bottom, real *x);
/* originals; rebuilt from both levels, from the top alone, from the bottom alone */
void picture_of_reconstructions(char *path, const Pictures *d, const Vqvae2 *v,
                                const Images *set);

/* ---- what codes cost ------------------------------------------------------------------------- */

/* the codes that a prior is about, and those it is told: the bottom's, if there is a top */
int *codes_of(const Coded *c, int stage);
int *told(const Coded *c, int stage);

/* mean over all positions of the nats that n pictures' codes cost */
double mean_nats(const Snail *s, int n, const int *codes, const int *top, const int *labels);
double nats_of(const Snail *s, int stage, const Coded *c);

#endif
