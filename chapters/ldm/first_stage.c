#include "first_stage.h"

#include "base/error.h"
#include "nn/ddpm_names.h"

#include <string.h>

/* ---- published configurations ---------------------------------------------------------------- */

static FirstStageConfig published(int levels, const int *multiplier, int z, int codes) {
    FirstStageConfig c = {.channels = 3, .width = 128, .levels = levels, .blocks = 2, .z = z,
                          .embed = z, .codes = codes, .groups = 32};
    memcpy(c.multiplier, multiplier, (size_t)levels * sizeof *multiplier);
    return c;
}

bool first_stage_published(const char *name, FirstStageConfig *c) {
    static const int wide[] = {1, 2, 4, 4}, vq8[] = {1, 2, 2, 4}, deep[] = {1, 1, 2, 2, 4, 4};
    enum { VQ_F4_CODES = 8192, VQ_F8_CODES = 16384 };
    if (!strcmp(name, "kl-f4")) *c = published(3, wide, 3, 0);
    else if (!strcmp(name, "kl-f8")) *c = published(4, wide, 4, 0);
    else if (!strcmp(name, "kl-f16")) *c = published(5, deep, 16, 0);
    else if (!strcmp(name, "kl-f32")) *c = published(6, deep, 64, 0);
    else if (!strcmp(name, "vq-f4")) *c = published(3, wide, 3, VQ_F4_CODES);
    else if (!strcmp(name, "vq-f4-noattn"))
        *c = published(3, wide, 3, VQ_F4_CODES), c->plain_middle = true;
    else if (!strcmp(name, "vq-f8")) *c = published(4, vq8, 4, VQ_F8_CODES);
    else return false;
    /* f16 and f32 at 16 pixels and less, vq-f8 at 32, of 256 */
    if (c->levels > 4 || !strcmp(name, "vq-f8"))
        for (int l = c->levels > 4 ? 4 : 3; l < c->levels; l++) c->attends[l] = true;
    return true;
}

int downsampling_factor(const FirstStageConfig *c) {
    return 1 << (c->levels - 1);
}

/* ---- network --------------------------------------------------------------------------------- */

static BlockStyle style_of(const FirstStageConfig *c) {
    return (BlockStyle){.groups = c->groups, .eps = 1e-6, .pad_far_sides = true,
                        .plain_start = true};
}

static int channels_at(const FirstStageConfig *c, int level) {
    return c->width * c->multiplier[level];
}

/* blocks and attention of a level of channels `in` to `out` */
static void level_new(Coder *n, const BlockStyle *style, Scope s, int l, int in, int out) {
    CoderLevel *level = &n->level[l];
    for (int i = 0; i < n->blocks; i++, in = out) {
        level->block[i] = resblock_new(style, sub(s, "block.%d", i), in, out, SAME_SIZE);
        if (n->attends[l])
            level->attention[i] = attention_block_new(style, sub(s, "attention.%d", i), out, 1, 0);
    }
}

static void middle_new(Coder *n, const BlockStyle *style, Scope s, int channels) {
    for (int i = 0; i < 2; i++)
        n->middle[i] = resblock_new(style, sub(s, "block.%d", i), channels, channels, SAME_SIZE);
    if (!n->plain_middle)
        n->middle_attention = attention_block_new(style, sub(s, "attention"), channels, 1, 0);
}

static Coder coder_new(const FirstStageConfig *c, int blocks) {
    Coder n = {.levels = c->levels, .blocks = blocks, .plain_middle = c->plain_middle};
    memcpy(n.attends, c->attends, sizeof n.attends);
    return n;
}

static Coder encoder_new(Scope s, const FirstStageConfig *c) {
    BlockStyle style = style_of(c);
    Coder n = coder_new(c, c->blocks);
    int in = c->width, last = channels_at(c, c->levels - 1);
    n.in = conv2d_new(sub(s, "in"), c->channels, in, 3, 1, 1, true);
    for (int l = 0; l < c->levels; l++, in = channels_at(c, l - 1)) {
        level_new(&n, &style, sub(s, "down.%d", l), l, in, channels_at(c, l));
        if (l < c->levels - 1)
            n.level[l].resample = downsample_new(&style, sub(s, "down.%d.downsample", l),
                                                 channels_at(c, l));
    }
    middle_new(&n, &style, sub(s, "middle"), last);
    n.norm_out = group_norm_new(sub(s, "norm_out"), last, c->groups, style.eps);
    n.out = conv2d_new(sub(s, "out"), last, c->codes ? c->z : 2 * c->z, 3, 1, 1, true);
    return n;
}

