/* group_norm.c — group normalisation (Wu & He 2018), alone or followed by silu.
 *
 * An image is a matrix (hw, c) and a group is some of its columns. A piece of work is one image, or
 * some groups of it where there are fewer images than threads; it stays in the second-level cache
 * from the statistics to the output. */
#include "kernels.h"
#include "norm_columns.h"
#include "parallel.h"

static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }

void group_norm_forward_ref(const GroupNormShape *s, const NormArrays *n, real *y) {
    int hw = s->hw, c = s->c, width = c / s->groups;
    double count = (double)hw * width;
    const real *x = n->x, *gain = n->gain, *shift = n->shift;
    for (int i = 0; i < s->b * s->groups; i++) {
        size_t start = (size_t)(i / s->groups) * hw * c + (size_t)(i % s->groups) * width;
        double sum = 0, squares = 0;
        for (int p = 0; p < hw; p++)
            for (int j = 0; j < width; j++) sum += x[start + (size_t)p * c + j];
        double mu = sum / count;
        for (int p = 0; p < hw; p++)
            for (int j = 0; j < width; j++) {
                double d = x[start + (size_t)p * c + j] - mu;
                squares += d * d;
            }
        double r = 1 / sqrt(squares / count + s->eps);
        n->mean[i] = (real)mu;
        n->rstd[i] = (real)r;
        for (int p = 0; p < hw; p++)
            for (int j = 0; j < width; j++) {
                int ch = i % s->groups * width + j;
                double v = (x[start + (size_t)p * c + j] - mu) * r;
                v = v * (gain ? gain[ch] : 1) + (shift ? shift[ch] : 0);
                y[start + (size_t)p * c + j] = (real)(s->silu ? v * sigmoid(v) : v);
            }
    }
}

/* ---- pieces of work -------------------------------------------------------------------------- */

typedef struct {
    int b, hw, c, groups, width;    /* width: channels in a group */
    int pieces, piece_groups;       /* of an image; groups in a piece */
    size_t room;                    /* numbers of scratch per thread */
    real *rooms;
} GroupNorm;

enum { COLUMN_ARRAYS = 6 };

/* `extra`: more scratch per channel of a piece. Moments are doubles and fill the end of a room. */
static GroupNorm plan(const GroupNormShape *s, size_t extra) {
    GroupNorm g = {.b = s->b, .hw = s->hw, .c = s->c, .groups = s->groups,
                   .width = s->c / s->groups, .pieces = 1};
    while (s->b * g.pieces < threads_get() && g.pieces * 2 <= s->groups) g.pieces *= 2;
    g.piece_groups = (s->groups + g.pieces - 1) / g.pieces;
    size_t per_channel = COLUMN_ARRAYS + 2 * sizeof(Moments) / sizeof(real) + extra;
    g.room = ((size_t)g.piece_groups * g.width * per_channel + 15) / 16 * 16;
    g.rooms = scratch(SCRATCH_A, threads_get() * g.room);
    return g;
}

/* One piece: groups first_group .. of image n, channels ch .. ch+cols-1. */
typedef struct {
    int n, first_group, group_count, ch, cols;
    size_t at;        /* its first number in x */
    ColumnMap map;
    Moments *moments;
    real *rest;       /* what remains of the room */
} Piece;

static Piece piece_of(const GroupNorm *g, int index) {
    Piece p = {.n = index / g->pieces, .first_group = index % g->pieces * g->piece_groups};
    int left = g->groups - p.first_group;
    p.group_count = left < g->piece_groups ? (left > 0 ? left : 0) : g->piece_groups;
    p.ch = p.first_group * g->width;
    p.cols = p.group_count * g->width;
    p.at = (size_t)p.n * g->hw * g->c + p.ch;
    size_t most = (size_t)g->piece_groups * g->width;
    real *room = g->rooms + thread_index() * g->room;
    p.moments = (Moments *)room;
    room += most * sizeof(Moments) / sizeof(real);
    real **arrays[] = {&p.map.center, &p.map.scale, &p.map.offset, &p.map.p, &p.map.q, &p.map.r};
    for (int i = 0; i < COLUMN_ARRAYS; i++, room += most) *arrays[i] = room;
    p.rest = room;
    return p;
}

/* The map (x - mean) rstd gain + shift of the columns of one group; `lost`: what rounding took from
 * the mean, put back through the offset. */
static void fill_map(const GroupNorm *g, const Piece *p, int group, real mean, real rstd,
                     double lost, const real *gain, const real *shift) {
    for (int j = group * g->width; j < (group + 1) * g->width; j++) {
        double scale = (double)rstd * (gain ? gain[p->ch + j] : 1);
        p->map.center[j] = mean;
        p->map.scale[j] = (real)scale;
        p->map.offset[j] = (real)((shift ? shift[p->ch + j] : 0) - lost * scale);
    }
}

