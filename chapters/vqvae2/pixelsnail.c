/* pixelsnail.c — the prior: one network, run over all positions at once to be trained, and position
 * by position to draw codes. Both ways use the same functions: a layer asks `pass->at`. */
#include "pixelsnail.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

typedef struct {
    Rng *dropout;                     /* NULL: none */
    Sampler *at;                      /* NULL: all positions at once */
    Tensor *background;               /* (B,H,W,2), or (B,1,1,2) of the position */
    Tensor *condition;                /* (B,H,W,C), (B,1,1,C) or NULL */
} Pass;

/* ---- weight normalisation -------------------------------------------------------------------- */

/* 1 where a causal kernel (k,k) may look: its last row is the position's own, whose middle is the
 * position itself */
static bool sees(int k, int row, int column) {
    return row < k - 1 || column < k / 2;
}

/* g starts as |v|, so that w is v: the starting values of plain convolutions */
static void start_at_plain(const WeightNorm *l) {
    int out = l->v->shape[l->v->rank - 1], k = l->v->shape[0], in = l->v->shape[2];
    size_t rows = l->v->len / (size_t)out;
    for (int o = 0; o < out; o++) {
        double sum = 0;
        for (size_t r = 0; r < rows; r++) {
            double x = (double)l->v->x[r * (size_t)out + (size_t)o];
            int place = (int)r / in;
            if (!l->causal || sees(k, place / k, place % k)) sum += x * x;
        }
        l->g->x[o] = (real)sqrt(sum);
    }
}

/* kernels of any shape, whose padding the caller sets */
static WeightNorm kernel_new(Scope s, int in, int out, int kh, int kw, bool bias) {
    double bound = 1 / sqrt(in * kh * kw);
    WeightNorm l = {.v = param(s, "wv", INIT_UNIFORM, bound, SHAPE(kh, kw, in, out)),
                    .pad = {.stride = 1}};
    l.g = param(s, "wg", INIT_CONSTANT, 1, SHAPE(1, 1, 1, out));
    if (bias) l.b = param(s, "b", INIT_UNIFORM, bound, SHAPE(out));
    start_at_plain(&l);
    return l;
}

static WeightNorm same_new(Scope s, int in, int out, int kernel, bool bias) {
    WeightNorm l = kernel_new(s, in, out, kernel, kernel, bias);
    l.pad.top = l.pad.left = l.pad.bottom = l.pad.right = kernel / 2;
    return l;
}

static WeightNorm causal_new(Scope s, int in, int out, int kernel) {
    WeightNorm l = kernel_new(s, in, out, kernel, kernel, true);
    l.pad.top = kernel - 1, l.pad.left = l.pad.right = kernel / 2;
    l.causal = true;
    start_at_plain(&l);
    return l;
}

static WeightNorm dense_new(Scope s, int in, int out) {
    double bound = 1 / sqrt(in);
    WeightNorm l = {.v = param(s, "wv", INIT_UNIFORM, bound, SHAPE(in, out))};
    l.g = param(s, "wg", INIT_CONSTANT, 1, SHAPE(1, out));
    l.b = param(s, "b", INIT_UNIFORM, bound, SHAPE(out));
    k_fill((size_t)out, 0, l.g->x);
    for (int r = 0; r < in; r++)
        for (int o = 0; o < out; o++) l.g->x[o] += l.v->x[r * out + o] * l.v->x[r * out + o];
    for (int o = 0; o < out; o++) l.g->x[o] = (real)sqrt((double)l.g->x[o]);
    return l;
}

/* (k,k,1,1): zeros where a causal kernel must not look */
static Tensor *mask_of(Tape *t, int k) {
    Tensor *mask = t_input(t, NULL, SHAPE(k, k, 1, 1));
    for (int i = 0; i < k * k; i++) mask->x[i] = sees(k, i / k, i % k);
    return mask;
}

/* w = g v / |v|, the norm over all that enters one output: (kh kw in, out)
 * (Salimans & Kingma 2016, eq. 2) */
