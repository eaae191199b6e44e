/* gradient_sum.h — the gradient of a step that is made of several micro-batches.
 *
 * With M micro-batches a step's gradient is (g_0 + g_1 + ... + g_{M-1}) / M, added up in this order:
 * the mean over the whole batch, if its parts are of one size. What a micro-batch changes in buffers
 * (running statistics) is averaged in the same way: each begins with the buffers that the step
 * before left, and the step leaves  before + (sum of the changes) / M.
 *
 * Where several processes share a step, P of them do micro-batches 0 .. P-1 at the same time, then
 * the next P. Each owns some of the parameters: it receives every process's gradient of them, adds these
 * up in the order of the micro-batches, and steps its parameters; then all are gathered. The sums
 * are the same, bit for bit, for any number of processes. Moments and averages exist only where
 * their parameter is stepped (ZeRO stage 1, Rajbhandari et al. 2020; Tensor.owner,
 * train/divided.h).
 * What travels goes in rounds of parameters from the end of the list. A round's gradients begin their
 * way when the backward pass has completed them, and travel while it goes on; two rounds may be
 * under way, so that sending needs memory for these. A tensor travels whole: its owner receives one
 * from each process at once, which MPI can do up to 2 GB. */
#ifndef GRADIENT_SUM_H
#define GRADIENT_SUM_H

#include "tensor/tensor.h"

typedef struct {
    int count;               /* micro-batches of a step */
    int index;               /* the one under way: 0 .. count-1 */
} MicroBatch;

/* of one Params; all of it made by sum_prepare */
typedef struct {
    const MicroBatch *micro; /* NULL: steps of one batch */
    int rounds, *cut;        /* in round r parameters cut[r+1] .. cut[r]-1 travel */
    real *sum;               /* of the gradients of those owned */
    size_t *at;              /* where in `sum` a parameter's begins */
    bool *has_sum;           /* which of them had one */
    real *before, *change;   /* buffers as the step began; the sum of what was changed */
    real *travel;            /* what is sent and received: of each round under way in a slot */
    size_t slot;             /* numbers in one */
    size_t *start, *next;    /* where each process's part of a round begins, and goes on */
    bool exchanged;          /* this micro-batch's gradients have been */
    real **kept;             /* gradients whose place the sums have taken */
} GradientSum;

/* Are steps made of several micro-batches? */
bool sum_wanted(const GradientSum *s);
/* Does this process step it? Yes, if nothing is divided. */
bool is_stepped_here(const Tensor *w);
/* Divides the parameters among the processes: when all are made, before their moments are. */
void sum_prepare(GradientSum *s, const Params *p);
/* No sums yet, and the buffers are remembered: before the first micro-batch. */
void sum_start(GradientSum *s, const Params *p);
/* backward(loss), meanwhile the exchange. Nothing may be added to the gradients after it. */
void sum_backward(GradientSum *s, const Params *p, Tensor *loss);
/* Adds this micro-batch's gradients, and clears them. After the last one returns true: the sums
 * stand in the gradients' place, those of other processes' parameters are cleared. */
bool sum_add(GradientSum *s, Params *p);
/* sqrt(sum g^2) of all parameters; after sum_add */
double sum_norm(const GradientSum *s, const Params *p);
/* After the step: every process has all parameters; gradients have their own place again. */
void sum_end(GradientSum *s, Params *p);
void sum_free(GradientSum *s);

#endif
