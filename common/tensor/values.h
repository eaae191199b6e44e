/* values.h — how long a tensor's values stay in memory. For tape.c and the ops; users see t_keep,
 * t_mark and t_release in tensor.h.
 *
 * Values belong to the tensor that made them; views (reshape, detach) point at them. Their memory
 * comes from tape->values and goes back there as early as possible:
 *
 *   - In the backward pass a tensor's own op is the last that needs its values: all that were
 *     computed from it were recorded later. Before, `readers` counts the ops whose backward pass
 *     will read the values, `pins` the tensors that may be computed again from them.
 *   - In the forward pass nobody says which op is the last to use a tensor. It is guessed: the one
 *     that has just run. If its operand can be had again, it is dropped: a cheap op's although it
 *     has readers (Chen et al. 2016), any other if it has none and at most AGAIN ops lead to it from
 *     values that are there. An op that works number by number is computed over such an operand.
 *     A dropped tensor that is needed is computed again, to the same bits. If it is a later op of
 *     the forward pass that needs it, the guess was wrong: the tape notes the tensor's number, and
 *     in the passes to come it stays until the op of that number.
 *
 * So the first pass computes some values twice; from the second on, a tape that repeats its steps
 * knows each last use. Tensors with one number per item stay in any case: a program reads losses. */
#ifndef VALUES_H
#define VALUES_H

#include "tensor/tensor.h"

/* the operands' values, computed again if need be; fails if they are no more */
void values_use_operands(Tensor *y);
void values_count_readers(Tensor *y);
/* memory for y's values: new, or that of an operand; `over` as in t_new */
void values_place(Tensor *y, int over);
void values_computed(Tensor *y);           /* y's operands may go */
void values_needed(Tensor *y);             /* makes present what y's backward pass reads */
void values_used_up(Tensor *y);            /* y's backward pass has run */
void values_sync_views(Tape *t);           /* views of what has gone point at nothing */

#endif
