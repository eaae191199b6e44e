/* optimizer.h — one set of parameters and what trains it.
 *
 *     minimise(adam, loss, lr);             // gradients of one loss, one step
 *
 *     backward(first), backward(second);    // or the gradients of several, added up in this order,
 *     optimizer_step(adam, lr);             // and one step
 *
 * Where a step is made of micro-batches (gradient_sum.h), optimizer_step adds up their gradients and
 * steps after the last one. */
#ifndef OPTIMIZER_H
#define OPTIMIZER_H

#include "nn/gradient_sum.h"
#include "nn/optim.h"

typedef struct {
    Params *params;
    bool plain;              /* trained by `sgd`; else by `adam` */
    Adam adam;
    Sgd sgd;
    double clip;             /* largest norm of a step's gradient; 0: any */
    Ema *ema;                /* averages of the weights; NULL: none */
    GradientSum sum;         /* of micro-batches */
} Optimizer;

/* One step with the gradients that are there, clipped; then the new average. Clears the gradients:
 * the next backward() begins the next step. */
void optimizer_step(Optimizer *o, double lr);
/* backward(loss), after which nothing is added to the gradients of this step: what several processes
 * have is exchanged meanwhile. Then optimizer_step. */
void last_backward(Optimizer *o, Tensor *loss);
/* both */
void minimise(Optimizer *o, Tensor *loss, double lr);

#endif
