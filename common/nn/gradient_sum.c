#include "nn/gradient_sum.h"

#include "base/memory.h"
#include "base/processes.h"
#include "nn/optim.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A round has about ROUND numbers, but no fewer than PIECE for each process: smaller messages would be
 * bound by latency. */
enum { ROUND = 1 << 18, PIECE = 1 << 16 };

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

static size_t buffers_size(const Params *p) {
    size_t n = 0;
    for (int i = 0; i < p->count; i++)
        if (p->list[i]->is_buffer) n += p->list[i]->len;
    return n;
}

static void *room(size_t n, size_t size) {
    return memory_new(n, size, "the gradients of a step need %zu MB more", n * size >> 20);
}

static int owner(const Tensor *w) {
    return w->owner ? w->owner - 1 : 0;
}

/* Whole tensors, from the end of the list, each to the process that has least so far: neighbours,
 * whose gradients are complete at about the same time, come to different processes. */
static void share_out(const Params *p) {
    int P = process_count();
    size_t *has = room((size_t)P, sizeof *has);
    for (int i = p->count - 1; i >= 0 && P > 1; i--) {
        int least = 0;
        for (int k = 1; k < P; k++)
            if (has[k] < has[least]) least = k;
        has[least] += place(p->list[i]);
        p->list[i]->owner = least + 1;
    }
    free(has);
}

/* Rounds from the end of the list, as the backward pass goes; or one larger tensor. */
static void make_rounds(GradientSum *s, const Params *p) {
    size_t P = (size_t)process_count(), most = P * PIECE > ROUND ? P * PIECE : ROUND;
    int i = p->count;
    s->cut = room((size_t)p->count + 1, sizeof *s->cut);
    s->cut[0] = i;
    while (i > 0) {
        size_t n = place(p->list[--i]);
        while (i > 0 && n + place(p->list[i - 1]) <= most) n += place(p->list[--i]);
        s->cut[++s->rounds] = i;
    }
}

/* start[k], of P + 1: where in a round what process k owns begins; returns what all of it takes */
static size_t round_starts(const GradientSum *s, const Params *p, int round) {
    int P = process_count();
    memset(s->start, 0, ((size_t)P + 1) * sizeof *s->start);
    for (int i = s->cut[round + 1]; i < s->cut[round]; i++)
        s->start[owner(p->list[i]) + 1] += place(p->list[i]);
    for (int k = 0; k < P; k++) s->start[k + 1] += s->start[k];
    return s->start[P];
}

/* of what lies in the order of its owners, the place of w, which comes next of its owner's: `next`
 * begins as `start` */
static size_t next_place(const GradientSum *s, const Tensor *w, size_t size) {
    size_t at = s->next[owner(w)];
    s->next[owner(w)] += size;
    return at;
}

static void begin_places(const GradientSum *s) {
    memcpy(s->next, s->start, (size_t)process_count() * sizeof *s->next);
}

