/* embedding.h — what is done with CLIP's embeddings, plain arrays (n,D) of rows of length 1.
 *
 *   - Whitening           mean 0 and deviation 1 in each number, as diffusion wants its data
 *   - slerp               between two of them, along the sphere
 *   - text_difference     what changes from one caption to another
 *   - few_dimensions      along the first principal components alone */
#ifndef EMBEDDING_H
#define EMBEDDING_H

#include "ar_prior.h"

/* ---- whitening ---------------------------------------------------------------------------------
 * An embedding of length 1 has numbers of about 1/sqrt(D), which noise of deviation 1 would hide
 * from the first step on. Karlo whitens them; the paper multiplies all by one number. */
typedef struct {
    Tensor *average, *deviation;        /* (D) buffers */
} Whitening;

Whitening whitening_new(Params *p, int dim);      /* until it is fitted: the same numbers out */
void whitening_fit(Whitening *w, int n, const real *embeddings);
void whiten(const Whitening *w, int n, const real *embedding, real *x);  /* may be the same array */
/* and back, to length 1 */
void unwhiten(const Whitening *w, int n, const real *x, real *embedding);

/* ---- along the sphere (section 3) ------------------------------------------------------------ */

void normalise(int D, real *z);                   /* to length 1 */
double cosine(int n, const real *a, const real *b);
/* From a (t = 0) to b (t = 1), n numbers: sin((1-t) w)/sin(w) a + sin(t w)/sin(w) b, w the angle
 * between them (Shoemake 1985). The length stays, or goes from one's to the other's. Used for noise
 * x_T as well. y may be one of them. */
void slerp(size_t n, const real *a, const real *b, double t, real *y);
/* (to - from) of length 1, of two text embeddings of any one length (section 3.3) */
void text_difference(int D, const real *from, const real *to, real *difference);

/* The embedding with its first `components` coordinates along the prior's principal components, the
 * others as in the mean, to length 1 (section 5, figure 7) */
void few_dimensions(const ArPrior *m, int components, const real *z, real *y);

#endif
