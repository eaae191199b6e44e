#include "nn/gradient_sum.h"

#include "base/error.h"
#include "base/processes.h"
#include "nn/optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A process sends about ROUND numbers in a round, but no fewer than PIECE to each other one:
 * smaller messages would be bound by latency. */
enum { ROUND = 1 << 20, PIECE = 1 << 16 };

bool sum_wanted(const GradientSum *s) {
    return s->micro && s->micro->count > 1;
}

bool is_stepped_here(const Tensor *w) {
    return !w->owner || w->owner == process_rank() + 1;
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
static void share_out(const Params *p) {
    int P = process_count(), i = 0;
    size_t all = places(p, 0, p->count), before = 0;
    for (int k = 0; k < P && P > 1; k++) {
        size_t end = k == P - 1 ? SIZE_MAX : all / (size_t)P * (size_t)(k + 1);
        while (i < p->count && before + place(p->list[i]) / 2 < end) {
            before += place(p->list[i]);
            p->list[i++]->owner = k + 1;
        }
    }
}

/* Where the k-th process's parameters are cut: a round has tensors of so many numbers together, or
 * one larger tensor. Returns how many rounds; `cut` may be NULL. */
static int cut_rounds(const Params *p, int k, int *cut) {
    int P = process_count();
    size_t most = ROUND / P > PIECE ? (size_t)(ROUND / P) : PIECE;
    int i = 0, rounds = 0;
    while (i < p->count && p->list[i]->owner < k + 1) i++;
    if (cut) cut[0] = i;
    while (i < p->count && p->list[i]->owner == k + 1) {
        size_t n = place(p->list[i++]);
        while (i < p->count && p->list[i]->owner == k + 1 && n + place(p->list[i]) <= most)
            n += place(p->list[i++]);
        rounds++;
        if (cut) cut[rounds] = i;
    }
    return rounds;
}

typedef struct {
    int from, to;                    /* parameters from .. to-1 */
} Part;

static Part part(const GradientSum *s, int k, int round) {
    const int *cut = s->cut + k * (s->rounds + 1);
    return (Part){cut[round], cut[round + 1]};
}

static Part all_of(const GradientSum *s, int k) {
    const int *cut = s->cut + k * (s->rounds + 1);
    return (Part){cut[0], cut[s->rounds]};
}

/* start[k], of P + 1: where in a round process k's part begins; returns what all parts take */
static size_t round_starts(const GradientSum *s, const Params *p, int round, size_t *start) {
    int P = process_count();
    start[0] = 0;
    for (int k = 0; k < P; k++) {
        Part t = part(s, k, round);
        start[k + 1] = start[k] + places(p, t.from, t.to);
    }
    return start[P];
}

static void make_cuts(GradientSum *s, const Params *p) {
    int P = process_count();
    for (int k = 0; k < P; k++) {
        int n = cut_rounds(p, k, NULL);
        if (n > s->rounds) s->rounds = n;
    }
    s->cut = room((size_t)(P * (s->rounds + 1)), sizeof *s->cut);
    for (int k = 0; k < P; k++) {
        int *cut = s->cut + k * (s->rounds + 1), n = cut_rounds(p, k, cut);
        for (; n < s->rounds; n++) cut[n + 1] = cut[n];
    }
}

static size_t travel_size(const GradientSum *s, const Params *p) {
    size_t P = (size_t)process_count(), *start = room(P + 1, sizeof *start);
    size_t most = P * buffers_size(p);
    int me = process_rank();
    for (int r = 0; r < s->rounds && P > 1; r++) {
        size_t sent = round_starts(s, p, r, start), received = P * (start[me + 1] - start[me]);
        if (sent + received > most) most = sent + received;
    }
    free(start);
    return most;
}

void sum_prepare(GradientSum *s, const Params *p) {
    size_t buffers = buffers_size(p);
    share_out(p);
    make_cuts(s, p);
    Part mine = all_of(s, process_rank());
    s->sum = room(process_count() == 1 ? places(p, 0, p->count) : places(p, mine.from, mine.to),
                  sizeof *s->sum);
    s->has_sum = room((size_t)p->count, sizeof *s->has_sum);
    s->kept = room((size_t)p->count, sizeof *s->kept);
    s->before = room(buffers, sizeof *s->before);
    s->change = room(buffers, sizeof *s->change);
    s->travel = room(travel_size(s, p), sizeof *s->travel);
}

void sum_free(GradientSum *s) {
    free(s->cut), free(s->sum), free(s->has_sum), free(s->kept);
    free(s->before), free(s->change), free(s->travel);
    *s = (GradientSum){.micro = s->micro};
}

/* ---- buffers --------------------------------------------------------------------------------- */

void sum_start(GradientSum *s, const Params *p) {
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
    take_changes(s, p, s->travel + (size_t)process_rank() * n);
    processes_all_gather_each(s->travel, n * sizeof *s->travel);
    if (first) k_fill(n, 0, s->change);
    for (size_t k = 0; k < P; k++) k_axpy(n, 1, s->travel + k * n, s->change, true);
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

/* a round's gradients to their owners; where what has come here begins */
static const real *exchange(const GradientSum *s, const Params *p, int round) {
    int P = process_count();
    size_t *start = room((size_t)P + 1, sizeof *start);
    real *to = s->travel;
    for (int k = 0; k < P; k++)
        for (int i = part(s, k, round).from; i < part(s, k, round).to; to += place(p->list[i++])) {
            const Tensor *w = p->list[i];
            if (w->is_buffer) continue;
            to[w->len] = has_gradient(w);
            if (has_gradient(w)) memcpy(to, w->g, w->len * sizeof *to);
        }
    round_starts(s, p, round, start);
    for (int k = 0; k <= P; k++) start[k] *= sizeof *to;
    processes_exchange(s->travel, start, to);
    free(start);
    return to;
}

static void add_everyones(GradientSum *s, const Params *p, int round) {
    const real *from = exchange(s, p, round);
    int me = process_rank();
    Part mine = part(s, me, round);
    real *begin = s->sum + places(p, all_of(s, me).from, mine.from);
    for (int k = 0; k < process_count(); k++) {
        real *sum = begin;
        for (int i = mine.from; i < mine.to; i++) {
            const Tensor *w = p->list[i];
            if (!w->is_buffer && from[w->len] != 0) add_one(s, p, i, from, sum);
            from += place(w), sum += place(w);
        }
    }
}

/* The sums stand where the gradients did. */
static void put_sums(GradientSum *s, Params *p) {
    real *sum = s->sum;
    for (int i = 0; i < p->count; i++) {
        Tensor *w = p->list[i];
        if (!is_stepped_here(w)) continue;
        s->kept[i] = w->g;
        if (s->has_sum[i]) w->g = sum, w->has_grad = true;
        sum += place(w);
    }
}

bool sum_add(GradientSum *s, Params *p) {
    int P = process_count();
    if (s->micro->index < P) memset(s->has_sum, 0, (size_t)p->count * sizeof *s->has_sum);
    add_changes(s, p);
    if (P == 1) add_here(s, p);
    for (int r = 0; r < s->rounds && P > 1; r++) add_everyones(s, p, r);
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
    for (int k = 0; k < P; k++) start[k + 1] = (size_t)all_of(s, k).to * sizeof *squares;
    processes_all_gather(squares, start);
    for (int i = 0; i < p->count; i++) sum += squares[i];
    free(start), free(squares);
    return sqrt(sum);
}

/* ---- after the step -------------------------------------------------------------------------- */

/* a round's parameters from their owners to all */
static void gather(const GradientSum *s, Params *p, int round) {
    int P = process_count(), me = process_rank();
    size_t *start = room((size_t)P + 1, sizeof *start);
    round_starts(s, p, round, start);
    real *at = s->travel + start[me];
    for (int i = part(s, me, round).from; i < part(s, me, round).to; at += place(p->list[i++]))
        if (!p->list[i]->is_buffer) memcpy(at, p->list[i]->x, p->list[i]->len * sizeof *at);
    for (int k = 0; k <= P; k++) start[k] *= sizeof *at;
    processes_all_gather(s->travel, start);
    at = s->travel;
    for (int k = 0; k < P; k++)
        for (int i = part(s, k, round).from; i < part(s, k, round).to; at += place(p->list[i++]))
            if (!p->list[i]->is_buffer) memcpy(p->list[i]->x, at, p->list[i]->len * sizeof *at);
    free(start);
}

void sum_end(GradientSum *s, Params *p) {
    for (int i = 0; i < p->count; i++)
        if (is_stepped_here(p->list[i])) p->list[i]->g = s->kept[i];
    for (int r = 0; r < s->rounds && process_count() > 1; r++) gather(s, p, r);
}
