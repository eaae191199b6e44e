#include "nn/unet.h"

#include "base/error.h"

#include <string.h>

int unet_emb(const UNetConfig *c) {
    return c->style.emb ? c->style.emb : 4 * c->width;
}

static int first_channels(const UNetConfig *c) {
    return c->first ? c->first : c->width;
}

static int channels_at(const UNetConfig *c, int level) {
    return c->width * c->multiplier[level];
}

/* ---- lists of blocks ------------------------------------------------------------------------- */

static BlockList list_new(Params *p, int room) {
    size_t bytes = (size_t)room * sizeof(UNetBlock);
    return (BlockList){.block = memset(arena_get(&p->arena, bytes), 0, bytes)};
}

static UNetBlock *append(BlockList *list, BlockKind kind, int out) {
    UNetBlock *b = &list->block[list->count++];
    b->kind = kind;
    b->out = out;
    return b;
}

static UNetBlock *last_of(const BlockList *list) {
    return &list->block[list->count - 1];
}

static void add_resblock(BlockList *list, const UNetConfig *c, Scope s, int in, int out) {
    append(list, RES_BLOCK, out)->res = resblock_new(&c->style, s, in, out, SAME_SIZE);
}

static void add_attention(BlockList *list, const UNetConfig *c, Scope s, int channels) {
    int heads = c->head_channels ? channels / c->head_channels : c->heads;
    SpatialTransformerConfig t = {.channels = channels, .heads = heads,
                                  .depth = c->transformer_depth, .context = c->context};
    if (t.depth)
        append(list, TRANSFORMER_BLOCK, channels)->transformer =
            spatial_transformer_new(&c->style, s, t);
    else
        append(list, ATTENTION_BLOCK, channels)->attention =
            attention_block_new(&c->style, s, channels, heads, c->context);
}

