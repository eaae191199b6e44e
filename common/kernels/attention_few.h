/* attention_few.h — attention of very few queries, as when tokens are sampled one by one. Not
 * public. */
#ifndef ATTENTION_FEW_H
#define ATTENTION_FEW_H

#include "kernels.h"

enum { FEW_QUERIES = 2 };

/* attention_forward for nq <= FEW_QUERIES and nk >= 1 */
void attention_few(const AttentionShape *s, const real *q, const real *k, const real *v, real *y,
                   real *lse);

#endif
