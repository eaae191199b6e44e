#include "nn/unet.h"

#include "base/error.h"

#include <math.h>

/* ---- layers with this network's starting values ---------------------------------------------- */

static Conv2d conv_new(const UNetDesign *d, Scope s, int in, int out, int kernel) {
    Conv2d l = conv2d_new(s, in, out, kernel, 1, kernel / 2, true);
    if (d->glorot) {
        int positions = kernel * kernel;
        init_xavier_uniform(l.w, positions * in, positions * out, s.params->seed);
        init_constant(l.b, 0);
    }
    return l;
}

static Linear dense_new(const UNetDesign *d, Scope s, int in, int out) {
    Linear l = linear_new(s, in, out, true);
    if (d->glorot) {
        init_xavier_uniform(l.w, in, out, s.params->seed);
        init_constant(l.b, 0);
    }
    return l;
}

static GroupNorm norm_new(const UNetDesign *d, Scope s, int channels) {
    return group_norm_new(s, channels, d->groups, d->eps);
}

/* A layer that ends a residual branch starts at 0, so that at first the branch adds nothing. */
static void start_at_zero(Tensor *w, Tensor *b) {
    init_constant(w, 0);
    init_constant(b, 0);
}

/* ---- residual block -------------------------------------------------------------------------- */

static ResBlock resblock_new(const UNetDesign *d, Scope s, int in, int out) {
    ResBlock r = {0};
    r.norm1 = norm_new(d, sub(s, "norm1"), in);
    r.conv1 = conv_new(d, sub(s, "conv1"), in, out, 3);
    r.told = dense_new(d, sub(s, "told"), 4 * d->width, d->scale_shift ? 2 * out : out);
    r.norm2 = norm_new(d, sub(s, "norm2"), out);
    r.conv2 = conv_new(d, sub(s, "conv2"), out, out, 3);
    start_at_zero(r.conv2.w, r.conv2.b);
    if (in != out) r.skip = conv_new(d, sub(s, "skip"), in, out, 1);
    return r;
}

/* silu(norm2(h + told)), or with scale_shift silu(norm2(h) (1 + scale) + shift), scale and shift
 * being the two halves of told. h (B,H,W,C), told (B,C) or (B,2C) */
static Tensor *norm_told(const UNetDesign *d, const ResBlock *r, Tensor *h, Tensor *told) {
    if (!d->scale_shift) return group_norm_silu(&r->norm2, t_add_channel(t_give(h), told));
    int C = h->shape[3];
    Tensor *scale = t_add_scalar(t_slice(told, 1, 0, C), 1);
    Tensor *shift = t_slice(told, 1, C, C);
    h = t_mul_channel(t_brief(group_norm(&r->norm2, h)), scale);
    return t_silu(t_add_channel(t_give(h), shift));
}

/* x (B,H,W,in), emb (B,4 width) -> (B,H,W,out) */
static Tensor *resblock(const UNetDesign *d, const ResBlock *r, Tensor *x, Tensor *emb,
                        Rng *dropout) {
    Tensor *h = conv2d(&r->conv1, t_brief(group_norm_silu(&r->norm1, x)));
    Tensor *a = norm_told(d, r, h, linear(&r->told, emb));
    if (dropout && d->dropout > 0) {
        Tensor *thinned = t_dropout(a, d->dropout, dropout);
        h = conv2d(&r->conv2, t_brief(thinned));
        t_drop(a);                       /* not before: from it thinned is made again */
    } else h = conv2d(&r->conv2, t_brief(a));
    return t_add(t_give(h), r->skip.w ? t_give(conv2d(&r->skip, x)) : x);
}

/* ---- attention ------------------------------------------------------------------------------- */

static AttentionBlock attention_new(const UNetDesign *d, Scope s, int channels) {
    AttentionBlock a;
    a.norm = norm_new(d, sub(s, "norm"), channels);
    a.attention = self_attention_new(s, channels, d->heads, true);
    if (d->glorot) {                  /* q, k and v are three layers side by side */
        init_xavier_uniform(a.attention.qkv.w, channels, channels, s.params->seed);
        init_constant(a.attention.qkv.b, 0);
    }
    start_at_zero(a.attention.out.w, a.attention.out.b);
    return a;
}

