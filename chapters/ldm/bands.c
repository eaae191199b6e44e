#include "bands.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* a feature map (H,W,C) of one picture */
typedef struct {
    int H, W, C;
    real *x;
} Map;

typedef struct {
    Tape tape;                           /* of one band */
    int rows;
} Bands;

static size_t row_of(const Map *m) {
    return (size_t)m->W * (size_t)m->C;
}

static Map map_new(int H, int W, int C) {
    Map m = {.H = H, .W = W, .C = C};
    size_t n = (size_t)H * row_of(&m);
    m.x = memory_new(n, sizeof *m.x, "a map of %zu MB", n * sizeof *m.x >> 20);
    return m;
}

/* what is computed at once goes back to a map, which takes the tensor's place */
static Map map_of(Bands *b, const Tensor *y) {
    Map m = map_new(y->shape[1], y->shape[2], y->shape[3]);
    memcpy(m.x, y->x, y->len * sizeof *m.x);
    tape_reset(&b->tape);
    return m;
}

static Tensor *map_rows(Bands *b, const Map *m, int first, int end) {
    return t_input(&b->tape, m->x + (size_t)first * row_of(m), SHAPE(1, end - first, m->W, m->C));
}

/* ---- group normalisation --------------------------------------------------------------------- */

/* sum over pixels of (x - centre)^power of each channel, in double */
static void channel_sums(const Map *m, const double *centre, double *sum) {
    size_t pixels = (size_t)m->H * (size_t)m->W, C = (size_t)m->C;
    memset(sum, 0, C * sizeof *sum);
    for (size_t p = 0; p < pixels; p++)
        for (size_t c = 0; c < C; c++) {
            double x = (double)m->x[p * C + c];
            sum[c] += centre ? (x - centre[c]) * (x - centre[c]) : x;
        }
}

/* the mean over each group's channels, in all of them */
static void group_means(const Map *m, int groups, double *sum) {
    int size = m->C / groups;
    for (int c = 0; c < m->C; c += size) {
        double mean = 0;
        for (int k = 0; k < size; k++) mean += sum[c + k];
        mean /= (double)m->H * m->W * size;
        for (int k = 0; k < size; k++) sum[c + k] = mean;
    }
}

/* norm(x) = x scale + shift with (1,C) each, kept by the caller */
typedef struct {
    real *scale, *shift;
} Affine;

static Affine affine_of(const GroupNorm *norm, const Map *m) {
    size_t C = (size_t)m->C;
    double *mean = memory_new(2 * C, sizeof *mean, "%d channels", m->C), *var = mean + C;
    Affine a = {.scale = memory_new(2 * C, sizeof *a.scale, "%d channels", m->C)};
    a.shift = a.scale + C;
    channel_sums(m, NULL, mean), group_means(m, norm->groups, mean);
    channel_sums(m, mean, var), group_means(m, norm->groups, var);
    for (size_t c = 0; c < C; c++) {
        double scale = (double)norm->gain->x[c] / sqrt(var[c] + norm->eps);
        a.scale[c] = (real)scale;
        a.shift[c] = (real)((double)norm->shift->x[c] - mean[c] * scale);
    }
    free(mean);
    return a;
}

static Tensor *norm_silu(Bands *b, const Affine *a, Tensor *x) {
    int C = x->shape[3];
    Tensor *scale = t_input(&b->tape, a->scale, SHAPE(1, C));
    Tensor *shift = t_input(&b->tape, a->shift, SHAPE(1, C));
    return t_silu(t_add_channel(t_mul_channel(x, scale), shift));
}

/* ---- convolutions ---------------------------------------------------------------------------- */

/* what happens to a map before it is convolved */
typedef enum { AS_IT_IS, NORMALISED, ENLARGED } Before;

/* rows first..end-1 of what is convolved, of `in` or of it enlarged */
static Tensor *rows_before(Bands *b, const Map *in, Before before, const Affine *norm, int first,
                           int end) {
    if (before != ENLARGED) {
        Tensor *x = map_rows(b, in, first, end);
        return before == NORMALISED ? norm_silu(b, norm, x) : x;
    }
    int from = first / 2, to = (end + 1) / 2;
    Tensor *large = t_upsample2(map_rows(b, in, from, to));
    return t_slice(large, 1, first - 2 * from, end - first);
}

