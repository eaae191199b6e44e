/* nets_unet.c — the U-Net of DDPM (Ho et al. 2020) at 28x28 grey: 32 channels, multipliers 1, 2, 2,
 * two residual blocks per level, attention at 14x14 and in the middle: 1,623,169 parameters. The
 * loss is L_simple, mean squared error on the noise; Adam 2e-4. Names are those of the official
 * code's PyTorch port, but q, k and v of an attention are one projection. No dropout. */
#include "nets.h"

#include <math.h>

enum { SIDE = 28, CH = 32, LEVELS = 3, BLOCKS = 2, TIME = 4 * CH, GROUPS = 32, MAX_SKIPS = 16 };
static const int multiplier[LEVELS] = {1, 2, 2};
static const bool attends[LEVELS] = {false, true, false};

typedef struct {
    GroupNorm norm1, norm2;
    Conv2d conv1, conv2, skip;    /* skip.w NULL: as many channels out as in */
    Linear temb;
} ResBlock;

typedef struct {
    GroupNorm norm;
    SelfAttention attn;
} AttnBlock;

typedef struct {
    ResBlock block[BLOCKS + 1];   /* going down uses one less */
    AttnBlock attn[BLOCKS + 1];
    Conv2d resample;
} Level;

typedef struct {
    Linear dense0, dense1;
    Conv2d conv_in, conv_out;
    Level down[LEVELS], up[LEVELS];
    ResBlock mid1, mid2;
    AttnBlock mid_attn;
    GroupNorm norm_out;
    const real *images, *noise, *signal_scale, *noise_scale;
    const int *time;
} UNet;

/* ---- blocks ---------------------------------------------------------------------------------- */

static ResBlock resblock_new(Scope s, int in, int out) {
    ResBlock r = {0};
    r.norm1 = group_norm_new(sub(s, "norm1"), in, GROUPS, 1e-6);
    r.conv1 = conv2d_new(sub(s, "conv1"), in, out, 3, 1, 1, true);
    r.temb = linear_new(sub(s, "temb_proj"), TIME, out, true);
    r.norm2 = group_norm_new(sub(s, "norm2"), out, GROUPS, 1e-6);
    r.conv2 = conv2d_new(sub(s, "conv2"), out, out, 3, 1, 1, true);
    if (in != out) r.skip = conv2d_new(sub(s, "nin_shortcut"), in, out, 1, 1, 0, true);
    return r;
}

/* x (B,H,W,in), temb (B,TIME) after its SiLU -> (B,H,W,out) */
static Tensor *resblock(const ResBlock *r, Tensor *x, Tensor *temb) {
    Tensor *h = conv2d(&r->conv1, t_brief(group_norm_silu(&r->norm1, x)));
    h = t_add_channel(t_give(h), linear(&r->temb, temb));
    h = conv2d(&r->conv2, t_brief(group_norm_silu(&r->norm2, h)));
    return t_add(t_give(h), r->skip.w ? t_give(conv2d(&r->skip, x)) : x);
}

static AttnBlock attn_block_new(Scope s, int channels) {
    AttnBlock a;
    a.norm = group_norm_new(sub(s, "norm"), channels, GROUPS, 1e-6);
    a.attn = self_attention_new(s, channels, 1, true);
    return a;
}

static Tensor *attn_block(const AttnBlock *a, Tensor *x) {
    int B = x->shape[0], C = x->shape[3];
    Tensor *h = t_reshape(group_norm(&a->norm, x), SHAPE(B, -1, C));
    h = self_attention(&a->attn, t_brief(h), (Attention){0});
    return t_add(x, t_reshape(t_give(h), x->rank, x->shape));
}