static Tensor *weight_of(const WeightNorm *l, Tape *t) {
    Tensor *v = t_use(t, l->v);
    int out = v->shape[v->rank - 1];
    if (l->causal) v = t_mul(v, mask_of(t, v->shape[0]));
    v = t_reshape(v, SHAPE(-1, out));
    Tensor *norm = t_sqrt(t_sum_axis(t_square(v), 0));
    return t_mul(v, t_div(t_reshape(t_use(t, l->g), SHAPE(1, out)), norm));
}

/* ---- what a position leaves behind ----------------------------------------------------------- */

/* the memory of this layer: layers are always passed in the same order */
static Memory *memory_of(Sampler *s, const WeightNorm *l) {
    if (s->next == SNAIL_MEMORIES) die("pixelsnail: more than %d layers", SNAIL_MEMORIES);
    Memory *m = &s->memory[s->next++];
    if (m->w) return m;
    Tape t = {.no_grad = true};
    Tensor *w = weight_of(l, &t);
    m->w = param(scope(&s->weights, "w%d", s->next), "w", INIT_CONSTANT, 0, w->rank, w->shape);
    memcpy(m->w->x, w->x, w->len * sizeof *w->x);
    tape_free(&t);
    return m;
}

/* What the kernel sees of `seen` around the position: (B,1,1,kh kw in). Positions are given by the
 * upper left corner. */
static Tensor *window(const Sampler *s, const WeightNorm *l, const real *seen) {
    int kh = l->v->shape[0], kw = l->v->shape[1], in = l->v->shape[2];
    int H = s->net->c.height, W = s->net->c.width;
    int top = s->position / W - l->pad.top, left = s->position % W - l->pad.left;
    Tensor *y = t_input((Tape *)&s->tape, NULL, SHAPE(s->B, 1, 1, kh * kw * in));
    k_fill(y->len, 0, y->x);
    real *to = y->x;
    for (int b = 0; b < s->B; b++)
        for (int i = top; i < top + kh; i++)
            for (int j = left; j < left + kw; j++, to += in)
                if (i >= 0 && j >= 0 && i < H && j < W)
                    memcpy(to, seen + ((size_t)(b * H + i) * (size_t)W + (size_t)j) * (size_t)in,
                           (size_t)in * sizeof *to);
    return y;
}

static Tensor *remember(Sampler *s, Memory *m, const WeightNorm *l, const Tensor *x) {
    size_t in = (size_t)l->v->shape[2], n = (size_t)(s->net->c.height * s->net->c.width);
    if (!m->seen) {
        m->seen = arena_get(&s->arena, (size_t)s->B * n * in * sizeof *m->seen);
        k_fill((size_t)s->B * n * in, 0, m->seen);
    }
    k_copy_rows((size_t)s->B, in, x->x, in, m->seen + (size_t)s->position * in, n * in, false);
    return window(s, l, m->seen);
}

/* x (B,H,W,in) -> (B,H,W,out); or both of one position, (B,1,1,.) */
static Tensor *weight_norm(const WeightNorm *l, Tensor *x, const Pass *p) {
    bool dense = l->v->rank == 2 || (l->v->shape[0] == 1 && l->v->shape[1] == 1);
    if (p->at) {
        Memory *m = memory_of(p->at, l);
        return t_linear(dense ? x : remember(p->at, m, l, x), m->w, l->b);
    }
    Tensor *w = weight_of(l, x->tape);
    if (dense) return t_linear(x, w, l->b);
    return t_conv2d(x, t_reshape(w, l->v->rank, l->v->shape), l->b, l->pad);
}

/* ---- construction ---------------------------------------------------------------------------- */

typedef enum { SAME, CAUSAL } Kernels;

static Gated gated_new(Scope s, int in, int channels, int kernel, Kernels kind, int aux,
                       int condition) {
    Gated g = {0};
    bool causal = kind == CAUSAL;
    Scope one = sub(s, causal ? "conv1.conv.conv" : "conv1.conv");
    Scope two = sub(s, causal ? "conv2.conv.conv" : "conv2.conv");
    g.conv1 = causal ? causal_new(one, in, channels, kernel) :
                       same_new(one, in, channels, kernel, true);
    g.conv2 = causal ? causal_new(two, channels, 2 * in, kernel) :
                       same_new(two, channels, 2 * in, kernel, true);
    if (aux) g.aux = same_new(sub(s, "aux_conv.conv"), aux, channels, 1, true);
    if (condition) g.condition = same_new(sub(s, "condition.conv"), condition, 2 * in, 1, false);
    return g;
}

