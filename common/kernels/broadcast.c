/* broadcast.c — a + b, a - b, a b, a / b where axes of length 1 are repeated (numpy's rule).
 *
 * Neighbouring axes that a and b treat alike are merged first: adding a bias to every pixel is two
 * axes (pixels, channels), adding equal shapes is one. What is left runs over rows of the last
 * axis, along which each operand is either contiguous or one repeated number. */
#include "kernels.h"
#include "columns.h"
#include "parallel.h"
#include "simd.h"

enum { AXES = 4, BLOCK = 8192 };

/* ---- the specification ----------------------------------------------------------------------- */

static double apply(BinaryOp op, double a, double b) {
    switch (op) {
    case BINARY_ADD: return a + b;
    case BINARY_SUB: return a - b;
    case BINARY_MUL: return a * b;
    default: return a / b;
    }
}

/* Where element `at` of y (counted in row-major order) finds its operand. */
static size_t operand(const int shape[4], const int own[4], size_t at) {
    size_t index = 0, step = 1;
    for (int axis = AXES - 1; axis >= 0; axis--) {
        size_t i = at % shape[axis];
        at /= shape[axis];
        if (own[axis] > 1) index += i * step;
        step *= own[axis];
    }
    return index;
}

static size_t length(const int shape[4]) {
    return (size_t)shape[0] * shape[1] * shape[2] * shape[3];
}

void k_binary_ref(BinaryOp op, const int shape[4], const real *a, const int a_shape[4],
                  const real *b, const int b_shape[4], real *y)
{
    for (size_t i = 0; i < length(shape); i++)
        y[i] = (real)apply(op, a[operand(shape, a_shape, i)], b[operand(shape, b_shape, i)]);
}

/* ---- merged axes ----------------------------------------------------------------------------- */

/* Axes of y, outermost first; the steps of an operand are 0 along axes where it is repeated. */
typedef struct {
    int size[AXES];
    size_t a_step[AXES], b_step[AXES];
    size_t rows;    /* product of all sizes but the last */
} Loops;

static Loops merge(const int shape[4], const int a_shape[4], const int b_shape[4]) {
    Loops l = {.size = {1, 1, 1, 1}};
    size_t a = 1, b = 1;
    int to = AXES;    /* the axis last written */
    for (int axis = AXES - 1; axis >= 0; axis--) {
        if (shape[axis] == 1) continue;
        size_t a_step = a_shape[axis] == 1 ? 0 : a, b_step = b_shape[axis] == 1 ? 0 : b;
        bool alike = to < AXES && !a_step == !l.a_step[to] && !b_step == !l.b_step[to];
        if (alike) {
            l.size[to] *= shape[axis];
        } else {
            to--;
            l.size[to] = shape[axis];
            l.a_step[to] = a_step;
            l.b_step[to] = b_step;
        }
        a *= a_shape[axis];
        b *= b_shape[axis];
    }
    l.rows = (size_t)l.size[0] * l.size[1] * l.size[2];
    return l;
}

/* Where row `row` of y finds its operands. */
static void row_start(const Loops *l, size_t row, size_t *a, size_t *b) {
    *a = *b = 0;
    for (int axis = AXES - 2; axis >= 0; axis--) {
        *a += row % l->size[axis] * l->a_step[axis];
        *b += row % l->size[axis] * l->b_step[axis];
        row /= l->size[axis];
    }
}

/* ---- forward --------------------------------------------------------------------------------- */

/* The compilers vectorise this: `op` and the steps, 0 or 1, are constants wherever it is inlined. */
INLINE void row_op(BinaryOp op, size_t n, const real *a, size_t a_step, const real *b,
                   size_t b_step, real *y) {
    for (size_t i = 0; i < n; i++) {
        real p = a[i * a_step], q = b[i * b_step];
        y[i] = op == BINARY_ADD   ? p + q
               : op == BINARY_SUB ? p - q
               : op == BINARY_MUL ? p * q
                                  : p / q;
    }
}

INLINE void row_steps(BinaryOp op, size_t n, const real *a, bool a_moves, const real *b,
                      bool b_moves, real *y) {
    if (a_moves && b_moves) row_op(op, n, a, 1, b, 1, y);
    else if (a_moves) row_op(op, n, a, 1, b, 0, y);
    else if (b_moves) row_op(op, n, a, 0, b, 1, y);
    else row_op(op, n, a, 0, b, 0, y);
}

