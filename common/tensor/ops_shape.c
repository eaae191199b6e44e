/* ops_shape.c — other shapes for the same numbers. Each gradient undoes its op: what was copied
 * from x[i] to y[j] is added from dy[j] to dx[i]. */
#include "base/error.h"
#include "tensor/tensor.h"

#include <string.h>

static int axis_of(const char *op, const Tensor *x, int axis) {
    int a = axis < 0 ? axis + x->rank : axis;
    if (a < 0 || a >= x->rank) die("%s: %s has no axis %d", op, t_describe(x), axis);
    return a;
}

/* numbers before and after an axis: x is (outer, n, inner) */
static size_t product(const Tensor *x, int from, int to) {
    size_t p = 1;
    for (int i = from; i < to; i++) p *= (size_t)x->shape[i];
    return p;
}

/* ---- reshape: the same values under another shape -------------------------------------------- */

static void reshape_back(Tensor *y) {
    t_pass_grad(y, 0);
}

Tensor *t_reshape(Tensor *x, int rank, const int *shape) {
    int full[4] = {1, 1, 1, 1}, open = -1;
    size_t known = 1;
    if (rank < 1 || rank > 4) die("reshape: rank %d; tensors have 1 to 4 axes", rank);
    for (int i = 0; i < rank; i++) {
        full[i] = shape[i];
        if (shape[i] == -1 && open < 0) open = i;
        else if (shape[i] < 1) die("reshape: %s: axis %d is %d", t_describe(x), i, shape[i]);
        else known *= (size_t)shape[i];
    }
    if (open >= 0) full[open] = (int)(x->len / known);
    if (open >= 0 ? x->len % known != 0 : x->len != known)
        die("reshape: %s has %zu numbers, the new shape %s%zu", t_describe(x), x->len,
            open >= 0 ? "a multiple of " : "", known);
    return t_done(t_view("reshape", reshape_back, 1, &x, rank, full));
}

/* ---- permute: y's axis i is x's axis axes[i] ------------------------------------------------- */

/* four axes, the missing ones in front */
static void widen(const Tensor *x, const int *axes, int shape[4], int perm[4]) {
    int missing = 4 - x->rank;
    for (int i = 0; i < 4; i++) {
        shape[i] = i < missing ? 1 : x->shape[i - missing];
        perm[i] = i < missing ? i : missing + axes[i - missing];
    }
}

static void permute_back(Tensor *y) {
    int shape[4], perm[4], inverse[4], shape_y[4];
    widen(y->in[0], y->iarg, shape, perm);
    for (int i = 0; i < 4; i++) {
        inverse[perm[i]] = i;
        shape_y[i] = shape[perm[i]];
    }
    bool add;
    real *dx = t_grad(y, 0, &add);
    if (dx) k_permute(shape_y, inverse, y->g, dx, add);
}

static void permute_forward(Tensor *y) {
    int shape[4], perm[4];
    widen(y->in[0], y->iarg, shape, perm);
    k_permute(shape, perm, y->in[0]->x, y->x, false);
}

Tensor *t_permute(Tensor *x, int rank, const int *axes) {
    int shape[4] = {1, 1, 1, 1}, used = 0;
    if (rank != x->rank)
        die("permute: %s has %d axes, %d are listed", t_describe(x), x->rank, rank);
    for (int i = 0; i < rank; i++) {
        if (axes[i] < 0 || axes[i] >= rank || used >> axes[i] & 1)
            die("permute: axis %d of %s is listed twice or does not exist", axes[i], t_describe(x));
        used |= 1 << axes[i];
        shape[i] = x->shape[axes[i]];
    }
    Tensor *y = t_new("permute", permute_back, READS_NOTHING, 1, &x, rank, shape);
    for (int i = 0; i < rank; i++) y->iarg[i] = axes[i];
    return t_compute(y, permute_forward);
}

/* ---- concat: a, then b, along an axis -------------------------------------------------------- */

static void concat_back(Tensor *y) {
    int axis = y->iarg[0];
    size_t outer = product(y, 0, axis), row = y->len / outer, start = 0;
    for (int i = 0; i < 2; i++) {
        size_t part = y->in[i]->len / outer;
        bool add;
        real *dx = t_grad(y, i, &add);
        if (dx) k_copy_rows(outer, part, y->g + start, row, dx, part, add);
        start += part;
    }
}

static void concat_forward(Tensor *y) {
    const Tensor *a = y->in[0], *b = y->in[1];
    size_t outer = product(y, 0, y->iarg[0]), na = a->len / outer, nb = b->len / outer;
    k_copy_rows(outer, na, a->x, na, y->x, na + nb, false);
    k_copy_rows(outer, nb, b->x, nb, y->x + na, na + nb, false);
}