/* room for one round: what is sent, and of every process what is owned here */
static size_t slot_size(const GradientSum *s, const Params *p) {
    size_t P = (size_t)process_count(), most = 0;
    int me = process_rank();
    for (int r = 0; r < s->rounds && P > 1; r++) {
        size_t sent = round_starts(s, p, r), received = P * (s->start[me + 1] - s->start[me]);
        if (sent + received > most) most = sent + received;
    }
    return most;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

void sum_prepare(GradientSum *s, const Params *p) {
    size_t buffers = buffers_size(p), P = (size_t)process_count(), owned = 0;
    share_out(p);
    make_rounds(s, p);
    s->at = room((size_t)p->count, sizeof *s->at);
    for (int i = 0; i < p->count; i++) {
        s->at[i] = owned;
        if (is_stepped_here(p->list[i])) owned += place(p->list[i]);
    }
    s->sum = room(owned, sizeof *s->sum);
    s->has_sum = room((size_t)p->count, sizeof *s->has_sum);
    s->kept = room((size_t)p->count, sizeof *s->kept);
    s->before = room(buffers, sizeof *s->before);
    s->change = room(buffers, sizeof *s->change);
    s->start = room(P + 1, sizeof *s->start);
    s->next = room(P, sizeof *s->next);
    s->slot = slot_size(s, p);
    s->travel = room(larger(EXCHANGES * s->slot, P * buffers), sizeof *s->travel);
}

void sum_free(GradientSum *s) {
    free(s->cut), free(s->at), free(s->sum), free(s->has_sum), free(s->kept);
    free(s->before), free(s->change), free(s->start), free(s->next), free(s->travel);
    *s = (GradientSum){.micro = s->micro};
}

/* ---- buffers --------------------------------------------------------------------------------- */

void sum_start(GradientSum *s, const Params *p) {
    real *before = s->before;
    memset(s->has_sum, 0, (size_t)p->count * sizeof *s->has_sum);
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

static void add_one(GradientSum *s, const Params *p, int i, const real *g) {
    k_axpy(p->list[i]->len, 1, g, s->sum + s->at[i], s->has_sum[i]);
    s->has_sum[i] = true;
}

static void add_here(GradientSum *s, const Params *p) {
    for (int i = 0; i < p->count; i++)
        if (has_gradient(p->list[i])) add_one(s, p, i, p->list[i]->g);
}

static real *slot(const GradientSum *s, int round) {
    return s->travel + (size_t)(round % EXCHANGES) * s->slot;
}

/* what every process has sent of a round is added to the sums */
static void end_round(GradientSum *s, const Params *p, int round) {
    const real *from = slot(s, round) + round_starts(s, p, round);
    processes_exchange_end(round % EXCHANGES);
    for (int k = 0; k < process_count(); k++)
        for (int i = s->cut[round + 1]; i < s->cut[round]; i++) {
            const Tensor *w = p->list[i];
            if (w->is_buffer || !is_stepped_here(w)) continue;
            if (from[w->len] != 0) add_one(s, p, i, from);
            from += place(w);
        }
}

/* a round's gradients are on their way to their owners */
static void begin_round(GradientSum *s, const Params *p, int round) {
    real *sent = slot(s, round);
    if (round >= EXCHANGES) end_round(s, p, round - EXCHANGES);
    size_t all = round_starts(s, p, round);
    begin_places(s);
    for (int i = s->cut[round + 1]; i < s->cut[round]; i++) {
        const Tensor *w = p->list[i];
        real *to = sent + next_place(s, w, place(w));
        if (w->is_buffer) continue;
        to[w->len] = has_gradient(w);
        if (has_gradient(w)) memcpy(to, w->g, w->len * sizeof *to);
    }
    for (int k = 0; k <= process_count(); k++) s->start[k] *= sizeof *sent;
    processes_exchange_begin(round % EXCHANGES, sent, s->start, sent + all);
}

/* the rounds from this one on; then all are over */
static void exchange_from(GradientSum *s, const Params *p, int round) {
    while (round < s->rounds) begin_round(s, p, round++);
    int ended = s->rounds > EXCHANGES ? s->rounds - EXCHANGES : 0;
    while (ended < s->rounds) end_round(s, p, ended++);
    s->exchanged = true;
}

/* number of the first op that used each parameter */
static void find_first_uses(const Params *p, const Tape *t) {
    for (int i = 0; i < p->count; i++) p->list[i]->number = INT_MAX;
    for (Tensor *y = t->last; y; y = y->prev)
        for (int k = 0; k < 4; k++)
            if (y->in[k] && !y->in[k]->tape) y->in[k]->number = y->number;
}

/* Are the gradients of a round complete when the backward pass is to go on with y? */
static bool is_complete(const GradientSum *s, const Params *p, int round, const Tensor *y) {
    for (int i = s->cut[round + 1]; i < s->cut[round]; i++)
        if (p->list[i]->number <= y->number) return false;
    return true;
}

void sum_backward(GradientSum *s, const Params *p, Tensor *loss) {
    int round = 0;
    if (process_count() == 1) {
        backward(loss);
        return;
    }
    find_first_uses(p, loss->tape);
    for (Tensor *y = backward_begin(loss); y; y = backward_next(y)) {
        while (round < s->rounds && is_complete(s, p, round, y)) begin_round(s, p, round++);
        processes_exchange_go_on();
    }
    exchange_from(s, p, round);
}

/* The sums stand where the gradients did. */
static void put_sums(GradientSum *s, Params *p) {
    for (int i = 0; i < p->count; i++) {
        Tensor *w = p->list[i];
        if (!is_stepped_here(w)) continue;
        s->kept[i] = w->g;
        if (s->has_sum[i]) w->g = s->sum + s->at[i], w->has_grad = true;
    }
}

bool sum_add(GradientSum *s, Params *p) {
    int P = process_count();
    add_changes(s, p);
    if (P == 1) add_here(s, p);
    else if (!s->exchanged) exchange_from(s, p, 0);
    s->exchanged = false;
    params_zero_grad(p);
    if (s->micro->index + P < s->micro->count) return false;
    put_buffers(s, p);
    put_sums(s, p);
    return true;
}

double sum_norm(const GradientSum *s, const Params *p) {
    int P = process_count();
    double *squares = room((size_t)p->count, sizeof *squares), sum = 0;
    memset(s->start, 0, ((size_t)P + 1) * sizeof *s->start);
    for (int i = 0; i < p->count; i++) s->start[owner(p->list[i]) + 1]++;
    for (int k = 0; k < P; k++) s->start[k + 1] += s->start[k];
    begin_places(s);
    for (int i = 0; i < p->count; i++) {
        const Tensor *w = p->list[i];
        size_t at = next_place(s, w, 1);
        if (has_gradient(w)) squares[at] = k_sum_squares(w->len, w->g);
    }
    begin_places(s);
    for (int k = 0; k <= P; k++) s->start[k] *= sizeof *squares;
    processes_all_gather(squares, s->start);
    for (int i = 0; i < p->count; i++) sum += squares[next_place(s, p->list[i], 1)];
    free(squares);
    return sqrt(sum);
}

/* ---- after the step -------------------------------------------------------------------------- */

/* a round's parameters from their owners to all */
static void gather(const GradientSum *s, Params *p, int round) {
    int from = s->cut[round + 1], to = s->cut[round];
    round_starts(s, p, round);
    begin_places(s);
    for (int i = from; i < to; i++) {
        const Tensor *w = p->list[i];
        real *at = s->travel + next_place(s, w, place(w));
        if (!w->is_buffer && is_stepped_here(w)) memcpy(at, w->x, w->len * sizeof *at);
    }
    begin_places(s);
    for (int k = 0; k <= process_count(); k++) s->start[k] *= sizeof *s->travel;
    processes_all_gather(s->travel, s->start);
    for (int i = from; i < to; i++) {
        Tensor *w = p->list[i];
        const real *at = s->travel + next_place(s, w, place(w));
        if (!w->is_buffer) memcpy(w->x, at, w->len * sizeof *at);
    }
}

void sum_end(GradientSum *s, Params *p) {
    for (int i = 0; i < p->count; i++)
        if (is_stepped_here(p->list[i])) p->list[i]->g = s->kept[i];
    for (int r = 0; r < s->rounds && process_count() > 1; r++) gather(s, p, r);
}