static void binary_row(BinaryOp op, size_t n, const real *a, bool a_moves, const real *b,
                       bool b_moves, real *y)
{
    switch (op) {
    case BINARY_ADD: row_steps(BINARY_ADD, n, a, a_moves, b, b_moves, y); break;
    case BINARY_SUB: row_steps(BINARY_SUB, n, a, a_moves, b, b_moves, y); break;
    case BINARY_MUL: row_steps(BINARY_MUL, n, a, a_moves, b, b_moves, y); break;
    default: row_steps(BINARY_DIV, n, a, a_moves, b, b_moves, y);
    }
}

/* Pieces of work are rows, or parts of a long row. */
void k_binary(BinaryOp op, const int shape[4], const real *a, const int a_shape[4], const real *b,
              const int b_shape[4], real *y)
{
    Loops l = merge(shape, a_shape, b_shape);
    size_t n = l.size[AXES - 1], parts = (n + BLOCK - 1) / BLOCK;
    bool a_moves = l.a_step[AXES - 1], b_moves = l.b_step[AXES - 1];
    PARALLEL_ROWS(l.rows * parts, length(shape) * COST_COPY)
    for (size_t piece = 0; piece < l.rows * parts; piece++) {
        size_t row = piece / parts, start = piece % parts * BLOCK, a_at, b_at;
        size_t count = n - start < BLOCK ? n - start : BLOCK;
        row_start(&l, row, &a_at, &b_at);
        binary_row(op, count, a + a_at + a_moves * start, a_moves, b + b_at + b_moves * start,
                   b_moves, y + row * n + start);
    }
}

/* ---- backward -------------------------------------------------------------------------------- */

/* dy times the slope of the operation with respect to one operand, for a row of y:
 * a: add 1, sub 1, mul b, div 1/b;  b: add 1, sub -1, mul a, div -a/b^2 */
static void slope_row(BinaryOp op, bool of_b, size_t n, const real *a, bool a_moves, const real *b,
                      bool b_moves, const real *dy, real *d)
{
    if (op == BINARY_ADD || (op == BINARY_SUB && !of_b)) {
        if (d != dy) memcpy(d, dy, n * sizeof(real));
    } else if (op == BINARY_SUB) {
        for (size_t i = 0; i < n; i++) d[i] = -dy[i];
    } else if (op == BINARY_MUL) {
        if (of_b) binary_row(BINARY_MUL, n, dy, true, a, a_moves, d);
        else binary_row(BINARY_MUL, n, dy, true, b, b_moves, d);
    } else if (!of_b) {
        binary_row(BINARY_DIV, n, dy, true, b, b_moves, d);
    } else {
        for (size_t i = 0; i < n; i++) {
            real q = b[i * b_moves];
            d[i] = -dy[i] * a[i * a_moves] / (q * q);
        }
    }
}

typedef struct {
    BinaryOp op;
    bool of_b;    /* the gradient wanted is b's, else a's */
    Loops l;
    const real *a, *b, *dy;
} Back;

/* The part start .. start+count-1 of a row's contribution, in d. */
static void contribution(const Back *k, size_t row, size_t start, size_t count, real *d) {
    size_t a_at, b_at, n = k->l.size[AXES - 1];
    bool a_moves = k->l.a_step[AXES - 1], b_moves = k->l.b_step[AXES - 1];
    row_start(&k->l, row, &a_at, &b_at);
    slope_row(k->op, k->of_b, count, k->a + a_at + a_moves * start, a_moves,
              k->b + b_at + b_moves * start, b_moves, k->dy + row * n + start, d);
}

/* Nothing was repeated: one contribution per element, written in place where it is not added. */
static void back_whole(const Back *k, real *out, bool add) {
    size_t n = k->l.size[AXES - 1], parts = (n + BLOCK - 1) / BLOCK;
    PARALLEL_ROWS(k->l.rows * parts, (double)k->l.rows * n * COST_COPY)
    for (size_t piece = 0; piece < k->l.rows * parts; piece++) {
        size_t row = piece / parts, start = piece % parts * BLOCK;
        size_t count = n - start < BLOCK ? n - start : BLOCK;
        real *at = out + row * n + start, d[BLOCK];
        contribution(k, row, start, count, add ? d : at);
        for (size_t i = 0; add && i < count; i++) at[i] += d[i];
    }
}

/* Rows of y, in parts of ROWS_PER_PART, are summed in double: into `sums`, one number per element
 * of the operand's slice [start, start+count) of the last axis or one in all. */
enum { ROWS_PER_PART = 256 };

/* The rows of y that go to one row of the operand: outer axes where it is repeated. */
typedef struct {
    int size[AXES - 1];         /* of the outer axes repeated; 1 for the others */
    size_t step[AXES - 1];      /* rows of y from one to the next */
    size_t count;
} Repeats;

