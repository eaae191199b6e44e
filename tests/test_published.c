/* test_published.c — reading a user's file of a published U-Net, under the official names. */
#include "io/safetensors.h"
#include "nn/class_unet.h"
#include "nn/unet_official.h"
#include "stops.h"
#include "testing.h"
#include "nn/official.h"

SUITE(published);

static const OfficialName rows[] = {{"class", "label_emb", 0, 0}, UNET_OFFICIAL_ROWS, {0}};

/* ---- a user's file --------------------------------------------------------------------------- */

/* The smallest network with everything a name depends on, and its file's tensors, written down by
 * hand: two levels, each of one block, attention in the second and in the middle. */
static const UNetConfig tiny = {
    .in = 1, .out = 2, .width = 2, .levels = 2, .multiplier = {1, 2}, .attends = {false, true},
    .blocks = 1, .heads = 2, .style = {.groups = 1, .eps = 1e-5, .scale_shift = true}};

typedef struct {
    const char *layer;
    int out, in, kernel;      /* kernel 0: a linear layer; -1: a norm of `out` channels; -2: conv1d */
} Layer;

#define RESBLOCK(name, in, out)                                                                \
    {name ".in_layers.0", in, 0, -1}, {name ".in_layers.2", out, in, 3},                       \
    {name ".emb_layers.1", 2 * (out), 8, 0}, {name ".out_layers.0", out, 0, -1},               \
    {name ".out_layers.3", out, out, 3}
#define ATTENTION(name)                                                                        \
    {name ".norm", 4, 0, -1}, {name ".qkv", 12, 4, -2}, {name ".proj_out", 4, 4, -2}
#define SKIP(name, in, out) {name ".skip_connection", out, in, 1}

static const Layer layers[] = {
    {"time_embed.0", 8, 4, 0}, {"time_embed.2", 8, 8, 0}, {"input_blocks.0.0", 2, 1, 3},
    RESBLOCK("input_blocks.1.0", 2, 2), {"input_blocks.2.0.op", 2, 2, 3},
    RESBLOCK("input_blocks.3.0", 2, 4), SKIP("input_blocks.3.0", 2, 4),
    ATTENTION("input_blocks.3.1"),
    RESBLOCK("middle_block.0", 4, 4), ATTENTION("middle_block.1"), RESBLOCK("middle_block.2", 4, 4),
    RESBLOCK("output_blocks.0.0", 8, 4), SKIP("output_blocks.0.0", 8, 4),
    ATTENTION("output_blocks.0.1"),
    RESBLOCK("output_blocks.1.0", 6, 4), SKIP("output_blocks.1.0", 6, 4),
    ATTENTION("output_blocks.1.1"), {"output_blocks.1.2.conv", 4, 4, 3},
    RESBLOCK("output_blocks.2.0", 6, 2), SKIP("output_blocks.2.0", 6, 2),
    RESBLOCK("output_blocks.3.0", 4, 2), SKIP("output_blocks.3.0", 4, 2),
    {"out.0", 2, 0, -1}, {"out.2", 2, 2, 3}};
enum { LAYERS = sizeof layers / sizeof *layers, TENSORS = 2 * LAYERS };

/* A file of random numbers for all layers. without: the tensor of this name is left out; extra: one
 * is added; wide: this one has another shape. */
typedef struct {
    const char *path, *prefix, *without, *extra, *wide;
} Written;

static void add_tensor(StOutput *out, int *n, Written w, const char *layer, const char *ending,
                       int rank, const size_t *shape) {
    size_t len = 1;
    char *name = text_format("%s%s%s", w.prefix, layer, ending);
    if (w.without && !strcmp(name, w.without)) {
        free(name);
        return;
    }
    StOutput *o = &out[(*n)++];
    *o = (StOutput){.name = name, .type = ST_F32, .rank = rank};
    memcpy(o->shape, shape, (size_t)rank * sizeof *shape);
    if (w.wide && !strcmp(name, w.wide)) o->shape[0]++;
    for (int i = 0; i < rank; i++) len *= o->shape[i];
    float *x = malloc(len * sizeof *x);
    real *values = malloc(len * sizeof *values);
    test_values(name + strlen(w.prefix), -1, 1, len, values);
    for (size_t i = 0; i < len; i++) x[i] = (float)values[i];
    free(values);
    o->source = x;
}

