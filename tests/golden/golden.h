/* golden.h — comparing our networks with tensors made by the papers' official code.
 *
 * A golden file (safetensors) holds one case: `weight.<official name>`, `in.<argument>`, `out.main`
 * and other outputs, `out.after.<buffer>` for what the pass changed, `grad.<official name>` and
 * `grad.in.<argument>`, the gradients of L = sum(out.main * in.cotangent) plus the same for every
 * other output that has a cotangent. Its metadata name the `model` and give its `config` as JSON.
 *
 * A chapter (or a part of common/) has one file, tests/golden/<name>.c, with its models:
 *
 *     static const GoldenName names[] = {{"up.%d", "main.%d", 3, 0}, {0}};
 *     static void run(Golden *g) {
 *         ... build a network in g->params by golden_int(g, "ngf", 64) ...
 *         golden_load(g);
 *         golden_output(g, "main", generator(&net, golden_input(g, "z"), NULL, true));
 *     }
 *     const GoldenModel golden_gan[] = {{"dcgan_g", names, run}, {0}};
 *
 * The rest is done in golden.c: gradients, buffers, and a complaint about whatever the file holds
 * that nobody has looked at.
 *
 * A gradient too large for its file stands there as `gradrow.<official name>`, summed over all axes
 * but the first. A file without networks (formulas alone) is read with golden_given and compared
 * with golden_compare. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "io/safetensors.h"
#include "nn/official.h"

#include <cjson/cJSON.h>

/* layers' names here and in the official code */
typedef OfficialName GoldenName;
typedef struct Golden Golden;

/* for tensors with `part` in their whole name; the first row that fits counts, the last fits all */
typedef struct {
    const char *part;
    double tolerance;
} GoldenTolerance;

typedef struct {
    const char *model;                   /* NULL ends a list */
    const GoldenName *names;
    void (*run)(Golden *g);
    const GoldenTolerance *tolerances;   /* NULL: those of networks */
    bool channels_last;                  /* what has four axes is so in the file already */
    const OfficialMap *map;              /* instead of names, where the network has one */
} GoldenModel;

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"    /* rows leave fields out */

enum { GOLDEN_INPUTS = 8 };

typedef struct {
    double error, allowed;
    char name[160];
} GoldenWorst;

struct Golden {
    const char *path;
    const GoldenModel *model;
    Params params;               /* the network's, filled by the model's run */
    OfficialMap map;             /* the model's; run sets it if it depends on the configuration */
    Tape tape;
    /* private */
    Safetensors file;
    cJSON *config, *zero_gradients;
    bool *seen;                  /* (file.count): compared or used */
    struct GoldenRead *read;     /* entries of config, and of objects inside, that were asked for */
    Tensor *input[GOLDEN_INPUTS], *loss;
    const char *input_name[GOLDEN_INPUTS];
    int inputs;
    double loss_scale;
    GoldenWorst outputs, gradients;
};

/* Of the configuration: numbers above 0, lists of them (at most `room`; returns how many). A number
 * that is not there, null or -1 is `otherwise`. Each key must be asked for by one of these: a file
 * with a key that nobody has read is refused, for it may be of another network. */
int  golden_int(const Golden *g, const char *key, int otherwise);
double golden_number(const Golden *g, const char *key, double otherwise);
bool golden_flag(const Golden *g, const char *key, bool otherwise);
int  golden_list(const Golden *g, const char *key, int room, int *list);
bool golden_word(const Golden *g, const char *key, const char *word);    /* is it this word? */
const cJSON *golden_value(const Golden *g, const char *key);     /* any other; NULL: not there */
/* a copy of g whose configuration is the object `key` of g's: for golden_int and its like. NULL there,
 * if there is none, finds nothing. */
Golden golden_within(const Golden *g, const char *key);
/* "a b": whatever these are, the file holds the same; say beside the call why */
void golden_indifferent(const Golden *g, const char *keys);
/* for an object inside the configuration, which `where` names: it must have these keys, no others */
void golden_keys(const Golden *g, const char *where, const cJSON *object, const char *keys);
bool golden_holds(const Golden *g, const char *prefix);   /* does a tensor's name begin so? */
void golden_load(Golden *g);                              /* weights and buffers into g->params */
/* in.<name>, a variable on g->tape; images are turned to channels last */
Tensor *golden_input(Golden *g, const char *name);
/* in.<name> as it is, without a gradient that is compared; images are turned */
Tensor *golden_given(Golden *g, const char *name);
/* in.<name> or out.<name>, whole numbers or not, in the order of the file; at most `room` */
int golden_numbers(Golden *g, const char *group, const char *name, int room, double *x);
/* Compares with the tensor of this whole name ("out.q_sample", "grad.x"): n numbers, images turned.
 * `scale`: what the difference is divided by; 0: the norm of theirs, and then each picture or entry
 * must also agree by itself, to the tolerance of "row of NAME". */
void golden_compare(Golden *g, const char *name, int n, const double *ours, double scale);
/* in.<name>, whole numbers (B,H,W) in 0..limit-1; on g->tape */
const int *golden_input_integers(Golden *g, const char *name, int B, int H, int W, int limit);
/* the same of zeros and ones (B,N), as bytes */
const uint8_t *golden_mask(Golden *g, const char *name, int B, int N);
/* the sizes of in.<name>, whatever it holds */
void golden_sizes(const Golden *g, const char *name, int shape[4]);
/* compares with out.<name>, whose images are turned likewise, and makes it a part of L */
void golden_output(Golden *g, const char *name, Tensor *y);
/* compares with out.<name>, which holds whole numbers (I64): they must be the same */
void golden_integers(Golden *g, const char *name, const int *ours, size_t n);

#endif
