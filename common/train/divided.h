/* divided.h — moments and averages that are divided among processes (nn/gradient_sum.h): each
 * process keeps those of the parameters that it steps. Where they are saved or evaluated with, they
 * come to process 0 one at a time: all processes go through the same tensors in the same order, and
 * what the others write goes nowhere (base/file.h). With one process nothing is divided. */
#ifndef DIVIDED_H
#define DIVIDED_H

#include "tensor/tensor.h"

/* Together: w's numbers, at process 0 and at the one that has them; NULL at others. Freed by
 * divided_free. */
const real *divided_get(const Tensor *w);
void divided_free(const Tensor *w, const real *numbers);

/* Together: process 0 has all of p's values; then, that it has not. */
void divided_bring(Params *p);
void divided_forget(Params *p);

#endif
