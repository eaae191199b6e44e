/* results.h — the files that a chapter's commands leave in --out, and read there again. */
#ifndef RESULTS_H
#define RESULTS_H

#include "train/cli.h"
#include "io/picture.h"

/* what sample and eval read: --weights, or weights.safetensors, which training left in --out; the
 * caller frees it */
char *weights_path(const CommonOptions *o);

/* a file in --out, of which the user is told unless he asked for quiet; the caller frees it */
char *announced(const CommonOptions *o, const char *name);

/* the pictures that were drawn so far: samples.png, and samples.npy (count,height,width,channels)
 * with g.low to g.high as 0 to 1, which build/score reads */
void samples_save(const CommonOptions *o, const real *images, Grid g, const char *parameters);

#endif
