#include "nn/gradient_sum.h"

#include "base/error.h"
#include "base/processes.h"
#include "nn/optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool sum_wanted(const GradientSum *s) {
    return s->micro && s->micro->count > 1;
}

/* ---- places ---------------------------------------------------------------------------------- */

/* A tensor's numbers, and one that says whether it has any: a gradient, or none in this pass. */
static size_t place(const Tensor *w) {
    enum { LINE = 16 };
    return w->is_buffer ? 0 : (w->len + 1 + LINE - 1) / LINE * LINE;
}

static size_t places(const Params *p, int from, int to) {
    size_t n = 0;
    for (int i = from; i < to; i++) n += place(p->list[i]);
    return n;
}

static size_t buffers_size(const Params *p) {
    size_t n = 0;
    for (int i = 0; i < p->count; i++)
        if (p->list[i]->is_buffer) n += p->list[i]->len;
    return n;
}

static void *room(size_t n, size_t size) {
    void *m = calloc(n ? n : 1, size);
    if (!m) fail("out of memory: the gradients of a step need %zu MB more", n * size >> 20);
    return m;
}

/* Whole tensors, in the order of the list, about as many numbers to each process */
static int *share_out(const Params *p) {
    int P = process_count(), i = 0, *first = room((size_t)P + 1, sizeof *first);
    size_t all = places(p, 0, p->count), before = 0;
    for (int k = 1; k < P; k++) {
        while (i < p->count && before + place(p->list[i]) / 2 < all / (size_t)P * (size_t)k)
            before += place(p->list[i++]);
        first[k] = i;
    }
    first[P] = p->count;
    return first;
}

static size_t own_size(const GradientSum *s, const Params *p) {
    int k = process_rank();
    return places(p, s->first[k], s->first[k + 1]);
}

static void prepare(GradientSum *s, const Params *p) {
    size_t P = (size_t)process_count(), buffers = buffers_size(p);
    s->first = share_out(p);
    s->sum = room(own_size(s, p), sizeof *s->sum);
    s->has_sum = room((size_t)p->count, sizeof *s->has_sum);
    s->kept = room((size_t)p->count, sizeof *s->kept);
    s->before = room(buffers, sizeof *s->before);
    s->change = room(buffers, sizeof *s->change);
    size_t sent = places(p, 0, p->count) + P * own_size(s, p);
    s->own = room(P == 1 ? buffers : sent > P * buffers ? sent : P * buffers, sizeof *s->own);
}

void sum_free(GradientSum *s) {
    free(s->first), free(s->sum), free(s->has_sum), free(s->kept);
    free(s->before), free(s->change), free(s->own);
    *s = (GradientSum){.micro = s->micro};
}

/* ---- buffers --------------------------------------------------------------------------------- */

void sum_start(GradientSum *s, const Params *p) {
    if (!s->first) prepare(s, p);
    real *before = s->before;
    for (int i = 0; i < p->count; i++) {
        const Tensor *w = p->list[i];
        if (!w->is_buffer) continue;
        memcpy(before, w->x, w->len * sizeof *before);
        before += w->len;
    }
}

/* what this micro-batch has changed, into `change`; the buffers as they were before it */
static void take_changes(const GradientSum *s, Params *p, real *change) {
    const real *before = s->before;
    for (int i = 0; i < p->count; i++) {
        Tensor *w = p->list[i];
        for (size_t j = 0; w->is_buffer && j < w->len; j++) {
            *change++ = w->x[j] - *before;
            w->x[j] = *before++;
        }
    }
}

static void add_changes(GradientSum *s, Params *p) {
    size_t n = buffers_size(p), P = (size_t)process_count();
    bool first = s->micro->index < (int)P;
    if (!n) return;
    take_changes(s, p, s->own + (size_t)process_rank() * n);
    processes_gather_each(s->own, n * sizeof *s->own);
    if (first) k_fill(n, 0, s->change);
    for (size_t k = 0; k < P; k++) k_axpy(n, 1, s->own + k * n, s->change, true);
}

static void put_buffers(const GradientSum *s, Params *p) {
    const real *change = s->change;
    for (int i = 0; i < p->count; i++) {
        Tensor *w = p->list[i];
        if (!w->is_buffer) continue;
        k_axpy(w->len, (real)(1.0 / s->micro->count), change, w->x, true);
        change += w->len;
    }
}

/* ---- gradients ------------------------------------------------------------------------------- */

static bool has_gradient(const Tensor *w) {
    return w->wants_grad && w->has_grad;
}

