#include "published_unets.h"

#include "base/error.h"
#include "nn/unet_config.h"

#include <string.h>

static bool is(const char *name, const char *other) {
    return !strcmp(name, other);
}

/* ---- what was built on openai/guided-diffusion ------------------------------------------------ */

UNetConfig unclip_config(const char *name) {
    bool large = is(name, "256-1024");
    UNetConfig c = adm_family(large ? 192 : 320, large ? 2 : 3);
    if (large) unet_levels(&c, 1, 1, 2, 2, 4, 4);
    else unet_levels(&c, 1, 2, 3, 4);
    if (is(name, "decoder")) {
        unet_attend_at(&c, 64, 32, 8);
        c.context = 1536;
    } else c.in = 6, c.out = 3, c.plain_middle = true, c.style.scale_shift = false;
    return c;
}

/* ---- CompVis/latent-diffusion ---------------------------------------------------------------- */

static UNetConfig ldm_family(int width, int channels) {
    return (UNetConfig){.in = channels, .out = channels, .width = width, .blocks = 2,
                        .style = {.groups = 32, .eps = 1e-5}};
}

/* with spatial transformers everywhere but at the smallest size, where only the middle has one */
static UNetConfig stable_diffusion(int in, int context) {
    UNetConfig c = ldm_family(320, 4);
    unet_levels(&c, 1, 2, 4, 4);
    unet_attend_at(&c, 64, 64, 16);
    c.in = in, c.heads = 8, c.transformer_depth = 1, c.context = context;
    return c;
}

static UNetConfig with_transformers(UNetConfig c, int depth, int context) {
    c.transformer_depth = depth, c.context = context;
    return c;
}

UNetConfig ldm_config(const char *name) {
    UNetConfig c;
    if (is(name, "sd1")) return stable_diffusion(4, 768);
    if (is(name, "sd1-inpaint")) return stable_diffusion(9, 768);
    if (is(name, "text")) return stable_diffusion(4, 1280);
    if (is(name, "cin256-v2")) {
        c = ldm_family(192, 3);
        unet_levels(&c, 1, 2, 3, 5);
        unet_attend_at(&c, 64, 32, 8);
        c.heads = 1;
        return with_transformers(c, 1, 512);
    }
    if (is(name, "cin256")) {
        c = ldm_family(256, 4);
        unet_levels(&c, 1, 2, 4);
        unet_attend_at(&c, 32, 32, 8);
        c.head_channels = 32;
        return with_transformers(c, 1, 512);
    }
    if (is(name, "layout")) {
        c = ldm_family(128, 3);
        unet_levels(&c, 1, 2, 3, 4);
        unet_attend_at(&c, 64, 32, 8);
        c.head_channels = 32;
        return with_transformers(c, 3, 512);
    }
    if (is(name, "semantic")) {
        c = ldm_family(128, 3);
        unet_levels(&c, 1, 4, 8);                     /* attention in the middle alone */
        c.in = 6, c.heads = 8;
        return c;
    }
    if (is(name, "inpaint")) {
        c = ldm_family(256, 3);
        unet_levels(&c, 1, 2, 3, 4);
        unet_attend_at(&c, 64, 32, 8);
        c.in = 7, c.heads = 8, c.resampling = RESAMPLE_RESBLOCK;
        return c;
    }
    if (is(name, "celeba")) {
        c = ldm_family(224, 3);
        unet_levels(&c, 1, 2, 3, 4);
        unet_attend_at(&c, 64, 32, 8);
        c.head_channels = 32;
        return c;
    }
    if (!is(name, "churches")) die("ldm: no network is called %s", name);
    c = ldm_family(192, 4);
    unet_levels(&c, 1, 2, 2, 4, 4);
    unet_attend_at(&c, 32, 32, 4);
    c.heads = 8, c.resampling = RESAMPLE_RESBLOCK, c.style.scale_shift = true;
    return c;
}
