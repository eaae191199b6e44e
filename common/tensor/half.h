/* half.h — weights that are kept in half precision: half the memory, for networks that are used and
 * not trained.
 *
 *     Params p = {.shapes_only = true};
 *     Network net = network_new(&p);
 *     params_keep_half(&p);
 *     official_load(path, prefix, &map, &p);
 *
 * Weights of linear layers and convolutions (whose last name is w) are kept so; biases, gains and
 * tables are few, and stay as they are. A layer widens its weights when it is applied, and gives
 * the memory back. A tensor's halves stand in .isaved, which parameters do not use; .x is NULL. */
#ifndef TENSOR_HALF_H
#define TENSOR_HALF_H

#include "tensor/tensor.h"

/* Memory for parameters of which only the shapes are known so far; all 0. */
void params_keep_half(Params *p);

/* NULL: its values are real ones */
static inline uint16_t *halves_of(const Tensor *w) {
    return w->x ? NULL : (uint16_t *)w->isaved;
}

/* the values of a parameter that is kept so, on the tape; only under no_grad */
Tensor *t_widen(Tape *t, Tensor *parameter);

#endif
