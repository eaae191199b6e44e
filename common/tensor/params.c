/* params.c — parameters: named tensors that live as long as their Params. */
#include "base/memory.h"
#include "tensor/tensor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ----------------------------------------------------------------------------------- */

static void append_name(Scope *s, const char *format, va_list args) {
    size_t n = strlen(s->path), room = sizeof s->path - n;
    int written = vsnprintf(s->path + n, room, format, args);
    if (written < 0 || (size_t)written >= room)
        die("scope: the name %s... is longer than %zu characters", s->path, sizeof s->path - 1);
}

Scope scope(Params *p, const char *format, ...) {
    Scope s = {.params = p};
    va_list args;
    va_start(args, format);
    append_name(&s, format, args);
    va_end(args);
    return s;
}

Scope sub(Scope s, const char *format, ...) {
    size_t n = strlen(s.path);
    if (n && n + 1 < sizeof s.path) strcpy(s.path + n, ".");
    va_list args;
    va_start(args, format);
    append_name(&s, format, args);
    va_end(args);
    return s;
}

/* ---- creation -------------------------------------------------------------------------------- */

static void list_append(Params *p, Tensor *w) {
    size_t n = (size_t)p->count + 1;
    p->list = memory_grow(p->list, &p->room, n, sizeof *p->list, "a list of %zu parameters", n);
    p->list[p->count++] = w;
}

static Tensor *new_parameter(Scope s, const char *op, const char *name, int rank,
                             const int *shape) {
    Params *p = s.params;
    s = sub(s, "%s", name);
    if (params_find(p, s.path)) die("param: the name %s is taken", s.path);
    if (rank < 1 || rank > 4) die("param: %s has rank %d; tensors have 1 to 4 axes", s.path, rank);
    Tensor *w = arena_get(&p->arena, sizeof *w);
    *w = (Tensor){.op = op, .arena = &p->arena, .rank = rank, .len = 1};
    for (int i = 0; i < 4; i++) {
        w->shape[i] = i < rank ? shape[i] : 1;
        if (w->shape[i] < 1) die("param: axis %d of %s has size %d", i, s.path, w->shape[i]);
        w->len *= (size_t)w->shape[i];
    }
    w->name = strcpy(arena_get(&p->arena, strlen(s.path) + 1), s.path);
    if (!p->shapes_only) w->x = arena_get(&p->arena, w->len * sizeof(real));
    list_append(p, w);
    return w;
}

Tensor *param(Scope s, const char *name, Init init, double scale, int rank, const int *shape) {
    Tensor *w = new_parameter(s, "param", name, rank, shape);
    w->wants_grad = true;
    if (!w->x) return w;
    Rng r = rng_new(s.params->seed, w->name);
    switch (init) {
    case INIT_CONSTANT: k_fill(w->len, (real)scale, w->x); break;
    case INIT_NORMAL:
        rng_normal(&r, w->len, w->x);
        k_axpy(w->len, (real)scale, w->x, w->x, false);
        break;
    case INIT_UNIFORM:
        rng_uniform(&r, w->len, w->x);
        k_affine(w->len, w->x, (real)(2 * scale), (real)-scale, w->x);
        break;
    }
    return w;
}

Tensor *buffer(Scope s, const char *name, double value, int rank, const int *shape) {
    Tensor *w = new_parameter(s, "buffer", name, rank, shape);
    w->is_buffer = true;
    if (w->x) k_fill(w->len, (real)value, w->x);
    return w;
}

/* ---- the whole list -------------------------------------------------------------------------- */

Tensor *params_find(const Params *p, const char *name) {
    for (int i = 0; i < p->count; i++)
        if (!strcmp(p->list[i]->name, name)) return p->list[i];
    return NULL;
}

size_t params_count(const Params *p) {
    size_t n = 0;
    for (int i = 0; i < p->count; i++)
        if (!p->list[i]->is_buffer) n += p->list[i]->len;
    return n;
}

void params_freeze(Params *p, bool frozen) {
    for (int i = 0; i < p->count; i++)
        p->list[i]->wants_grad = !frozen && !p->list[i]->is_buffer;
}

void params_zero_grad(Params *p) {
    for (int i = 0; i < p->count; i++) p->list[i]->has_grad = false;
}

void params_copy(Params *to, const Params *from) {
    for (int i = 0; i < to->count; i++) {
        Tensor *w = to->list[i];
        const Tensor *v = params_find(from, w->name);
        if (!v) die("params_copy: there is no %s to copy from", w->name);
        if (v->rank != w->rank || memcmp(v->shape, w->shape, sizeof v->shape))
            die("params_copy: %s cannot be copied to %s", t_describe(v), t_describe(w));
        if (w->x) memcpy(w->x, v->x, w->len * sizeof(real));
    }
}

void params_free(Params *p) {
    arena_free(&p->arena);
    free(p->list);
    *p = (Params){.seed = p->seed};
}
