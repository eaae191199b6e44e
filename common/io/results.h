/* results.h — the files that a chapter's commands leave in --out, and read there again. */
#ifndef RESULTS_H
#define RESULTS_H

#include "io/cli.h"

/* what sample and eval read: --weights, or weights.safetensors, which training left in --out; the
 * caller frees it */
char *weights_path(const CommonOptions *o);

/* a file in --out, of which the user is told unless he asked for quiet; the caller frees it */
char *announced(const CommonOptions *o, const char *name);

#endif