Tensor *t_concat(Tensor *a, Tensor *b, int axis) {
    axis = axis_of("concat", a, axis);
    if (a->rank != b->rank) die("concat: %s and %s differ in rank", t_describe(a), t_describe(b));
    for (int i = 0; i < a->rank; i++)
        if (i != axis && a->shape[i] != b->shape[i])
            die("concat along axis %d: %s and %s differ in axis %d: %d and %d", axis, t_describe(a),
                t_describe(b), i, a->shape[i], b->shape[i]);
    int shape[4];
    memcpy(shape, a->shape, sizeof shape);
    shape[axis] += b->shape[axis];
    Tensor *y = t_new("concat", concat_back, CHEAP, 2, (Tensor *[]){a, b}, a->rank, shape);
    y->iarg[0] = axis;
    return t_compute(y, concat_forward);
}

/* ---- slice: y = x[.., start .. start+length-1, ..] ------------------------------------------- */

static void slice_back(Tensor *y) {
    Tensor *x = y->in[0];
    int axis = y->iarg[0];
    size_t outer = product(x, 0, axis), inner = product(x, axis + 1, x->rank);
    size_t row = x->len / outer, part = y->len / outer;
    bool add;
    real *dx = t_grad(y, 0, &add);
    if (!dx) return;
    if (!add) k_fill(x->len, 0, dx);
    k_copy_rows(outer, part, y->g, part, dx + (size_t)y->iarg[1] * inner, row, add);
}

static void slice_forward(Tensor *y) {
    const Tensor *x = y->in[0];
    int axis = y->iarg[0];
    size_t outer = product(x, 0, axis), inner = product(x, axis + 1, x->rank);
    size_t row = x->len / outer, part = y->len / outer;
    k_copy_rows(outer, part, x->x + (size_t)y->iarg[1] * inner, row, y->x, part, false);
}

Tensor *t_slice(Tensor *x, int axis, int start, int length) {
    axis = axis_of("slice", x, axis);
    if (start < 0 || length < 1 || start > x->shape[axis] - length)
        die("slice: axis %d of %s has no entries %d to %d", axis, t_describe(x), start,
            start + length - 1);
    int shape[4];
    memcpy(shape, x->shape, sizeof shape);
    shape[axis] = length;
    Tensor *y = t_new("slice", slice_back, READS_NOTHING, 1, &x, x->rank, shape);
    y->iarg[0] = axis;
    y->iarg[1] = start;
    return t_compute(y, slice_forward);
}

/* ---- pad: zeros before and after, along an axis ---------------------------------------------- */

static void pad_back(Tensor *y) {
    Tensor *x = y->in[0];
    int axis = y->iarg[0];
    size_t outer = product(x, 0, axis), inner = product(x, axis + 1, x->rank);
    bool add;
    real *dx = t_grad(y, 0, &add);
    if (dx)
        k_copy_rows(outer, x->len / outer, y->g + (size_t)y->iarg[1] * inner, y->len / outer, dx,
                    x->len / outer, add);
}

static void pad_forward(Tensor *y) {
    const Tensor *x = y->in[0];
    int axis = y->iarg[0];
    size_t outer = product(x, 0, axis), inner = product(x, axis + 1, x->rank);
    k_fill(y->len, 0, y->x);
    k_copy_rows(outer, x->len / outer, x->x, x->len / outer, y->x + (size_t)y->iarg[1] * inner,
                y->len / outer, false);
}

Tensor *t_pad(Tensor *x, int axis, int before, int after) {
    axis = axis_of("pad", x, axis);
    if (before < 0 || after < 0)
        die("pad: %d before and %d after; neither is negative", before, after);
    int shape[4];
    memcpy(shape, x->shape, sizeof shape);
    shape[axis] += before + after;
    Tensor *y = t_new("pad", pad_back, READS_NOTHING, 1, &x, x->rank, shape);
    y->iarg[0] = axis;
    y->iarg[1] = before;
    return t_compute(y, pad_forward);
}

/* ---- gather_rows: y[i,:] = table[index[i],:];  dtable[index[i],:] += dy[i,:] ----------------- */

static void gather_rows_back(Tensor *y) {
    Tensor *table = y->in[0];
    bool add;
    real *dtable = t_grad(y, 0, &add);
    if (dtable)
        k_scatter_rows(y->shape[0], table->shape[1], table->shape[0], y->isaved, y->g, dtable, add);
}

static void gather_rows_forward(Tensor *y) {
    k_gather_rows(y->shape[0], y->shape[1], y->in[0]->x, y->isaved, y->x);
}

Tensor *t_gather_rows(Tensor *table, const int *index, int n) {
    if (table->rank != 2) die("gather_rows: the table %s is no (rows,channels)", t_describe(table));
    for (int i = 0; i < n; i++)
        if (index[i] < 0 || index[i] >= table->shape[0])
            die("gather_rows: index %d is %d but %s has rows 0 to %d", i, index[i],
                t_describe(table), table->shape[0] - 1);
    Tensor *y = t_new("gather_rows", gather_rows_back, READS_NOTHING, 1, &table,
                      SHAPE(n, table->shape[1]));
    y->isaved = arena_get(y->arena, (size_t)n * sizeof *index);
    memcpy(y->isaved, index, (size_t)n * sizeof *index);
    return t_compute(y, gather_rows_forward);
}