static Repeats repeats(const Loops *l, const size_t step[AXES]) {
    Repeats r = {.count = 1};
    size_t rows = 1;
    for (int axis = AXES - 2; axis >= 0; axis--) {
        r.size[axis] = step[axis] ? 1 : l->size[axis];
        r.step[axis] = rows;
        rows *= l->size[axis];
        r.count *= r.size[axis];
    }
    return r;
}

static size_t repeat_row(const Repeats *r, size_t i) {
    size_t row = 0;
    for (int axis = AXES - 2; axis >= 0; axis--) {
        row += i % r->size[axis] * r->step[axis];
        i /= r->size[axis];
    }
    return row;
}

/* First row of y that goes to row `own` of the operand. */
static size_t first_row(const Loops *l, const size_t step[AXES], size_t own) {
    size_t row = 0, rows = 1;
    for (int axis = AXES - 2; axis >= 0; axis--) {
        if (step[axis]) {
            row += own % l->size[axis] * rows;
            own /= l->size[axis];
        }
        rows *= l->size[axis];
    }
    return row;
}

/* A bias's: the contributions are dy itself, in rows that follow one another. */
static bool are_rows_of_dy(const Back *k, const Repeats *r, bool collapses) {
    bool is_dy = k->op == BINARY_ADD || (k->op == BINARY_SUB && !k->of_b);
    return is_dy && !collapses && r->step[AXES - 2] == 1 && r->size[AXES - 2] == (int)r->count;
}

/* sum[] += rows base + repeat_row(from .. to-1) of the contributions; one number if `collapses` */
static void add_rows(const Back *k, const Repeats *r, size_t base, size_t from, size_t to,
                     bool collapses, double *sum)
{
    size_t n = k->l.size[AXES - 1];
    real d[BLOCK];
    if (are_rows_of_dy(k, r, collapses)) {
        add_column_sums((int)(to - from), (int)n, k->dy + (base + from) * n, n, sum);
        return;
    }
    for (size_t i = from; i < to; i++)
        for (size_t start = 0; start < n; start += BLOCK) {
            size_t count = n - start < BLOCK ? n - start : BLOCK;
            contribution(k, base + repeat_row(r, i), start, count, d);
            if (collapses) add_row_sum(count, d, sum);
            else for (size_t j = 0; j < count; j++) sum[start + j] += d[j];
        }
}

static void back_reduced(const Back *k, const size_t step[AXES], real *out, bool add) {
    const Loops *l = &k->l;
    bool collapses = !step[AXES - 1];
    size_t width = collapses ? 1 : l->size[AXES - 1];
    Repeats r = repeats(l, step);
    size_t own_rows = l->rows / r.count, parts = (r.count + ROWS_PER_PART - 1) / ROWS_PER_PART;
    double *sums = (double *)scratch(SCRATCH_PARTIAL, 2 * own_rows * parts * width);
    memset(sums, 0, own_rows * parts * width * sizeof *sums);
    PARALLEL_ROWS(own_rows * parts, (double)l->rows * l->size[AXES - 1] * COST_COPY)
    for (size_t i = 0; i < own_rows * parts; i++) {
        size_t from = i % parts * ROWS_PER_PART;
        size_t to = from + ROWS_PER_PART < r.count ? from + ROWS_PER_PART : r.count;
        add_rows(k, &r, first_row(l, step, i / parts), from, to, collapses, sums + i * width);
    }
    for (size_t i = 0; i < own_rows; i++)
        for (size_t j = 0; j < width; j++, out++) {
            double sum = add ? *out : 0;
            for (size_t part = 0; part < parts; part++) sum += sums[(i * parts + part) * width + j];
            *out = (real)sum;
        }
}

static void back(const Back *k, const int own_shape[4], const int shape[4], const size_t step[AXES],
                 real *out, bool add)
{
    if (length(own_shape) == length(shape)) back_whole(k, out, add);
    else back_reduced(k, step, out, add);
}

void k_binary_back_a(BinaryOp op, const int shape[4], const real *a, const int a_shape[4],
                     const real *b, const int b_shape[4], const real *dy, real *da, bool add)
{
    Back k = {op, false, merge(shape, a_shape, b_shape), a, b, dy};
    back(&k, a_shape, shape, k.l.a_step, da, add);
}

void k_binary_back_b(BinaryOp op, const int shape[4], const real *a, const int a_shape[4],
                     const real *b, const int b_shape[4], const real *dy, real *db, bool add)
{
    Back k = {op, true, merge(shape, a_shape, b_shape), a, b, dy};
    back(&k, b_shape, shape, k.l.b_step, db, add);
}