static Coder decoder_new(Scope s, const FirstStageConfig *c) {
    BlockStyle style = style_of(c);
    Coder n = coder_new(c, c->blocks + 1);
    int in = channels_at(c, c->levels - 1);
    n.in = conv2d_new(sub(s, "in"), c->z, in, 3, 1, 1, true);
    middle_new(&n, &style, sub(s, "middle"), in);
    for (int l = c->levels - 1; l >= 0; in = channels_at(c, l--)) {
        level_new(&n, &style, sub(s, "up.%d", l), l, in, channels_at(c, l));
        if (l > 0)
            n.level[l].resample = upsample_new(&style, sub(s, "up.%d.upsample", l),
                                               channels_at(c, l));
    }
    n.norm_out = group_norm_new(sub(s, "norm_out"), in, c->groups, style.eps);
    n.out = conv2d_new(sub(s, "out"), in, c->channels, 3, 1, 1, true);
    return n;
}

FirstStage first_stage_decoder_new(Params *p, FirstStageConfig c) {
    FirstStage f = {.config = c};
    if (c.levels < 1 || c.levels > FS_LEVELS || c.blocks < 1 || c.blocks >= FS_BLOCKS)
        die("first stage: %d levels of %d blocks", c.levels, c.blocks);
    f.decoder = decoder_new(scope(p, "decoder"), &c);
    f.post_quant = linear_new(scope(p, "post_quant"), c.embed, c.z, true);
    if (c.codes) f.codebook = codebook_new(scope(p, "codebook"), c.codes, c.embed, 0);
    return f;
}

FirstStage first_stage_new(Params *p, FirstStageConfig c) {
    FirstStage f = first_stage_decoder_new(p, c);
    int moments = c.codes ? 1 : 2;
    f.encoder = encoder_new(scope(p, "encoder"), &c);
    f.quant = linear_new(scope(p, "quant"), moments * c.z, moments * c.embed, true);
    return f;
}

/* ---- forward --------------------------------------------------------------------------------- */

/* h goes through blocks; what was made since `before` is needed no longer than the result is made */
static Tensor *level(const Coder *n, int l, Tensor *h, Mark before) {
    for (int i = 0; i < n->blocks; i++) {
        h = t_release(before, resblock(&n->level[l].block[i], h, NULL));
        if (n->attends[l])
            h = t_release(before, attention_block(&n->level[l].attention[i], h, (Context){0}));
    }
    return h;
}

static Tensor *middle(const Coder *n, Tensor *h, Mark before) {
    h = t_release(before, resblock(&n->middle[0], h, NULL));
    if (!n->plain_middle)
        h = t_release(before, attention_block(&n->middle_attention, h, (Context){0}));
    return t_release(before, resblock(&n->middle[1], h, NULL));
}

Tensor *encode(const FirstStage *f, Tensor *x) {
    const Coder *n = &f->encoder;
    Mark start = t_mark(x->tape);
    Tensor *h = conv2d(&n->in, x);
    for (int l = 0; l < n->levels; l++) {
        h = level(n, l, h, start);
        if (l < n->levels - 1) h = t_release(start, downsample(&n->level[l].resample, h));
    }
    h = conv2d(&n->out, group_norm_silu(&n->norm_out, middle(n, h, start)));
    return t_release(start, linear(&f->quant, h));
}

Tensor *decoder_features(const FirstStage *f, Tensor *z) {
    const Coder *n = &f->decoder;
    Mark start = t_mark(z->tape);
    Tensor *h = middle(n, conv2d(&n->in, linear(&f->post_quant, z)), start);
    for (int l = n->levels - 1; l >= 0; l--) {
        h = level(n, l, h, start);
        if (l > 0) h = t_release(start, upsample(&n->level[l].resample, h));
    }
    return t_release(start, group_norm_silu(&n->norm_out, h));
}

Tensor *decode(const FirstStage *f, Tensor *z) {
    Mark start = t_mark(z->tape);
    if (f->config.codes) z = quantise(&f->codebook, z).codes;
    return t_release(start, conv2d(&f->decoder.out, decoder_features(f, z)));
}

/* ---- q(z|x) ---------------------------------------------------------------------------------- */

Posterior posterior(Tensor *moments) {
    int e = moments->shape[3] / 2;
    return (Posterior){t_slice(moments, 3, 0, e), t_clamp(t_slice(moments, 3, e, e), -30, 20)};
}

Tensor *posterior_sample(Posterior q, Tensor *noise) {
    return t_add(q.mean, t_mul(t_exp(t_scale(q.log_variance, 0.5)), noise));
}

/* 1/2 sum of mean^2 + sigma^2 - 1 - log sigma^2 */
Tensor *posterior_kl(Posterior q) {
    Tensor *each = t_sub(t_add(t_square(q.mean), t_exp(q.log_variance)), q.log_variance);
    Tensor *rows = t_reshape(t_add_scalar(each, -1), SHAPE(q.mean->shape[0], -1));
    return t_scale(t_sum_axis(rows, 1), 0.5);
}

/* ---- official names -------------------------------------------------------------------------- */

static const OfficialName names[] = {
    DDPM_OFFICIAL_ROWS("encoder."), DDPM_OFFICIAL_ROWS("decoder."),
    {"quant", "quant_conv", 0, 0}, {"post_quant", "post_quant_conv", 0, 0},
    {"codebook", "quantize.embedding", 0, 0}, {0}};

const OfficialMap first_stage_official = {.rows = names};
