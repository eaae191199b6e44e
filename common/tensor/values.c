/* values.c — how long a tensor's values stay in memory. */
#include "tensor/values.h"
#include "base/memory.h"


enum { OPERANDS = 4, AGAIN = 3 };

static Tensor *owner(Tensor *x) {
    return x->view_of ? x->view_of : x;
}

/* owner of operand i; NULL: there is none, or it is a parameter, whose values always stay */
static Tensor *source(const Tensor *y, int i) {
    Tensor *x = y->in[i] ? owner(y->in[i]) : NULL;
    return x && x->tape ? x : NULL;
}

static bool one_number_per_item(const Tensor *x) {
    return x->len == (size_t)x->shape[0];
}

static void new_values(Tensor *x) {
    x->x = arena_get(&x->tape->values, x->len * sizeof(real));
}

static void give_back(Tensor *x) {
    arena_give_back(&x->tape->values, x->x, x->len * sizeof(real));
    x->x = NULL;
}

/* ---- readers and pins ------------------------------------------------------------------------ */

static void pin_operands(Tensor *x) {
    if (x->pins_operands) return;
    x->pins_operands = true;
    for (int i = 0; i < OPERANDS; i++)
        if (source(x, i)) source(x, i)->pins++;
}

static void settle(Tensor *x);

static void unpin_operands(Tensor *x) {
    if (!x->pins_operands) return;
    x->pins_operands = false;
    for (int i = 0; i < OPERANDS; i++) {
        if (!source(x, i)) continue;
        source(x, i)->pins--;
        settle(source(x, i));
    }
}

/* x's memory goes if nothing will need the values, or nothing does before they are computed again */
static void settle(Tensor *x) {
    if (x->readers || x->kept) return;
    if (x->finished && !x->pins) {
        if (x->x) give_back(x);
        x->dropped = false;
        unpin_operands(x);
    } else if (x->x && x->cheap && x->pins_operands && x->tape->in_backward) {
        give_back(x);
        x->dropped = true;
    }
}

static void one_reader_less(Tensor *x) {
    x->readers--;
    settle(x);
}

void values_count_readers(Tensor *y) {
    for (int i = 0; i < OPERANDS; i++)
        if (source(y, i) && y->reads & READS(i)) source(y, i)->readers++;
    if (y->reads & READS_Y) y->readers++;
    if (y->cheap && !y->visible && !one_number_per_item(y)) pin_operands(y);
}

void t_has_read(Tensor *y, int i) {
    if (!(y->reads & ~y->has_read & READS(i))) return;
    y->has_read |= READS(i);
    if (source(y, i)) one_reader_less(source(y, i));
}

/* ---- dropping, computing again --------------------------------------------------------------- */

/* Can x be computed again, at most so many ops deep? */
static bool can_redo(const Tensor *x, int ops) {
    if (!x->redo) return false;
    for (int i = 0; i < OPERANDS; i++) {
        const Tensor *from = source(x, i);
        if (!from || from->x) continue;
        if (!from->dropped || ops == 1 || !can_redo(from, ops - 1)) return false;
    }
    return true;
}

/* the last op that was found to use x in an earlier pass, having been dropped before it */
static int noted_use(const Tensor *x) {
    return (size_t)x->number < x->tape->noted ? x->tape->last_use[x->number] : 0;
}

static void note_use(const Tensor *x, int use) {
    Tape *t = x->tape;
    size_t n = (size_t)x->number + 1;
    t->last_use = memory_grow(t->last_use, &t->noted, n, sizeof(int), "notes on %zu tensors", n);
    if (t->last_use[x->number] < use) t->last_use[x->number] = use;
}

static bool may_drop(const Tensor *x) {
    if (!x->x || x->kept || x->visible || one_number_per_item(x)) return false;
    if (x->last_use < noted_use(x)) return false;
    return (x->cheap ? x->pins_operands : !x->readers && !x->pins) && can_redo(x, AGAIN);
}

static void drop(Tensor *x) {
    if (!may_drop(x)) return;
    pin_operands(x);
    give_back(x);
    x->dropped = true;
}

static void drop_operand(Tensor *y, int i) {
    drop(source(y, i));
    y->in[i]->x = source(y, i)->x;
}

