/* codebook.h — vector quantisation: each vector becomes the number of its nearest code.
 *
 * Van den Oord, Vinyals & Kavukcuoglu 2017, "Neural Discrete Representation Learning", section 3.1
 * and appendix A.1. Codes are learned in one of two ways:
 *   - by averages (decay > 0): a code moves to the mean of the vectors that chose it. No optimiser
 *     touches it; codebook_update does, in training passes alone.
 *   - by gradient (decay 0): codebook_loss pulls codes to their vectors.
 *
 *     Codebook book = codebook_new(sub(s, "codebook"), 512, 64, 0.99);
 *     ...
 *     if (step == 0) codebook_start(&book, z, &rng);
 *     Quantised q = quantise(&book, z);
 *     codebook_update(&book, &q);                        // after the lookup, before backward
 *     codebook_revive(&book, &q, 1, &rng);
 *     loss = reconstruction(decode(q.codes)) + beta q.commitment_loss [+ q.codebook_loss] */
#ifndef CODEBOOK_H
#define CODEBOOK_H

#include "tensor/tensor.h"

typedef struct {
    int count, dim;            /* K, D */
    double decay, eps;         /* of the averages; decay 0: learned by gradient */
    /* (K,D). By gradient: a parameter, `table`. By averages: a buffer, `embed`, and two more below,
     * under the names of rosinality's vq-vae-2-pytorch. */
    Tensor *table;
    Tensor *cluster_size;      /* (K) N_k: how many vectors a batch gives to code k, averaged */
    Tensor *embed_avg;         /* (K,D) m_k: their sum, averaged */
} Codebook;

/* Codes start within +-sqrt(3/D), of variance 1/D; codebook_start puts them where the data are. By
 * averages N_k starts at 1 and m_k at e_k: from 0, a code that the first batch does not use would
 * be m_k/N_k = 0.99 e_k/0. */
Codebook codebook_new(Scope s, int count, int dim, double decay);

typedef struct {
    Tensor *codes;             /* the nearest codes, z's shape; gradients go on to z unchanged */
    /* Means over all entries of (z - e)^2. The first moves z alone, the second codes alone, and is
     * NULL when they are averages. */
    Tensor *commitment_loss, *codebook_loss;
    int n, *index;             /* their numbers, n = z->len / D of them; on z's tape */
    Tensor *z;                 /* what was quantised */
} Quantised;
Quantised quantise(const Codebook *c, Tensor *z);       /* z (...,D) */

/* (...,D) of the given shape from numbers of codes: what a decoder reads when a prior wrote them */
Tensor *codebook_lookup(const Codebook *c, Tape *t, const int *index, int rank, const int *shape);

/* Codes put at vectors of z (...,D), the encoder's output for some data: the first at random, each
 * further one at a vector drawn with probability proportional to its squared distance to the
 * nearest code so far (Arthur & Vassilvitskii 2007, k-means++). Equal vectors do not become equal
 * codes, of which all but one would never be chosen. */
void codebook_start(Codebook *c, const Tensor *z, Rng *rng);

/* Appendix A.1: N_k and m_k move towards the number and sum of the vectors that chose k just now,
 * by 1 - decay; e_k = m_k / N_k. In the division N_k is smoothed to (N_k + eps) / (N + K eps) N
 * with N = sum N_k, eps 1e-5 unless set otherwise, as in Sonnet; the stored N_k is not smoothed. */
void codebook_update(Codebook *c, const Quantised *q);

/* Codes whose N_k fell below `threshold` are put at random vectors of q->z; returns how many. They
 * start with the mean N_k, which gives them about ln(mean/threshold)/(1-decay) steps to be chosen
 * before they are moved again. Codes learned by gradient are left alone. */
int codebook_revive(Codebook *c, const Quantised *q, double threshold, Rng *rng);

/* ---- how a codebook is used: times each code was chosen, over an epoch or a test set --------- */

void   codebook_count(int n, const int *index, int *times);           /* adds n choices */
int    codes_used(int count, const int *times);
/* exp of the choices' entropy: the number of codes, if all were used alike; 0 of no choices */
double codebook_perplexity(int count, const int *times);

#endif
