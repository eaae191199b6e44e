/* checkpoint.h — networks and the state of their training, in safetensors files.
 *
 *     Checkpoint all = {
 *         .cli = &cli,
 *         .params = {{"", &net}, {"ema.", &ema.average, .like = &net},
 *                    {"adam.m.", &adam.m, .like = &net}, {"adam.v.", &adam.v, .like = &net}},
 *         .numbers = {{"step", .i = &run.step}, {"adam.step", .i = &adam.step},
 *                     {"noise", .u = &noise.next}, {"batches", .u = &batches.next}}};
 *     checkpoint_save("runs/ae/checkpoint.safetensors", &all);
 *     checkpoint_save_half("runs/ae/weights.safetensors",
 *                          &(Checkpoint){.cli = &cli, .params = {{"", &ema.average}}});
 *
 * Files keep PyTorch's names and layout (nn/entry.h).
 *
 * Metadata: "chapter", "option.NAME" for every option that is kept (see cli.h), "state.NAME" for
 * the numbers, the texts, and a training checkpoint's "checksum" (CRC-32 of its tensors). Nothing
 * else: the same training gives the same bytes, whenever and on however many threads. */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include "train/cli.h"
#include "tensor/tensor.h"

/* the rows below may leave fields out: clang's -Wextra would warn of each */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

typedef struct {
    const char *prefix;       /* put before names: "adam.m."; "" for a single network's weights */
    Params *params;           /* NULL ends the list */
    /* set for moments and averages, which optimisers create at their first step: if `params` is
     * empty when read, and the file has tensors under this prefix, they are made like these first */
    const Params *like;
} CheckpointParams;

typedef struct {
    const char *name;         /* NULL ends the list */
    int64_t *i;               /* a count from 0 to 10^15; one of the three is set */
    uint64_t *u;              /* how far a stream of random numbers is */
    double *d;                /* a file need not have it: then it stays as it is */
    bool optional;            /* nor this one */
} CheckpointNumber;

typedef struct {
    const char *name, *text;  /* NULL ends the list; text is written, and not read back */
} CheckpointText;

enum { CHECKPOINT_PARAMS = 24, CHECKPOINT_NUMBERS = 80, CHECKPOINT_TEXTS = 12 };

typedef struct {
    const Cli *cli;           /* chapter and options to remember */
    CheckpointParams params[CHECKPOINT_PARAMS + 1];
    CheckpointNumber numbers[CHECKPOINT_NUMBERS + 1];
    CheckpointText texts[CHECKPOINT_TEXTS + 1];
} Checkpoint;

void checkpoint_save(const char *path, const Checkpoint *c);     /* F32; F64 in the double build */
/* Weights to pass on: F16; buffers (running statistics) stay F32 or F64 */
void checkpoint_save_half(const char *path, const Checkpoint *c);

/* Before the network is built: takes over the options of the file (all with `resume`, otherwise
 * those that describe the network), see cli_adopt. Fails if the file is of another chapter. */
void checkpoint_options(const char *path, Cli *cli, bool resume);
/* Fills params and numbers. File and list must have the same tensors with the same shapes; else the
 * first one that is missing, surplus or of another shape is named, and nothing is changed. Any
 * float type is read. */
void checkpoint_load(const char *path, const Checkpoint *c);
/* Fills p from weights of this stage alone, or from those of all stages, where its names begin with
 * `prefix` ("": there is one stage); the others are left. Checked like the above. */
void checkpoint_load_stage(const char *path, const Cli *cli, const char *prefix, Params *p);
/* a text of the metadata, to be freed; NULL: the file has none of this name */
char *checkpoint_text(const char *path, const char *name);
/* Fails unless the file has this text: `sha256` is that of `what` as it is now */
void checkpoint_same(const char *path, const char *name, const char *sha256, const char *what);

#endif
