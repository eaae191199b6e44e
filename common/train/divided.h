/* divided.h — moments and averages that are divided among processes (nn/gradient_sum.h): each
 * process keeps those of the parameters that it steps. Process 0, which saves and evaluates, asks
 * for them one at a time; meanwhile the others serve.
 *
 *     if (process_rank()) divided_serve(saved.params);
 *     else checkpoint_save(path, &saved), divided_done();
 *
 * With one process nothing is divided, and all of this does nothing. */
#ifndef DIVIDED_H
#define DIVIDED_H

#include "train/checkpoint.h"

/* Process 0: w's numbers, its own or those that another process has sent; the other ones are to be
 * freed by divided_free. */
const real *divided_get(const Tensor *w);
void divided_free(const Tensor *w, const real *numbers);
void divided_done(void);                             /* ends what the others do in divided_serve */
/* The others: send what process 0 asks for, of these, until it is done. */
void divided_serve(const CheckpointParams *of);

/* Together: process 0 has all of p's values; then, that it has not. */
void divided_bring(Params *p, const CheckpointParams *of);
void divided_forget(Params *p);

#endif