static SnailBlock block_new(Scope s, const SnailConfig *c) {
    SnailBlock b = {0};
    int C = c->channels;
    for (int i = 0; i < c->res_blocks; i++)
        b.res[i] = gated_new(sub(s, "resblocks.%d", i), C, c->res_channels, c->kernel, CAUSAL, 0,
                             c->condition_channels);
    if (!c->attention) {
        b.join = same_new(sub(s, "out.conv"), C + 2, C, 1, true);
        return b;
    }
    b.key_res = gated_new(sub(s, "key_resblock"), 2 * C + 2, C, 1, SAME, 0, 0);
    b.query_res = gated_new(sub(s, "query_resblock"), C + 2, C, 1, SAME, 0, 0);
    b.query = dense_new(sub(s, "causal_attention.query"), C + 2, C / 2);
    b.key = dense_new(sub(s, "causal_attention.key"), 2 * C + 2, C / 2);
    b.value = dense_new(sub(s, "causal_attention.value"), 2 * C + 2, C / 2);
    b.out_res = gated_new(sub(s, "out_resblock"), C, C, 1, SAME, C / 2, 0);
    return b;
}

/* Position (i,j) sees rows above by what `horizontal` makes for (i-1,j), and what is to the left,
 * in its own row and above, by what `vertical` makes for (i,j-1). */
static void first_layers_new(Snail *s, Scope top) {
    int K = s->c.codes, C = s->c.channels, k = s->c.kernel;
    s->horizontal = kernel_new(sub(top, "horizontal.conv.conv"), K, C, k / 2, k, true);
    s->horizontal.pad = (ConvPad){.stride = 1, .top = k / 2 - 1, .left = k / 2, .right = k / 2};
    s->vertical = kernel_new(sub(top, "vertical.conv.conv"), K, C, (k + 1) / 2, k / 2, true);
    s->vertical.pad = (ConvPad){.stride = 1, .top = (k + 1) / 2 - 1, .left = k / 2 - 1};
    if (s->c.previous) s->previous = same_new(sub(top, "previous.conv"), K, C, 1, false);
}

static void condition_new(Snail *s, Scope top) {
    const SnailConfig *c = &s->c;
    int C = c->condition_channels;
    Scope net = sub(top, "cond_resnet");
    if (c->condition_blocks)
        s->condition_first = same_new(sub(net, "blocks.0.conv"), c->condition_codes, C,
                                      c->condition_kernel, true);
    for (int i = 0; i < c->condition_blocks; i++)
        s->condition_res[i] = gated_new(sub(net, "blocks.%d", i + 1), C, C, c->condition_kernel,
                                        SAME, 0, 0);
    if (c->classes) s->class = embedding_new(sub(top, "class"), c->classes, C);
}

/* the public code's coordinates: (i - H/2)/H and (j - W/2)/W */
static void background_new(Snail *s, Scope top) {
    int H = s->c.height, W = s->c.width;
    s->background = buffer(top, "background", 0, SHAPE(1, 2, H, W));
    for (int i = 0; i < H * W; i++) {
        s->background->x[i] = (real)((i / W - H / 2.0) / H);
        s->background->x[H * W + i] = (real)((i % W - W / 2.0) / W);
    }
}

