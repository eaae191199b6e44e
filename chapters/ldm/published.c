#include "published.h"

#include "nn/unet_config.h"

#include <string.h>

static UNetConfig family(int width, int channels) {
    return (UNetConfig){.in = channels, .out = channels, .width = width, .blocks = 2,
                        .style = {.groups = 32, .eps = 1e-5}};
}

static void add_transformers(UNetConfig *c, int depth, int context) {
    c->transformer_depth = depth, c->context = context;
}

/* with spatial transformers everywhere but at the smallest size, where only the middle has one */
static UNetConfig text_unet_config(int in, int context) {
    UNetConfig c = family(320, 4);
    unet_levels(&c, 1, 2, 4, 4);
    unet_attend_at(&c, 64, 64, 16);
    c.in = in, c.heads = 8;
    add_transformers(&c, 1, context);
    return c;
}

static UNetConfig class_config(const char *name) {
    bool v2 = strstr(name, "v2") != NULL;
    UNetConfig c = v2 ? family(192, 3) : family(256, 4);
    if (v2) {
        unet_levels(&c, 1, 2, 3, 5);
        unet_attend_at(&c, 64, 32, 8);
        c.heads = 1;
    } else {
        unet_levels(&c, 1, 2, 4);
        unet_attend_at(&c, 32, 32, 8);
        c.head_channels = 32;
    }
    add_transformers(&c, 1, 512);
    return c;
}

/* of latents 64x64 with four levels: faces, boxes, masked pictures */
static UNetConfig four_levels(int width) {
    UNetConfig c = family(width, 3);
    unet_levels(&c, 1, 2, 3, 4);
    unet_attend_at(&c, 64, 32, 8);
    c.head_channels = 32;
    return c;
}

static UNetConfig layout_config(void) {
    UNetConfig c = four_levels(128);
    add_transformers(&c, 3, 512);
    return c;
}

static UNetConfig inpaint_config(void) {
    UNetConfig c = four_levels(256);
    c.in = 7, c.heads = 8, c.head_channels = 0, c.resampling = RESAMPLE_RESBLOCK;
    return c;
}

static UNetConfig semantic_config(void) {
    UNetConfig c = family(128, 3);
    unet_levels(&c, 1, 4, 8);                         /* attention in the middle alone */
    c.in = 6, c.heads = 8;
    return c;
}

static UNetConfig churches_config(void) {
    UNetConfig c = family(192, 4);
    unet_levels(&c, 1, 2, 2, 4, 4);
    unet_attend_at(&c, 32, 32, 4);
    c.heads = 8, c.resampling = RESAMPLE_RESBLOCK, c.style.scale_shift = true;
    return c;
}

bool published_ldm(const char *name, PublishedLdm *m) {
    enum { CLIP_CHANNELS = 768, BERT_CHANNELS = 1280 };
    const PublishedLdm vq = {{0}, "vq-f4", 0.0015, 0.0195, 1};
    const PublishedLdm stable = {{0}, "kl-f8", 0.00085, 0.012, 0.18215};
    if (!strcmp(name, "sd1"))
        *m = stable, m->unet = text_unet_config(4, CLIP_CHANNELS);
    else if (!strcmp(name, "sd1-inpaint"))
        *m = stable, m->unet = text_unet_config(9, CLIP_CHANNELS);
    else if (!strcmp(name, "ldm-text"))
        *m = stable, m->unet = text_unet_config(4, BERT_CHANNELS);
    else if (!strcmp(name, "cin256-v2")) *m = vq, m->unet = class_config(name);
    else if (!strcmp(name, "cin256"))
        *m = vq, m->unet = class_config(name), m->first_stage = "vq-f8";
    else if (!strcmp(name, "celeba")) *m = vq, m->unet = four_levels(224);
    else if (!strcmp(name, "semantic")) *m = vq, m->unet = semantic_config();
    else if (!strcmp(name, "layout"))
        *m = vq, m->unet = layout_config(), m->beta_last = 0.0205;
    else if (!strcmp(name, "inpaint"))
        *m = vq, m->unet = inpaint_config(), m->beta_last = 0.0205, m->first_stage = "vq-f4-noattn";
    else if (!strcmp(name, "churches"))
        *m = (PublishedLdm){churches_config(), "kl-f8", 0.0015, 0.0155, 0};
    else return false;
    return true;
}
