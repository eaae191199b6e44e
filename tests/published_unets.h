/* published_unets.h — the U-Nets of papers whose chapters are not here yet, each in the form that
 * its chapter can take over: a configuration by name. Embedding and context are made outside. */
#ifndef PUBLISHED_UNETS_H
#define PUBLISHED_UNETS_H

#include "nn/unet_classifier.h"

/* kakaobrain/karlo: "decoder"; DALL-E 2's upsamplers without attention: "64-256", "256-1024" */
UNetConfig unclip_config(const char *name);
/* CompVis/latent-diffusion and stable-diffusion: "sd1", "sd1-inpaint", "text", "cin256-v2",
 * "cin256", "inpaint", "layout", "semantic", "celeba", "churches" */
UNetConfig ldm_config(const char *name);

#endif
