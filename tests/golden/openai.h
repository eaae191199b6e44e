/* openai.h — the arguments of openai's U-Nets, and of those that were built on them, in a golden
 * file's configuration. */
#ifndef OPENAI_H
#define OPENAI_H

#include "golden.h"
#include "base/error.h"
#include "nn/unet_official.h"

#include <stdio.h>
#include <string.h>

static inline UNetOfficial openai_unet(const Golden *g) {
    int factor[UNET_LEVELS * 4];
    UNetConfig c = {.in = golden_int(g, "in_channels", 3),
                    .out = golden_int(g, "out_channels", 3),
                    .width = golden_int(g, "model_channels", 128),
                    .blocks = golden_int(g, "num_res_blocks", 2),
                    .heads = golden_int(g, "num_heads", 1),
                    .head_channels = golden_int(g, "num_head_channels", 0),
                    .style = {.eps = 1e-5, .groups = golden_int(g, "groupnorm_groups", 32),
                              .scale_shift = golden_flag(g, "use_scale_shift_norm", false)}};
    /* one trades time for memory, the other the constructor only keeps */
    golden_indifferent(g, "use_checkpoint image_size");
    c.style.dropout = golden_number(g, "dropout", 0);        /* done while training alone */
    bool conv = golden_flag(g, "conv_resample", true);
    if (golden_flag(g, "resblock_updown", false)) c.resampling = RESAMPLE_RESBLOCK;
    else if (!conv) c.resampling = RESAMPLE_PLAIN;
    if (golden_int(g, "dims", 2) != 2 ||
        golden_int(g, "num_heads_upsample", c.heads) != c.heads)
        fail("%s: our network has two dimensions and as many heads up as down", g->path);
    c.levels = golden_list(g, "channel_mult", UNET_LEVELS, c.multiplier);
    int n = golden_list(g, "attention_resolutions", UNET_LEVELS * 4, factor);
    for (int l = 0; l < c.levels; l++)
        for (int i = 0; i < n; i++) c.attends[l] |= factor[i] == 1 << l;
    return (UNetOfficial){.config = c,
                          .qkv_first = golden_flag(g, "use_new_attention_order", false)};
}

/* guided-diffusion's, GLIDE's and Karlo's begin with the first level's channels */
static inline UNetOfficial adm_unet(const Golden *g) {
    UNetOfficial u = openai_unet(g);
    u.config.first = u.config.width * u.config.multiplier[0];
    return u;
}

/* the official names of this U-Net, and of what else `rows` tell: stays when `run` has returned */
static inline OfficialMap openai_map(Golden *g, const OfficialName *rows, UNetOfficial u) {
    UNetOfficial *kept = arena_get(&g->params.arena, sizeof *kept);
    *kept = u;
    return (OfficialMap){.rows = rows, .locate = unet_official, .design = kept};
}

enum { OPENAI_BATCH = 64 };

/* in.timesteps of x's images */
static inline void openai_times(Golden *g, int B, double time[static OPENAI_BATCH]) {
    if (golden_numbers(g, "in.", "timesteps", OPENAI_BATCH, time) != B)
        fail("%s: in.timesteps are not one for each image", g->path);
}

/* the same, embedded */
static inline Tensor *openai_time(Golden *g, const TimeEmbedding *e, int B) {
    double time[OPENAI_BATCH];
    openai_times(g, B, time);
    return time_embedding(e, &g->tape, time, B);
}

#endif
