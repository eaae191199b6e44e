/* values.h — how long a tensor's values stay in memory. For tape.c; users see t_give, t_brief,
 * t_drop and t_keep in tensor.h.
 *
 * Values belong to the tensor that made them; views (reshape, detach) point at them. Their memory
 * comes from tape->values and goes back there as soon as both are true:
 *   - nobody but backward passes needs them (`left`): they were given away, dropped, or the
 *     backward pass of their own op has run;
 *   - `readers` is 0: the ops recorded so far whose backward pass will read them.
 * Values that left with readers may be `dropped` none the less if the op can be run again. */
#ifndef VALUES_H
#define VALUES_H

#include "tensor/tensor.h"

/* fails if the operands' values are no more */
void values_check_operands(const Tensor *y);
/* memory for y's values: new, or that of an operand which was given to y; `over` as in t_new */
void values_place(Tensor *y, int over);
void values_count_readers(Tensor *y);
void values_operands_leave(Tensor *y);     /* y is computed: what was given to it goes */
void values_needed(Tensor *y);             /* makes present what y's backward pass reads */
void values_used_up(Tensor *y);            /* y's backward pass has run */
void values_sync_views(Tape *t);           /* views of what has gone point at nothing */

#endif