static void check(const SnailConfig *c) {
    bool odd = c->kernel % 2 && c->kernel > 1 && (!c->condition_blocks || c->condition_kernel % 2);
    bool room = c->blocks <= SNAIL_BLOCKS && c->res_blocks <= SNAIL_RES &&
                c->out_blocks <= SNAIL_RES && c->condition_blocks <= SNAIL_RES;
    bool heads = !c->attention || c->channels % (2 * SNAIL_HEADS) == 0;
    bool condition = c->condition_channels || !(c->classes || c->condition_blocks);
    if (!odd || !room || !heads || !condition)
        die("pixelsnail: kernel %d, %d channels, %d blocks of %d; kernels are odd and above 1, "
            "channels a multiple of %d where there is attention, blocks at most %d",
            c->kernel, c->channels, c->blocks, c->res_blocks, 2 * SNAIL_HEADS, SNAIL_BLOCKS);
}

static void forget_masks(Snail *s) {
    for (int i = 0; i < s->c.blocks; i++)
        for (int k = 0; k < s->c.res_blocks; k++)
            s->block[i].res[k].conv1.causal = s->block[i].res[k].conv2.causal = false;
}

Snail snail_new(Params *p, SnailConfig c) {
    check(&c);
    Snail s = {.c = c};
    Scope top = scope(p, "%s", "");
    int N = c.height * c.width;
    background_new(&s, top);
    first_layers_new(&s, top);
    for (int i = 0; i < c.blocks; i++) s.block[i] = block_new(sub(top, "blocks.%d", i), &c);
    condition_new(&s, top);
    for (int i = 0; i < c.out_blocks; i++)
        s.out_res[i] = gated_new(sub(top, "out.%d", i), c.channels, c.res_channels, 1, SAME, 0, 0);
    s.logits = same_new(sub(top, "out.%d.conv", c.out_blocks + 1), c.channels, c.codes, 1, true);
    if (c.masked_weights) forget_masks(&s);
    s.earlier = arena_get(&p->arena, (size_t)N * (size_t)N);
    for (int i = 0; i < N * N; i++) s.earlier[i] = i % N < i / N;
    return s;
}

/* ---- the network ----------------------------------------------------------------------------- */

Tensor *one_hot(Tape *t, int B, int height, int width, int codes, const int *z) {
    Tensor *y = t_input(t, NULL, SHAPE(B, height, width, codes));
    k_fill(y->len, 0, y->x);
    for (int i = 0; i < B * height * width; i++) y->x[(size_t)i * (size_t)codes + (size_t)z[i]] = 1;
    return y;
}

/* a sigmoid(b) of a | b side by side */
static Tensor *gate(Tensor *h) {
    int C = h->shape[h->rank - 1] / 2;
    Tensor *a = t_slice(h, -1, 0, C), *b = t_slice(h, -1, C, C);
    return t_mul(a, t_sigmoid(b));
}

static Tensor *gated(const Gated *g, Tensor *x, Tensor *aux, double rate, const Pass *p) {
    Tensor *h = weight_norm(&g->conv1, t_elu(x), p);
    if (aux) h = t_add(h, weight_norm(&g->aux, t_elu(aux), p));
    h = t_elu(h);
    if (p->dropout) h = t_dropout(h, rate, p->dropout);
    h = weight_norm(&g->conv2, h, p);
    if (g->condition.v) h = t_add(h, weight_norm(&g->condition, p->condition, p));
    return t_add(gate(h), x);
}

/* q, k, v (B,H,W,.) as sequences; position i attends to positions before i, the first to none */
static Tensor *attend_all(const Snail *s, Tensor *q, Tensor *k, Tensor *v) {
    int B = q->shape[0], H = q->shape[1], W = q->shape[2], N = H * W;
    Attention a = {.heads = SNAIL_HEADS, .mask = s->earlier};
    q = t_reshape(q, SHAPE(B, N, -1));
    k = t_reshape(k, SHAPE(B, N, -1));
    v = t_reshape(v, SHAPE(B, N, -1));
    return t_reshape(t_attention(q, k, v, a), SHAPE(B, H, W, -1));
}

