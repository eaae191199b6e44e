#include "published_unets.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static void set_levels(UNetConfig *c, int levels, const int *multiplier) {
    c->levels = levels;
    memcpy(c->multiplier, multiplier, (size_t)levels * sizeof *multiplier);
}

#define LEVELS(c, ...)                                                                        \
    set_levels(c, (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (int[]){__VA_ARGS__})

/* attention where the image of `side` pixels has become as small as that, down to `least` */
static void attend_at(UNetConfig *c, int side, int most, int least) {
    for (int l = 0; l < c->levels; l++) c->attends[l] = side >> l <= most && side >> l >= least;
}

static bool is(const char *name, const char *other) {
    return !strcmp(name, other);
}

/* ---- openai/guided-diffusion, and what was built on it --------------------------------------- */

/* levels of networks for images of this side; those for 512 begin with half the width, so that
 * their embedding is 8 widths */
static void adm_levels(UNetConfig *c, int side) {
    if (side == 64) LEVELS(c, 1, 2, 3, 4);
    else if (side == 128) LEVELS(c, 1, 1, 2, 3, 4);
    else if (side == 256) LEVELS(c, 1, 1, 2, 2, 4, 4);
    else {
        LEVELS(c, 1, 2, 2, 4, 4, 8, 8);
        c->style.emb = 4 * c->width;
        c->width /= 2;
    }
    attend_at(c, side, 32, 8);
}

static UNetConfig adm_family(int width, int blocks) {
    return (UNetConfig){.in = 3, .out = 6, .width = width, .blocks = blocks, .head_channels = 64,
                        .resampling = RESAMPLE_RESBLOCK,
                        .style = {.groups = 32, .eps = 1e-5, .scale_shift = true}};
}

UNetConfig adm_config(const char *name) {
    bool from_quarter = strchr(name, '-') != NULL;
    int side = atoi(from_quarter ? strchr(name, '-') + 1 : name);
    UNetConfig c = from_quarter || side == 64 ? adm_family(192, from_quarter ? 2 : 3)
                                              : adm_family(256, 2);
    if (from_quarter) {
        c.in = 6;
        LEVELS(&c, 1, 1, 2, 2, 4, 4);
        attend_at(&c, side, 32, side == 512 ? 16 : 8);
    } else adm_levels(&c, side);
    if (side == 128 || is(name, "64-256")) c.heads = 4, c.head_channels = 0;
    return c;
}

UNetConfig adm_classifier_config(int side) {
    UNetConfig c = adm_family(128, side == 64 ? 4 : 2);
    c.out = 1000;
    adm_levels(&c, side);
    return c;
}

UNetConfig glide_config(const char *name) {
    bool base = !strncmp(name, "base", 4);
    UNetConfig c = adm_family(192, base ? 3 : 2);
    if (base) LEVELS(&c, 1, 2, 3, 4);
    else LEVELS(&c, 1, 1, 2, 2, 4, 4);
    attend_at(&c, base ? 64 : 256, 32, 8);
    c.context = 512;
    if (!base) c.in = 6;
    if (strstr(name, "inpaint")) c.in += 4;
    return c;
}

UNetConfig unclip_config(const char *name) {
    bool large = is(name, "256-1024");
    UNetConfig c = adm_family(large ? 192 : 320, large ? 2 : 3);
    if (large) LEVELS(&c, 1, 1, 2, 2, 4, 4);
    else LEVELS(&c, 1, 2, 3, 4);
    if (is(name, "decoder")) {
        attend_at(&c, 64, 32, 8);
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
    LEVELS(&c, 1, 2, 4, 4);
    attend_at(&c, 64, 64, 16);
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
        LEVELS(&c, 1, 2, 3, 5);
        attend_at(&c, 64, 32, 8);
        c.heads = 1;
        return with_transformers(c, 1, 512);
    }
    if (is(name, "cin256")) {
        c = ldm_family(256, 4);
        LEVELS(&c, 1, 2, 4);
        attend_at(&c, 32, 32, 8);
        c.head_channels = 32;
        return with_transformers(c, 1, 512);
    }
    if (is(name, "layout")) {
        c = ldm_family(128, 3);
        LEVELS(&c, 1, 2, 3, 4);
        attend_at(&c, 64, 32, 8);
        c.head_channels = 32;
        return with_transformers(c, 3, 512);
    }
    if (is(name, "semantic")) {
        c = ldm_family(128, 3);
        LEVELS(&c, 1, 4, 8);                     /* attention in the middle alone */
        c.in = 6, c.heads = 8;
        return c;
    }
    if (is(name, "inpaint")) {
        c = ldm_family(256, 3);
        LEVELS(&c, 1, 2, 3, 4);
        attend_at(&c, 64, 32, 8);
        c.in = 7, c.heads = 8, c.resampling = RESAMPLE_RESBLOCK;
        return c;
    }
    if (is(name, "celeba")) {
        c = ldm_family(224, 3);
        LEVELS(&c, 1, 2, 3, 4);
        attend_at(&c, 64, 32, 8);
        c.head_channels = 32;
        return c;
    }
    if (!is(name, "churches")) die("ldm: no network is called %s", name);
    c = ldm_family(192, 4);
    LEVELS(&c, 1, 2, 2, 4, 4);
    attend_at(&c, 32, 32, 4);
    c.heads = 8, c.resampling = RESAMPLE_RESBLOCK, c.style.scale_shift = true;
    return c;
}
