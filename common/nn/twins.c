/* twins.c — Params that keep something for each parameter of another: moments, averages. */
#include "nn/optim.h"

#include "base/error.h"
#include "nn/gradient_sum.h"

#include <string.h>

void params_like(Params *p, const Params *like, double value) {
    if (p->count == like->count) return;    /* every step but the first */
    Scope top = {.params = p};
    for (int i = 0; i < like->count; i++) {
        const Tensor *w = like->list[i];
        if (params_find(p, w->name)) continue;
        p->shapes_only = !is_stepped_here(w);
        Tensor *t = w->is_buffer ? buffer(top, w->name, value, w->rank, w->shape)
                                 : param(top, w->name, INIT_CONSTANT, value, w->rank, w->shape);
        t->owner = w->owner, t->divided = w->owner != 0;
    }
    p->shapes_only = false;
}

Tensor *params_twin(const Params *p, int i, const Tensor *w) {
    Tensor *t = i < p->count ? p->list[i] : NULL;
    if (!t || strcmp(t->name, w->name)) t = params_find(p, w->name);
    if (!t) die("params_twin: nothing is kept for %s; is it another network's?", t_describe(w));
    if (t->len != w->len)
        die("params_twin: what is kept for %s is %s", t_describe(w), t_describe(t));
    return t;
}
