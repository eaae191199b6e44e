/* nets.h — the networks whose steps are timed against PyTorch (torch_steps.py has their twins,
 * layer by layer under the same names), some against ONNX Runtime, too. A step trains, or samples: then there are no gradients.
 *
 * A Training owns everything a step needs: weights, optimiser, tape, and one batch with its noise.
 * Batch and noise are drawn once: both sides time the same arithmetic, not their random numbers.
 *
 *     Training t;
 *     training_start(&t, net_find("unet"), 64);
 *     for (int i = 0; i < 10; i++) printf("%g\n", training_step(&t));
 *     training_free(&t);                                                                        */
#ifndef NETS_H
#define NETS_H

#include "nn/layers.h"
#include "nn/optim.h"
#include "nn/transformer.h"

typedef struct Training Training;

typedef struct {
    const char *name, *title;
    int batch;                    /* at which it is timed */
    bool convolutional;           /* PyTorch then has two memory layouts to choose from */
    void (*build)(Training *);    /* weights, batch, optimisers' settings; layers go to t->net */
    double (*step)(Training *);   /* one step; the loss (the sum of both for a GAN), or another
                                     number that tells whether both sides computed the same */
} NetKind;

struct Training {
    const NetKind *kind;
    int batch;
    bool small;                   /* for tests: narrower where weights fill gigabytes, smaller
                                     pictures where rounding would grow; others as they are */
    Params params[2];             /* [1]: the discriminator of a GAN */
    Adam adam[2];
    Params input;                 /* batch and noise, as buffers that a checkpoint can hold */
    Tape tape;
    void *net;                    /* lives in params[0]'s arena */
    void (*close)(Training *);    /* frees what lies elsewhere; NULL: nothing does */
    double macs;                  /* multiply-adds of the last step's matrix products */
};

extern const NetKind *const net_kinds[];                 /* NULL ends the list */
extern const NetKind net_vae, net_dcgan, net_vqvae, net_mae, net_unet, net_unet_sample,
                     net_gpt, net_clip, net_glide, net_ldm, net_sd1,
                     net_first_stage, net_dvae, net_prior, net_prior_sample;
const NetKind *net_find(const char *name);               /* NULL: no such network */

/* t must not move: tensors know the arenas that they live in. small: not to be timed */
void   training_start(Training *t, const NetKind *kind, int batch, bool small);
double training_step(Training *t);
size_t training_count(const Training *t);                /* numbers that are trained */
double training_grad_norm(const Training *t);            /* of the last step's gradients; 0: none */
void   training_free(Training *t);

/* ---- for the networks ------------------------------------------------------------------------ */

void *net_alloc(Training *t, size_t bytes);              /* sets t->net; cleared */
/* What starts at 0 gets small values: behind a layer of zeros all gradients would be 0, and the
 * twin's as well, whatever it computed. */
void net_wake(Training *t);
/* What goes in, drawn once: numbers in [low,high), from N(0,1), or n integers below `below`. In a
 * file they are called input.NAME. */
const real *input_uniform(Training *t, const char *name, double low, double high, int rank,
                          const int *shape);
const real *input_normal(Training *t, const char *name, int rank, const int *shape);
const int  *input_index(Training *t, const char *name, int below, int n);
double     *input_times(Training *t, int below);         /* one for each of the batch */
real       *input_buffer(Training *t, const char *name, int rank, const int *shape);
/* backward, and a step of params[which]'s optimiser; returns the loss */
double      descend(Training *t, int which, Tensor *loss, double lr);

#endif