/* rows first..end-1 of the result are written to `out`, or added to it */
static void conv_band(Bands *b, const Conv2d *l, Tensor *x, int first, bool add, Map *out) {
    Tensor *y = conv2d(l, x);
    real *to = out->x + (size_t)first * row_of(out);
    if (add) k_axpy(y->len, 1, y->x, to, true);
    else memcpy(to, y->x, y->len * sizeof *to);
    tape_reset(&b->tape);
}

/* out [+]= conv(before(in)); norm: where it is normalised before */
static void conv_map(Bands *b, const Conv2d *l, const Map *in, const GroupNorm *norm, bool add,
                     Map *out) {
    int reach = l->w->shape[0] / 2;
    Before before = norm ? NORMALISED : out->H == 2 * in->H ? ENLARGED : AS_IT_IS;
    Affine affine = norm ? affine_of(norm, in) : (Affine){NULL, NULL};
    for (int first = 0; first < out->H; first += b->rows) {
        Conv2d band = *l;
        int end = first + b->rows < out->H ? first + b->rows : out->H;
        int above = first < reach ? first : reach;
        int below = out->H - end < reach ? out->H - end : reach;
        band.pad.top = reach - above, band.pad.bottom = reach - below;
        conv_band(b, &band, rows_before(b, in, before, &affine, first - above, end + below), first,
                  add, out);
    }
    free(affine.scale);
}

static int outputs(const Conv2d *l) {
    return l->w->shape[3];
}

/* ---- blocks; they free the map they are given ------------------------------------------------ */

static Map resblock_map(Bands *b, const ResBlock *r, Map x) {
    Map h = map_new(x.H, x.W, outputs(&r->conv1)), y = map_new(x.H, x.W, outputs(&r->conv2));
    conv_map(b, &r->conv1, &x, &r->norm1, false, &h);
    conv_map(b, &r->conv2, &h, &r->norm2, false, &y);
    free(h.x);
    if (r->skip.w) conv_map(b, &r->skip, &x, NULL, true, &y);
    else k_axpy((size_t)x.H * row_of(&x), 1, x.x, y.x, true);
    free(x.x);
    return y;
}

static Map attention_map(Bands *b, const AttentionBlock *a, Map x) {
    Tensor *all = map_rows(b, &x, 0, x.H);       /* a copy */
    free(x.x);
    return map_of(b, attention_block(a, all, (Context){0}));
}

static Map upsample_map(Bands *b, const Conv2d *l, Map x) {
    Map y = map_new(2 * x.H, 2 * x.W, outputs(l));
    conv_map(b, l, &x, NULL, false, &y);
    free(x.x);
    return y;
}

static Map level_map(Bands *b, const Coder *n, int l, Map x) {
    for (int i = 0; i < n->blocks; i++) {
        x = resblock_map(b, &n->level[l].block[i], x);
        if (n->attends[l]) x = attention_map(b, &n->level[l].attention[i], x);
    }
    return l > 0 ? upsample_map(b, &n->level[l].resample, x) : x;
}

/* the first convolution and the middle, which are small, at once */
static Map middle_map(Bands *b, const FirstStage *f, const real *z, int h, int w) {
    Tensor *x = t_input(&b->tape, z, SHAPE(1, h, w, f->config.embed));
    if (f->config.codes) x = quantise(&f->codebook, x).codes;
    Map m = map_of(b, conv2d(&f->decoder.in, linear(&f->post_quant, x)));
    m = resblock_map(b, &f->decoder.middle[0], m);
    if (!f->decoder.plain_middle) m = attention_map(b, &f->decoder.middle_attention, m);
    return resblock_map(b, &f->decoder.middle[1], m);
}

void decode_in_bands(const FirstStage *f, const real *z, int h, int w, int rows, real *x) {
    const Coder *n = &f->decoder;
    Bands b = {.tape = {.no_grad = true}, .rows = rows};
    if (rows < 2 || rows % 2) die("decode_in_bands: %d rows at a time", rows);
    Map m = middle_map(&b, f, z, h, w);
    for (int l = n->levels - 1; l >= 0; l--) m = level_map(&b, n, l, m);
    Map picture = {.H = m.H, .W = m.W, .C = f->config.channels, .x = x};
    conv_map(&b, &n->out, &m, &n->norm_out, false, &picture);
    free(m.x);
    tape_free(&b.tape);
}

int band_rows(int width) {
    enum { PIXELS = 1 << 15 };
    int rows = PIXELS / width / 2 * 2;
    return rows < 8 ? 8 : rows;
}
