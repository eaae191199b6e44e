/* dalle2.c — kakaobrain/karlo, an unCLIP: its prior, image embeddings from texts; its decoder,
 * images from them. */
#include "../../chapters/dalle2/decoder.h"
#include "../../chapters/dalle2/prior.h"
#include "openai.h"

/* ---- the prior ------------------------------------------------------------------------------- */

static void run_prior(Golden *g) {
    PriorConfig c = {.tokens = golden_int(g, "text_ctx", 77), .dim = golden_int(g, "clip_dim", 768),
                     .width = golden_int(g, "xf_width", 2048),
                     .depth = golden_int(g, "xf_layers", 20),
                     .heads = golden_int(g, "xf_heads", 32),
                     .no_last_norm = !golden_flag(g, "xf_final_ln", true)};
    Prior net = prior_new(&g->params, c);
    g->map = prior_official(&g->params.arena, &c);
    golden_load(g);
    Tensor *x = golden_input(g, "x");
    int B = x->shape[0];
    double time[OPENAI_BATCH];
    if (golden_numbers(g, "in.", "timesteps", OPENAI_BATCH, time) != B)
        fail("%s: in.timesteps are not one for each embedding", g->path);
    CaptionFeatures text = {golden_input(g, "text_enc"), golden_input(g, "text_emb"),
                      golden_mask(g, "mask", B, c.tokens)};
    golden_output(g, "main", prior_output(&net, x, time, text));
}

/* ---- the decoder ----------------------------------------------------------------------------- */

static void run_decoder(Golden *g) {
    if (!golden_word(g, "clip_emb_type", "image") || !(golden_number(g, "clip_emb_drop", 0) > 0))
        fail("%s: our decoder is given the embedding of an image, which may be left out", g->path);
    DecoderConfig c = {.unet = adm_unet(g).config, .clip = golden_int(g, "clip_dim", 768),
                       .tokens = golden_int(g, "clip_emb_mult", 4)};
    c.unet.context = golden_int(g, "xf_width", 1);
    Decoder net = decoder_new(&g->params, c);
    g->map = decoder_official(&g->params.arena, &c);
    golden_load(g);
    Tensor *x = golden_input(g, "x");
    int B = x->shape[0], N = golden_int(g, "text_ctx", 77);
    double time[OPENAI_BATCH];
    openai_times(g, B, time);
    Tensor *z = golden_input(g, "y");
    CaptionFeatures text = {.embedding = golden_input(g, "txt_feat"),
                            .tokens = golden_input(g, "txt_feat_seq"),
                            .mask = golden_mask(g, "mask", B, N)};
    golden_output(g, "main", decoder_output(&net, x, time, z, text));
}

const GoldenModel golden_dalle2[] = {{"unclip_prior", prior_names, run_prior},
                                     {"unclip_decoder", decoder_names, run_decoder}, {0}};
