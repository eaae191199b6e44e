/* ldm.c — the autoencoder of CompVis/latent-diffusion and the discriminator it is trained against. */
#include "../../chapters/ldm/first_stage.h"
#include "../../chapters/ldm/patchgan.h"
#include "base/error.h"
#include "golden.h"

/* ---- autoencoder ----------------------------------------------------------------------------- */

/* attn_resolutions are sizes of the image at a level; an empty list: none */
static void attend_at(const Golden *dd, FirstStageConfig *c, int side) {
    int sizes[FS_LEVELS] = {0}, n = golden_list(dd, "attn_resolutions", FS_LEVELS, sizes);
    for (int l = 0; l < c->levels; l++)
        for (int i = 0; i < n; i++) c->attends[l] |= sizes[i] == side >> l;
}

static FirstStageConfig config_of(Golden *g) {
    Golden dd = golden_within(g, "ddconfig");
    FirstStageConfig c = {.channels = golden_int(&dd, "in_channels", 3),
                          .width = golden_int(&dd, "ch", 128),
                          .blocks = golden_int(&dd, "num_res_blocks", 2),
                          .z = golden_int(&dd, "z_channels", 4),
                          .embed = golden_int(g, "embed_dim", 4),
                          .groups = golden_int(g, "groupnorm_groups", 32)};
    if (!dd.config) fail("%s: has no ddconfig", g->path);
    c.levels = golden_list(&dd, "ch_mult", FS_LEVELS, c.multiplier);
    if (golden_int(&dd, "out_ch", c.channels) != c.channels)
        fail("%s: pictures have other channels than reconstructions", g->path);
    if (!golden_flag(&dd, "double_z", true))
        fail("%s: the KL autoencoder needs double_z", g->path);
    if (!golden_flag(&dd, "resamp_with_conv", true))
        fail("%s: here sizes are changed with convolutions", g->path);
    attend_at(&dd, &c, golden_int(&dd, "resolution", 256));
    golden_indifferent(&dd, "dropout");      /* the official pass was not a training one */
    return c;
}

static void run_autoencoder(Golden *g) {
    FirstStage net = first_stage_new(&g->params, config_of(g));
    golden_load(g);
    Tensor *moments = encode(&net, golden_input(g, "x"));
    Posterior q = posterior(moments);
    Tensor *z = posterior_sample(q, golden_input(g, "noise"));
    golden_output(g, "moments", moments);
    golden_output(g, "z", z);
    golden_output(g, "kl", posterior_kl(q));
    golden_output(g, "main", decode(&net, z));
    golden_output(g, "mode_decoded", decode(&net, q.mean));
}

/* ---- discriminator --------------------------------------------------------------------------- */

static void run_patchgan(Golden *g) {
    PatchGanConfig c = {.channels = golden_int(g, "input_nc", 3), .width = golden_int(g, "ndf", 64),
                        .layers = golden_int(g, "n_layers", 3)};
    if (golden_flag(g, "use_actnorm", false)) fail("%s: here are no ActNorm layers", g->path);
    PatchGan net = patchgan_new(&g->params, c);
    g->map = patchgan_official;
    golden_load(g);
    bool training = golden_holds(g, "out.after.");       /* statistics moved */
    golden_output(g, "main", patchgan(&net, golden_input(g, "input"), training));
}

const GoldenModel golden_ldm[] = {
    {"ldm_autoencoder", NULL, run_autoencoder, .map = &first_stage_official},
    {"patchgan", NULL, run_patchgan, .map = &patchgan_official},
    {0}};
