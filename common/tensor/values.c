/* values.c — how long a tensor's values stay in memory. */
#include "tensor/values.h"
#include "base/error.h"


enum { OPERANDS = 4 };

static Tensor *owner(Tensor *x) {
    if (x->handle_of) x = x->handle_of;
    return x->view_of ? x->view_of : x;
}

static void new_values(Tensor *x) {
    x->x = arena_get(&x->tape->values, x->len * sizeof(real));
}

static void give_back(Tensor *x) {
    arena_give_back(&x->tape->values, x->x, x->len * sizeof(real));
    x->x = NULL;
}

/* ---- readers --------------------------------------------------------------------------------- */

/* Parameters are not on a tape: their values stay whoever reads them. */
static void give_back_if_unread(Tensor *x) {
    if (x->tape && x->x && x->left && !x->readers && !x->kept) give_back(x);
}

static void count_reader(Tensor *x, int n) {
    x = owner(x);
    x->readers += n;
    give_back_if_unread(x);
}

void values_count_readers(Tensor *y) {
    for (int i = 0; i < OPERANDS; i++)
        if (y->in[i] && y->reads & READS(i)) count_reader(y->in[i], 1);
    if (y->reads & READS_Y) count_reader(y, 1);
}

void t_has_read(Tensor *y, int i) {
    if (!y->in[i] || !(y->reads & ~y->has_read & READS(i))) return;
    y->has_read |= READS(i);
    count_reader(y->in[i], -1);
}

/* ---- giving away, dropping ------------------------------------------------------------------- */

/* An op can be run again if all of its operands will be there. */
static bool can_redo(Tensor *x) {
    for (int i = 0; i < OPERANDS; i++)
        if (x->in[i] && !owner(x->in[i])->x && !owner(x->in[i])->dropped) return false;
    return x->redo;
}

static void drop(Tensor *x) {
    for (int i = 0; i < OPERANDS; i++)
        if (x->in[i]) count_reader(x->in[i], 1);
    give_back(x);
    x->dropped = true;
}

static void redo(Tensor *x) {
    for (int i = 0; i < OPERANDS; i++) {
        if (!x->in[i]) continue;
        Tensor *from = owner(x->in[i]);
        if (from->dropped) redo(from);
        x->in[i]->x = from->x;
    }
    new_values(x);
    x->redo(x);
    x->dropped = false;
    for (int i = 0; i < OPERANDS; i++)
        if (x->in[i]) count_reader(x->in[i], -1);
}

/* The caller needs x's values no more. */
static void leave(Tensor *x, bool may_redo) {
    x = owner(x);
    if (!x->tape || x->left || x->kept) return;
    x->left = true;
    if (!x->readers) give_back(x);
    else if (may_redo && can_redo(x)) drop(x);
    else x->tape->given_in_vain++;
}

void t_drop(Tensor *x) {
    leave(x, true);
}

void t_keep(Tensor *x) {
    const Tensor *o = owner(x);
    if (o->left && !o->x && !o->dropped)
        die("t_keep: %s is gone already; keep it before the op that it is given to", t_describe(x));
    owner(x)->kept = true;
}

/* A handle is a copy of the tensor that is not on the tape; an op that gets it as an operand
 * records the tensor itself. So it does not matter in which order C evaluates arguments:
 * t_add(t_give(x), t_relu(x)) gives x to the sum. */
static Tensor *handle(Tensor *x, bool brief) {
    if (!x->tape) die("t_%s: %s is a parameter", brief ? "brief" : "give", t_describe(x));
    Tensor *h = arena_get(&x->tape->arena, sizeof *h);
    *h = *x;
    h->handle_of = x->handle_of ? x->handle_of : x;
    h->given = !brief;
    h->brief = brief;
    return h;
}

Tensor *t_give(Tensor *x) {
    return handle(x, false);
}

Tensor *t_last_use(Tensor *x) {
    return x->tape && x->tape->no_grad ? t_give(x) : x;
}

Tensor *t_brief(Tensor *x) {
    return handle(x, true);
}

/* ---- what the tape calls --------------------------------------------------------------------- */

void values_check_operands(const Tensor *y) {
    for (int i = 0; i < OPERANDS; i++) {
        Tensor *x = y->in[i] ? owner(y->in[i]) : NULL;
        if (!x || !x->left) continue;
        if (x->used_up)
            die("%s: the values of %s were used up by backward(); t_keep() keeps them", y->op,
                t_describe(y->in[i]));
        die("%s: the values of %s were given to an earlier op or dropped", y->op,
            t_describe(y->in[i]));
    }
}

void values_place(Tensor *y, int over) {
    for (int i = 0; i < OPERANDS; i++) {
        Tensor *x = over & OVER(i) && y->gives & 1 << i ? owner(y->in[i]) : NULL;
        if (!x || !x->tape || x->readers || x->kept || x->len != y->len) continue;
        y->x = x->x;
        return;
    }
    new_values(y);
}

void values_operands_leave(Tensor *y) {
    for (int i = 0; i < OPERANDS; i++) {
        if (!((y->gives | y->briefs) & 1 << i)) continue;
        Tensor *x = owner(y->in[i]);
        if (x->x == y->x) {                    /* y was computed over it */
            x->left = true;
            x->x = NULL;
        } else {
            leave(x, y->briefs & 1 << i);
        }
    }
}

static void make_present(Tensor *x) {
    Tensor *from = owner(x);
    if (from->dropped) redo(from);
    if (!from->x)
        die("backward: %s was used up by an earlier backward(); t_keep() keeps what two losses "
            "share", t_describe(x));
    x->x = from->x;
}

void values_needed(Tensor *y) {
    for (int i = 0; i < OPERANDS; i++)
        if (y->in[i] && y->reads & READS(i)) make_present(y->in[i]);
    if (y->reads & READS_Y) make_present(y);
}

/* Single numbers stay: losses and their parts are printed after the backward pass. */
void values_used_up(Tensor *y) {
    if (y->used_up) return;
    y->used_up = true;
    for (int i = 0; i < OPERANDS; i++) t_has_read(y, i);
    if (y->reads & READS_Y) count_reader(y, -1);
    if (y->view_of || y->kept || y->len == 1) return;
    y->left = true;
    give_back_if_unread(y);
}

void values_sync_views(Tape *t) {
    for (Tensor *y = t->last; y; y = y->prev)
        if (y->view_of) y->x = y->view_of->x;
}
