/* golden.h — comparing our networks with tensors made by the papers' official code.
 *
 * A golden file (safetensors) holds one case: `weight.<official name>`, `in.<argument>`, `out.main`
 * and other outputs, `out.after.<buffer>` for what the pass changed, `grad.<official name>` and
 * `grad.in.<argument>`, the gradients of L = sum(out.main * in.cotangent) plus the same for every
 * other output that has a cotangent. Its metadata name the `model` and give its `config` as JSON.
 *
 * A chapter adds one file, tests/golden/<chapter>.c, with its models:
 *
 *     static const GoldenName names[] = {{"up.%d", "main.%d", 3, 0}, {0}};
 *     static void run(Golden *g) {
 *         ... build a network in g->params by golden_int(g, "ngf", 64) ...
 *         golden_load(g);
 *         golden_output(g, "main", generator(&net, golden_input(g, "z"), NULL, true));
 *     }
 *     const GoldenModel golden_gan[] = {{"dcgan_g", names, run}, {0}};
 *
 * and a line to `chapters` in golden.c. The rest is done there: gradients, buffers, and a complaint
 * about whatever the file holds that nobody has looked at. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "io/safetensors.h"
#include "tensor/tensor.h"

/* A layer's name here and in the official code, with %d for numbers; `times` and `plus`: the
 * official first number is times * ours + plus (times 0: the same). The first row that fits counts;
 * a layer without a row is called the same there. The last part (w, gain, ...) and the layout
 * follow io/checkpoint.h. */
typedef struct {
    const char *ours, *official;
    int times, plus;
} GoldenName;

typedef struct Golden Golden;

typedef struct {
    const char *model;                   /* NULL ends a list */
    const GoldenName *names;
    void (*run)(Golden *g);
} GoldenModel;

enum { GOLDEN_INPUTS = 8 };

typedef struct {
    double error;
    char name[120];
} GoldenWorst;

struct Golden {
    const char *path;
    const GoldenModel *model;
    Params params;               /* the network's, filled by the model's run */
    Tape tape;
    /* private */
    Safetensors file;
    struct cJSON *config, *zero_gradients;
    bool *seen;                  /* (file.count): compared or used */
    Tensor *input[GOLDEN_INPUTS], *loss;
    const char *input_name[GOLDEN_INPUTS];
    int inputs;
    double loss_scale;
    GoldenWorst outputs, gradients;
};

int  golden_int(const Golden *g, const char *key, int otherwise);     /* of the configuration */
double golden_number(const Golden *g, const char *key, double otherwise);
bool golden_flag(const Golden *g, const char *key, bool otherwise);
bool golden_holds(const Golden *g, const char *prefix);   /* does a tensor's name begin so? */
void golden_load(Golden *g);                              /* weights and buffers into g->params */
/* in.<name>, a variable on g->tape; images are turned to channels last */
Tensor *golden_input(Golden *g, const char *name);
/* compares with out.<name>, whose images are turned likewise, and makes it a part of L */
void golden_output(Golden *g, const char *name, Tensor *y);
/* compares with out.<name>, which holds whole numbers (I64): they must be the same */
void golden_integers(Golden *g, const char *name, const int *ours, size_t n);

#endif
