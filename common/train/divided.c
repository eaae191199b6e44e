#include "train/divided.h"

#include "base/memory.h"
#include "base/processes.h"
#include "nn/gradient_sum.h"

#include <stdlib.h>

const real *divided_get(const Tensor *w) {
    real *x = w->x;
    if (!w->divided) return x;
    if (!x && process_rank() == 0) x = memory_new(w->len, sizeof *x, "%s", w->name);
    processes_bring(w->owner - 1, x, w->len * sizeof *x);
    return x;
}

void divided_free(const Tensor *w, const real *numbers) {
    if (numbers != w->x) free((void *)numbers);
}

void divided_bring(Params *p) {
    for (int i = 0; i < p->count; i++) p->list[i]->x = (real *)divided_get(p->list[i]);
}

void divided_forget(Params *p) {
    for (int i = 0; i < p->count; i++) {
        Tensor *w = p->list[i];
        if (!w->divided || is_stepped_here(w)) continue;
        free(w->x);
        w->x = NULL;
    }
}