/* the keys or values (B,position,C) of what was before; x is put behind them */
static Tensor *with_earlier(Sampler *s, real **kept, const Tensor *x) {
    size_t N = (size_t)(s->net->c.height * s->net->c.width), C = (size_t)x->shape[3];
    size_t n = (size_t)s->position, B = (size_t)s->B;
    if (!*kept) *kept = arena_get(&s->arena, B * N * C * sizeof **kept);
    k_copy_rows(B, C, x->x, C, *kept + n * C, N * C, false);
    if (!n) return NULL;
    Tensor *y = t_input(x->tape, NULL, SHAPE(s->B, s->position, (int)C));
    k_copy_rows(B, n * C, *kept, N * C, y->x, n * C, false);
    return y;
}

static Tensor *attend_at(Sampler *s, int block, Tensor *q, Tensor *k, Tensor *v) {
    Tensor *keys = with_earlier(s, &s->attended[block][0], k);
    Tensor *values = with_earlier(s, &s->attended[block][1], v);
    if (!keys) return t_scale(v, 0);
    int B = s->B;
    Tensor *y = t_attention(t_reshape(q, SHAPE(B, 1, -1)), keys, values,
                            (Attention){.heads = SNAIL_HEADS});
    return t_reshape(y, SHAPE(B, 1, 1, -1));
}

static Tensor *block(const Snail *s, int number, Tensor *x, const Pass *p) {
    const SnailBlock *b = &s->block[number];
    double rate = s->c.dropout;
    Tensor *h = x;
    for (int i = 0; i < s->c.res_blocks; i++) h = gated(&b->res[i], h, NULL, rate, p);
    Tensor *placed = t_concat(h, p->background, -1);
    if (!s->c.attention) return weight_norm(&b->join, placed, p);
    Tensor *key = gated(&b->key_res, t_concat(x, placed, -1), NULL, rate, p);
    Tensor *query = gated(&b->query_res, placed, NULL, rate, p);
    Tensor *q = weight_norm(&b->query, query, p);
    Tensor *k = weight_norm(&b->key, key, p);
    Tensor *v = weight_norm(&b->value, key, p);
    Tensor *y = p->at ? attend_at(p->at, number, q, k, v) : attend_all(s, q, k, v);
    return gated(&b->out_res, h, y, rate, p);
}

/* from the first features to logits */
static Tensor *body(const Snail *s, Tensor *h, const Pass *p) {
    for (int i = 0; i < s->c.blocks; i++) h = block(s, i, h, p);
    for (int i = 0; i < s->c.out_blocks; i++) h = gated(&s->out_res[i], h, NULL, s->c.dropout, p);
    return weight_norm(&s->logits, t_elu(h), p);
}

/* moved on by one along `axis`; zeros come first, without the layer's bias */
static Tensor *shifted(Tensor *x, int axis) {
    return t_slice(t_pad(x, axis, 1, 0), axis, 0, x->shape[axis]);
}

static Tensor *first_features(const Snail *s, Tensor *z, const Pass *p) {
    Tensor *above = shifted(weight_norm(&s->horizontal, z, p), 1);
    Tensor *left = shifted(weight_norm(&s->vertical, z, p), 2);
    Tensor *h = t_add(above, left);
    if (!s->c.previous) return h;
    int B = z->shape[0], N = s->c.height * s->c.width;
    Tensor *before = t_reshape(weight_norm(&s->previous, z, p), SHAPE(B, N, -1));
    return t_add(h, t_reshape(shifted(before, 1), h->rank, h->shape));
}

/* (B,H,W,2), or of one position alone (B,1,1,2) */
static Tensor *background(const Snail *s, Tape *t, int B, int first, int n, int height, int width) {
    int N = s->c.height * s->c.width;
    Tensor *y = t_input(t, NULL, SHAPE(B, height, width, 2));
    for (int b = 0; b < B; b++)
        for (int i = 0; i < 2 * n; i++)
            y->x[2 * b * n + i] = s->background->x[i % 2 * N + first + i / 2];
    return y;
}

Tensor *snail_condition(const Snail *s, Tape *t, int B, Tensor *top, const int *classes) {
    Pass p = {0};
    Tensor *y = NULL;
    if (s->c.condition_blocks) {
        y = weight_norm(&s->condition_first, top, &p);
        for (int i = 0; i < s->c.condition_blocks; i++)
            y = gated(&s->condition_res[i], y, NULL, s->c.dropout, &p);
        y = t_upsample2(y);
    }
    if (!s->c.classes) return y;
    Tensor *class = embedding(&s->class, t, classes, B);
    return y ? t_add_channel(y, class) : t_reshape(class, SHAPE(B, 1, 1, -1));
}

