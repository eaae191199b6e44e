/* time_embedding.h — the time t as numbers that a network's blocks can read.
 *
 *   - sinusoidal_embedding     waves of many lengths
 *   - time_embedding           these through two linear layers: what the networks learn
 *
 * Ho et al. 2020, appendix B, and all diffusion models after it. */
#ifndef TIME_EMBEDDING_H
#define TIME_EMBEDDING_H

#include "nn/layers.h"

/* (B) times, which need not be whole -> (B,width), one wave length each (Vaswani et al. 2017,
 * section 3.5): cosines, then sines, of t 10000^(-i / half), half = width / 2; or with sines_first,
 * as in DDPM, sines, then cosines, of t 10000^(-i / (half - 1)) */
Tensor *sinusoidal_embedding(Tape *t, const double *time, int B, int width, bool sines_first);

typedef struct {
    Linear layer[2];
    int width;                  /* of the sinusoidal embedding: even, 4 or more */
    bool sines_first;
} TimeEmbedding;

/* parameters 0 and 1: (width,out) and (out,out) */
TimeEmbedding time_embedding_new(Scope s, int width, int out, bool sines_first);
/* linear(silu(linear(waves))): (B) times -> (B,out) */
Tensor *time_embedding(const TimeEmbedding *e, Tape *t, const double *time, int B);

#endif
