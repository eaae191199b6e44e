/* official.h — weights under the names of the papers' official code (nn/official_names.h).
 *
 *     official_load("ViT-B-32.safetensors", "", &clip_openai, &params);
 *
 * Interface:
 *   - official_load     a user's file into parameters
 *   - official_tensors, official_fits, official_scatter, official_gather     tensor by tensor, for
 *     comparisons with the official code's numbers (build/golden) */
#ifndef OFFICIAL_H
#define OFFICIAL_H

#include "nn/official_names.h"
#include "nn/entry.h"

/* Fills `p` from the tensors of the file that `prefix` stands before. Names that are missing, left
 * over or of another shape end the program with one line: how many of each, and the first few.
 * Tensors without the prefix are another network's, and are not looked at. */
void official_load(const char *path, const char *prefix, const OfficialMap *map, Params *p);

/* One tensor of a file: some outputs, the last axis, of one of ours */
typedef struct {
    Entry entry;                         /* of `part`; the name is to be freed */
    Tensor part;                         /* w's shape, but with so many outputs */
    const Tensor *w;
    int first, heads, parts;
} OfficialTensor;
enum { OFFICIAL_TENSORS = 3 };

int  official_tensors(const OfficialMap *map, Tensor *w, OfficialTensor tensors[OFFICIAL_TENSORS]);
/* PyTorch has 1x1 convolutions, with one or two trailing axes, where linear layers do as well, and
 * single numbers without any axis. */
bool official_fits(const OfficialTensor *p, const StTensor *t);
/* The tensor's numbers, (rows, its outputs), into an array of w's shape, and out of it */
void official_scatter(const OfficialTensor *p, const real *numbers, real *whole);
void official_gather(const OfficialTensor *p, const real *whole, real *numbers);

#endif