Tensor *snail(const Snail *s, Tensor *z, Tensor *condition, Rng *dropout) {
    int B = z->shape[0], H = s->c.height, W = s->c.width;
    if (z->rank != 4 || z->shape[1] != H || z->shape[2] != W || z->shape[3] != s->c.codes)
        die("snail: %s; this prior is over (B,%d,%d,%d)", t_describe(z), H, W, s->c.codes);
    Pass p = {.dropout = dropout, .condition = condition};
    p.background = background(s, z->tape, B, 0, H * W, H, W);
    return body(s, first_features(s, z, &p), &p);
}

/* ---- one position after the other ------------------------------------------------------------ */

void sampler_new(Sampler *s, const Snail *net, int B, const Tensor *condition) {
    size_t N = (size_t)(net->c.height * net->c.width);
    *s = (Sampler){.net = net, .B = B, .tape = {.no_grad = true}};
    s->codes = arena_get(&s->arena, (size_t)B * N * sizeof *s->codes);
    if (!condition) return;
    real *copy = arena_get(&s->arena, condition->len * sizeof *copy);
    memcpy(copy, condition->x, condition->len * sizeof *copy);
    s->condition = copy;
    s->condition_is_map = condition->shape[1] > 1 || condition->shape[2] > 1;
}

/* what the kernel sees of the codes so far around (row,column), one-hot: (B,1,1,kh kw K) */
static Tensor *codes_window(Sampler *s, const WeightNorm *l, int row, int column) {
    int kh = l->v->shape[0], kw = l->v->shape[1], K = l->v->shape[2];
    int W = s->net->c.width, N = s->net->c.height * W;
    int top = row - l->pad.top, left = column - l->pad.left;
    Tensor *y = t_input(&s->tape, NULL, SHAPE(s->B, 1, 1, kh * kw * K));
    k_fill(y->len, 0, y->x);
    for (int b = 0; b < s->B; b++)
        for (int u = 0; u < kh * kw; u++) {
            int i = top + u / kw, j = left + u % kw, place = i * W + j;
            if (i < 0 || j < 0 || j >= W || place >= s->position) continue;
            y->x[(size_t)(b * kh * kw + u) * (size_t)K + (size_t)s->codes[b * N + place]] = 1;
        }
    return y;
}

/* The same sum as first_features: each layer's output of the place that is moved on to here. */
static Tensor *first_features_at(Sampler *s) {
    const Snail *net = s->net;
    int W = net->c.width, i = s->position / W, j = s->position % W, before = s->position - 1;
    const struct { const WeightNorm *layer; int row, column; } from[3] = {
        {&net->horizontal, i - 1, j}, {&net->vertical, i, j - 1},
        {&net->previous, before / W, before < 0 ? -1 : before % W}};
    Tensor *h = t_input(&s->tape, NULL, SHAPE(s->B, 1, 1, net->c.channels));
    k_fill(h->len, 0, h->x);
    for (int k = 0; k < 2 + net->c.previous; k++) {
        Memory *m = memory_of(s, from[k].layer);
        if (from[k].row < 0 || from[k].column < 0) continue;
        Tensor *z = codes_window(s, from[k].layer, from[k].row, from[k].column);
        h = t_add(h, t_linear(z, m->w, from[k].layer->b));
    }
    return h;
}

static Tensor *condition_at(Sampler *s) {
    size_t C = (size_t)s->net->c.condition_channels;
    size_t N = (size_t)(s->net->c.height * s->net->c.width);
    if (!s->condition) return NULL;
    Tensor *y = t_input(&s->tape, NULL, SHAPE(s->B, 1, 1, (int)C));
    size_t stride = s->condition_is_map ? N * C : C;
    size_t at = s->condition_is_map ? (size_t)s->position * C : 0;
    k_copy_rows((size_t)s->B, C, s->condition + at, stride, y->x, C, false);
    return y;
}

