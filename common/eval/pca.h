/* pca.h — principal component analysis, the best linear autoencoder (Baldi & Hornik 1989).
 *
 * With mean m and the leading eigenvectors U (d,k) of the covariance, code h = U^T (x - m) and
 * x' = m + U h have the least squared error of all linear codes of k numbers. */
#ifndef PCA_H
#define PCA_H

#include "base/arena.h"
#include "kernels/kernels.h"

typedef struct {
    int dimension, components;
    real *mean;              /* (d) */
    real *basis;             /* (k,d), orthonormal rows, by falling variance */
    double *variance;        /* (k), along each row */
    double total_variance;   /* over all d: the squared error per image of no code at all */
    Arena arena;             /* holds the three arrays */
} Pca;

Pca  pca_fit(int n, int dimension, const real *x, int components);    /* x (n,d) */
void pca_free(Pca *p);
void pca_encode(const Pca *p, int n, const real *x, real *codes);     /* (n,d) -> (n,k) */
void pca_decode(const Pca *p, int n, const real *codes, real *x);
void pca_reconstruct(const Pca *p, int n, const real *x, real *y);     /* (n,d) -> (n,d) */

#endif