/* Every pixel looks at all others: x (B,H,W,C), as a sequence of H W pixels */
static Tensor *attend(const AttentionBlock *a, Tensor *x) {
    Tensor *h = t_reshape(group_norm(&a->norm, x), SHAPE(x->shape[0], -1, x->shape[3]));
    h = self_attention(&a->attention, t_brief(h), (Attention){0});
    return t_add(t_last_use(x), t_reshape(t_give(h), x->rank, x->shape));
}

/* ---- between levels -------------------------------------------------------------------------- */

static Conv2d halving_new(const UNetDesign *d, Scope s, int channels) {
    Conv2d l = conv_new(d, s, channels, channels, 3);
    l.pad = (ConvPad){.stride = 2, .top = 1, .left = 1, .bottom = 1, .right = 1};
    if (d->pad_far_sides) l.pad.top = l.pad.left = 0;
    return l;
}

static Tensor *halve(const UNetLevel *level, Tensor *x) {
    return level->resample.w ? conv2d(&level->resample, x) : t_avg_pool2(x);
}

static Tensor *twice(const UNetLevel *level, Tensor *x) {
    Tensor *large = t_upsample2(t_last_use(x));
    return level->resample.w ? conv2d(&level->resample, t_brief(large)) : large;
}

/* ---- the whole ------------------------------------------------------------------------------- */

enum { MOST_SKIPS = UNET_LEVELS * (UNET_BLOCKS + 1) };

/* all levels going down; the channels of what each step gives to the way up */
static int down_new(UNet *u, Params *p, int skips[MOST_SKIPS]) {
    const UNetDesign *d = &u->design;
    int n = 0, in = d->width;
    skips[n++] = in;
    for (int l = 0; l < d->levels; l++) {
        UNetLevel *level = &u->down[l];
        int out = d->width * d->multiplier[l];
        for (int i = 0; i < d->blocks; i++, in = out) {
            level->block[i] = resblock_new(d, scope(p, "down.%d.block.%d", l, i), in, out);
            if (d->attends[l])
                level->attention[i] = attention_new(d, scope(p, "down.%d.attention.%d", l, i), out);
            skips[n++] = out;
        }
        if (l == d->levels - 1) break;
        if (!d->pool) level->resample = halving_new(d, scope(p, "down.%d.resample", l), out);
        skips[n++] = out;
    }
    return n;
}

static void up_new(UNet *u, Params *p, const int *skips, int n) {
    const UNetDesign *d = &u->design;
    int in = d->width * d->multiplier[d->levels - 1];
    for (int l = d->levels - 1; l >= 0; l--) {
        UNetLevel *level = &u->up[l];
        int out = d->width * d->multiplier[l];
        for (int i = 0; i <= d->blocks; i++, in = out) {
            level->block[i] = resblock_new(d, scope(p, "up.%d.block.%d", l, i), in + skips[--n],
                                           out);
            if (d->attends[l])
                level->attention[i] = attention_new(d, scope(p, "up.%d.attention.%d", l, i), out);
        }
        Scope s = scope(p, "up.%d.resample", l);
        if (l && !d->pool) level->resample = conv_new(d, s, out, out, 3);
    }
}

