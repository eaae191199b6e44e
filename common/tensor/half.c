#include "tensor/half.h"

#include "base/error.h"
#include "kernels/widen.h"

#include <string.h>

static bool is_weight(const Tensor *w) {
    const char *dot = strrchr(w->name, '.');
    return !strcmp(dot ? dot + 1 : w->name, "w") && w->rank > 1;
}

void params_keep_half(Params *p) {
    if (!p->shapes_only) die("params_keep_half: the parameters have values already");
    for (int i = 0; i < p->count; i++) {
        Tensor *w = p->list[i];
        bool half = is_weight(w);
        size_t bytes = w->len * (half ? sizeof(uint16_t) : sizeof(real));
        void *memory = memset(arena_get(&p->arena, bytes), 0, bytes);
        if (half) w->isaved = memory;
        else w->x = memory;
    }
    p->shapes_only = false;
}

Tensor *t_widen(Tape *t, Tensor *w) {
    if (!t->no_grad) die("widen: %s is kept in half precision, without gradients", t_describe(w));
    Tensor *y = t_input(t, NULL, w->rank, w->shape);
    k_widen(w->len, halves_of(w), y->x);
    return y;
}