static void add_resampling(BlockList *list, const UNetConfig *c, Scope s, int channels, bool down) {
    if (c->resampling == RESAMPLE_RESBLOCK) {
        append(list, RES_BLOCK, channels)->res =
            resblock_new(&c->style, s, channels, channels, down ? HALF_SIZE : DOUBLE_SIZE);
        return;
    }
    UNetBlock *b = append(list, down ? DOWNSAMPLE : UPSAMPLE, channels);
    if (c->resampling == RESAMPLE_PLAIN) return;
    b->resample = down ? downsample_new(&c->style, s, channels)
                       : upsample_new(&c->style, s, channels);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void check_config(const UNetConfig *c) {
    if (c->levels < 1 || c->levels > UNET_LEVELS || c->blocks < 1)
        die("unet: %d levels of %d blocks; 1 to %d of at least 1", c->levels, c->blocks,
            UNET_LEVELS);
    if (c->transformer_depth && !c->context)
        die("unet: spatial transformers without a context to attend to");
    for (int l = 0; l < c->levels; l++)
        if (c->head_channels && (c->attends[l] || l == c->levels - 1) &&
            channels_at(c, l) % c->head_channels)
            die("unet: %d channels of level %d do not split into heads of %d", channels_at(c, l), l,
                c->head_channels);
}

static void down_new(UNet *u, Params *p) {
    const UNetConfig *c = &u->config;
    int in = first_channels(c);
    u->down = list_new(p, c->levels * (2 * c->blocks + 1));
    for (int l = 0; l < c->levels; l++) {
        int out = channels_at(c, l);
        for (int i = 0; i < c->blocks; i++, in = out) {
            add_resblock(&u->down, c, scope(p, "down.%d.block.%d", l, i), in, out);
            if (c->attends[l])
                add_attention(&u->down, c, scope(p, "down.%d.attention.%d", l, i), out);
            last_of(&u->down)->skips = true;
        }
        if (l == c->levels - 1) break;
        add_resampling(&u->down, c, scope(p, "down.%d.downsample", l), out, true);
        last_of(&u->down)->skips = true;
    }
}

static void middle_new(UNet *u, Params *p) {
    const UNetConfig *c = &u->config;
    int channels = channels_at(c, c->levels - 1);
    u->middle = list_new(p, 3);
    add_resblock(&u->middle, c, scope(p, "middle.block.0"), channels, channels);
    if (!c->plain_middle) add_attention(&u->middle, c, scope(p, "middle.attention"), channels);
    add_resblock(&u->middle, c, scope(p, "middle.block.1"), channels, channels);
}

UNet unet_encoder_new(Params *p, UNetConfig c) {
    UNet u = {.config = c};
    check_config(&c);
    u.config.style.emb = unet_emb(&c);
    u.in = conv2d_new(styled_scope(&c.style, scope(p, "in")), c.in, first_channels(&c), 3, 1, 1,
                      true);
    down_new(&u, p);
    middle_new(&u, p);
    return u;
}

/* channels of the skip before *down, the index of a block; moves it there */
static int skip_channels(const UNet *u, int *down) {
    while (--*down >= 0)
        if (u->down.block[*down].skips) return u->down.block[*down].out;
    return first_channels(&u->config);
}

static void up_new(UNet *u, Params *p) {
    const UNetConfig *c = &u->config;
    int in = channels_at(c, c->levels - 1), down = u->down.count;
    u->up = list_new(p, c->levels * (2 * c->blocks + 3));
    for (int l = c->levels - 1; l >= 0; l--) {
        int out = channels_at(c, l);
        for (int i = 0; i <= c->blocks; i++, in = out) {
            in += skip_channels(u, &down);
            add_resblock(&u->up, c, scope(p, "up.%d.block.%d", l, i), in, out);
            last_of(&u->up)->skips = true;
            if (c->attends[l]) add_attention(&u->up, c, scope(p, "up.%d.attention.%d", l, i), out);
        }
        if (l) add_resampling(&u->up, c, scope(p, "up.%d.upsample", l), out, false);
    }
}

UNet unet_new(Params *p, UNetConfig c) {
    UNet u = unet_encoder_new(p, c);
    const BlockStyle *style = &u.config.style;
    up_new(&u, p);
    int channels = channels_at(&c, 0);
    u.norm_out = group_norm_new(scope(p, "norm_out"), channels, style->groups, style->eps);
    u.out = conv2d_new(zero_init(scope(p, "out")), channels, c.out, 3, 1, 1, true);
    return u;
}

/* ---- widening -------------------------------------------------------------------------------- */

static void widen_first(Tensor *to, const Tensor *from, int kept) {
    int rows = to->shape[0] * to->shape[1], in = from->shape[2], out = from->shape[3];
    int added = to->shape[2] - in;
    if (to->rank != 4 || added < 0 || kept > in || to->shape[3] != out)
        die("unet_widen: %s cannot become %s", t_describe(from), t_describe(to));
    for (int r = 0; r < rows; r++) {
        real *y = to->x + r * (in + added) * out;
        const real *x = from->x + r * in * out;
        memset(y, 0, (size_t)((in + added) * out) * sizeof *y);
        memcpy(y, x, (size_t)(kept * out) * sizeof *y);
        memcpy(y + (kept + added) * out, x + kept * out, (size_t)((in - kept) * out) * sizeof *y);
    }
}

void unet_widen(Params *to, const Params *from, int kept) {
    for (int i = 0; i < from->count; i++) {
        const Tensor *v = from->list[i];
        Tensor *w = params_find(to, v->name);
        if (!w) die("unet_widen: %s has no place", v->name);
        if (!strcmp(w->name, "in.w")) widen_first(w, v, kept);
        else if (v->len == w->len) memcpy(w->x, v->x, w->len * sizeof *w->x);
        else die("unet_widen: %s cannot become %s", t_describe(v), t_describe(w));
    }
}

/* ---- forward --------------------------------------------------------------------------------- */

/* emb: after its SiLU */
static Tensor *apply(const UNetBlock *b, Tensor *x, Tensor *emb, Context context) {
    switch (b->kind) {
    case RES_BLOCK: return resblock(&b->res, x, emb);
    case ATTENTION_BLOCK: return attention_block(&b->attention, x, context);
    case TRANSFORMER_BLOCK: return spatial_transformer(&b->transformer, x, context);
    case DOWNSAMPLE: return downsample(&b->resample, x);
    case UPSAMPLE: return upsample(&b->resample, x);
    }
    die("unet: a block of kind %d", (int)b->kind);
}

/* what goes to the way up, and where its computation began: all that comes later, until it has been
 * used there, is needed no longer than itself */
typedef struct {
    Tensor *x;
    Mark before;
} Skip;

/* what the middle makes of x. skips (down.count + 1); *n of them */
static Tensor *encode(const UNet *u, Tensor *x, Tensor *emb, Context context, Skip *skips, int *n) {
    if (u->config.context && !context.tokens) die("unet: without a context, which it attends to");
    Mark before = t_mark(x->tape);
    Tensor *h = conv2d(&u->in, x);
    skips[(*n)++] = (Skip){h, before};
    before = t_mark(x->tape);
    for (int i = 0; i < u->down.count; i++) {
        h = t_release(before, apply(&u->down.block[i], h, emb, context));
        if (!u->down.block[i].skips) continue;
        skips[(*n)++] = (Skip){h, before};
        before = t_mark(x->tape);
    }
    for (int i = 0; i < u->middle.count; i++)
        h = t_release(before, apply(&u->middle.block[i], h, emb, context));
    return h;
}

static Skip *room_for_skips(const UNet *u, Tape *t) {
    return arena_get(&t->arena, (size_t)(u->down.count + 1) * sizeof(Skip));
}

Tensor *unet_masked(const UNet *u, Tensor *x, Tensor *emb, Context context) {
    Mark start = t_mark(x->tape), before = start;
    Skip *skips = room_for_skips(u, x->tape);
    int n = 0;
    emb = t_silu(emb);                   /* of every block, computed once */
    Tensor *h = encode(u, x, emb, context, skips, &n);
    for (int i = 0; i < u->up.count; i++) {
        if (u->up.block[i].skips) {
            h = t_concat(h, skips[--n].x, -1);
            before = skips[n].before;
        }
        h = t_release(before, apply(&u->up.block[i], h, emb, context));
    }
    return t_release(start, conv2d(&u->out, group_norm_silu(&u->norm_out, h)));
}

Tensor *unet(const UNet *u, Tensor *x, Tensor *emb, Tensor *context) {
    return unet_masked(u, x, emb, (Context){.tokens = context});
}

Tensor *unet_encoder(const UNet *u, Tensor *x, Tensor *emb, Tensor *context) {
    int n = 0;
    Mark start = t_mark(x->tape);
    Skip *skips = room_for_skips(u, x->tape);
    return t_release(start, encode(u, x, t_silu(emb), (Context){.tokens = context}, skips, &n));
}

/* Each level going down leaves a skip of each block, and one of the resampling after it. */
Tensor *unet_encoder_levels(const UNet *u, Tensor *x, Tensor *emb, Tensor **level) {
    Skip *skips = room_for_skips(u, x->tape);
    int n = 0, blocks = u->config.blocks;
    Tensor *h = encode(u, x, t_silu(emb), (Context){0}, skips, &n);
    for (int l = 0; l < u->config.levels; l++) level[l] = skips[l * (blocks + 1) + blocks].x;
    return h;
}
