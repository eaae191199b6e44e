/* glide.c — openai/glide-text2im: a U-Net conditioned on a text, and the one that makes its images
 * four times as large. */
#include "nn/resize.h"
#include "nn/text_transformer.h"
#include "openai.h"

/* ---- the network ----------------------------------------------------------------------------- */

/* What is read from the text goes two ways: the last token to the embedding, all to attention. */
typedef struct {
    TimeEmbedding time;
    TextTransformer text;
    Linear text_proj;
    UNet unet;
} Glide;

static Glide glide_new(Params *p, UNetConfig c, TextTransformerConfig text) {
    Glide m = {.time = time_embedding_new(scope(p, "time"), c.width, unet_emb(&c), false)};
    m.text = text_transformer_new(scope(p, "text"), text);
    m.text_proj = linear_new(scope(p, "text_proj"), text.width, unet_emb(&c), true);
    c.context = text.width;
    m.unet = unet_new(p, c);
    return m;
}

/* x (B,H,W,in), what is embedded of the time (B,E), tokens and mask (B,N) */
static Tensor *glide_output(const Glide *m, Tensor *x, Tensor *time, const int *tokens,
                            const uint8_t *mask) {
    int B = x->shape[0], N = m->text.config.length, C = m->text.config.width;
    Tensor *text = text_transformer(&m->text, x->tape, tokens, mask, B);
    Tensor *last = t_reshape(t_slice(text, 1, N - 1, 1), SHAPE(B, C));
    return unet(&m->unet, x, t_add(time, linear(&m->text_proj, last)), text);
}

/* ---- official names -------------------------------------------------------------------------- */

static const OfficialName names[] = {
    {"text.tokens", "token_embedding", 0, 0}, {"text.positions", "positional_embedding", 0, 0},
    {"text.padding", "padding_embedding", 0, 0}, {"text.norm", "final_ln", 0, 0},
    {"text_proj", "transformer_proj", 0, 0}, {0}};

typedef struct {
    UNetOfficial unet;
    int text_heads;
} GlideOfficial;

static bool glide_official(const void *design, const char *ours, OfficialPlace *at) {
    const GlideOfficial *g = design;
    return resblocks_official("text.block.", g->text_heads, ours, at) ||
           unet_official(&g->unet, ours, at);
}

/* ---- golden files ---------------------------------------------------------------------------- */

static TextTransformerConfig text_of(const Golden *g) {
    return (TextTransformerConfig){.vocabulary = golden_int(g, "n_vocab", 1),
                                   .length = golden_int(g, "text_ctx", 128),
                                   .width = golden_int(g, "xf_width", 512),
                                   .depth = golden_int(g, "xf_layers", 16),
                                   .heads = golden_int(g, "xf_heads", 8),
                                   .no_padding = !golden_flag(g, "xf_padding", false),
                                   .no_last_norm = !golden_flag(g, "xf_final_ln", true)};
}

static Glide load(Golden *g, TextTransformerConfig text, int times_in) {
    GlideOfficial *design = arena_get(&g->params.arena, sizeof *design);
    *design = (GlideOfficial){adm_unet(g), text.heads};
    design->unet.config.in *= times_in;
    Glide net = glide_new(&g->params, design->unet.config, text);
    g->map = (OfficialMap){.rows = names, .locate = glide_official, .design = design};
    golden_load(g);
    return net;
}

static void compare(Golden *g, const Glide *net, Tensor *x) {
    const TextTransformerConfig *text = &net->text.config;
    int B = x->shape[0], N = text->length;
    const int *tokens = golden_input_integers(g, "tokens", B, N, 1, text->vocabulary);
    const uint8_t *mask = golden_mask(g, "mask", B, N);
    golden_output(g, "main", glide_output(net, x, openai_time(g, &net->time, B), tokens, mask));
}

static void run_base(Golden *g) {
    Glide net = load(g, text_of(g), 1);
    compare(g, &net, golden_input(g, "x"));
}

static void run_upsampler(Golden *g) {
    Glide net = load(g, text_of(g), 2);
    Tensor *x = golden_input(g, "x"), *small = golden_input(g, "low_res");
    compare(g, &net, t_concat(x, resize_bilinear(small, x->shape[1], x->shape[2]), 3));
}

const GoldenModel golden_glide[] = {
    {"glide_unet", names, run_base}, {"glide_upsampler", names, run_upsampler}, {0}};
