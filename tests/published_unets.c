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
