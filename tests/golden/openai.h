/* openai.h — names of the U-Net of openai/improved-diffusion, which its descendants kept: all
 * blocks of the way down in one list, all of the way up in another.
 *
 *     input_blocks.0.0         the first convolution
 *     input_blocks.N.0 .1      block and attention; or .0.op, the resample after a level's blocks
 *     middle_block.0 .1 .2
 *     output_blocks.N.0 .1 .2  block, attention if there is one, resample after a level's blocks */
#ifndef OPENAI_H
#define OPENAI_H

#include "golden.h"
#include "nn/unet.h"

#include <stdio.h>
#include <string.h>

/* a part of a block or an attention; NULL: no such part */
static inline const char *openai_part(const char *ours) {
    static const char *const names[][2] = {
        {"norm1", "in_layers.0"}, {"conv1", "in_layers.2"}, {"emb_proj", "emb_layers.1"},
        {"norm2", "out_layers.0"}, {"conv2", "out_layers.3"}, {"skip", "skip_connection"},
        {"norm", "norm"}, {"qkv", "qkv"}, {"out", "proj_out"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(ours, names[i][0])) return names[i][1];
    return NULL;
}

/* what stands outside of the levels */
static inline bool openai_outside(const char *ours, GoldenPlace *at) {
    static const char *const names[][2] = {
        {"time.0", "time_embed.0"}, {"time.1", "time_embed.2"}, {"class", "label_emb"},
        {"in", "input_blocks.0.0"}, {"norm_out", "out.0"}, {"out", "out.2"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(ours, names[i][0])) {
            strcpy(at->layer, names[i][1]);
            return true;
        }
    return false;
}

/* Where our layer stands. at->heads is set where q, k and v stand together: their outputs are head
 * by head in the file. */
static inline bool openai_locate(const UNetConfig *d, const char *ours, GoldenPlace *at) {
    int l = 0, i = 0, n = 0, row = d->blocks + 1;
    char list[64], what[16] = "";
    if (openai_outside(ours, at)) return true;
    if (sscanf(ours, "middle.%n%15[^.].", &n, what) == 1) {
        bool block = !strcmp(what, "block");
        sscanf(ours, "middle.block.%d.", &i);
        snprintf(list, sizeof list, "middle_block.%d", block ? 2 * i : 1);
    } else if (sscanf(ours, "down.%d.%15[^.].%d", &l, what, &i) >= 2) {
        bool resample = !strcmp(what, "downsample");
        if (resample) i = d->blocks;
        snprintf(list, sizeof list, "input_blocks.%d.%d", l * row + i + 1,
                 !strcmp(what, "attention"));
        if (resample) return snprintf(at->layer, sizeof at->layer, "%s.op", list) > 0;
    } else if (sscanf(ours, "up.%d.%15[^.].%d", &l, what, &i) >= 2) {
        bool resample = !strcmp(what, "upsample");
        if (resample) i = d->blocks;
        snprintf(list, sizeof list, "output_blocks.%d.%d", (d->levels - 1 - l) * row + i,
                 resample ? 1 + d->attends[l] : !strcmp(what, "attention"));
        if (resample) return snprintf(at->layer, sizeof at->layer, "%s.conv", list) > 0;
    } else return false;
    const char *last = strrchr(ours, '.') + 1, *part = openai_part(last);
    if (!part) return false;
    if (!strcmp(last, "qkv")) at->heads = d->heads;
    return snprintf(at->layer, sizeof at->layer, "%s.%s", list, part) > 0;
}

#endif
