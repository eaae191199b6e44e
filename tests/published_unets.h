/* published_unets.h — the U-Nets of papers whose chapters are not here yet, each in the form that
 * its chapter can take over: a configuration by name. Embedding and context are made outside. */
#ifndef PUBLISHED_UNETS_H
#define PUBLISHED_UNETS_H

#include "nn/unet_classifier.h"

/* kakaobrain/karlo: "decoder"; DALL-E 2's upsamplers without attention: "64-256", "256-1024" */
UNetConfig unclip_config(const char *name);

#endif
