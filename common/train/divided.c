#include "train/divided.h"

#include "base/error.h"
#include "base/processes.h"
#include "nn/gradient_sum.h"

#include <stdlib.h>

const real *divided_get(const Tensor *w) {
    if (w->x || !w->divided) return w->x;
    real *numbers = malloc(w->len * sizeof *numbers);
    if (!numbers) fail("out of memory: %s", w->name);
    int wanted = w->divided;
    processes_share(&wanted, sizeof wanted);
    processes_bring(w->owner - 1, numbers, w->len * sizeof *numbers);
    return numbers;
}

void divided_free(const Tensor *w, const real *numbers) {
    if (numbers != w->x) free((void *)numbers);
}

void divided_done(void) {
    int nothing = 0;
    processes_share(&nothing, sizeof nothing);
}

static void send(const CheckpointParams *of, int wanted) {
    for (; of->params; of++)
        for (int i = 0; i < of->params->count; i++) {
            const Tensor *w = of->params->list[i];
            if (w->divided == wanted && is_stepped_here(w))
                processes_bring(process_rank(), w->x, w->len * sizeof *w->x);
        }
}

void divided_serve(const CheckpointParams *of) {
    for (int wanted = process_count() > 1; wanted;) {
        processes_share(&wanted, sizeof wanted);
        if (wanted) send(of, wanted);
    }
}

static bool is_elsewhere(const Tensor *w) {
    return w->divided && !is_stepped_here(w);
}

void divided_bring(Params *p, const CheckpointParams *of) {
    if (process_rank()) {
        divided_serve(of);
        return;
    }
    for (int i = 0; i < p->count; i++) p->list[i]->x = (real *)divided_get(p->list[i]);
    divided_done();
}

void divided_forget(Params *p) {
    for (int i = 0; i < p->count; i++) {
        Tensor *w = p->list[i];
        if (!is_elsewhere(w)) continue;
        free(w->x);
        w->x = NULL;
    }
}
