/* iddpm.c — the U-Net of openai/improved-diffusion; its formulas: diffusion.c. */
#include "../../chapters/iddpm/iddpm.h"
#include "golden.h"
#include "openai.h"
#include "base/error.h"

/* ---- the network ----------------------------------------------------------------------------- */

static void run_unet(Golden *g) {
    enum { ROOM = 64 };
    double time[ROOM], y[ROOM];
    int label[ROOM];
    UNetOfficial u = openai_unet(g);
    ModelConfig c = {.unet = u.config, .classes = golden_int(g, "num_classes", 0)};
    ClassUNet net = class_unet_new(&g->params, c.unet, c.classes);
    g->map = openai_map(g, class_unet_official, u);
    golden_load(g);
    Tensor *x = golden_input(g, "x");
    golden_numbers(g, "in.", "timesteps", ROOM, time);
    int n = c.classes ? golden_numbers(g, "in.", "y", ROOM, y) : 0;
    for (int i = 0; i < n; i++) label[i] = (int)y[i];
    golden_output(g, "main", class_unet(&net, x, time, label));
}

const GoldenModel golden_iddpm[] = {{"iddpm_unet", NULL, run_unet}, {0}};
