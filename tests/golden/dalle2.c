/* dalle2.c — the prior of kakaobrain/karlo, an unCLIP: image embeddings from texts. */
#include "../../chapters/dalle2/prior.h"
#include "openai.h"

static const OfficialName names[] = {
    {"text_tokens", "text_enc_proj", 0, 0}, {"text", "text_emb_proj", 0, 0},
    {"image", "clip_img_proj", 0, 0},       {"time.0", "time_embed.0", 0, 0},
    {"time.1", "time_embed.2", 0, 0},       {"query", "prd_emb", 0, 0},
    {"positions", "positional_embedding", 0, 0}, {"norm", "final_ln", 0, 0},
    {"out", "out_proj", 0, 0},              {0}};

static bool locate(const void *design, const char *ours, OfficialPlace *at) {
    return resblocks_official("block.", *(const int *)design, ours, at);
}

static void run(Golden *g) {
    PriorConfig c = {.tokens = golden_int(g, "text_ctx", 77), .dim = golden_int(g, "clip_dim", 768),
                     .width = golden_int(g, "xf_width", 2048),
                     .depth = golden_int(g, "xf_layers", 20),
                     .heads = golden_int(g, "xf_heads", 32),
                     .no_last_norm = !golden_flag(g, "xf_final_ln", true)};
    int *heads = arena_get(&g->params.arena, sizeof *heads);
    *heads = c.heads;
    Prior net = prior_new(&g->params, c);
    g->map = (OfficialMap){.rows = names, .locate = locate, .design = heads};
    golden_load(g);
    Tensor *x = golden_input(g, "x");
    int B = x->shape[0];
    double time[OPENAI_BATCH];
    if (golden_numbers(g, "in.", "timesteps", OPENAI_BATCH, time) != B)
        fail("%s: in.timesteps are not one for each embedding", g->path);
    PriorText text = {golden_input(g, "text_enc"), golden_input(g, "text_emb"),
                      golden_mask(g, "mask", B, c.tokens)};
    golden_output(g, "main", prior_output(&net, x, time, text));
}

const GoldenModel golden_dalle2[] = {{"unclip_prior", names, run}, {0}};
