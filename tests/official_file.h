/* official_file.h — for tests of programs that read official weights: writes a network's
 * parameters as its authors' file has them. */
#ifndef OFFICIAL_FILE_H
#define OFFICIAL_FILE_H

#include "testing.h"
#include "base/file.h"
#include "nn/official.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* a part of w as the file has it, F32 */
static inline StOutput official_output(const OfficialTensor *tensor) {
    const Tensor *part = &tensor->part;
    real *ours = malloc(part->len * sizeof *ours), *theirs = malloc(part->len * sizeof *theirs);
    float *x = malloc(part->len * sizeof *x);
    official_gather(tensor, tensor->w->x, ours);
    if (tensor->entry.turned) k_permute(part->shape, tensor->entry.order, ours, theirs, false);
    else memcpy(theirs, ours, part->len * sizeof *ours);
    for (size_t i = 0; i < part->len; i++) x[i] = (float)theirs[i];
    free(ours), free(theirs);
    StOutput out = {.name = tensor->entry.name, .type = ST_F32, .rank = part->rank, .source = x};
    memcpy(out.shape, tensor->entry.shape, sizeof tensor->entry.shape);
    return out;
}

static inline void write_official(const char *path, const OfficialMap *map, const Params *p) {
    StOutput *out = calloc((size_t)p->count * OFFICIAL_TENSORS, sizeof *out);
    int n = 0;
    for (int i = 0; i < p->count; i++) {
        OfficialTensor tensors[OFFICIAL_TENSORS];
        int k = official_tensors(map, p->list[i], tensors);
        for (int j = 0; j < k; j++) out[n++] = official_output(&tensors[j]);
    }
    safetensors_write(path, out, n, NULL);
    for (int i = 0; i < n; i++) {
        free((void *)(uintptr_t)out[i].source);
        free((void *)(uintptr_t)out[i].name);
    }
    free(out);
}

/* p's weights, written under the official names, are q's when they are read. The caller removes the
 * file and frees its name. */
static inline char *official_round_trip(const OfficialMap *map, const Params *p, Params *q) {
    char *path = path_join(temporary_folder(), "official.safetensors");
    write_official(path, map, p);
    official_load(path, "", map, q);
    for (int i = 0; i < p->count; i++)
        cr_expect_eq(memcmp(p->list[i]->x, q->list[i]->x, p->list[i]->len * sizeof(real)), 0, "%s",
                     p->list[i]->name);
    return path;
}

/* how many tensors the file has */
static inline int official_count(const OfficialMap *map, const Params *p) {
    int n = 0;
    for (int i = 0; i < p->count; i++) {
        OfficialTensor tensors[OFFICIAL_TENSORS];
        int k = official_tensors(map, p->list[i], tensors);
        for (int j = 0; j < k; j++) free(tensors[j].entry.name);
        n += k;
    }
    return n;
}

/* is `name` one of the official names? */
static inline bool official_has(const OfficialMap *map, const Params *p, const char *name) {
    bool found = false;
    for (int i = 0; i < p->count; i++) {
        OfficialTensor tensors[OFFICIAL_TENSORS];
        int n = official_tensors(map, p->list[i], tensors);
        for (int k = 0; k < n; k++) {
            found |= !strcmp(tensors[k].entry.name, name);
            free(tensors[k].entry.name);
        }
    }
    return found;
}

/* The weights that `program` passed on into p, and from there into a file under official names */
static inline void rewrite_official(const char *path, const char *program, Params *p,
                                    const char *to, const OfficialMap *map) {
    Entries e = {0};
    entries_add(&e, "", p);
    weights_read(path, program, &e);
    write_official(to, map, p);
}

#endif
