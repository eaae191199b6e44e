/* cfg.c — openai/glide-text2im: a U-Net conditioned on a text, and the one that makes its images
 * four times as large. */
#include "../../chapters/cfg/glide.h"
#include "openai.h"

static TextTransformerConfig text_of(const Golden *g) {
    return (TextTransformerConfig){.vocabulary = golden_int(g, "n_vocab", 1),
                                   .length = golden_int(g, "text_ctx", 128),
                                   .width = golden_int(g, "xf_width", 512),
                                   .depth = golden_int(g, "xf_layers", 16),
                                   .heads = golden_int(g, "xf_heads", 8),
                                   .no_padding = !golden_flag(g, "xf_padding", false),
                                   .no_last_norm = !golden_flag(g, "xf_final_ln", true)};
}

static Glide load(Golden *g, const Tensor *x, int low) {
    GlideConfig c = {.unet = adm_unet(g).config, .text = text_of(g), .side = x->shape[1],
                     .low = low};
    if (low) c.unet.in *= 2;
    Glide net = glide_new(&g->params, c);
    g->map = glide_official(&g->params.arena, &c);
    golden_load(g);
    return net;
}

static void compare(Golden *g, const Glide *net, Tensor *x, GlideInput in) {
    const TextTransformerConfig *c = &net->config.text;
    int B = x->shape[0], N = c->length;
    double time[OPENAI_BATCH];
    const int *tokens = golden_input_integers(g, "tokens", B, N, 1, c->vocabulary);
    const uint8_t *mask = golden_mask(g, "mask", B, N);
    openai_times(g, B, time);
    TextFeatures text = text_unet_read(&net->net, &g->tape, tokens, mask, B);
    golden_output(g, "main", glide_output(net, x, time, text, in));
}

static void run_base(Golden *g) {
    Tensor *x = golden_input(g, "x");
    Glide net = load(g, x, 0);
    compare(g, &net, x, (GlideInput){0});
}

static void run_upsampler(Golden *g) {
    Tensor *x = golden_input(g, "x"), *low = golden_input(g, "low_res");
    Glide net = load(g, x, low->shape[1]);
    compare(g, &net, x, (GlideInput){.low = low});
}

const GoldenModel golden_cfg[] = {
    {"glide_unet", text_unet_names, run_base}, {"glide_upsampler", text_unet_names, run_upsampler},
    {0}};
