/* entry.c — names, layout, and what is checked before a parameter is read. */
#include "nn/entry.h"

#include "base/file.h"
#include "base/memory.h"

#include <math.h>
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

bool is_batch_counter(const char *name) {
    return strstr(name, ".num_batches_tracked") != NULL;
}

void entry_get(const Entry *e, const StTensor *t, real *x) {
    if (!e->turned) {
        safetensors_get(t, x);
        return;
    }
    real *turned = memory_new(t->len, sizeof *turned, "%s", e->name);
    int shape[4], back[4];
    for (int i = 0; i < 4; i++) {
        shape[i] = (int)e->shape[i];
        back[e->order[i]] = i;
    }
    safetensors_get(t, turned);
    k_permute(shape, back, turned, x, false);
    free(turned);
}

real *entry_new(const Safetensors *s, const char *prefix, Tensor *w) {
    Entry e = entry_of(prefix, w);
    real *x = memory_new(w->len, sizeof *x, "%s", e.name);
    entry_get(&e, safetensors_find(s, e.name), x);
    free(e.name);
    return x;
}

/* ---- all of a file --------------------------------------------------------------------------- */

void entries_add(Entries *e, const char *prefix, const Params *p) {
    size_t count = (size_t)(e->count + p->count);
    e->list = memory_grow(e->list, &e->room, count + 1, sizeof *e->list, "%zu tensors", count);
    for (int i = 0; i < p->count; i++) e->list[e->count++] = entry_of(prefix, p->list[i]);
}

void entries_free(Entries *e) {
    for (int i = 0; i < e->count; i++) free(e->list[i].name);
    free(e->list);
    *e = (Entries){0};
}

static void check_entry(const Safetensors *s, const char *path, const Entry *e) {
    const StTensor *t = safetensors_find(s, e->name);
    char in_file[ST_SHAPE], here[ST_SHAPE];
    int rank = e->tensor->rank;
    if (!t) {
        fail("%s: has no %s, which this network has; was it trained with another --config?", path,
             e->name);
    }
    if (t->rank != rank || memcmp(t->shape, e->shape, (size_t)rank * sizeof *t->shape) != 0) {
        fail("%s: %s is %s, this network has %s; was it trained with another --config?", path,
             e->name, safetensors_shape(t->rank, t->shape, in_file),
             safetensors_shape(rank, e->shape, here));
    }
    if (!safetensors_is_float(t->type)) {
        fail("%s: %s holds %s, weights are F64, F32, F16 or BF16", path, e->name,
             safetensors_type(t->type));
    }
}

/* called when the file has more tensors than the list: names the first that is not asked for */
static void name_surplus(const Safetensors *s, const char *path, const Entries *l) {
    for (int i = 0; i < s->count; i++) {
        const char *name = s->tensors[i].name;
        int k = 0;
        while (k < l->count && strcmp(l->list[k].name, name) != 0) k++;
        if (k == l->count && !is_batch_counter(name)) {
            fail("%s: has %s, which is not asked for here; is it a training checkpoint (use the "
                 "weights beside it), or of another --config?", path, name);
        }
    }
}

void entries_check_part(const Entries *e, const Safetensors *s, const char *path) {
    for (int i = 0; i < e->count; i++) check_entry(s, path, &e->list[i]);
}

void entries_check(const Entries *e, const Safetensors *s, const char *path) {
    entries_check_part(e, s, path);
    if (e->count < s->count) name_surplus(s, path, e);
}

static void check_finite(const char *path, const Entry *e) {
    const Tensor *w = e->tensor;
    if (k_all_finite(w->len, w->x)) return;
    size_t i = 0;
    while (isfinite(w->x[i])) i++;
    fail("%s: number %zu of %s is %g; nothing can be made with such weights", path, i, e->name,
         (double)w->x[i]);
}

void entries_read(const Entries *e, const Safetensors *s, const char *path) {
    for (int i = 0; i < e->count; i++) {
        if (e->list[i].tensor->divided && !e->list[i].tensor->x) continue;    /* another's */
        entry_get(&e->list[i], safetensors_find(s, e->list[i].name), e->list[i].tensor->x);
        check_finite(path, &e->list[i]);
    }
}

void made_by(const Safetensors *s, const char *path, const char *program) {
    const char *chapter = safetensors_metadata(s, "chapter");
    if (chapter && strcmp(chapter, program) != 0)
        fail("%s: was made by %s, not by %s", path, chapter, program);
}

void weights_read(const char *path, const char *program, Entries *e) {
    Safetensors s = safetensors_open(path);
    made_by(&s, path, program);
    entries_check(e, &s, path);
    entries_read(e, &s, path);
    entries_free(e);
    safetensors_close(&s);
}