/* sines, then cosines, of time at CH/2 frequencies from 1 to 1e-4 */
static Tensor *time_embedding(const UNet *u, Tape *tape, const int *time, int B) {
    int half = CH / 2;
    Tensor *e = t_input(tape, NULL, SHAPE(B, CH));
    for (int b = 0; b < B; b++)
        for (int i = 0; i < half; i++) {
            double angle = time[b] * pow(1e-4, (double)i / (half - 1));
            e->x[b * CH + i] = (real)sin(angle);
            e->x[b * CH + half + i] = (real)cos(angle);
        }
    return t_silu(linear(&u->dense1, t_silu(linear(&u->dense0, e))));
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* channels of every skip connection, in the order in which they are made */
static int down_new(UNet *u, Params *p, int skips[MAX_SKIPS]) {
    int n = 0, in = CH;
    skips[n++] = CH;
    for (int l = 0; l < LEVELS; l++) {
        int out = CH * multiplier[l];
        for (int i = 0; i < BLOCKS; i++, in = out) {
            u->down[l].block[i] = resblock_new(scope(p, "down.%d.block.%d", l, i), in, out);
            if (attends[l])
                u->down[l].attn[i] = attn_block_new(scope(p, "down.%d.attn.%d", l, i), out);
            skips[n++] = out;
        }
        if (l == LEVELS - 1) break;
        Conv2d *c = &u->down[l].resample;
        *c = conv2d_new(scope(p, "down.%d.downsample.conv", l), out, out, 3, 2, 0, true);
        c->pad.bottom = c->pad.right = 1;            /* TensorFlow's SAME: below and right only */
        skips[n++] = out;
    }
    return n;
}

static void up_new(UNet *u, Params *p, const int *skips, int n) {
    int in = CH * multiplier[LEVELS - 1];
    for (int l = LEVELS - 1; l >= 0; l--) {
        int out = CH * multiplier[l];
        for (int i = 0; i <= BLOCKS; i++, in = out) {
            u->up[l].block[i] =
                resblock_new(scope(p, "up.%d.block.%d", l, i), in + skips[--n], out);
            if (attends[l]) u->up[l].attn[i] = attn_block_new(scope(p, "up.%d.attn.%d", l, i), out);
        }
        Scope s = scope(p, "up.%d.upsample.conv", l);
        if (l) u->up[l].resample = conv2d_new(s, out, out, 3, 1, 1, true);
    }
}

static void build(Training *t) {
    UNet *u = net_alloc(t, sizeof *u);
    Params *p = &t->params[0];
    int skips[MAX_SKIPS], top = CH * multiplier[LEVELS - 1], B = t->batch;
    u->dense0 = linear_new(scope(p, "temb.dense.0"), CH, TIME, true);
    u->dense1 = linear_new(scope(p, "temb.dense.1"), TIME, TIME, true);
    u->conv_in = conv2d_new(scope(p, "conv_in"), 1, CH, 3, 1, 1, true);
    int n = down_new(u, p, skips);
    u->mid1 = resblock_new(scope(p, "mid.block_1"), top, top);
    u->mid_attn = attn_block_new(scope(p, "mid.attn_1"), top);
    u->mid2 = resblock_new(scope(p, "mid.block_2"), top, top);
    up_new(u, p, skips, n);
    u->norm_out = group_norm_new(scope(p, "norm_out"), CH, GROUPS, 1e-6);
    u->conv_out = conv2d_new(scope(p, "conv_out"), CH, 1, 3, 1, 1, true);
    u->images = input_uniform(t, "images", -1, 1, SHAPE(B, SIDE, SIDE, 1));
    u->noise = input_normal(t, "noise", SHAPE(B, SIDE, SIDE, 1));
    u->signal_scale = input_uniform(t, "signal_scale", 0.1, 0.9, SHAPE(B, 1, 1, 1));
    u->noise_scale = input_uniform(t, "noise_scale", 0.1, 0.9, SHAPE(B, 1, 1, 1));
    u->time = input_index(t, "time", 1000, B);
}

/* x (B,28,28,1), time (B) -> the noise in x */
static Tensor *unet(const UNet *u, Tensor *x, const int *time) {
    Tensor *skips[MAX_SKIPS], *temb = time_embedding(u, x->tape, time, x->shape[0]);
    int n = 0;
    Tensor *h = skips[n++] = conv2d(&u->conv_in, x);
    for (int l = 0; l < LEVELS; l++) {
        for (int i = 0; i < BLOCKS; i++) {
            h = resblock(&u->down[l].block[i], h, temb);
            skips[n++] = h = attends[l] ? attn_block(&u->down[l].attn[i], h) : h;
        }
        if (l < LEVELS - 1) skips[n++] = h = conv2d(&u->down[l].resample, h);
    }
    h = attn_block(&u->mid_attn, resblock(&u->mid1, h, temb));
    h = resblock(&u->mid2, h, temb);
    for (int l = LEVELS - 1; l >= 0; l--) {
        for (int i = 0; i <= BLOCKS; i++) {
            Tensor *wide = t_concat(h, skips[--n], -1);
            h = resblock(&u->up[l].block[i], wide, temb);
            t_drop(wide);
            if (attends[l]) h = attn_block(&u->up[l].attn[i], h);
        }
        if (l) h = conv2d(&u->up[l].resample, t_brief(t_upsample2(h)));
    }
    return conv2d(&u->conv_out, t_brief(group_norm_silu(&u->norm_out, h)));
}

static double step(Training *t) {
    const UNet *u = t->net;
    int B = t->batch;
    Tensor *x0 = t_input(&t->tape, u->images, SHAPE(B, SIDE, SIDE, 1));
    Tensor *noise = t_input(&t->tape, u->noise, SHAPE(B, SIDE, SIDE, 1));
    Tensor *signal_scale = t_input(&t->tape, u->signal_scale, SHAPE(B, 1, 1, 1));
    Tensor *noise_scale = t_input(&t->tape, u->noise_scale, SHAPE(B, 1, 1, 1));
    Tensor *xt = t_add(t_mul(signal_scale, x0), t_mul(noise_scale, noise));
    return descend(t, 0, t_mse(unet(u, xt, u->time), noise), 2e-4);
}

const NetKind net_unet = {"unet", "DDPM U-Net 28x28", 64, true, build, step};
