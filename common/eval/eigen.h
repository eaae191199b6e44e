/* eigen.h — eigenvalues of small symmetric matrices, in double. */
#ifndef EIGEN_H
#define EIGEN_H

/* Eigenvalues, falling, of a symmetric a (n,n), which is destroyed, with its eigenvectors in the
 * rows of v, by cyclic Jacobi rotations (Golub & Van Loan, section 8.5). A sweep takes 6 n^3
 * multiplications, about ten are needed: milliseconds for n = 64. */
void symmetric_eigen(int n, double *a, double *values, double *v);

#endif
