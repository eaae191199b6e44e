/* unclip.c — the decoder of kakaobrain/karlo, an unCLIP: images from CLIP's embeddings. */
#include "openai.h"

/* ---- the network ----------------------------------------------------------------------------- */

/* An image's embedding goes into the time's and becomes `tokens` tokens before the text's. */
typedef struct {
    int clip, tokens;                   /* numbers of CLIP's embeddings; tokens */
    bool dropped;                       /* in training it is left out at times: learned numbers */
} DecoderConfig;

typedef struct {
    DecoderConfig config;
    TimeEmbedding time;
    Linear clip_emb, text_feat_proj;    /* the image's and the text's embedding, to the time's */
    Linear clip_tok_proj;
    struct { Linear linear; LayerNorm norm; } text_seq_proj;
    Tensor *cf_param;                   /* (clip): no image */
    UNet unet;
} Decoder;

static Decoder decoder_new(Params *p, UNetConfig c, DecoderConfig d) {
    int emb = unet_emb(&c);
    Decoder m = {.config = d,
                 .time = time_embedding_new(scope(p, "time"), c.width, emb, false)};
    m.clip_emb = linear_new(scope(p, "clip_emb"), d.clip, emb, true);
    m.text_feat_proj = linear_new(scope(p, "text_feat_proj"), d.clip, emb, true);
    m.clip_tok_proj = linear_new(scope(p, "clip_tok_proj"), d.clip, d.tokens * c.context, true);
    m.text_seq_proj.linear = linear_new(scope(p, "text_seq_proj.0"), d.clip, c.context, true);
    m.text_seq_proj.norm = layer_norm_new(scope(p, "text_seq_proj.1"), c.context, 1e-5);
    if (d.dropped)
        m.cf_param = param((Scope){.params = p}, "cf_param", INIT_NORMAL, 0.02, SHAPE(d.clip));
    m.unet = unet_new(p, c);
    return m;
}

/* What a decoder is given besides x: the time's embedding, CLIP's of the image (B,clip), of the
 * text (B,clip) and of its tokens (B,N,clip) */
typedef struct {
    Tensor *time, *image, *text, *tokens;
    const uint8_t *mask;                /* (B,N): the text's tokens that are there */
} Given;

/* The image's tokens, which are always there, and the text's after them. clip_tok_proj's outputs
 * are channel by channel, as in the official files. */
static Context decoder_context(const Decoder *m, Given given) {
    int B = given.image->shape[0], N = given.tokens->shape[1], M = m->config.tokens;
    Tensor *image = linear(&m->clip_tok_proj, given.image);
    image = t_permute(t_reshape(image, SHAPE(B, -1, M)), 3, (int[]){0, 2, 1});
    Tensor *text = linear(&m->text_seq_proj.linear, given.tokens);
    text = layer_norm(&m->text_seq_proj.norm, text);
    uint8_t *mask = arena_get(&image->tape->arena, (size_t)(B * (M + N)));
    for (int b = 0; b < B; b++) {
        memset(mask + b * (M + N), 1, (size_t)M);
        memcpy(mask + b * (M + N) + M, given.mask + b * N, (size_t)N);
    }
    return (Context){t_concat(image, text, 1), mask};
}

static Tensor *decoder_output(const Decoder *m, Tensor *x, Given given) {
    Tensor *emb = t_add(given.time, linear(&m->clip_emb, given.image));
    emb = t_add(emb, linear(&m->text_feat_proj, given.text));
    return unet_masked(&m->unet, x, emb, decoder_context(m, given));
}

/* ---- golden file ----------------------------------------------------------------------------- */

static const OfficialName names[] = {UNET_OFFICIAL_ROWS, {0}};

static void run(Golden *g) {
    if (!golden_word(g, "clip_emb_type", "image"))
        fail("%s: our decoder is given the embedding of an image", g->path);
    UNetOfficial u = adm_unet(g);
    DecoderConfig d = {.clip = golden_int(g, "clip_dim", 768),
                       .tokens = golden_int(g, "clip_emb_mult", 4),
                       .dropped = golden_number(g, "clip_emb_drop", 0) > 0};
    u.config.context = golden_int(g, "xf_width", 1);
    Decoder net = decoder_new(&g->params, u.config, d);
    g->map = openai_map(g, names, u);
    golden_load(g);
    Tensor *x = golden_input(g, "x");
    int B = x->shape[0], N = golden_int(g, "text_ctx", 77);
    Given given = {openai_time(g, &net.time, B), golden_input(g, "y"), golden_input(g, "txt_feat"),
                   golden_input(g, "txt_feat_seq"), golden_mask(g, "mask", B, N)};
    golden_output(g, "main", decoder_output(&net, x, given));
}

const GoldenModel golden_unclip[] = {{"unclip_decoder", names, run}, {0}};