UNet unet_new(Params *p, UNetDesign d) {
    UNet u = {.design = d};
    int skips[MOST_SKIPS], emb = 4 * d.width, top;
    if (d.levels < 1 || d.levels > UNET_LEVELS || d.blocks < 1 || d.blocks > UNET_BLOCKS)
        die("unet: %d levels of %d blocks; at most %d of %d", d.levels, d.blocks, UNET_LEVELS,
            UNET_BLOCKS);
    if (d.width < 4 || d.width % 2) die("unet: a width of %d; even, 4 or more", d.width);
    top = d.width * d.multiplier[d.levels - 1];
    u.time[0] = dense_new(&d, scope(p, "time.0"), d.width, emb);
    u.time[1] = dense_new(&d, scope(p, "time.1"), emb, emb);
    if (d.classes) u.class = embedding_new(scope(p, "class"), d.classes, emb);
    u.in = conv_new(&d, scope(p, "in"), d.in, d.width, 3);
    int n = down_new(&u, p, skips);
    u.middle[0] = resblock_new(&d, scope(p, "middle.block.0"), top, top);
    u.middle_attention = attention_new(&d, scope(p, "middle.attention"), top);
    u.middle[1] = resblock_new(&d, scope(p, "middle.block.1"), top, top);
    up_new(&u, p, skips, n);
    int last = d.width * d.multiplier[0];
    u.norm_out = norm_new(&d, scope(p, "norm_out"), last);
    u.out = conv_new(&d, scope(p, "out"), last, d.out, 3);
    start_at_zero(u.out.w, u.out.b);
    return u;
}

Tensor *time_embedding(Tape *t, const double *time, int B, int width, bool sines_first) {
    int half = width / 2, steps = sines_first ? half - 1 : half;
    Tensor *e = t_input(t, NULL, SHAPE(B, width));
    for (int b = 0; b < B; b++)
        for (int i = 0; i < half; i++) {
            double angle = time[b] * pow(1e4, -(double)i / steps);
            real *first = &e->x[b * width + i], *second = first + half;
            *first = (real)(sines_first ? sin(angle) : cos(angle));
            *second = (real)(sines_first ? cos(angle) : sin(angle));
        }
    return e;
}

/* time and class as one row of numbers, which each block reads through a layer of its own: (B,4
 * width). The last SiLU is the blocks', done once for all. */
static Tensor *embed(const UNet *u, Tape *t, int B, const UNetConditions *cond) {
    Tensor *e = time_embedding(t, cond->time, B, u->design.width, u->design.sines_first);
    e = linear(&u->time[1], t_silu(linear(&u->time[0], e)));
    if (u->design.classes) e = t_add(e, embedding(&u->class, t, cond->label, B));
    return t_silu(e);
}

/* block i of a level, and its attention if it has one */
static Tensor *block(const UNet *u, const UNetLevel *level, int l, int i, Tensor *h, Tensor *emb,
                     Rng *dropout) {
    h = resblock(&u->design, &level->block[i], h, emb, dropout);
    return u->design.attends[l] ? attend(&level->attention[i], h) : h;
}

Tensor *unet(const UNet *u, Tensor *x, UNetConditions cond) {
    const UNetDesign *d = &u->design;
    Tensor *skips[MOST_SKIPS], *emb = embed(u, x->tape, x->shape[0], &cond);
    int n = 0;
    Tensor *h = skips[n++] = conv2d(&u->in, x);
    for (int l = 0; l < d->levels; l++) {
        for (int i = 0; i < d->blocks; i++)
            skips[n++] = h = block(u, &u->down[l], l, i, h, emb, cond.dropout);
        if (l < d->levels - 1) skips[n++] = h = halve(&u->down[l], h);
    }
    h = resblock(d, &u->middle[0], h, emb, cond.dropout);
    Tensor *seen = attend(&u->middle_attention, h);
    h = resblock(d, &u->middle[1], seen, emb, cond.dropout);
    if (x->tape->no_grad) t_drop(seen);
    for (int l = d->levels - 1; l >= 0; l--) {
        for (int i = 0; i <= d->blocks; i++) {
            Tensor *wide = t_concat(t_last_use(h), t_last_use(skips[--n]), -1);
            h = block(u, &u->up[l], l, i, wide, emb, cond.dropout);
            t_drop(wide);        /* the skip is kept anyway: put together again for the gradients */
        }
        if (l) h = twice(&u->up[l], h);
    }
    return conv2d(&u->out, t_brief(group_norm_silu(&u->norm_out, t_last_use(h))));
}
