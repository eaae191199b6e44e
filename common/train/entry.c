#include "train/entry.h"

#include "base/file.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static const struct { const char *here, *file; bool turned; } endings[] = {
    {"w", "weight", true}, {"wt", "weight", true}, {"table", "weight", false}, {"b", "bias", false},
    {"gain", "weight", false}, {"shift", "bias", false}, {"mean", "running_mean", false},
    {"var", "running_var", false}, {"embed", "embed", true}, {"embed_avg", "embed_avg", true},
    {"wv", "weight_v", true}, {"wg", "weight_g", true}};

Entry entry_of(const char *prefix, Tensor *w) {
    const char *dot = strrchr(w->name, '.'), *last = dot ? dot + 1 : w->name, *ending = last;
    Entry e = {.tensor = w, .order = {0, 1, 2, 3}};
    for (size_t k = 0; k < sizeof endings / sizeof *endings; k++) {
        if (strcmp(last, endings[k].here) != 0) continue;
        ending = endings[k].file;
        e.turned = endings[k].turned && (w->rank == 2 || w->rank == 4);
    }
    e.name = text_format("%s%.*s%s", prefix, (int)(last - w->name), w->name, ending);
    if (e.turned) {                     /* (in,out) -> (out,in); (kh,kw,in,out) -> (out,in,kh,kw) */
        int matrix[4] = {1, 0, 2, 3}, kernel[4] = {3, 2, 0, 1};
        memcpy(e.order, w->rank == 2 ? matrix : kernel, sizeof e.order);
    }
    for (int i = 0; i < 4; i++) e.shape[i] = (size_t)w->shape[e.order[i]];
    return e;
}

void entry_get(const Entry *e, const StTensor *t, real *x) {
    if (!e->turned) {
        safetensors_get(t, x);
        return;
    }
    real *turned = malloc(t->len * sizeof *turned);
    if (!turned) fail("out of memory: %s", e->name);
    int shape[4], back[4];
    for (int i = 0; i < 4; i++) {
        shape[i] = (int)e->shape[i];
        back[e->order[i]] = i;
    }
    safetensors_get(t, turned);
    k_permute(shape, back, turned, x, false);
    free(turned);
}