/* ---- forward --------------------------------------------------------------------------------- */

static void forward_piece(const GroupNorm *g, const Piece *p, real eps, const NormArrays *n,
                          bool silu, real *y) {
    column_moments(g->hw, p->cols, n->x + p->at, g->c, p->moments);
    for (int i = 0; i < p->group_count; i++) {
        Moments all = {0};
        for (int j = 0; j < g->width; j++) all = moments_join(all, p->moments[i * g->width + j]);
        size_t at = (size_t)p->n * g->groups + p->first_group + i;
        n->mean[at] = (real)all.mean;
        n->rstd[at] = (real)(1 / sqrt(all.m2 / all.count + eps));
        fill_map(g, p, i, n->mean[at], n->rstd[at], all.mean - n->mean[at], n->gain, n->shift);
    }
    map_columns(g->hw, p->cols, g->c, n->x + p->at, &p->map, silu, y + p->at);
}

void group_norm_forward(const GroupNormShape *s, const NormArrays *n, real *y) {
    if (!s->b || !s->hw || !s->c) return;
    GroupNorm g = plan(s, 0);
    PARALLEL_FOR((double)s->b * s->hw * s->c * 2 * COST_COPY)
    for (int i = 0; i < s->b * g.pieces; i++) {
        Piece p = piece_of(&g, i);
        forward_piece(&g, &p, s->eps, n, s->silu, y);
    }
}

/* ---- backward -------------------------------------------------------------------------------- */

/* With xhat = (x - mean) rstd, d the gradient of v = xhat gain + shift, and E the mean over a
 * group,
 *     dx = rstd (d gain - E[d gain] - xhat E[d gain xhat]),  dgain = sum d xhat,  dshift = sum d.
 * sums (b, 2, c) receives sum d and sum d xhat of each image. */
static void backward_piece(const GroupNorm *g, const Piece *p, const NormArrays *n, bool silu,
                           const real *dy, Gradient dx, double *sums) {
    double *sum = sums + (size_t)p->n * 2 * g->c + p->ch, *sum_x = sum + g->c;
    size_t first = (size_t)p->n * g->groups + p->first_group;
    const real *x = n->x, *gain = n->gain, *mean = n->mean + first, *rstd = n->rstd + first;
    real *d = silu ? p->rest : NULL;
    for (int i = 0; i < p->group_count; i++) fill_map(g, p, i, mean[i], rstd[i], 0, gain, n->shift);
    for (int j = 0; j < p->cols; j++) sum[j] = sum_x[j] = 0;
    back_column_sums(g->hw, p->cols, g->c, x + p->at, dy + p->at, &p->map, silu, d, sum, sum_x);
    for (int i = 0; i < p->group_count; i++) {
        double e = 0, e_x = 0, count = (double)g->hw * g->width;
        for (int j = i * g->width; j < (i + 1) * g->width; j++) {
            sum_x[j] *= rstd[i];
            e += sum[j] * (gain ? gain[p->ch + j] : 1) / count;
            e_x += sum_x[j] * (gain ? gain[p->ch + j] : 1) / count;
        }
        for (int j = i * g->width; j < (i + 1) * g->width; j++) {
            p->map.p[j] = p->map.scale[j];
            p->map.q[j] = (real)(rstd[i] * e_x * rstd[i]);
            p->map.r[j] = (real)(rstd[i] * e);
        }
    }
    if (dx.to)
        back_columns(g->hw, p->cols, g->c, x + p->at, silu ? d : dy + p->at,
                     silu ? (size_t)p->cols : (size_t)g->c, &p->map, dx.to + p->at, dx.add);
}

/* out[j] (+)= sum over images of sums[n][which][j], in order */
static void add_images(int b, int c, const double *sums, int which, Gradient out) {
    for (int j = 0; out.to && j < c; j++) {
        double total = out.add ? out.to[j] : 0;
        for (int n = 0; n < b; n++) total += sums[((size_t)n * 2 + which) * c + j];
        out.to[j] = (real)total;
    }
}

void group_norm_backward(const GroupNormShape *s, const NormArrays *n, const real *dy,
                         const NormGradients *d) {
    GroupNorm g = plan(s, s->silu ? s->hw : 0);
    double *sums = (double *)scratch(SCRATCH_PARTIAL, (size_t)s->b * 4 * s->c);
    PARALLEL_FOR((double)s->b * s->hw * s->c * 4 * COST_COPY)
    for (int i = 0; i < s->b * g.pieces; i++) {
        Piece p = piece_of(&g, i);
        backward_piece(&g, &p, n, s->silu, dy, d->x, sums);
    }
    add_images(s->b, s->c, sums, 0, d->shift);
    add_images(s->b, s->c, sums, 1, d->gain);
}