static void write_file(Written w) {
    StOutput out[TENSORS + 1];
    int n = 0;
    for (int i = 0; i < LAYERS; i++) {
        const Layer *l = &layers[i];
        size_t kernel = l->kernel > 0 ? (size_t)l->kernel : 1;
        size_t shape[4] = {(size_t)l->out, (size_t)l->in, kernel, kernel};
        int rank = l->kernel == -1 ? 1 : l->kernel == 0 ? 2 : l->kernel == -2 ? 3 : 4;
        add_tensor(out, &n, w, l->layer, ".weight", rank, shape);
        add_tensor(out, &n, w, l->layer, ".bias", 1, shape);
    }
    if (w.extra) add_tensor(out, &n, w, w.extra, "", 1, (size_t[]){3});
    safetensors_write(w.path, out, n, NULL);
    for (int i = 0; i < n; i++) free((char *)out[i].name), free((void *)out[i].source);
}

typedef struct {
    Written file;
    Params params;
    UNet net;
    bool qkv_first;
} Loading;

static void load(void *context) {
    Loading *l = context;
    UNetOfficial design = {.config = tiny, .qkv_first = l->qkv_first};
    OfficialMap map = {.rows = rows, .locate = unet_official, .design = &design};
    l->params = (Params){.seed = 1};
    time_embedding_new(scope(&l->params, "time"), 4, 8, false);
    l->net = unet_new(&l->params, tiny);
    write_file(l->file);
    official_load(l->file.path, l->file.prefix, &map, &l->params);
}

/* entry `i` of what the file holds under this name */
static double written(const char *name, size_t i) {
    real x[512];
    test_values(name, -1, 1, i + 1, x);
    return (double)(float)x[i];
}

static void expect_entry(const Loading *l, const char *ours, size_t i, const char *official,
                         size_t there) {
    const Tensor *w = params_find(&l->params, ours);
    cr_assert(w && i < w->len, "%s", ours);
    cr_expect_eq((double)w->x[i], written(official, there), "%s[%zu] and %s[%zu]", ours, i,
                 official, there);
}

/* with or without a prefix before all names, a counter of batches among them */
Test(published, a_file_is_read_under_its_official_names) {
    for (int first = 0; first < 2; first++) {
        Loading l = {.file = {.path = place("tiny.safetensors"), .prefix = first ? "model." : "",
                              .extra = first ? "norm.num_batches_tracked" : NULL},
                     .qkv_first = first};
        load(&l);
        /* (in,out) and its (out,in); a convolution (kh,kw,in,out) and its (out,in,kh,kw) */
        expect_entry(&l, "time.0.w", 1 * 8 + 3, "time_embed.0.weight", 3 * 4 + 1);
        expect_entry(&l, "up.0.block.0.conv1.w", ((1 * 3 + 2) * 6 + 5) * 2 + 1,
                     "output_blocks.2.0.in_layers.2.weight", ((1 * 6 + 5) * 3 + 1) * 3 + 2);
        expect_entry(&l, "down.1.block.0.skip.b", 2, "input_blocks.3.0.skip_connection.bias", 2);
        expect_entry(&l, "norm_out.shift", 1, "out.0.bias", 1);
        /* keys of the second of two heads with two channels: ours 4 + 2, there in the second half,
         * after two of q; or, with all heads' q first, as ours */
        size_t there = first ? 6 : 6 + 2;
        expect_entry(&l, "up.1.attention.1.qkv.b", 6, "output_blocks.1.1.qkv.bias", there);
        expect_entry(&l, "up.1.attention.1.qkv.w", 3 * 12 + 6, "output_blocks.1.1.qkv.weight",
                     there * 4 + 3);
        params_free(&l.params);
    }
}

/* how many are missing, of another shape and left over, and the first few of each */
Test(published, what_is_wrong_with_a_file_is_said) {
    static const char *const qkv = "middle_block.1.qkv.weight";
    Loading cases[] = {{.file = {.path = place("a"), .prefix = "", .without = qkv}},
                       {.file = {.path = place("b"), .prefix = "", .extra = "cond_stage.weight"}},
                       {.file = {.path = place("c"), .prefix = "", .wide = qkv}},
                       {.file = {.path = place("d"), .prefix = "", .without = "out.2.bias",
                                 .extra = "surplus"}}};
    static const char *const says[] = {
        "1 missing (middle_block.1.qkv.weight)", "1 left over (cond_stage.weight)",
        "1 of another shape (middle_block.1.qkv.weight is F32 (13,4,1), here (12,4))",
        "1 missing (out.2.bias), 1 left over (surplus)"};
    for (int i = 0; i < 4; i++) expect_stop(1, says[i], load, &cases[i]);
}
