/* dae_mae.c — the authors' masked autoencoder, of any sizes. */
#include "../../chapters/dae_mae/mae.h"
#include "golden.h"

/* defaults are those of the official constructor */
static MaeShape shape_of(const Golden *g) {
    return (MaeShape){.side = golden_int(g, "img_size", 224),
                      .patch = golden_int(g, "patch_size", 16),
                      .channels = golden_int(g, "in_chans", 3),
                      .width = golden_int(g, "embed_dim", 1024),
                      .depth = golden_int(g, "depth", 24),
                      .heads = golden_int(g, "num_heads", 16),
                      .decoder_width = golden_int(g, "decoder_embed_dim", 512),
                      .decoder_depth = golden_int(g, "decoder_depth", 8),
                      .decoder_heads = golden_int(g, "decoder_num_heads", 16),
                      .mlp_ratio = golden_number(g, "mlp_ratio", 4),
                      .eps = golden_number(g, "layer_norm_eps", 1e-6)};
}

/* 1: hidden, 0: visible */
static Tensor *mask_as_numbers(Tape *t, const Mask *m) {
    Tensor *x = t_input(t, NULL, SHAPE(m->images, m->patches));
    for (size_t i = 0; i < x->len; i++) x->x[i] = m->restore[i] >= m->keep;
    return x;
}

static void run(Golden *g) {
    Mae net = mae_new(&g->params, shape_of(g));
    golden_load(g);
    Tensor *images = golden_input(g, "imgs"), *noise = golden_input(g, "mask_noise");
    Mask m = mask_from_noise(&g->tape.arena, images->shape[0], patches_of(&net.shape),
                             golden_number(g, "mask_ratio", 0.75), noise->x);
    MaePass pass = mae_forward(&net, images, &m, golden_flag(g, "norm_pix_loss", false));
    golden_output(g, "main", pass.loss);
    golden_output(g, "latent", pass.latent);
    golden_output(g, "pred", pass.prediction);
    golden_output(g, "target_patches", pass.patches);
    golden_output(g, "mask", mask_as_numbers(&g->tape, &m));
    golden_integers(g, "ids_restore", m.restore, noise->len);
}

const GoldenModel golden_dae_mae[] = {{"mae", .run = run, .map = &mae_official}, {0}};