const real *sampler_logits(Sampler *s) {
    tape_reset(&s->tape);
    s->next = 0;
    Pass p = {.at = s, .condition = condition_at(s)};
    p.background = background(s->net, &s->tape, s->B, s->position, 1, 1, 1);
    return body(s->net, first_features_at(s), &p)->x;
}

void sampler_put(Sampler *s, const int *codes) {
    int N = s->net->c.height * s->net->c.width;
    for (int b = 0; b < s->B; b++) s->codes[b * N + s->position] = codes[b];
    s->position++;
}

void sampler_free(Sampler *s) {
    tape_free(&s->tape), params_free(&s->weights), arena_free(&s->arena);
}

/* ---- many pictures --------------------------------------------------------------------------- */

enum { AT_ONCE = 64 };

static int piece(int n, int i) {
    return n - i < AT_ONCE ? n - i : AT_ONCE;
}

/* the code at which the sum of exp(logit / temperature) passes u of its total */
static int draw(int K, const real *logits, double temperature, double u) {
    int best = 0;
    double total = 0, sum = 0;
    for (int k = 1; k < K; k++)
        if (logits[k] > logits[best]) best = k;
    if (temperature == 0) return best;
    for (int pass = 0; pass < 2; pass++)
        for (int k = 0; k < K; k++) {
            double e = exp((double)(logits[k] - logits[best]) / temperature);
            if (!pass) total += e;
            else if ((sum += e) > u * total) return k;
        }
    return best;
}

/* the condition of B pictures, on a tape of no gradients */
static Tensor *condition_of(const Snail *s, Tape *t, int B, const int *top, const int *classes) {
    int h = s->c.height / 2, w = s->c.width / 2;
    Tensor *z = NULL;
    if (s->c.condition_blocks) z = one_hot(t, B, h, w, s->c.condition_codes, top);
    return snail_condition(s, t, B, z, classes);
}

void snail_sample(const Snail *s, int n, const int *top, const int *classes, double temperature,
                  Rng *rng, int *codes) {
    int N = s->c.height * s->c.width, K = s->c.codes;
    for (int i = 0; i < n; i += AT_ONCE) {
        int B = piece(n, i), z[AT_ONCE];
        real u[AT_ONCE];
        Tape t = {.no_grad = true};
        Sampler at;
        sampler_new(&at, s, B, condition_of(s, &t, B, top ? top + i * N / 4 : NULL,
                                            classes ? classes + i : NULL));
        for (int k = 0; k < N; k++) {
            const real *logits = sampler_logits(&at);
            rng_uniform(rng, (size_t)B, u);
            for (int b = 0; b < B; b++) z[b] = draw(K, logits + b * K, temperature, (double)u[b]);
            sampler_put(&at, z);
        }
        memcpy(codes + (size_t)i * (size_t)N, at.codes, (size_t)(B * N) * sizeof *codes);
        sampler_free(&at), tape_free(&t);
    }
}

void snail_nats(const Snail *s, int n, const int *codes, const int *top, const int *classes,
                double *nats) {
    int H = s->c.height, W = s->c.width, N = H * W, K = s->c.codes;
    Tape t = {.no_grad = true};
    for (int k = 0; k < N; k++) nats[k] = 0;
    for (int i = 0; i < n; i += AT_ONCE) {
        int B = piece(n, i);
        const int *z = codes + (size_t)i * (size_t)N;
        tape_reset(&t);
        Tensor *condition = condition_of(s, &t, B, top ? top + i * N / 4 : NULL,
                                         classes ? classes + i : NULL);
        Tensor *log_p = t_log_softmax(snail(s, one_hot(&t, B, H, W, K, z), condition, NULL));
        for (int b = 0; b < B; b++)
            for (int k = 0; k < N; k++)
                nats[k] -= (double)log_p->x[(size_t)(b * N + k) * (size_t)K + (size_t)z[b * N + k]];
    }
    tape_free(&t);
    for (int k = 0; k < N; k++) nats[k] /= n;
}
