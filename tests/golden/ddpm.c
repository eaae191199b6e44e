/* ddpm.c — the U-Net of DDPM, as pesser/pytorch_diffusion ported it from the authors' code. */
#include "../../chapters/ddpm/ddpm.h"
#include "golden.h"

static UNetConfig config_of(const Golden *g) {
    int side[UNET_LEVELS * 4];
    UNetConfig d = unet_config("cifar10");
    d.in = golden_int(g, "in_channels", 3);
    d.out = golden_int(g, "out_ch", 3);
    d.width = golden_int(g, "ch", 128);
    d.blocks = golden_int(g, "num_res_blocks", 2);
    d.style.groups = golden_int(g, "groupnorm_groups", 32);
    d.resampling = golden_flag(g, "resamp_with_conv", true) ? RESAMPLE_CONV : RESAMPLE_PLAIN;
    d.style.dropout = golden_number(g, "dropout", 0);     /* done while training alone */
    int resolution = golden_int(g, "resolution", 32);
    d.levels = golden_list(g, "ch_mult", UNET_LEVELS, d.multiplier);
    int n = golden_list(g, "attn_resolutions", UNET_LEVELS * 4, side);
    for (int l = 0; l < d.levels; l++) {
        d.attends[l] = false;
        for (int i = 0; i < n; i++) d.attends[l] |= side[i] == resolution >> l;
    }
    return d;
}

static void run(Golden *g) {
    double time[64];
    Model net = model_new(&g->params, config_of(g));
    golden_load(g);
    Tensor *x = golden_input(g, "x");
    golden_numbers(g, "in.", "t", 64, time);
    golden_output(g, "main", model_output(&net, x, time));
}

const GoldenModel golden_ddpm[] = {
    {"ddpm_unet", .run = run, .map = &ddpm_official},
    {"ddpm_unet_g32", .run = run, .map = &ddpm_official},
    {0}};
