/* official_names.h — what layers are called in the papers' official code.
 *
 * A row names a layer ("block.%d.norm1", "blocks.%d.ln_1"): its last part (w, gain, ...) and its
 * layout follow nn/entry.h. Or it names a whole tensor ("proj", "visual.proj",
 * "attn.qkv.w", "attn.in_proj_weight"): then only the layout follows. %d stands for a number;
 * `times` and `plus`: the official first number is times * ours + plus (times 0: the same). The
 * first row that fits counts; what has no row is called the same there. A * in the official name:
 * there are three layers, q, k and v in its place, whose outputs in ours stand side by side. */
#ifndef OFFICIAL_NAMES_H
#define OFFICIAL_NAMES_H

#include <stdbool.h>

typedef struct {
    const char *ours, *official;
    int times, plus;
} OfficialName;

/* Where a layer of ours stands, if rows of names cannot say it */
typedef struct {
    char layer[160];                     /* official name, as in a row */
    /* not 0: so many heads, and the file has q, k and v (or so many parts) of the first head, then
     * of the second, ...; ours has all heads' q, then k, then v */
    int heads, parts;
} OfficialPlace;

typedef struct {
    const OfficialName *rows;            /* a row without names ends them; NULL: none */
    /* called before the rows: false for a layer that it has no name for; NULL: none */
    bool (*locate)(const void *design, const char *ours, OfficialPlace *at);
    const void *design;
    /* names in files that hold no weights; one that ends in *: all that begin so. NULL ends them;
     * NULL: none */
    const char *const *ignored;
    bool without_dots;                   /* as LDM's averaged weights are called: a.b.weight is
                                            abweight; what stands before them stays */
} OfficialMap;

#endif