static void redo(Tensor *x) {
    bool redone[OPERANDS] = {false};
    for (int i = 0; i < OPERANDS; i++) {
        if (!source(x, i)) continue;
        redone[i] = source(x, i)->dropped;
        if (redone[i]) redo(source(x, i));
        x->in[i]->x = source(x, i)->x;
    }
    new_values(x);
    x->redo(x);
    x->dropped = false;
    if (!x->cheap) unpin_operands(x);
    for (int i = 0; i < OPERANDS; i++)
        if (redone[i] && !(x->tape->in_backward && source(x, i)->readers)) drop_operand(x, i);
}

/* ---- what the tape calls --------------------------------------------------------------------- */

static void check_not_finished(const Tensor *y, const Tensor *x, const Tensor *from) {
    if (!from->finished) return;
    if (from->used_up)
        die("%s: the values of %s were used up by backward(); t_keep() keeps them", y->op,
            t_describe(x));
    die("%s: the values of %s were released at the end of the block that made them", y->op,
        t_describe(x));
}

void values_use_operands(Tensor *y) {
    y->visible = y->tape->no_grad && !y->tape->in_block;
    for (int i = 0; i < OPERANDS; i++) {
        Tensor *from = source(y, i);
        if (!from) continue;
        check_not_finished(y, y->in[i], from);
        if (from->dropped) {
            redo(from);
            note_use(from, y->number);
        }
        y->in[i]->x = from->x;
        from->last_use = y->number;
    }
}

void values_place(Tensor *y, int over) {
    for (int i = 0; i < OPERANDS; i++) {
        Tensor *x = over & OVER(i) ? source(y, i) : NULL;
        if (!x || x->len != y->len || x->readers || x->pins || !may_drop(x)) continue;
        y->x = x->x;
        return;
    }
    new_values(y);
}

void values_computed(Tensor *y) {
    for (int i = 0; i < OPERANDS; i++) {
        Tensor *x = source(y, i);
        if (!x) continue;
        if (x->x == y->x) {                    /* y was computed over it */
            pin_operands(x);
            x->x = y->in[i]->x = NULL;
            x->dropped = true;
        } else {
            drop_operand(y, i);
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

static bool stays(const Tensor *y) {
    return y->view_of || y->kept || one_number_per_item(y);
}

void values_needed(Tensor *y) {
    for (int i = 0; i < OPERANDS; i++)
        if (y->in[i] && y->reads & READS(i)) make_present(y->in[i]);
    if (y->reads & READS_Y) make_present(y);
    if (stays(y)) return;
    y->finished = true;
    settle(y);
}

void values_used_up(Tensor *y) {
    if (y->used_up) return;
    y->used_up = true;
    for (int i = 0; i < OPERANDS; i++) t_has_read(y, i);
    if (y->reads & READS_Y) one_reader_less(y);
    if (stays(y)) unpin_operands(y);
}

void values_sync_views(Tape *t) {
    for (Tensor *y = t->last; y; y = y->prev)
        if (y->view_of) y->x = y->view_of->x;
}

/* ---- what users say -------------------------------------------------------------------------- */

void t_keep(Tensor *x) {
    Tensor *o = owner(x);
    if (!o->x && !o->dropped)
        die("t_keep: %s is gone already; keep it before backward()", t_describe(x));
    if (o->dropped) redo(o);
    x->x = o->x;
    o->kept = true;
}

Mark t_mark(Tape *t) {
    bool outermost = !t->in_block;
    t->in_block = true;
    return (Mark){t, t->last, outermost};
}

Tensor *t_release(Mark m, Tensor *y) {
    Tensor *result = owner(y);
    if (m.outermost) m.tape->in_block = false;
    if (!m.tape->no_grad) return y;
    if (result->dropped) {
        redo(result);
        note_use(result, m.tape->last->number + 1);
    }
    y->x = result->x;
    for (Tensor *x = m.tape->last; x != m.last; x = x->prev) {
        if (x->view_of || x == result || x->kept) continue;
        x->finished = true;
        settle(x);
    }
    if (m.outermost && result->tape) {
        result->visible = true;
        unpin_operands(result);
    }
    return y;
}
