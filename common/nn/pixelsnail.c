/* pixelsnail.c — the prior: one network, run over all positions at once to be trained, and
 * position by position to draw codes. Both ways use the same functions: see `pass->at`. */
#include "nn/pixelsnail.h"

#include "base/error.h"
#include "base/processes.h"

#include <math.h>
#include <string.h>

typedef struct {
    SnailSampler *at;                      /* NULL: all positions at once */
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
    if (!l->v->x) return;                    /* shapes alone */
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

typedef enum { SAME, CAUSAL } Kernels;

/* a square kernel, whose padding keeps the size */
static WeightNorm conv_new(Scope s, int in, int out, int kernel, Kernels kind) {
    WeightNorm l = kernel_new(s, in, out, kernel, kernel, true);
    l.pad.top = l.pad.left = l.pad.bottom = l.pad.right = kernel / 2;
    if (kind == SAME) return l;
    l.pad.top = kernel - 1, l.pad.bottom = 0;
    l.causal = true;
    start_at_plain(&l);
    return l;
}

static WeightNorm dense_new(Scope s, int in, int out) {
    double bound = 1 / sqrt(in);
    WeightNorm l = {.v = param(s, "wv", INIT_UNIFORM, bound, SHAPE(in, out))};
    l.g = param(s, "wg", INIT_CONSTANT, 1, SHAPE(1, out));
    l.b = param(s, "b", INIT_UNIFORM, bound, SHAPE(out));
    if (s.params->shapes_only) return l;
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

/* ---- a layer, at all positions or at one ----------------------------------------------------- */

/* what this layer keeps: layers are always passed in the same order */
static SnailLayerCache *cache_of(SnailSampler *s, const WeightNorm *l) {
    if (s->next == SNAIL_LAYERS) die("pixelsnail: more than %d layers", SNAIL_LAYERS);
    SnailLayerCache *c = &s->layer[s->next++];
    if (c->w) return c;
    Tape t = {.no_grad = true};
    Tensor *w = weight_of(l, &t);
    c->w = param(scope(&s->weights, "w%d", s->next), "w", INIT_CONSTANT, 0, w->rank, w->shape);
    memcpy(c->w->x, w->x, w->len * sizeof *w->x);
    tape_free(&t);
    return c;
}

/* what the kernel covers of a map, at (row,column): (B,1,1,kh kw in) */
static Tensor *window_at(const WeightNorm *l, const FeatureMap *m, Tape *t, int row, int column) {
    int kh = l->v->shape[0], kw = l->v->shape[1];
    Tensor *y = feature_map_window(m, t, row - l->pad.top, column - l->pad.left, kh, kw);
    return t_reshape(y, SHAPE(m->n, 1, 1, kh * kw * m->channels));
}

static Tensor *weight_norm_at(SnailSampler *s, const WeightNorm *l, Tensor *x, bool pointwise) {
    int W = s->net->c.width, i = s->position / W, j = s->position % W;
    SnailLayerCache *c = cache_of(s, l);
    if (pointwise) return t_linear(x, c->w, l->b);
    if (!c->input.x)
        c->input = feature_map_new(&s->arena, s->B, s->net->c.height, W, l->v->shape[2]);
    feature_map_put(&c->input, x, i, j);
    return t_linear(window_at(l, &c->input, x->tape, i, j), c->w, l->b);
}

/* for `moved`, at a position */
static Tensor *moved_at(SnailSampler *s, const WeightNorm *l, int axis) {
    int W = s->net->c.width, at = axis ? s->position : s->position - 1;
    int i = at / W - (axis == 1), j = at % W - (axis == 2);
    SnailLayerCache *c = cache_of(s, l);
    if (at < 0 || i < 0 || j < 0) {
        Tensor *none = t_input(&s->tape, NULL, SHAPE(s->B, 1, 1, s->net->c.channels));
        k_fill(none->len, 0, none->x);
        return none;
    }
    return t_linear(window_at(l, &s->codes, &s->tape, i, j), c->w, l->b);
}

/* x (B,H,W,in) -> (B,H,W,out); or both of one position, (B,1,1,.) */
static Tensor *weight_norm(const WeightNorm *l, Tensor *x, const Pass *p) {
    bool pointwise = l->v->rank == 2 || (l->v->shape[0] == 1 && l->v->shape[1] == 1);
    if (p->at) return weight_norm_at(p->at, l, x, pointwise);
    Tensor *w = weight_of(l, x->tape);
    if (pointwise) return t_linear(x, w, l->b);
    return t_conv2d(x, t_reshape(w, l->v->rank, l->v->shape), l->b, l->pad);
}

/* ---- construction ---------------------------------------------------------------------------- */

static GatedResidual gated_new(Scope s, int in, int channels, int kernel, Kernels kind) {
    const char *end = kind == CAUSAL ? "conv.conv" : "conv";
    return (GatedResidual){.conv1 = conv_new(sub(s, "conv1.%s", end), in, channels, kernel, kind),
                   .conv2 = conv_new(sub(s, "conv2.%s", end), channels, 2 * in, kernel, kind)};
}

static SnailBlock block_new(Scope s, const SnailConfig *c) {
    SnailBlock b = {0};
    int C = c->channels;
    for (int i = 0; i < c->res_blocks; i++) {
        Scope res = sub(s, "resblocks.%d", i);
        b.res[i] = gated_new(res, C, c->res_channels, c->kernel, CAUSAL);
        if (c->condition_channels)
            b.res[i].condition = kernel_new(sub(res, "condition.conv"), c->condition_channels,
                                            2 * C, 1, 1, false);
    }
    if (!c->attention) {
        b.join = conv_new(sub(s, "out.conv"), C + 2, C, 1, SAME);
        return b;
    }
    b.key_res = gated_new(sub(s, "key_resblock"), 2 * C + 2, C, 1, SAME);
    b.query_res = gated_new(sub(s, "query_resblock"), C + 2, C, 1, SAME);
    b.query = dense_new(sub(s, "causal_attention.query"), C + 2, C / 2);
    b.key = dense_new(sub(s, "causal_attention.key"), 2 * C + 2, C / 2);
    b.value = dense_new(sub(s, "causal_attention.value"), 2 * C + 2, C / 2);
    b.out_res = gated_new(sub(s, "out_resblock"), C, C, 1, SAME);
    b.out_res.aux = conv_new(sub(s, "out_resblock.aux_conv.conv"), C / 2, C, 1, SAME);
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
    if (s->c.previous) s->previous = kernel_new(sub(top, "previous.conv"), K, C, 1, 1, false);
}

static void condition_new(Snail *s, Scope top) {
    const SnailConfig *c = &s->c;
    int C = c->condition_channels;
    Scope net = sub(top, "cond_resnet");
    if (c->condition_blocks)
        s->condition_first = conv_new(sub(net, "blocks.0.conv"), c->condition_codes, C,
                                      c->condition_kernel, SAME);
    for (int i = 0; i < c->condition_blocks; i++)
        s->condition_res[i] = gated_new(sub(net, "blocks.%d", i + 1), C, C, c->condition_kernel,
                                        SAME);
    if (c->classes) s->class = embedding_new(sub(top, "class"), c->classes, C);
}

/* the public code's coordinates: (i - H/2)/H and (j - W/2)/W */
static void background_new(Snail *s, Scope top) {
    int H = s->c.height, W = s->c.width;
    s->background = buffer(top, "background", 0, SHAPE(1, 2, H, W));
    for (int i = 0; s->background->x && i < H * W; i++) {
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
        s.out_res[i] = gated_new(sub(top, "out.%d", i), c.channels, c.res_channels, 1, SAME);
    s.logits = conv_new(sub(top, "out.%d.conv", c.out_blocks + 1), c.channels, c.codes, 1, SAME);
    if (c.masked_weights) forget_masks(&s);
    s.earlier = arena_get(&p->arena, (size_t)N * (size_t)N);
    for (int i = 0; i < N * N; i++) s.earlier[i] = i % N < i / N;
    return s;
}

/* ---- the network ----------------------------------------------------------------------------- */

Tensor *snail_one_hot(const Snail *s, Tape *t, int B, const int *z) {
    int H = s->c.height, W = s->c.width, K = s->c.codes;
    return t_reshape(one_hot(t, B * H * W, z, K), SHAPE(B, H, W, K));
}

/* a sigmoid(b) of a | b side by side */
static Tensor *gate(Tensor *h) {
    int C = h->shape[h->rank - 1] / 2;
    Tensor *a = t_slice(h, -1, 0, C), *b = t_slice(h, -1, C, C);
    return t_mul(a, t_sigmoid(b));
}

static Tensor *gated(const GatedResidual *g, Tensor *x, Tensor *aux, double rate, const Pass *p) {
    Tensor *h = weight_norm(&g->conv1, t_elu(x), p);
    if (aux) h = t_add(h, weight_norm(&g->aux, t_elu(aux), p));
    h = weight_norm(&g->conv2, t_dropout(t_elu(h), rate), p);
    if (g->condition.v) h = t_add(h, weight_norm(&g->condition, p->condition, p));
    return t_add(gate(h), x);
}

/* the keys or values (B,position,C) of earlier positions; x is put behind them */
static Tensor *with_earlier(SnailSampler *s, FeatureMap *m, Tensor *x) {
    int C = x->shape[3], n = s->position;
    if (!m->x) *m = feature_map_new(&s->arena, s->B, 1, s->net->c.height * s->net->c.width, C);
    Tensor *earlier = NULL;
    if (n) earlier = t_reshape(feature_map_window(m, x->tape, 0, 0, 1, n), SHAPE(s->B, n, C));
    feature_map_put(m, x, 0, n);
    return earlier;
}

/* q, k, v (B,H,W,C) as sequences: position i attends to positions before i, the first to none */
static Tensor *attend(const Snail *s, int block, Tensor *q, Tensor *k, Tensor *v,
                      SnailSampler *at) {
    int B = q->shape[0], H = q->shape[1], W = q->shape[2], C = q->shape[3];
    if (at) {
        Tensor *none = t_scale(v, 0);
        k = with_earlier(at, &at->attended[block][0], k);
        v = with_earlier(at, &at->attended[block][1], v);
        if (!k) return none;
    }
    Attention a = {.heads = SNAIL_HEADS, .mask = at ? NULL : s->earlier};
    q = t_reshape(q, SHAPE(B, H * W, C));
    k = t_reshape(k, SHAPE(B, -1, C));
    v = t_reshape(v, SHAPE(B, -1, C));
    return t_reshape(t_attention(q, k, v, a), SHAPE(B, H, W, C));
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
    Tensor *y = attend(s, number, q, k, v, p->at);
    return gated(&b->out_res, h, y, rate, p);
}

/* from the first features to logits */
static Tensor *body(const Snail *s, Tensor *h, const Pass *p) {
    for (int i = 0; i < s->c.blocks; i++) h = block(s, i, h, p);
    for (int i = 0; i < s->c.out_blocks; i++) h = gated(&s->out_res[i], h, NULL, s->c.dropout, p);
    return weight_norm(&s->logits, t_elu(h), p);
}

/* What the layer makes of the code one above (axis 1), one to the left (axis 2) or one before in
 * reading order (axis 0); where there is none, zeros without the layer's bias */
static Tensor *moved(const WeightNorm *l, Tensor *z, int axis, const Pass *p) {
    if (p->at) return moved_at(p->at, l, axis);
    Tensor *y = weight_norm(l, z, p), *x = y;
    if (!axis) x = t_reshape(y, SHAPE(y->shape[0], y->shape[1] * y->shape[2], -1));
    int along = axis ? axis : 1;
    x = t_slice(t_pad(x, along, 1, 0), along, 0, x->shape[along]);
    return t_reshape(x, y->rank, y->shape);
}

static Tensor *first_features(const Snail *s, Tensor *z, const Pass *p) {
    Tensor *above = moved(&s->horizontal, z, 1, p), *left = moved(&s->vertical, z, 2, p);
    Tensor *h = t_add(above, left);
    return s->c.previous ? t_add(h, moved(&s->previous, z, 0, p)) : h;
}

static Tensor *background(const Snail *s, Tape *t, int B) {
    int H = s->c.height, W = s->c.width, N = H * W;
    Tensor *y = t_input(t, NULL, SHAPE(B, H, W, 2));
    for (int i = 0; i < 2 * B * N; i++) y->x[i] = s->background->x[i % 2 * N + i / 2 % N];
    return y;
}

Tensor *snail_condition(const Snail *s, Tape *t, int B, SnailCondition on) {
    const SnailConfig *c = &s->c;
    Pass p = {0};
    Tensor *y = NULL, *class;
    if (c->condition_blocks) {
        int H = c->height / 2, W = c->width / 2, K = c->condition_codes;
        y = t_reshape(one_hot(t, B * H * W, on.top, K), SHAPE(B, H, W, K));
        y = weight_norm(&s->condition_first, y, &p);
        for (int i = 0; i < c->condition_blocks; i++)
            y = gated(&s->condition_res[i], y, NULL, 0, &p);
        y = t_upsample2(y);
    }
    if (!c->classes) return y;
    class = embedding(&s->class, t, on.classes, B);
    return y ? t_add_channel(y, class) : t_reshape(class, SHAPE(B, 1, 1, -1));
}

Tensor *snail(const Snail *s, Tensor *z, Tensor *condition) {
    int B = z->shape[0], H = s->c.height, W = s->c.width;
    if (z->rank != 4 || z->shape[1] != H || z->shape[2] != W || z->shape[3] != s->c.codes)
        die("snail: %s; this prior is over (B,%d,%d,%d)", t_describe(z), H, W, s->c.codes);
    Pass p = {.condition = condition};
    p.background = background(s, z->tape, B);
    return body(s, first_features(s, z, &p), &p);
}

/* ---- one position after the other ------------------------------------------------------------ */

void snail_sampler_new(SnailSampler *s, const Snail *net, int B, const Tensor *condition) {
    *s = (SnailSampler){.net = net, .B = B, .tape = {.no_grad = true}};
    s->codes = feature_map_new(&s->arena, B, net->c.height, net->c.width, net->c.codes);
    s->background = feature_map_of(&s->arena, background(net, &s->tape, B));
    if (condition) s->condition = feature_map_of(&s->arena, condition);
}

/* what a map holds of the position, (B,1,1,C); a map of one position holds it for all */
static Tensor *here(SnailSampler *s, const FeatureMap *m) {
    int at = m->height * m->width > 1 ? s->position : 0;
    return m->x ? feature_map_window(m, &s->tape, at / m->width, at % m->width, 1, 1) : NULL;
}

const real *snail_sampler_logits(SnailSampler *s) {
    tape_reset(&s->tape);
    s->next = 0;
    Pass p = {.at = s, .condition = here(s, &s->condition), .background = here(s, &s->background)};
    return body(s->net, first_features(s->net, NULL, &p), &p)->x;
}

void snail_sampler_put(SnailSampler *s, const int *codes) {
    int W = s->net->c.width;
    int K = s->net->c.codes;
    Tensor *z = t_reshape(one_hot(&s->tape, s->B, codes, K), SHAPE(s->B, 1, 1, K));
    feature_map_put(&s->codes, z, s->position / W, s->position % W);
    s->position++;
}

void snail_sampler_free(SnailSampler *s) {
    tape_free(&s->tape), params_free(&s->weights), arena_free(&s->arena);
}

/* ---- many pictures of codes ------------------------------------------------------------------ */

enum { AT_ONCE = 64 };

/* from picture i on */
static SnailCondition from(const Snail *s, SnailCondition on, int i) {
    int N = s->c.height * s->c.width / 4;
    return (SnailCondition){on.top ? on.top + i * N : NULL, on.classes ? on.classes + i : NULL};
}

void snail_continue(const Snail *s, int B, const Tensor *condition, int known,
                    const TokenSampler *how, Rng *rng, int *codes) {
    int N = s->c.height * s->c.width;
    Arena arena = {0};
    int *z = arena_get(&arena, (size_t)B * sizeof *z);
    SnailSampler at;
    snail_sampler_new(&at, s, B, condition);
    for (int i = 0; i < N; i++) {
        const real *logits = snail_sampler_logits(&at);
        if (i >= known) token_sample(how, t_input(&at.tape, logits, SHAPE(B, s->c.codes)), rng, z);
        for (int b = 0; b < B; b++)
            if (i < known) z[b] = codes[b * N + i];
            else codes[b * N + i] = z[b];
        snail_sampler_put(&at, z);
    }
    snail_sampler_free(&at), arena_free(&arena);
}

void snail_sample(const Snail *s, int n, SnailCondition on, double temperature, Rng *rng,
                  int *codes) {
    const TokenSampler how = {.temperature = temperature, .top_p = 1};
    int N = s->c.height * s->c.width;
    for (int i = 0; i < n; i += AT_ONCE) {
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        if (!processes_own(i / AT_ONCE)) {
            rng->next += (uint64_t)(TOKEN_DRAWS * B * N);        /* what another process draws */
            continue;
        }
        Tape t = {.no_grad = true};
        snail_continue(s, B, snail_condition(s, &t, B, from(s, on, i)), 0, &how, rng,
                       codes + (size_t)i * (size_t)N);
        tape_free(&t);
    }
    size_t each = (size_t)N * sizeof *codes;
    processes_collect(codes, (size_t)n * each, AT_ONCE * each);
}

void snail_nats(const Snail *s, int n, const int *codes, SnailCondition on, double *nats) {
    int N = s->c.height * s->c.width, K = s->c.codes;
    Tape t = {.no_grad = true};
    for (int k = 0; k < N; k++) nats[k] = 0;
    for (int i = 0; i < n; i += AT_ONCE) {
        int B = n - i < AT_ONCE ? n - i : AT_ONCE;
        const int *z = codes + (size_t)i * (size_t)N;
        tape_reset(&t);
        Tensor *condition = snail_condition(s, &t, B, from(s, on, i));
        Tensor *log_p = t_log_softmax(snail(s, snail_one_hot(s, &t, B, z), condition));
        for (int k = 0; k < B * N; k++)
            nats[k % N] -= (double)log_p->x[(size_t)k * (size_t)K + (size_t)z[k]];
    }
    tape_free(&t);
    for (int k = 0; k < N; k++) nats[k] /= n;
}
