/* vqvae2.c — the two-level network, its quantiser and the priors of rosinality/vq-vae-2-pytorch. */
#include "nn/pixelsnail.h"
#include "../../chapters/vqvae2/vqvae2.h"
#include "golden.h"
#include "base/error.h"

/* buffers that changed say that the official pass was a training one */
static bool training(const Golden *g) {
    return golden_holds(g, "out.after.");
}

static void run_vqvae2(Golden *g) {
    Vqvae2Config c = {.levels = 2,
                      .channels = golden_int(g, "in_channel", 3),
                      .width = golden_int(g, "channel", 128),
                      .res_blocks = golden_int(g, "n_res_block", 2),
                      .res_channels = golden_int(g, "n_res_channel", 32),
                      .dim = golden_int(g, "embed_dim", 64),
                      .codes = golden_int(g, "n_embed", 512)};
    /* the official network takes a decay, but does not hand it on: its codebooks keep 0.99 */
    golden_indifferent(g, "decay");
    Vqvae2 net = vqvae2_new(&g->params, c);
    golden_load(g);
    Encoding e = encode(&net, golden_input(g, "input"));
    golden_integers(g, "id_t", e.top.index, (size_t)e.top.n);
    golden_integers(g, "id_b", e.bottom.index, (size_t)e.bottom.n);
    golden_output(g, "quant_t", e.top.codes);
    golden_output(g, "quant_b", e.bottom.codes);
    golden_output(g, "latent_loss", t_add(e.top.commitment_loss, e.bottom.commitment_loss));
    golden_output(g, "main", decode(&net, e.top.codes, e.bottom.codes));
    if (training(g)) codebooks_update(&net, &e, 0, NULL);
}

static void run_quantize(Golden *g) {
    double decay = golden_number(g, "decay", 0.99);
    if (!(decay > 0 && decay <= 1)) fail("%s: its decay is not above 0 and up to 1", g->path);
    Codebook book = codebook_new(scope(&g->params, "%s", ""), golden_int(g, "n_embed", 512),
                                 golden_int(g, "dim", 64), decay);
    book.eps = golden_number(g, "eps", book.eps);
    golden_load(g);
    Quantised q = quantise(&book, golden_input(g, "input"));
    golden_output(g, "main", q.codes);
    golden_output(g, "diff", q.commitment_loss);
    golden_integers(g, "ids", q.index, (size_t)q.n);
    if (training(g)) codebook_update(&book, &q);
}

static SnailConfig snail_config(const Golden *g) {
    int K = golden_int(g, "n_class", 512), shape[2];
    if (golden_list(g, "shape", 2, shape) != 2)
        fail("%s: shape in its configuration is no height and width", g->path);
    return (SnailConfig){.height = shape[0],
                         .width = shape[1],
                         .codes = K,
                         .condition_codes = K,
                         .channels = golden_int(g, "channel", 256),
                         .kernel = golden_int(g, "kernel_size", 5),
                         .blocks = golden_int(g, "n_block", 4),
                         .res_blocks = golden_int(g, "n_res_block", 4),
                         .res_channels = golden_int(g, "res_channel", 256),
                         .attention = golden_flag(g, "attention", true),
                         .dropout = golden_number(g, "dropout", 0.1),   /* while training alone */
                         .condition_blocks = golden_int(g, "n_cond_res_block", 0),
                         .condition_channels = golden_int(g, "cond_res_channel", 0),
                         .condition_kernel = golden_int(g, "cond_res_kernel", 3),
                         .out_blocks = golden_int(g, "n_out_res_block", 0),
                         .masked_weights = true};
}

static void run_pixelsnail(Golden *g) {
    SnailConfig c = snail_config(g);
    Snail net = snail_new(&g->params, c);
    golden_load(g);
    int H = c.height, W = c.width, size[4];
    golden_sizes(g, "input", size);
    int B = size[0];
    const int *z = golden_input_integers(g, "input", B, H, W, c.codes);
    SnailCondition on = {NULL, NULL};
    if (c.condition_blocks)
        on.top = golden_input_integers(g, "condition", B, H / 2, W / 2, c.codes);
    Tensor *condition = snail_condition(&net, &g->tape, B, on);
    golden_output(g, "main", snail(&net, snail_one_hot(&net, &g->tape, B, z), condition));
}

const GoldenModel golden_vqvae2[] = {
    {"vqvae2", .run = run_vqvae2, .map = &vqvae2_official},
    {"vqvae2_quantize", .run = run_quantize, .map = &vqvae2_official,
     .channels_last = true},
    {"pixelsnail", .run = run_pixelsnail, .map = &vqvae2_official},
    {"pixelsnail_cond", .run = run_pixelsnail, .map = &vqvae2_official},
    {0}};