/* sum (+)= g, of parameter i at `sum` */
static void add_one(GradientSum *s, const Params *p, int i, const real *g, real *sum) {
    k_axpy(p->list[i]->len, 1, g, sum, s->has_sum[i]);
    s->has_sum[i] = true;
}

static void add_here(GradientSum *s, const Params *p) {
    real *sum = s->sum;
    for (int i = 0; i < p->count; sum += place(p->list[i++]))
        if (has_gradient(p->list[i])) add_one(s, p, i, p->list[i]->g, sum);
}

/* slices of everyone's gradients to their owners */
static const real *exchange(const GradientSum *s, const Params *p) {
    int P = process_count();
    size_t *start = room((size_t)P + 1, sizeof *start);
    real *to = s->own;
    for (int i = 0; i < p->count; to += place(p->list[i++])) {
        const Tensor *w = p->list[i];
        if (w->is_buffer) continue;
        to[w->len] = has_gradient(w);
        if (has_gradient(w)) memcpy(to, w->g, w->len * sizeof *to);
    }
    for (int k = 0; k <= P; k++) start[k] = places(p, 0, s->first[k]) * sizeof *to;
    processes_exchange(s->own, start, to);
    free(start);
    return to;
}

static void add_everyones(GradientSum *s, const Params *p) {
    const real *from = exchange(s, p);
    int mine = process_rank();
    for (int k = 0; k < process_count(); k++) {
        real *sum = s->sum;
        for (int i = s->first[mine]; i < s->first[mine + 1]; i++) {
            const Tensor *w = p->list[i];
            if (!w->is_buffer && from[w->len] != 0) add_one(s, p, i, from, sum);
            from += place(w), sum += place(w);
        }
    }
}

/* The sums stand where the gradients did. */
static void put_sums(GradientSum *s, Params *p) {
    int k = process_rank();
    real *sum = s->sum;
    for (int i = s->first[k]; i < s->first[k + 1]; sum += place(p->list[i++])) {
        Tensor *w = p->list[i];
        s->kept[i] = w->g;
        if (s->has_sum[i]) w->g = sum, w->has_grad = true;
    }
}

bool sum_add(GradientSum *s, Params *p) {
    int P = process_count();
    if (s->micro->index < P) memset(s->has_sum, 0, (size_t)p->count * sizeof *s->has_sum);
    add_changes(s, p);
    if (P == 1) add_here(s, p);
    else add_everyones(s, p);
    params_zero_grad(p);
    if (s->micro->index + P < s->micro->count) return false;
    put_buffers(s, p);
    put_sums(s, p);
    return true;
}

double sum_norm(const GradientSum *s, const Params *p) {
    int P = process_count();
    double *squares = room((size_t)p->count, sizeof *squares), sum = 0;
    size_t *start = room((size_t)P + 1, sizeof *start);
    for (int i = 0; i < p->count; i++)
        if (has_gradient(p->list[i])) squares[i] = k_sum_squares(p->list[i]->len, p->list[i]->g);
    for (int k = 0; k <= P; k++) start[k] = (size_t)s->first[k] * sizeof *squares;
    processes_gather(squares, start);
    for (int i = 0; i < p->count; i++) sum += squares[i];
    free(start), free(squares);
    return sqrt(sum);
}

/* ---- after the step -------------------------------------------------------------------------- */

/* Every process gets the tensors of all owners: of `twin`, which has p's names. */
static void gather(const GradientSum *s, const Params *p, const Params *twin) {
    int P = process_count(), k = process_rank();
    if (P == 1) return;
    size_t *start = room((size_t)P + 1, sizeof *start);
    real *at = s->own;
    for (int i = 0; i < p->count; at += place(p->list[i++]))
        if (i >= s->first[k] && i < s->first[k + 1] && !p->list[i]->is_buffer)
            memcpy(at, params_twin(twin, i, p->list[i])->x, p->list[i]->len * sizeof *at);
    for (int q = 0; q <= P; q++) start[q] = places(p, 0, s->first[q]) * sizeof *at;
    processes_gather(s->own, start);
    at = s->own;
    for (int i = 0; i < p->count; at += place(p->list[i++]))
        if (!p->list[i]->is_buffer)
            memcpy(params_twin(twin, i, p->list[i])->x, at, p->list[i]->len * sizeof *at);
    free(start);
}

void sum_end(GradientSum *s, Params *p) {
    int k = process_rank();
    for (int i = s->first[k]; i < s->first[k + 1]; i++) p->list[i]->g = s->kept[i];
    gather(s, p, p);
}

void sum_gather(const GradientSum *s, const Params *p, Params *twin) {
    if (s->first && twin->count) gather(s, p, twin);
}
